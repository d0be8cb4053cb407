package io.kubic.mirrors.controller.nodeconfig;

import io.fabric8.kubernetes.api.model.ContainerState;
import io.fabric8.kubernetes.api.model.ContainerStateWaiting;
import io.fabric8.kubernetes.api.model.ContainerStatus;
import io.fabric8.kubernetes.api.model.OwnerReference;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.fabric8.kubernetes.api.model.TolerationBuilder;
import io.kubic.mirrors.controller.support.Hash;
import io.kubic.mirrors.controller.support.Labels;
import io.kubic.mirrors.controller.support.Pods;
import io.kubic.mirrors.controller.support.Settings;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * A real pull by a node's kubelet, with no more privilege than any pod has: a pod that is bound to
 * the node, whose image must be pulled ({@code Always}), and whose command is a file that is no
 * program. It never runs; what counts is the digest of the image that the runtime made its
 * container from. The file must be there: CRI-O makes no container for a command that it does not
 * find, and then tells no digest.
 */
final class PullProbe {
  static final String KIND = "mirror-probe";

  /** A pull that failed is tried again by the kubelet; this long it may. */
  private static final Duration PATIENCE = Duration.ofSeconds(45);

  /** Longer than any pull of a few bytes, and any start of a sandbox. */
  private static final Duration LIMIT = Duration.ofMinutes(3);

  private static final Set<String> PULLING =
      Set.of("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull");

  /** On a probe: when it was made by our clock, which may not be the API server's. */
  private static final String MADE = "mirrors.kubic.io/made";

  private static final String VOLUME = "probe";
  private static final String FILE = "no-program";

  private PullProbe() {}

  /** What a pod has shown. */
  sealed interface Verdict {
    record Pending() implements Verdict {}

    record Pulled() implements Verdict {}

    /** One line. */
    record Failed(String message) implements Verdict {}
  }

  /** One for each node and revision of its agent. */
  static String name(String config, String node, String revision) {
    return KIND + "-" + config + "-" + Hash.of(node + "\n" + revision);
  }

  static Pod pod(
      String config,
      String node,
      String revision,
      ProbeImage image,
      Settings settings,
      OwnerReference owner,
      Instant now) {
    return new PodBuilder()
        .withNewMetadata()
        .withNamespace(settings.agentsNamespace())
        .withName(name(config, node, revision))
        .withLabels(Labels.of(KIND, config))
        .addToAnnotations(MADE, now.toString())
        .withOwnerReferences(owner)
        .endMetadata()
        .withNewSpec()
        .withNodeName(node)
        .withRestartPolicy("Never")
        .withAutomountServiceAccountToken(false)
        .withEnableServiceLinks(false)
        .withTerminationGracePeriodSeconds(0L)
        .withActiveDeadlineSeconds(LIMIT.toSeconds())
        .withTolerations(new TolerationBuilder().withOperator("Exists").build())
        .withSecurityContext(Pods.restricted())
        .addNewVolume()
        .withName(VOLUME)
        .withNewDownwardAPI()
        .withDefaultMode(0555)
        .addNewItem()
        .withPath(FILE)
        .withNewFieldRef()
        .withFieldPath("metadata.name")
        .endFieldRef()
        .endItem()
        .endDownwardAPI()
        .endVolume()
        .addNewContainer()
        .withName("probe")
        .withImage(image.name())
        .withImagePullPolicy("Always")
        .withCommand("/" + VOLUME + "/" + FILE)
        .withVolumeMounts(Pods.readOnly(VOLUME, "/" + VOLUME))
        .withSecurityContext(Pods.locked())
        .endContainer()
        .endSpec()
        .build();
  }

  /**
   * @param wanted the image that the pod's container must be made from
   */
  static Verdict verdict(Pod pod, ProbeImage wanted, Instant now) {
    Duration age = Duration.between(made(pod).orElse(now), now);
    List<ContainerStatus> containers =
        pod.getStatus() == null ? List.of() : pod.getStatus().getContainerStatuses();
    String waiting = "";
    for (ContainerStatus container : containers) {
      String image = container.getImageID();
      if (image != null && !image.isEmpty()) {
        String pulled = image.substring(image.indexOf('@') + 1);
        return wanted.is(pulled)
            ? new Verdict.Pulled()
            : new Verdict.Failed(
                "the runtime pulled "
                    + container.getImage()
                    + " as "
                    + pulled
                    + " instead of "
                    + wanted.digest()
                    + ", which the mirror has: it asked somebody else");
      }
      ContainerState state = container.getState();
      ContainerStateWaiting wait = state == null ? null : state.getWaiting();
      if (wait != null && wait.getReason() != null) {
        waiting = wait.getReason() + (wait.getMessage() == null ? "" : ": " + wait.getMessage());
        if (PULLING.contains(wait.getReason()) && age.compareTo(PATIENCE) > 0) {
          return new Verdict.Failed("the runtime cannot pull the probe: " + waiting);
        }
      }
    }
    return age.compareTo(LIMIT) > 0
        ? new Verdict.Failed(
            "the runtime has pulled no probe within "
                + LIMIT.toMinutes()
                + " minutes"
                + (waiting.isEmpty() ? "" : ": " + waiting))
        : new Verdict.Pending();
  }

  private static Optional<Instant> made(Pod pod) {
    return Optional.ofNullable(pod.getMetadata().getAnnotations())
        .map(annotations -> annotations.get(MADE))
        .or(() -> Optional.ofNullable(pod.getMetadata().getCreationTimestamp()))
        .map(Instant::parse);
  }
}
