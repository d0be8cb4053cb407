package io.kubic.mirrors.upkeep;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.upkeep.Reachability.Node;
import java.nio.charset.StandardCharsets;
import java.util.AbstractMap.SimpleImmutableEntry;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class ReachabilityTest {
  private static final Set<Digest> NOBODY = Set.of();

  @Test
  void aTagKeepsItsIndexTheIndexesInItAndTheirImages() {
    Map<Digest, Node> nodes =
        Map.of(
            d(1), index(2, 3),
            d(2), index(4),
            d(3), image(),
            d(4), image(),
            d(5), image());

    assertThat(Reachability.needed(nodes, List.of(tag("v1", 1)), NOBODY))
        .containsExactlyInAnyOrder(d(1), d(2), d(3), d(4));
  }

  @Test
  void aSignatureStaysWithWhatItSignsAndASubjectWithItsTaggedReferrer() {
    Map<Digest, Node> nodes =
        Map.of(
            d(1), image(),
            d(2), referrer(1),
            d(3), referrer(2),
            d(4), image(),
            d(5), referrer(4),
            d(6), referrer(7),
            d(7), image());

    assertThat(Reachability.needed(nodes, List.of(tag("v1", 1), tag("sbom", 6)), NOBODY))
        .containsExactlyInAnyOrder(d(1), d(2), d(3), d(6), d(7));
  }

  @Test
  void aFallbackTagKeepsWhatItIsNamedAfter() {
    Map<Digest, Node> nodes = Map.of(d(1), image(), d(2), image(), d(3), index());
    String hex = d(1).hex();

    assertThat(Reachability.needed(nodes, List.of(tag("sha256-" + hex + ".sig", 2)), NOBODY))
        .containsExactlyInAnyOrder(d(1), d(2));
    assertThat(Reachability.needed(nodes, List.of(tag("sha256-" + hex, 3)), NOBODY))
        .containsExactlyInAnyOrder(d(1), d(3));
    assertThat(Reachability.fallbackSubject("v1-2.3")).isEmpty();
  }

  @Test
  void whatRunsStaysWithoutATagAndAChildThatIsElsewhereIsNoMatter() {
    Map<Digest, Node> nodes = Map.of(d(1), index(2, 9), d(2), image(), d(3), image());

    assertThat(Reachability.needed(nodes, List.of(), Set.of(d(1)))).contains(d(1), d(2));
    assertThat(Reachability.needed(nodes, List.of(), Set.of(d(1)))).doesNotContain(d(3));
  }

  /**
   * Registries of several repositories: after what is not needed has been deleted, every tag can be
   * pulled as before, with its signatures, in its own repository; and nothing is left that no tag,
   * running pod or relation ties to anything kept.
   */
  @Test
  void noKeptContentIsLostInRandomRegistries() {
    int rounds = Integer.getInteger("mirror.rounds", 1000);
    long seed = Long.getLong("mirror.seed", new Random().nextLong());
    for (int round = 0; round < rounds; round++) {
      check(new Random(seed + round), "mirror.seed=" + seed + " round " + round);
    }
  }

  private static void check(Random random, String name) {
    int size = 2 + random.nextInt(40);
    Map<Digest, Node> nodes = new HashMap<>();
    Map<String, Set<Digest>> repositories = new TreeMap<>();
    for (int i = 0; i < size; i++) {
      List<Digest> children = new ArrayList<>();
      // A manifest names only what is older; some of it was never pushed.
      while (i > 0 && random.nextInt(3) == 0) {
        children.add(random.nextInt(8) == 0 ? d(1000 + i) : d(random.nextInt(i)));
      }
      Optional<Digest> subject =
          i > 0 && random.nextInt(4) == 0 ? Optional.of(d(random.nextInt(i))) : Optional.empty();
      nodes.put(d(i), new Node(children, subject));
      do {
        repositories.computeIfAbsent("r" + random.nextInt(4), r -> new HashSet<>()).add(d(i));
      } while (random.nextInt(4) == 0);
    }
    List<Map.Entry<String, Digest>> tags = new ArrayList<>();
    Map<String, List<Digest>> tagged = new TreeMap<>();
    repositories.forEach(
        (repository, digests) ->
            digests.stream()
                .sorted()
                .filter(digest -> random.nextInt(6) == 0)
                .forEach(
                    digest -> {
                      tags.add(new SimpleImmutableEntry<>("t" + tags.size(), digest));
                      tagged.computeIfAbsent(repository, r -> new ArrayList<>()).add(digest);
                    }));
    Set<Digest> running = random.nextBoolean() ? Set.of(d(random.nextInt(size))) : Set.of();

    Set<Digest> needed = Reachability.needed(nodes, tags, running);

    Map<String, Set<Digest>> after = new TreeMap<>();
    repositories.forEach(
        (repository, digests) -> {
          Set<Digest> left = new HashSet<>(digests);
          left.retainAll(needed);
          after.put(repository, left);
        });
    tagged.forEach(
        (repository, digests) ->
            digests.forEach(
                digest ->
                    assertThat(pull(nodes, after.get(repository), digest))
                        .as(name)
                        .isEqualTo(pull(nodes, repositories.get(repository), digest))));
    after.forEach(
        (repository, left) ->
            assertThat(left.containsAll(intersection(running, repositories.get(repository))))
                .as(name)
                .isTrue());
    // Each that stays has a reason of its own kind.
    Set<Digest> roots = new HashSet<>(running);
    tags.forEach(tag -> roots.add(tag.getValue()));
    for (Digest digest : needed) {
      boolean reason =
          roots.contains(digest)
              || needed.stream()
                  .map(nodes::get)
                  .anyMatch(
                      node ->
                          node != null
                              && (node.children().contains(digest)
                                  || node.subject().equals(Optional.of(digest))))
              || (nodes.containsKey(digest)
                  && nodes.get(digest).subject().filter(needed::contains).isPresent());
      assertThat(reason).as(name + " " + digest.brief()).isTrue();
    }
    if (roots.isEmpty()) {
      assertThat(needed).as(name).isEmpty();
    }
  }

  /** What a client gets that copies a tag with everything below and attached. */
  private static Set<Digest> pull(Map<Digest, Node> nodes, Set<Digest> present, Digest top) {
    Set<Digest> got = new HashSet<>();
    pull(nodes, present, top, got);
    return got;
  }

  private static void pull(
      Map<Digest, Node> nodes, Set<Digest> present, Digest digest, Set<Digest> got) {
    if (!present.contains(digest) || !got.add(digest)) {
      return;
    }
    nodes.get(digest).children().forEach(child -> pull(nodes, present, child, got));
    present.stream()
        .filter(other -> nodes.get(other).subject().equals(Optional.of(digest)))
        .forEach(other -> pull(nodes, present, other, got));
  }

  private static Set<Digest> intersection(Set<Digest> a, Set<Digest> b) {
    Set<Digest> both = new HashSet<>(a);
    both.retainAll(b);
    return both;
  }

  private static Digest d(int number) {
    return Digest.of(Integer.toString(number).getBytes(StandardCharsets.UTF_8));
  }

  private static Map.Entry<String, Digest> tag(String name, int number) {
    return new SimpleImmutableEntry<>(name, d(number));
  }

  private static Node image() {
    return new Node(List.of(), Optional.empty());
  }

  private static Node index(int... children) {
    return new Node(
        java.util.Arrays.stream(children).mapToObj(ReachabilityTest::d).toList(), Optional.empty());
  }

  private static Node referrer(int subject) {
    return new Node(List.of(), Optional.of(d(subject)));
  }
}
