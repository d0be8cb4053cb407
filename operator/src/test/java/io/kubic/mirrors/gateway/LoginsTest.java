package io.kubic.mirrors.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.gateway.GatewayConfig.Role;
import io.kubic.mirrors.gateway.GatewayConfig.User;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import org.bouncycastle.crypto.generators.OpenBSDBCrypt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LoginsTest {
  @TempDir Path directory;
  private Instant now = Instant.parse("2026-03-01T12:00:00Z");
  private final Clock clock =
      new Clock() {
        @Override
        public ZoneOffset getZone() {
          return ZoneOffset.UTC;
        }

        @Override
        public Clock withZone(java.time.ZoneId zone) {
          return this;
        }

        @Override
        public Instant instant() {
          return now;
        }
      };

  @ParameterizedTest
  @ValueSource(strings = {"2a", "2b", "2y"})
  void bcryptHashesAndHtpasswdLinesAreRead(String version) throws Exception {
    String hash = OpenBSDBCrypt.generate(version, "secret".toCharArray(), new byte[16], 4);
    Users bare = users(hash + "\n");
    Users line = users("bob:" + hash + "\n");

    assertThat(bare.verify("bob", "secret")).isTrue();
    assertThat(line.verify("bob", "secret")).isTrue();
    assertThat(line.verify("bob", "wrong")).isFalse();
    assertThat(line.verify("bob", hash)).isFalse();
  }

  @Test
  void aPlainPasswordLosesItsLineEndOnlyAndNoPasswordIsNone() throws Exception {
    assertThat(users(" sec ret \n").verify("bob", " sec ret ")).isTrue();
    assertThat(users("\n").verify("bob", "")).isFalse();
    assertThat(users("x").verify("nobody", "x")).isFalse();
  }

  @Test
  void guessingIsSlowedDownButWhoIsKnownToBeRightIsNot() throws Exception {
    Users users = users("secret");
    Logins logins = new Logins(new SecureRandom(), clock, Runnable::run);
    assertThat(outcome(logins, users, "secret", "1")).isInstanceOf(Logins.Outcome.Good.class);
    for (int i = 0; i < 5; i++) {
      assertThat(outcome(logins, users, "guess", "1")).isInstanceOf(Logins.Outcome.Wrong.class);
    }

    assertThat(outcome(logins, users, "other", "1")).isInstanceOf(Logins.Outcome.Throttled.class);
    assertThat(outcome(logins, users, "secret", "1")).isInstanceOf(Logins.Outcome.Good.class);
    assertThat(outcome(logins, users, "other", "2")).isInstanceOf(Logins.Outcome.Wrong.class);
    now = now.plusSeconds(2);
    assertThat(outcome(logins, users, "other", "1")).isInstanceOf(Logins.Outcome.Wrong.class);
  }

  @Test
  void aChangedPasswordIsNotRemembered() throws Exception {
    Logins logins = new Logins(new SecureRandom(), clock, Runnable::run);
    outcome(logins, users("old"), "old", "1");

    assertThat(outcome(logins, users("new"), "old", "1")).isInstanceOf(Logins.Outcome.Wrong.class);
  }

  @Test
  void aFreezeHoldsWritesEndsByItselfAndCountsWhatIsRunning() {
    Freeze freeze = new Freeze(clock);
    assertThat(freeze.enter(false)).isTrue();
    assertThat(freeze.begin(Duration.ofMinutes(1), Freeze.Scope.WRITES).inFlight()).isEqualTo(1);
    assertThat(freeze.enter(true)).isFalse();
    freeze.begin(Duration.ofMinutes(1), Freeze.Scope.UPLOADS);
    assertThat(freeze.enter(false)).isFalse();
    assertThat(freeze.enter(true)).isTrue();
    freeze.leave();
    freeze.leave();
    now = now.plusSeconds(61);
    assertThat(freeze.state().frozen()).isFalse();
    assertThat(freeze.enter(false)).isTrue();
  }

  @Test
  void bcryptRunsElsewhereOnceForAllWhoSendTheSameAndIsRefusedWhenTooManyWait() throws Exception {
    Users users = users(OpenBSDBCrypt.generate("2b", "secret".toCharArray(), new byte[16], 4));
    List<Runnable> waiting = new ArrayList<>();
    Logins logins =
        new Logins(
            new SecureRandom(),
            clock,
            task -> {
              if (!waiting.isEmpty()) {
                throw new java.util.concurrent.RejectedExecutionException();
              }
              waiting.add(task);
            });
    List<Logins.Outcome> outcomes = new ArrayList<>();
    logins.check(users, "bob", "secret", "1", outcomes::add);
    logins.check(users, "bob", "secret", "1", outcomes::add);
    assertThat(outcomes).isEmpty();
    logins.check(users, "bob", "other", "1", outcomes::add);
    assertThat(outcomes).containsExactly(new Logins.Outcome.Busy());

    waiting.getFirst().run();

    assertThat(outcomes)
        .containsExactly(
            new Logins.Outcome.Busy(), new Logins.Outcome.Good(), new Logins.Outcome.Good());
    logins.check(users, "bob", "secret", "2", outcomes::add);
    assertThat(outcomes).last().isEqualTo(new Logins.Outcome.Good());
  }

  @Test
  void aWholeHtpasswdFileGivesEachUserHisOwnLineAndOtherHashesAreNotTakenForPasswords()
      throws Exception {
    String hash = OpenBSDBCrypt.generate("2y", "secret".toCharArray(), new byte[16], 4);
    assertThat(users("ann:" + hash + "\nbob:" + hash + "\n").verify("bob", "secret")).isTrue();
    for (String bad :
        List.of(
            "ann:" + hash,
            "bob:$apr1$x$y",
            "{SHA}2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
            "$2b$10$tooshort",
            "$6$salt$hash")) {
      Users.Reading reading = reading(bad, Users.NONE);
      assertThat(reading.problems()).as(bad).hasSize(1).first().asString().doesNotContain(bad);
      assertThat(reading.users().verify("bob", bad)).as(bad).isFalse();
      assertThat(reading(bad, users("old")).users().verify("bob", "old")).as(bad).isTrue();
    }
  }

  private static Logins.Outcome outcome(
      Logins logins, Users users, String password, String address) {
    List<Logins.Outcome> outcomes = new ArrayList<>();
    logins.check(users, "bob", password, address, outcomes::add);
    return outcomes.getFirst();
  }

  private Users users(String content) throws Exception {
    return reading(content, Users.NONE).users();
  }

  private Users.Reading reading(String content, Users before) throws Exception {
    Files.createDirectories(directory.resolve("bob"));
    Files.writeString(directory.resolve("bob/password"), content);
    return Users.read(
        directory,
        List.of(new User("bob", Role.Pull, List.of("bob/password", "bob/absent"))),
        before);
  }
}
