package io.kubic.mirrors.list;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class LatestBuildTest {
  private static final long SEED = Long.getLong("mirror.seed", System.nanoTime());
  private static final int ROUNDS = Integer.getInteger("mirror.rounds", 20_000);

  static Stream<TagFamilies> families() {
    List<TagFamilies> families = TagFamilies.read();
    assertThat(families).hasSizeGreaterThan(25);
    return families.stream();
  }

  @ParameterizedTest
  @MethodSource("families")
  void everyDocumentedFamilyKeepsWhatTheTableSays(TagFamilies family) {
    assertThat(keep(family.all())).containsExactlyInAnyOrderElementsOf(family.stays());
  }

  @Test
  void allFamiliesInOneRepositoryAreTheSameAsEachAlone() {
    // Families that share versions would compete; those of different form must not.
    List<String> all = new ArrayList<>();
    Set<String> stays = new HashSet<>();
    for (TagFamilies family : TagFamilies.read()) {
      if (family.dropped().isEmpty()) {
        all.addAll(family.all());
        stays.addAll(family.stays());
      }
    }
    assertThat(new HashSet<>(keep(all.stream().distinct().toList()))).isEqualTo(stays);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        // What the tool of 2019 got right
        "1.0 1.0-1.1 1.0-1.2 1.0-2.1 1.1 1.1-3.1 latest | 1.0 1.0-2.1 1.1 1.1-3.1 latest",
        "1 1.0 1.0-1.1 1.0-1.2 1.1 1.1-2.1 1.1-2.2 latest | 1 1.0 1.0-1.2 1.1 1.1-2.2 latest",
        "1.0 1.0-9.1 1.0-10.1 1.0-10.2 | 1.0 1.0-10.2",
        "latest v1.0.0 v1.0.1 v1.1.0 | latest v1.0.0 v1.0.1 v1.1.0",
        // Where it dropped versions that it did not understand
        "3.17 3.17.1 3.17.2 3.18 edge latest | 3.17 3.17.1 3.17.2 3.18 edge latest",
        // and what it got wrong
        "1.0-1.1 1.0-1.2 1.0-1.3 1.1-1.1 1.1-1.2 | 1.0-1.3 1.1-1.2",
        "1.1 1.1-5.1 1.1-5.2 1.10 1.10-6.1 1.10-6.2 | 1.1 1.1-5.2 1.10 1.10-6.2",
        "1.18.2 1.18.2-revision1-build1.2 1.18.2-revision1-build1.10 | 1.18.2"
            + " 1.18.2-revision1-build1.10",
        "0.9.0 0.9.0-2.1 0.9.0-2.12 0.10.0 | 0.9.0 0.9.0-2.12 0.10.0",
        "v1.0 v1.0-1 v1.0-2 1.0 1.0-1 1.0-3 | v1.0 v1.0-2 1.0 1.0-3",
        // numbers of any length
        "1-99999999999999999999998 1-99999999999999999999999 | 1-99999999999999999999999",
        // leading zeros
        "1.0-08 1.0-9 1.0-010 | 1.0-010",
      })
  void keepsTheNewestBuildOfEveryVersion(String tags, String kept) {
    assertThat(keep(List.of(tags.split(" ")))).containsExactlyInAnyOrder(kept.split(" "));
  }

  @Test
  void theResultDoesNotDependOnTheOrderOfTheList() {
    forRandomSets(
        (tags, random) -> {
          List<String> expected = keep(tags);
          List<String> shuffled = new ArrayList<>(tags);
          Collections.shuffle(shuffled, random);
          assertThat(keep(shuffled)).isEqualTo(expected);
        });
  }

  @Test
  void selectingTwiceChangesNothing() {
    forRandomSets((tags, random) -> assertThat(keep(keep(tags))).isEqualTo(keep(tags)));
  }

  @Test
  void exactlyTheNewestBuildOfEveryVersionAndVariantStays() {
    forRandomSets(
        (tags, random) -> {
          List<VersionTag> parsed = tags.stream().map(VersionTag::parse).toList();
          Map<VersionTag.Line, VersionTag> kept =
              keep(tags).stream()
                  .map(VersionTag::parse)
                  .filter(VersionTag::hasBuild)
                  // a second build of one line is a duplicate key here, and fails
                  .collect(Collectors.toMap(VersionTag::line, tag -> tag));
          for (VersionTag tag : parsed) {
            if (tag.hasBuild()) {
              assertThat(kept).containsKey(tag.line());
              assertThat(tag.build()).isLessThanOrEqualTo(kept.get(tag.line()).build());
            }
          }
        });
  }

  @Test
  void aTagWithoutABuildIsNeverLost() {
    forRandomSets(
        (tags, random) ->
            assertThat(keep(tags))
                .containsAll(
                    tags.stream().filter(tag -> !VersionTag.parse(tag).hasBuild()).toList()));
  }

  /** A tag whose parts are known because it was put together from them, and not read from it. */
  private record Made(String text, String line, List<Integer> build) {}

  private static Made make(Random random) {
    String line =
        List.of("", "", "v").get(random.nextInt(3))
            + List.of("1.0", "1.1", "1.10", "1.1.0", "2", "22.3.4").get(random.nextInt(6))
            + List.of("", "-bookworm", "-alpine3.20", "-slim", "-debian-12", "-jdk21-slim")
                .get(random.nextInt(6));
    int one = random.nextInt(15);
    int two = random.nextInt(15);
    return switch (random.nextInt(6)) {
      case 0 -> new Made(line, line, List.of());
      case 1 -> new Made(line + "-r" + one, line, List.of(one));
      case 2 -> new Made(line + "-build" + one + "." + two, line, List.of(one, two));
      case 3 -> new Made(line + "-rev" + one + "-build" + two, line, List.of(one, two));
      case 4 -> new Made(line + "-b" + one % 2, line + "-b" + one % 2, List.of());
      default -> new Made(line + "_r" + one, line, List.of(one));
    };
  }

  private static int compare(List<Integer> a, List<Integer> b) {
    for (int i = 0; i < Math.min(a.size(), b.size()); i++) {
      int order = Integer.compare(a.get(i), b.get(i));
      if (order != 0) {
        return order;
      }
    }
    return Integer.compare(a.size(), b.size());
  }

  /** The same property once more, judged without the reading of tags that it is about. */
  @Test
  void ofTagsMadeFromKnownPartsExactlyTheNewestBuildsStay() {
    for (int round = 0; round < ROUNDS; round++) {
      Random random = new Random(SEED + round);
      Map<String, Made> made = new TreeMap<>();
      for (int i = random.nextInt(16); i > 0; i--) {
        Made one = make(random);
        made.put(one.text(), one);
      }
      Set<String> expected = new HashSet<>();
      for (Made tag : made.values()) {
        boolean replaced =
            !tag.build().isEmpty()
                && made.values().stream()
                    .filter(other -> other.line().equals(tag.line()) && !other.build().isEmpty())
                    .anyMatch(
                        other -> {
                          int order = compare(tag.build(), other.build());
                          return order < 0 || order == 0 && tag.text().compareTo(other.text()) < 0;
                        });
        if (!replaced) {
          expected.add(tag.text());
        }
      }
      assertThat(new HashSet<>(keep(List.copyOf(made.keySet()))))
          .as("-Dmirror.seed=" + (SEED + round))
          .isEqualTo(expected);
    }
  }

  @Test
  void aHundredThousandTagsTakeLessThanASecondOfCpu() {
    List<String> tags = new ArrayList<>();
    for (int i = 0; i < 100_000; i++) {
      tags.add(
          "1." + (i / 1000) + "." + (i / 50 % 20) + "-rev" + (i % 5) + "-build" + i % 50 + ".1");
    }
    Collections.shuffle(tags, new Random(1));
    TagRules rules =
        TagRules.compile(
            new MirrorListSpec.Tags(
                null, null, null, MirrorListSpec.Select.LatestBuild, null, null, null, null),
            "tags");
    long best = Long.MAX_VALUE;
    // CPU time, and the best of a few: what is measured is this code, not what else the machine
    // does.
    ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    for (int run = 0; run < 5; run++) {
      long start = threads.getCurrentThreadCpuTime();
      assertThat(rules.select(tags)).hasSize(2000);
      best = Math.min(best, threads.getCurrentThreadCpuTime() - start);
    }
    System.out.printf("LatestBuild of 100000 tags: %d ms of CPU%n", best / 1_000_000);
    assertThat(best).isLessThan(1_000_000_000L);
  }

  private static List<String> keep(List<String> tags) {
    return new LatestBuild()
        .keep(tags.stream().map(VersionTag::parse).toList()).stream()
            .map(VersionTag::text)
            .toList();
  }

  private interface Property {
    void check(List<String> tags, Random random);
  }

  private static void forRandomSets(Property property) {
    for (int round = 0; round < ROUNDS; round++) {
      long seed = SEED + round;
      Random random = new Random(seed);
      List<String> tags = RandomTags.set(random);
      try {
        property.check(tags, random);
      } catch (AssertionError | RuntimeException e) {
        throw new AssertionError("-Dmirror.seed=" + seed + " " + tags, e);
      }
    }
  }

  @Test
  void theGeneratorMakesBuildsVersionsAndNames() {
    Map<String, Integer> seen = new TreeMap<>();
    for (int round = 0; round < 1000; round++) {
      for (String text : RandomTags.set(new Random(SEED + round))) {
        VersionTag tag = VersionTag.parse(text);
        seen.merge(tag.kind() + (tag.hasBuild() ? "+build" : ""), 1, Integer::sum);
      }
    }
    assertThat(seen).containsKeys("NAME", "VERSION", "VERSION+build", "STAMP");
  }
}
