package io.kubic.mirrors.controller.nodeconfig;

import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.apps.DaemonSet;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.kubic.mirrors.api.v1alpha1.GoDuration;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigStatus.CaHash;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigStatus.FailingNode;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The agents that run, and what they and the kubelets tell of them.
 *
 * @param newest revision of the newest template
 * @param probe digest of the image that nodes must have pulled; null when they need not
 */
record AgentPods(List<Pod> pods, String newest, @Nullable String probe) {
  private static final int LOG_LINES = 50;
  private static final int MAX_FAILING = 20;

  /** How long a pod may be on its way before it counts as missing. */
  private static final Duration START = Duration.ofMinutes(2);

  AgentPods {
    pods = List.copyOf(pods);
  }

  private boolean isNewest(Pod pod) {
    return AgentResources.revision(pod.getMetadata()).equals(newest);
  }

  private static boolean isLeaving(Pod pod) {
    return pod.getMetadata().getDeletionTimestamp() != null;
  }

  /** Those that have the newest template, and are not on their way out. */
  List<Pod> newer() {
    return pods.stream().filter(pod -> !isLeaving(pod) && isNewest(pod)).toList();
  }

  /** Nodes that are ready, and have yet to pull the probe. */
  List<String> waiting() {
    return newer().stream()
        .filter(pod -> readySince(pod) != null && provenSince(pod) == null)
        .map(pod -> pod.getSpec().getNodeName())
        .sorted()
        .toList();
  }

  private @Nullable Instant provenSince(Pod pod) {
    return probe == null || PullProof.annotation(pod, PullProof.PULLED).equals(probe)
        ? readySince(pod)
        : null;
  }

  /** The same for what an older template asked of its node, whatever the newest asks. */
  private static @Nullable Instant heldSince(Pod pod) {
    boolean awaited =
        AgentResources.awaitsPull(pod) && PullProof.annotation(pod, PullProof.PULLED).isEmpty();
    return awaited ? null : readySince(pod);
  }

  /** Those that still have an older template, and are not on their way out. */
  List<Pod> older() {
    return pods.stream().filter(pod -> !isLeaving(pod) && !isNewest(pod)).toList();
  }

  /**
   * The reasons of agents that are not ready, from the last lines of their logs; those of the
   * newest template first, since they hold up the others. An agent that has said nothing is
   * AgentMissing once it had time to start.
   */
  List<FailingNode> failing(KubernetesClient client, Instant now) {
    List<FailingNode> failing = new ArrayList<>();
    List<Pod> sorted =
        pods.stream()
            .filter(
                pod ->
                    !isLeaving(pod)
                        && pod.getSpec().getNodeName() != null
                        && readySince(pod) == null)
            .sorted(
                Comparator.comparing((Pod pod) -> !isNewest(pod))
                    .thenComparing(pod -> pod.getSpec().getNodeName()))
            .toList();
    for (Pod pod : sorted) {
      if (failing.size() >= MAX_FAILING) {
        break;
      }
      String node = pod.getSpec().getNodeName();
      AgentReport.failing(node, log(client, pod))
          .or(() -> AgentReport.missing(pod, now.minus(START)))
          .ifPresent(failing::add);
    }
    return failing;
  }

  private static String log(KubernetesClient client, Pod pod) {
    try {
      String log =
          client
              .pods()
              .inNamespace(pod.getMetadata().getNamespace())
              .withName(pod.getMetadata().getName())
              .inContainer("agent")
              .tailingLines(LOG_LINES)
              .getLog();
      return log == null ? "" : log;
    } catch (KubernetesClientException e) {
      return ""; // not started: the kubelet has no log to give
    }
  }

  /** By CA, on how many nodes a ready agent has put it. */
  List<CaHash> caHashes() {
    Map<String, Integer> counts = new TreeMap<>();
    for (Pod pod : pods) {
      Map<String, String> annotations = pod.getMetadata().getAnnotations();
      if (readySince(pod) == null || isLeaving(pod) || annotations == null) {
        continue;
      }
      for (String sha256 : annotations.getOrDefault(AgentResources.CA_HASHES, "").split(",")) {
        if (!sha256.isEmpty()) {
          counts.merge(sha256, 1, Integer::sum);
        }
      }
    }
    return counts.entrySet().stream().map(e -> new CaHash(e.getKey(), e.getValue())).toList();
  }

  /** What {@link Rollout} says of them. */
  Rollout.Step step(
      NodeRegistryConfigSpec.Rollout rollout,
      DaemonSet daemonSet,
      List<FailingNode> failing,
      List<ClusterNode> selected,
      Instant now) {
    Set<String> wrong = failing.stream().map(FailingNode::name).collect(Collectors.toSet());
    Set<String> unreachable =
        selected.stream()
            .filter(node -> !node.reachable())
            .map(ClusterNode::name)
            .collect(Collectors.toSet());
    List<Rollout.Agent> agents = new ArrayList<>();
    for (Pod pod : pods) {
      String node = pod.getSpec().getNodeName();
      if (node != null) {
        agents.add(
            new Rollout.Agent(
                node,
                pod.getMetadata().getName(),
                isNewest(pod),
                isNewest(pod) ? provenSince(pod) : heldSince(pod),
                wrong.contains(node),
                isLeaving(pod),
                !unreachable.contains(node)));
      }
    }
    Integer desired = daemonSet.getStatus().getDesiredNumberScheduled();
    int count = desired == null ? 0 : desired;
    return Rollout.next(
        agents,
        count,
        Rollout.maxUnavailable(rollout.maxUnavailable(), count),
        GoDuration.parse(rollout.soak(), "spec.rollout.soak"),
        now);
  }

  /** Nodes that are not yet as the newest template wants them, sorted. */
  List<String> unproven() {
    return pods.stream()
        .filter(pod -> pod.getSpec().getNodeName() != null)
        .filter(pod -> isLeaving(pod) || !isNewest(pod) || readySince(pod) == null)
        .map(pod -> pod.getSpec().getNodeName())
        .distinct()
        .sorted()
        .toList();
  }

  static @Nullable Instant readySince(Pod pod) {
    return pod.getStatus() == null
        ? null
        : pod.getStatus().getConditions().stream()
            .filter(c -> "Ready".equals(c.getType()) && "True".equals(c.getStatus()))
            .map(c -> Instant.parse(c.getLastTransitionTime()))
            .findFirst()
            .orElse(null);
  }
}
