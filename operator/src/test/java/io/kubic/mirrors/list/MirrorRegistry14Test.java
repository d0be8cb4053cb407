package io.kubic.mirrors.list;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MirrorRegistry14Test {
  private static final long SEED = Long.getLong("mirror.seed", System.nanoTime());
  private static final int ROUNDS = Integer.getInteger("mirror.rounds", 20_000);

  /** What the tool itself printed. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      nullValues = "-",
      value = {
        "1.0 1.0-1.1 1.0-1.2 1.0-2.1 1.1 1.1-3.1 latest | 1.0 1.0-2.1 1.1 1.1-3.1 latest | 1.1"
            + " 1.1-3.1 latest",
        "1 1.0 1.0-1.1 1.0-1.2 1.1 1.1-2.1 1.1-2.2 latest | 1 1.0 1.0-1.2 1.1 1.1-2.2 latest | 1"
            + " 1.1 1.1-2.2 latest",
        "1.0 1.0-9.1 1.0-10.1 1.0-10.2 | 1.0 1.0-10.2 | 1.0 1.0-10.2",
        "latest v1.0.0 v1.0.1 v1.1.0 | latest v1.0.0 v1.0.1 v1.1.0 | latest v1.1.0",
        "3.17 3.17.1 3.17.2 3.18 3.18.0 3.18.4 edge latest | 3.17 3.17.2 3.18 3.18.4 edge latest |"
            + " edge latest",
        "1.0-1.1 1.0-1.2 1.0-1.3 1.1-1.1 1.1-1.2 | 1.0-1.1 1.0-1.2 1.0-1.3 1.1-1.1 1.1-1.2 | -",
        "1.1 1.1-5.1 1.1-5.2 1.10 1.10-6.1 1.10-6.2 | 1.1 1.10-6.2 | 1.1 1.10 1.10-6.2",
        "1.18.2 1.18.2-revision1-build1.2 1.18.2-revision1-build1.10 | 1.18.2"
            + " 1.18.2-revision1-build1.2 | -",
        "0.9.0 0.9.0-2.1 0.9.0-2.12 0.10.0 | 0.9.0 0.9.0-2.1 0.9.0-2.12 0.10.0 | -",
      })
  void keepsWhatTheToolPrinted(String tags, String minimized, String newest) {
    List<String> input = List.of(tags.split(" "));
    assertThat(keep(input, true, false)).containsExactly(minimized.split(" "));
    if (newest != null) {
      assertThat(keep(input, false, true)).containsExactly(newest.split(" "));
    }
  }

  @Test
  void aSignatureIsTakenForTheNewestVersion() {
    String signature = "sha256-" + "0".repeat(64) + ".sig";
    assertThat(keep(List.of("1.0", "1.0-1.1", "latest", signature), false, true))
        .containsExactly("latest", signature);
  }

  @Test
  void agreesWithAnIndependentPortOnEveryFlagUpToTwelveTags() {
    for (int round = 0; round < ROUNDS; round++) {
      compare(round, 12);
    }
  }

  @Test
  void agreesWithAnIndependentPortOnLargerSetsThatTheComparisonOrders() {
    int compared = 0;
    for (int round = 0; round < ROUNDS / 10; round++) {
      compared += compare(round, 40) ? 1 : 0;
    }
    assertThat(compared).isGreaterThan(ROUNDS / 200);
  }

  private static boolean compare(int round, int most) {
    long seed = SEED + round;
    Random random = new Random(seed);
    List<String> tags = obsTags(random, random.nextInt(most + 1));
    if (tags.size() > 12 && !Tool2019.isOrdered(tags)) {
      return false;
    }
    List<String> sorted = Tool2019.sorted(tags);
    String shown = "-Dmirror.seed=" + seed + " " + tags;
    assertThat(keep(tags, false, false)).as(shown).isEqualTo(sorted);
    assertThat(keep(tags, true, false)).as(shown).isEqualTo(Tool2019.minimize(sorted));
    assertThat(keep(tags, false, true)).as(shown).isEqualTo(Tool2019.newestOnly(sorted));
    assertThat(keep(tags, true, true))
        .as(shown)
        .isEqualTo(Tool2019.newestOnly(Tool2019.minimize(sorted)));
    return tags.size() > 12;
  }

  private static List<String> obsTags(Random random, int size) {
    Set<String> tags = new LinkedHashSet<>();
    boolean mixed = random.nextInt(3) == 0;
    for (int i = 0; i < size; i++) {
      tags.add(
          mixed
              ? RandomTags.one(random)
              : random.nextInt(12) == 0
                  ? "latest"
                  : (random.nextInt(2) + "." + random.nextInt(12))
                      + (random.nextInt(3) == 0
                          ? ""
                          : "-" + random.nextInt(12) + "." + random.nextInt(12)));
    }
    return new ArrayList<>(tags);
  }

  private static List<String> keep(List<String> tags, boolean minimize, boolean newestOnly) {
    return new MirrorRegistry14(minimize, newestOnly)
        .keep(tags.stream().map(VersionTag::parse).toList()).stream()
            .map(VersionTag::text)
            .toList();
  }
}
