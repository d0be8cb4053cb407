package io.kubic.mirrors.controller.nodeconfig;

import io.fabric8.kubernetes.api.model.apps.DaemonSet;
import io.fabric8.kubernetes.api.model.apps.DaemonSetStatus;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfig;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigStatus;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigStatus.CaHash;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigStatus.FailingNode;
import io.kubic.mirrors.api.v1alpha1.ObjectRef;
import io.kubic.mirrors.controller.support.Conditions;
import java.time.Clock;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Computes the status of a node configuration; pure but for the clock. */
final class NodeConfigStatus {
  static final String ROLLING = "Rolling";
  static final String CONFLICTED = "Conflicted";
  private static final Set<String> TYPES =
      Set.of(
          Conditions.READY,
          Conditions.RECONCILING,
          Conditions.STALLED,
          ROLLING,
          CONFLICTED,
          "Drifted",
          "RestartRequired",
          "Withdrawn");
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
    return new NodeRegistryConfigStatus(
        null, null, List.of(), null, null, null, List.of(), List.of());
  }

  static NodeRegistryConfigStatus comparable(@Nullable NodeRegistryConfigStatus status) {
    NodeRegistryConfigStatus s = status == null ? empty() : status;
    return new NodeRegistryConfigStatus(
        s.observedGeneration(),
        s.lastHandledReconcileAt(),
        Conditions.only(s.conditions(), TYPES),
        s.configHash(),
        s.renderedRef(),
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

  /** An older configuration has nodes of this one. */
  NodeRegistryConfigStatus conflicted(String message) {
    conditions.stalled(CONFLICTED, message).set(CONFLICTED, true, "OlderConfig", message);
    return unchanged();
  }

  /** Agents are being started and touch nothing yet. */
  NodeRegistryConfigStatus starting(DaemonSet daemonSet, List<ClusterNode> selected) {
    DaemonSetStatus state =
        daemonSet.getStatus() == null ? new DaemonSetStatus() : daemonSet.getStatus();
    String message =
        number(state.getCurrentNumberScheduled())
            + " of "
            + selected.size()
            + " nodes have an agent; then the first node has its turn";
    conditions.progressing("StartingAgents", message).set(ROLLING, true, "StartingAgents", message);
    return unchanged();
  }

  private NodeRegistryConfigStatus unchanged() {
    return new NodeRegistryConfigStatus(
        generation,
        handled,
        conditions.list(),
        old.configHash(),
        old.renderedRef(),
        old.nodes(),
        old.failingNodes(),
        old.caHashes());
  }

  NodeRegistryConfigStatus observed(
      String hash,
      DaemonSet daemonSet,
      List<FailingNode> failing,
      List<CaHash> caHashes,
      List<String> unpulled,
      List<ClusterNode> selected,
      Rollout.Step step,
      boolean paused,
      ObjectRef rendered) {
    List<FailingNode> unsupported =
        selected.stream()
            .filter(node -> node.unsupported().isPresent())
            .map(
                node ->
                    new FailingNode(
                        node.name(), null, "UnsupportedOS", node.unsupported().orElse("")))
            .toList();
    DaemonSetStatus state =
        daemonSet.getStatus() == null ? new DaemonSetStatus() : daemonSet.getStatus();
    int desired = number(state.getDesiredNumberScheduled());
    int updated = number(state.getUpdatedNumberScheduled());
    int ready = number(state.getNumberReady());
    boolean seen =
        state.getObservedGeneration() != null
            && state.getObservedGeneration().equals(daemonSet.getMetadata().getGeneration());
    boolean done =
        seen
            && updated == desired
            && ready == desired
            && unpulled.isEmpty()
            && hash.equals(applied(daemonSet));
    String progress =
        ready
            + " of "
            + desired
            + " nodes are ready, "
            + updated
            + " updated"
            + (unpulled.isEmpty() ? "" : ", " + unpulled.getFirst() + " has yet to pull the probe");
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
    String why = done ? "Applied" : step.halted() ? "Halted" : paused ? "Paused" : "RollingOut";
    conditions.set(
        ROLLING,
        !done && !step.halted() && !paused,
        why,
        step.halted()
            ? progress
                + "; no node follows while one with the newest configuration fails: mend it, or"
                + " change the configuration"
            : progress);
    about(failing, "Withdrawn", "MirrorUnreachable");
    about(failing, "Drifted", "Drifted");
    about(failing, "RestartRequired", "RuntimeConfigRequired");
    return new NodeRegistryConfigStatus(
        generation,
        handled,
        conditions.list(),
        hash,
        rendered,
        new NodeRegistryConfigStatus.Nodes(
            desired, updated, ready, failing.size(), unsupported.size()),
        Stream.concat(failing.stream(), unsupported.stream()).limit(MAX_FAILING).toList(),
        caHashes);
  }

  /** A condition that stands while a node reports a reason. */
  private void about(List<FailingNode> failing, String type, String reason) {
    List<FailingNode> nodes =
        failing.stream().filter(node -> reason.equals(node.reason())).toList();
    if (!nodes.isEmpty()) {
      FailingNode first = nodes.getFirst();
      conditions.set(
          type,
          true,
          reason,
          first.name()
              + ": "
              + first.message()
              + (nodes.size() == 1 ? "" : " (and " + (nodes.size() - 1) + " more nodes)"));
    }
  }

  private static @Nullable String applied(DaemonSet daemonSet) {
    return daemonSet
        .getSpec()
        .getTemplate()
        .getMetadata()
        .getAnnotations()
        .get(AgentResources.CONFIG_HASH);
  }

  private static int number(@Nullable Integer n) {
    return n == null ? 0 : n;
  }
}
