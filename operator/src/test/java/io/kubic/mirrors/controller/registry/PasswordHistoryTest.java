package io.kubic.mirrors.controller.registry;

import static org.assertj.core.api.Assertions.assertThat;

import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PasswordHistoryTest {
  private static final Instant START = Instant.parse("2026-01-01T00:00:00Z");
  private static final PasswordHistory.Policy MONTHLY =
      new PasswordHistory.Policy(Duration.ofDays(30), Duration.ofHours(24), null);
  private final SecureRandom random = new SecureRandom();
  private final PasswordHistory first = PasswordHistory.first("first", START);

  @Test
  void beforeItIsDueNothingChanges() {
    assertThat(first.advance(MONTHLY, START, START.plus(Duration.ofDays(29)), random))
        .isEqualTo(first);
    assertThat(first.due(MONTHLY, START)).contains(START.plus(Duration.ofDays(30)));
  }

  @Test
  void oldAndNewAreGoodUntilTheOverlapAfterHandingOutIsOver() {
    Instant due = START.plus(Duration.ofDays(30));
    PasswordHistory both = first.advance(MONTHLY, START, due, random);
    assertThat(both.passwords()).hasSize(2);
    assertThat(both.holds("first")).isTrue();
    assertThat(both.newest().text()).isNotEqualTo("first").hasSize(32);
    assertThat(both.advance(MONTHLY, null, due.plus(Duration.ofDays(300)), random))
        .as("never handed out, so the old one is what everybody has")
        .isEqualTo(both);
    assertThat(both.advance(MONTHLY, due, due.plus(Duration.ofHours(23)), random)).isEqualTo(both);
    PasswordHistory alone = both.advance(MONTHLY, due, due.plus(Duration.ofHours(24)), random);
    assertThat(alone.passwords()).containsExactly(both.newest());
  }

  @Test
  void aRequestReplacesWhatIsOlderOnce() {
    Instant asked = START.plusSeconds(60);
    var policy = new PasswordHistory.Policy(Duration.ZERO, Duration.ofHours(1), asked);
    PasswordHistory both = first.advance(policy, START, asked, random);
    assertThat(both.overlaps()).isTrue();
    PasswordHistory alone = both.advance(policy, asked, asked.plusSeconds(3600), random);
    assertThat(alone.overlaps()).isFalse();
    assertThat(alone.advance(policy, asked, asked.plus(Duration.ofDays(4000)), random))
        .isEqualTo(alone);
    assertThat(alone.due(policy, asked)).isEmpty();
  }

  @Test
  void aRequestDuringAnOverlapIsForItsEnd() {
    Instant asked = START.plusSeconds(60);
    var policy = new PasswordHistory.Policy(Duration.ZERO, Duration.ofHours(1), asked);
    PasswordHistory both = first.advance(policy, START, asked, random);
    assertThat(both.replaced(policy, asked)).as("nobody asked again").isEmpty();
    var again =
        new PasswordHistory.Policy(Duration.ZERO, Duration.ofHours(1), asked.plusSeconds(600));
    Instant end = asked.plusSeconds(3600);
    assertThat(both.advance(again, asked, asked.plusSeconds(600), random)).isEqualTo(both);
    assertThat(both.replaced(again, asked)).contains(end);
    PasswordHistory alone = both.advance(again, asked, end, random);
    assertThat(alone.advance(again, asked, end, random).overlaps()).isTrue();
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 31, 91, 400})
  void afterAnAbsenceOfDaysEverybodyIsStillLetIn(int days) {
    Instant now = START.plus(Duration.ofDays(days));
    PasswordHistory history = first.advance(MONTHLY, START, now, random);
    assertThat(history.holds("first")).isTrue();
    assertThat(history.overlaps()).isEqualTo(days >= 30);
  }

  @Test
  void whatIsWrittenIsReadAndNothingElse() {
    PasswordHistory both = first.advance(MONTHLY, START, START.plus(Duration.ofDays(31)), random);
    assertThat(PasswordHistory.parse(both.json())).contains(both);
    assertThat(PasswordHistory.parse("")).isEmpty();
    assertThat(PasswordHistory.parse("[]")).isEmpty();
    assertThat(PasswordHistory.parse("[{\"password\": \"x\"}]")).isEmpty();
    assertThat(both.toString()).doesNotContain("first");
  }

  /** At any order of looks, hand-outs and pauses, whoever read the Secret last is let in. */
  @Test
  void aReaderOfTheSecretIsAlwaysLetIn() {
    int rounds = Integer.getInteger("mirror.rounds", 300);
    long seed = System.nanoTime();
    Random chance = new Random(seed);
    for (int round = 0; round < rounds; round++) {
      Instant now = START;
      PasswordHistory history = first;
      String handedOut = "first";
      Instant since = START;
      Set<String> accepted = new HashSet<>(Set.of("first"));
      for (int step = 0; step < 60; step++) {
        now = now.plus(Duration.ofHours(chance.nextInt(400)));
        history =
            history.advance(
                MONTHLY, history.newest().text().equals(handedOut) ? since : null, now, random);
        if (chance.nextBoolean()) {
          accepted.clear();
          history.passwords().forEach(p -> accepted.add(p.text()));
        }
        boolean allAccepted =
            history.passwords().stream().allMatch(p -> accepted.contains(p.text()));
        if (chance.nextBoolean() && allAccepted && !history.newest().text().equals(handedOut)) {
          handedOut = history.newest().text();
          since = now;
        }
        assertThat(history.holds(handedOut)).as("seed %d, step %d", seed, step).isTrue();
        assertThat(accepted).as("seed %d, step %d", seed, step).contains(handedOut);
      }
    }
  }
}
