package io.kubic.mirrors.controller.nodeconfig;

import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Which agents may be replaced by newer ones now: a pure function of the pods that are there, with
 * no phase stored anywhere. A node that has the newest template is proven once its agent was ready
 * for the soak time; one that is not proven may have been broken by what we gave it. So
 *
 * <ul>
 *   <li>the first node is alone: until one is proven, one at most is unproven;
 *   <li>then at most {@code maxUnavailable} are unproven;
 *   <li>no node follows while a node that has the newest template reports a failure.
 * </ul>
 *
 * The DaemonSet's own RollingUpdate cannot do this: it replaces every pod that is not ready at
 * once, whatever maxUnavailable says (daemon/update.go, allowedReplacementPods), so that a new
 * configuration would reach all nodes together just when a mirror is down. Hence OnDelete, and
 * deletions by us.
 */
final class Rollout {
  private Rollout() {}

  /**
   * One agent.
   *
   * @param node where it runs, or is to run
   * @param updated whether it has the newest template
   * @param readySince since when its agent is ready, and has proven all else that its template asks
   *     for; null while it is not
   * @param failing whether it says that something is wrong
   * @param leaving whether it is being deleted
   * @param reachable whether the node's kubelet is in touch: on others nothing can be replaced
   */
  record Agent(
      String node,
      String pod,
      boolean updated,
      @Nullable Instant readySince,
      boolean failing,
      boolean leaving,
      boolean reachable) {
    boolean proven(Duration soak, Instant now) {
      return updated && !leaving && held(soak, now);
    }

    /** Whether the node works with what it has, be that the newest or not. */
    private boolean held(Duration soak, Instant now) {
      return readySince != null && !readySince.plus(soak).isAfter(now);
    }
  }

  /**
   * What to do.
   *
   * @param replace agents to delete, so that newer ones take their place
   * @param proven nodes that have the newest template and held it
   * @param unproven nodes that may have been broken, before anything of {@code replace} is done
   * @param halted whether older agents wait because of a failing newer one
   */
  record Step(List<Agent> replace, int proven, int unproven, boolean halted) {}

  /**
   * @param desired number of nodes that are to have an agent
   * @param maxUnavailable 1 or more
   */
  static Step next(
      List<Agent> agents, int desired, int maxUnavailable, Duration soak, Instant now) {
    Set<String> nodes = new HashSet<>();
    Set<String> proven = new HashSet<>();
    Set<String> unproven = new HashSet<>();
    boolean failing = false;
    for (Agent agent : agents) {
      nodes.add(agent.node());
      if (agent.proven(soak, now)) {
        proven.add(agent.node());
      } else if (agent.updated() || agent.leaving() && agent.reachable()) {
        unproven.add(agent.node());
      }
      failing |= agent.updated() && agent.failing() && agent.readySince() == null;
    }
    proven.removeAll(unproven);
    int open = unproven.size() + Math.max(0, desired - nodes.size());
    // First whom an older template may have broken: the newest may mend it, and as long as nobody
    // else has his turn no more nodes are at stake. Then who waits longest: where changes come
    // sooner than all nodes have had them, those at the end of an alphabet would never have one.
    List<Agent> older =
        agents.stream()
            .filter(agent -> !agent.updated() && !agent.leaving() && agent.reachable())
            .sorted(
                Comparator.comparing((Agent agent) -> agent.held(soak, now))
                    .thenComparing(
                        Agent::readySince, Comparator.nullsFirst(Comparator.naturalOrder()))
                    .thenComparing(Agent::node))
            .toList();
    int most = proven.isEmpty() ? 1 : Math.max(1, maxUnavailable);
    int free = failing ? 0 : Math.max(0, most - open);
    return new Step(
        older.stream().limit(free).toList(), proven.size(), open, failing && !older.isEmpty());
  }

  /** A number, or a percentage of the nodes, rounded down; at least 1. */
  static int maxUnavailable(io.fabric8.kubernetes.api.model.IntOrString value, int nodes) {
    Integer number = value.getIntVal();
    if (number != null) {
      return Math.max(1, number);
    }
    String text = value.getStrVal();
    int percent = Integer.parseInt(text.substring(0, text.length() - 1));
    return Math.max(1, (int) ((long) nodes * percent / 100));
  }
}
