package io.kubic.mirrors.controller.nodeconfig;

import io.fabric8.kubernetes.api.model.apps.DaemonSet;
import io.fabric8.kubernetes.api.model.apps.DaemonSetStatus;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfig;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigStatus;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigStatus.CaHash;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigStatus.FailingNode;
import io.kubic.mirrors.controller.support.Conditions;
import java.time.Clock;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Computes the status of a node configuration; pure but for the clock. */
final class NodeConfigStatus {
  static final String ROLLING = "Rolling";
  private static final Set<String> TYPES =
      Set.of(Conditions.READY, Conditions.RECONCILING, Conditions.STALLED, ROLLING);
  private static final int MAX_FAILING = 20;

  private final NodeRegistryConfigStatus old;
  private final long generation;
  private final @Nullable String handled;
  private final Conditions conditions;

  NodeConfigStatus(NodeRegistryConfig config, @Nullable String request, Clock clock) {
    old = config.getStatus() == null ? empty() : config.getStatus();
    generation = config.getMetadata().getGeneration();
    handled = request;
    conditions = new Conditions(old.conditions(), generation, clock);
  }

  static NodeRegistryConfigStatus empty() {
    return new NodeRegistryConfigStatus(null, null, List.of(), null, null, List.of(), List.of());
  }

  static NodeRegistryConfigStatus comparable(@Nullable NodeRegistryConfigStatus status) {
    NodeRegistryConfigStatus s = status == null ? empty() : status;
    return new NodeRegistryConfigStatus(
        s.observedGeneration(),
        s.lastHandledReconcileAt(),
        Conditions.only(s.conditions(), TYPES),
        s.configHash(),
        s.nodes(),
        s.failingNodes(),
        s.caHashes());
  }

  NodeRegistryConfigStatus invalid(InvalidSpecException e) {
    conditions.stalled("InvalidSpec", String.valueOf(e.getMessage()));
    return unchanged();
  }

  NodeRegistryConfigStatus suspended() {
    conditions.stalled("Suspended", "spec.suspend is true: nothing is changed; set it to false");
    return unchanged();
  }

  /** Something that is referred to is not there yet; nodes keep what they have. */
  NodeRegistryConfigStatus waiting(String reason, String message) {
    conditions.progressing(reason, message);
    return unchanged();
  }

  private NodeRegistryConfigStatus unchanged() {
    return new NodeRegistryConfigStatus(
        generation,
        handled,
        conditions.list(),
        old.configHash(),
        old.nodes(),
        old.failingNodes(),
        old.caHashes());
  }

  NodeRegistryConfigStatus observed(
      String hash, DaemonSet daemonSet, List<FailingNode> failing, List<CaHash> caHashes) {
    DaemonSetStatus state =
        daemonSet.getStatus() == null ? new DaemonSetStatus() : daemonSet.getStatus();
    int desired = number(state.getDesiredNumberScheduled());
    int updated = number(state.getUpdatedNumberScheduled());
    int ready = number(state.getNumberReady());
    boolean seen =
        state.getObservedGeneration() != null
            && state.getObservedGeneration().equals(daemonSet.getMetadata().getGeneration());
    boolean done = seen && updated == desired && ready == desired;
    String progress = ready + " of " + desired + " nodes are ready, " + updated + " updated";
    if (seen && desired == 0) {
      conditions.progressing("NoNodes", "no node matches spec.nodeSelector");
    } else if (done) {
      conditions.ready("Applied", "all " + desired + " nodes pull through the mirror");
    } else if (!failing.isEmpty()) {
      FailingNode first = failing.getFirst();
      String reason = first.reason();
      conditions.progressing(
          reason == null || reason.isEmpty() ? "AgentMissing" : reason,
          progress + "; " + first.name() + ": " + first.message());
    } else {
      conditions.progressing("RollingOut", progress);
    }
    conditions.set(ROLLING, !done, done ? "Applied" : "RollingOut", progress);
    return new NodeRegistryConfigStatus(
        generation,
        handled,
        conditions.list(),
        hash,
        new NodeRegistryConfigStatus.Nodes(desired, updated, ready, failing.size()),
        failing.stream().limit(MAX_FAILING).toList(),
        caHashes);
  }

  private static int number(@Nullable Integer n) {
    return n == null ? 0 : n;
  }
}
