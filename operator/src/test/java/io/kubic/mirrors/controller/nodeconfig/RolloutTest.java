package io.kubic.mirrors.controller.nodeconfig;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.IntOrString;
import io.kubic.mirrors.controller.nodeconfig.Rollout.Agent;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class RolloutTest {
  private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");
  private static final Duration SOAK = Duration.ofSeconds(30);

  @Test
  void theFirstNodeIsAlone() {
    Rollout.Step step = Rollout.next(List.of(old("a"), old("b"), old("c")), 3, 2, SOAK, NOW);
    assertThat(step.replace()).extracting(Agent::node).containsExactly("a");
  }

  @Test
  void afterTheFirstIsProvenAsManyAsAllowed() {
    List<Agent> agents = List.of(ready("a", 31), old("b"), old("c"), old("d"));
    assertThat(Rollout.next(agents, 4, 2, SOAK, NOW).replace())
        .extracting(Agent::node)
        .containsExactly("b", "c");
  }

  @Test
  void aNodeThatHasNotSoakedIsNotProven() {
    assertThat(Rollout.next(List.of(ready("a", 29), old("b")), 2, 5, SOAK, NOW).replace())
        .isEmpty();
  }

  @Test
  void nothingFollowsAFailingNode() {
    Rollout.Step step =
        Rollout.next(List.of(ready("a", 60), failing("b"), old("c")), 3, 5, SOAK, NOW);
    assertThat(step.replace()).isEmpty();
    assertThat(step.halted()).isTrue();
  }

  @Test
  void aLaterFixGoesToTheFailingNodeFirst() {
    Agent broken = new Agent("b", "pod-b", false, null, true, false, true);
    Rollout.Step step = Rollout.next(List.of(old("a"), broken, old("c")), 3, 1, SOAK, NOW);
    assertThat(step.replace()).extracting(Agent::node).containsExactly("b");
    assertThat(step.halted()).isFalse();
  }

  @Test
  void aMirrorThatIsDownDoesNotLetAConfigurationReachAllNodesAtOnce() {
    List<Agent> agents = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      agents.add(new Agent("n" + i, "pod-" + i, false, null, true, false, true));
    }
    assertThat(Rollout.next(agents, 100, 10, SOAK, NOW).replace()).hasSize(1);
  }

  @Test
  void aNodeWithoutAnAgentCountsAsUnproven() {
    assertThat(Rollout.next(List.of(ready("a", 60), old("b")), 3, 1, SOAK, NOW).replace())
        .isEmpty();
  }

  @Test
  void anUnreachableNodeIsPassedOver() {
    Agent gone = new Agent("b", "pod-b", false, null, false, false, false);
    assertThat(Rollout.next(List.of(ready("a", 60), gone, old("c")), 3, 1, SOAK, NOW).replace())
        .extracting(Agent::node)
        .containsExactly("c");
  }

  @Test
  void aPercentageIsRoundedDownAndIsAtLeastOne() {
    assertThat(Rollout.maxUnavailable(new IntOrString("10%"), 1000)).isEqualTo(100);
    assertThat(Rollout.maxUnavailable(new IntOrString("10%"), 9)).isEqualTo(1);
    assertThat(Rollout.maxUnavailable(new IntOrString(3), 9)).isEqualTo(3);
  }

  /**
   * 1,000 nodes on a model of the DaemonSet controller with OnDelete, of kubelets and of agents: a
   * configuration that some nodes cannot take, a later one that all can, nodes that come, go and
   * lose their network meanwhile.
   */
  @Test
  void neverMoreNodesAreUnprovenThanAllowed() {
    for (int round = 0; round < Integer.getInteger("mirror.rounds", 6); round++) {
      long seed = Long.getLong("mirror.seed", 1000L) + round;
      new Simulation(seed).run();
    }
  }

  /** Changes that come sooner than all nodes have had the one before. */
  @Test
  void noNodeIsForgottenWhileChangesKeepComing() {
    new Simulation(5L, 30, 1).changes(Duration.ofSeconds(90), 120, 40);
  }

  /** Changes that come sooner than one node is proven. */
  @Test
  void changesFasterThanANodeIsProvenPutNoMoreThanOneAtStakeAndTheLastReachesAll() {
    new Simulation(6L, 30, 1).changes(Duration.ofSeconds(12), 50, 50);
  }

  @Test
  void anOlderNodeThatMayBeBrokenComesFirst() {
    Agent lately = new Agent("b", "pod-b", false, NOW.minusSeconds(5), false, false, true);
    assertThat(Rollout.next(List.of(old("a"), lately, old("c")), 3, 1, SOAK, NOW).replace())
        .extracting(Agent::node)
        .containsExactly("b");
  }

  @Test
  void otherwiseTheNodeThatWaitsLongest() {
    Agent longest = new Agent("c", "pod-c", false, NOW.minusSeconds(5000), false, false, true);
    assertThat(Rollout.next(List.of(old("a"), old("b"), longest), 3, 1, SOAK, NOW).replace())
        .extracting(Agent::node)
        .containsExactly("c");
  }

  private static final class Simulation {
    private final long seed;
    private final Random random;
    private final int max;
    private final SortedMap<String, Node> nodes = new TreeMap<>();
    private final Set<String> bad = new HashSet<>();
    private Instant now = NOW;
    private int newest;
    private int named;

    /** One node, and the pod on it. */
    private static final class Node {
      int version;
      Instant ready = NOW;
      boolean isReady = true;
      boolean leaving;
      Instant event = NOW;
      boolean pod = true;
      boolean reachable = true;

      /** Given its version by the rollout, as opposed to having joined with it. */
      boolean rolled;

      boolean open = false;
    }

    private final boolean calm;

    Simulation(long seed) {
      this.seed = seed;
      random = new Random(seed);
      max = 1 + random.nextInt(50);
      calm = false;
      for (int i = 0; i < 1000; i++) {
        nodes.put(name(), new Node());
      }
    }

    /** Nodes that neither come nor go. */
    Simulation(long seed, int count, int max) {
      this.seed = seed;
      random = new Random(seed);
      this.max = max;
      calm = true;
      for (int i = 0; i < count; i++) {
        nodes.put(name(), new Node());
      }
    }

    /**
     * @param most how many changes behind the newest a node may be at the end
     */
    void changes(Duration between, int count, int most) {
      for (Node node : nodes.values()) {
        node.ready = NOW.minusSeconds(999);
      }
      newest = 1; // bad for none
      for (int change = 1; change <= count; change++) {
        newest = 10 + change;
        for (long second = 0; second < between.toSeconds(); second++) {
          step();
          long stake = nodes.values().stream().filter(node -> atStake(node)).count();
          assertThat(stake)
              .as("seed %d at %s: nodes that hold no version proven on them", seed, now)
              .isLessThanOrEqualTo(max);
        }
      }
      nodes.forEach(
          (name, node) ->
              assertThat(newest - Math.max(10, node.version))
                  .as("seed %d: changes that %s is behind", seed, name)
                  .isLessThanOrEqualTo(most));
      for (int steps = 0; !done() && steps < 20_000; steps++) {
        step();
      }
      assertThat(done()).as("seed %d: the last reaches every node", seed).isTrue();
    }

    private boolean atStake(Node node) {
      return node.rolled
          && (node.leaving || !node.pod || !(node.isReady && !node.ready.plus(SOAK).isAfter(now)));
    }

    private String name() {
      return String.format(java.util.Locale.ROOT, "node-%05d", named++);
    }

    void run() {
      newest = 1; // bad for some
      int few = 1 + random.nextInt(20);
      for (String node : nodes.keySet()) {
        if (random.nextInt(1000) < few) {
          bad.add(node);
        }
      }
      int steps = 0;
      while (!halted() && !done() && steps++ < 200_000) {
        step();
      }
      long failed = nodes.values().stream().filter(n -> n.version == 1 && !n.isReady).count();
      assertThat(failed).as("seed %d: failing nodes", seed).isLessThanOrEqualTo(max);
      newest = 2; // the fix
      bad.clear();
      steps = 0;
      while (!done() && steps++ < 200_000) {
        step();
      }
      assertThat(done()).as("seed %d: the fix reaches every node", seed).isTrue();
    }

    private void step() {
      now = now.plusSeconds(1);
      if (!calm && random.nextInt(200) == 0) { // a late joiner has the newest template at once
        Node node = new Node();
        node.version = newest;
        node.isReady = false;
        node.event = now.plusSeconds(1 + random.nextInt(9));
        nodes.put(name(), node);
      }
      if (!calm && random.nextInt(300) == 0) {
        nodes.remove(nodes.keySet().stream().skip(random.nextInt(nodes.size())).findFirst().get());
      }
      if (!calm && random.nextInt(300) == 0) {
        Node node =
            nodes.values().stream().skip(random.nextInt(nodes.size())).findFirst().orElseThrow();
        node.reachable = !node.reachable;
      }
      if (!calm && random.nextInt(50) == 0) { // nobody is lost for ever
        nodes.values().stream()
            .filter(node -> !node.reachable)
            .findFirst()
            .ifPresent(node -> node.reachable = true);
      }
      nodes.forEach(
          (name, node) -> {
            if (!node.reachable || node.event.isAfter(now)) {
              return;
            }
            if (node.leaving) {
              node.leaving = false;
              node.pod = false;
              node.event = now.plusSeconds(random.nextInt(3));
            } else if (!node.pod) {
              node.pod = true;
              node.version = newest;
              node.isReady = false;
              node.event = now.plusSeconds(2 + random.nextInt(10));
            } else if (!node.isReady && !(node.version == 1 && bad.contains(name))) {
              node.isReady = true;
              node.ready = now;
            }
          });
      if (random.nextInt(3) != 0) {
        return; // the operator looks now and then
      }
      List<Agent> agents = new ArrayList<>();
      nodes.forEach(
          (name, node) -> {
            if (node.pod) {
              agents.add(
                  new Agent(
                      name,
                      "pod",
                      node.version == newest,
                      node.isReady && node.reachable ? node.ready : null,
                      !node.isReady && node.version == 1 && bad.contains(name),
                      node.leaving,
                      node.reachable));
            }
          });
      Rollout.Step step = Rollout.next(agents, nodes.size(), max, SOAK, now);
      for (Agent agent : step.replace()) {
        Node node = nodes.get(agent.node());
        node.leaving = true;
        node.rolled = true;
        node.event = now.plusSeconds(1 + random.nextInt(5));
      }
      judge(step);
    }

    /** What the rollout itself put at stake; who joins has nothing else to start with. */
    private void judge(Rollout.Step step) {
      long open =
          nodes.values().stream()
              .filter(
                  node ->
                      node.rolled
                          && (node.leaving
                              || !node.pod
                              || node.version == newest
                                  && !(node.isReady && !node.ready.plus(SOAK).isAfter(now))))
              .count();
      if (!step.replace().isEmpty()) {
        boolean first = step.proven() == 0;
        assertThat(open)
            .as("seed %d at %s: unproven nodes, at most %d", seed, now, first ? 1 : max)
            .isLessThanOrEqualTo(first ? 1 : max);
      }
    }

    private boolean halted() {
      return nodes.entrySet().stream()
              .anyMatch(
                  e ->
                      e.getValue().version == 1
                          && !e.getValue().isReady
                          && bad.contains(e.getKey()))
          && nodes.values().stream().noneMatch(n -> n.leaving || !n.pod);
    }

    private boolean done() {
      return nodes.values().stream()
          .filter(node -> node.reachable)
          .allMatch(node -> node.pod && node.version == newest && node.isReady);
    }
  }

  private static Agent old(String node) {
    return new Agent(node, "pod-" + node, false, NOW.minusSeconds(999), false, false, true);
  }

  private static Agent ready(String node, int seconds) {
    return new Agent(node, "pod-" + node, true, NOW.minusSeconds(seconds), false, false, true);
  }

  private static Agent failing(String node) {
    return new Agent(node, "pod-" + node, true, null, true, false, true);
  }
}
