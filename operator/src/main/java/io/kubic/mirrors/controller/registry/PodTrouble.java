package io.kubic.mirrors.controller.registry;

import io.fabric8.kubernetes.api.model.ContainerStateWaiting;
import io.fabric8.kubernetes.api.model.ContainerStatus;
import io.fabric8.kubernetes.api.model.Pod;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/** Why a pod does not come up, in the kubelet's and the scheduler's words. */
record PodTrouble(String reason, String message) {
  /** Reasons that do not go away by waiting a little. */
  private static final Set<String> REASONS =
      Set.of(
          "ImagePullBackOff",
          "ErrImagePull",
          "ErrImageNeverPull",
          "InvalidImageName",
          "CrashLoopBackOff",
          "CreateContainerConfigError",
          "CreateContainerError",
          "RunContainerError");

  /** The first trouble of any pod, by pod name. */
  static Optional<PodTrouble> of(Collection<Pod> pods) {
    return pods.stream()
        .filter(pod -> pod.getMetadata().getDeletionTimestamp() == null && pod.getStatus() != null)
        .sorted(Comparator.comparing(pod -> pod.getMetadata().getName()))
        .flatMap(pod -> Stream.concat(waiting(pod), unscheduled(pod)))
        .findFirst();
  }

  private static Stream<PodTrouble> waiting(Pod pod) {
    return Stream.of(
            pod.getStatus().getInitContainerStatuses(), pod.getStatus().getContainerStatuses())
        .flatMap(list -> list == null ? Stream.<ContainerStatus>empty() : list.stream())
        .filter(container -> container.getState() != null)
        .flatMap(
            container -> {
              ContainerStateWaiting waiting = container.getState().getWaiting();
              return waiting == null
                      || waiting.getReason() == null
                      || !REASONS.contains(waiting.getReason())
                  ? Stream.empty()
                  : Stream.of(
                      new PodTrouble(
                          waiting.getReason(),
                          "container "
                              + container.getName()
                              + " with image "
                              + container.getImage()
                              + ": "
                              + (waiting.getMessage() == null
                                  ? waiting.getReason()
                                  : waiting.getMessage())));
            });
  }

  private static Stream<PodTrouble> unscheduled(Pod pod) {
    return (pod.getStatus().getConditions() == null
            ? List.<io.fabric8.kubernetes.api.model.PodCondition>of()
            : pod.getStatus().getConditions())
        .stream()
            .filter(c -> "PodScheduled".equals(c.getType()) && "False".equals(c.getStatus()))
            .map(
                c ->
                    new PodTrouble(
                        "Unschedulable",
                        "no node takes the pod: "
                            + (c.getMessage() == null ? "" : c.getMessage())));
  }
}
