package io.kubic.mirrors.controller.support;

import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.ContainerStatus;
import io.fabric8.kubernetes.api.model.EphemeralContainer;
import io.fabric8.kubernetes.api.model.ImageVolumeSource;
import io.fabric8.kubernetes.api.model.ListOptionsBuilder;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodList;
import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.kubic.mirrors.oci.Digest;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/** The digests that the pods of a cluster run: whoever deletes images leaves these alone. */
public final class RunningImages {
  private static final long PAGE = 500;

  /** A ConfigMap holds 1 MiB: some 13,000 digests. */
  private static final int MAX_BYTES = 950_000;

  private RunningImages() {}

  /** Asks for all pods, page by page; empty when they cannot be seen. */
  public static Optional<Set<Digest>> digests(KubernetesClient client) {
    Set<Digest> all = new TreeSet<>();
    try {
      String next = null;
      do {
        PodList page =
            client
                .pods()
                .inAnyNamespace()
                .list(new ListOptionsBuilder().withLimit(PAGE).withContinue(next).build());
        page.getItems().forEach(pod -> all.addAll(digests(pod)));
        next = page.getMetadata().getContinue();
      } while (next != null && !next.isEmpty());
      return Optional.of(all);
    } catch (KubernetesClientException e) {
      return Optional.empty();
    }
  }

  /** What a pod runs or is about to run, or mounts as a volume, by digest. */
  public static Set<Digest> digests(Pod pod) {
    Stream<String> wanted =
        Stream.of(
                pod.getSpec().getContainers().stream().map(Container::getImage),
                pod.getSpec().getInitContainers().stream().map(Container::getImage),
                pod.getSpec().getEphemeralContainers().stream().map(EphemeralContainer::getImage),
                pod.getSpec().getVolumes().stream()
                    .map(Volume::getImage)
                    .filter(Objects::nonNull)
                    .map(ImageVolumeSource::getReference))
            .flatMap(images -> images);
    Stream<String> running =
        pod.getStatus() == null
            ? Stream.empty()
            : Stream.of(
                    pod.getStatus().getContainerStatuses(),
                    pod.getStatus().getInitContainerStatuses(),
                    pod.getStatus().getEphemeralContainerStatuses())
                .flatMap(List::stream)
                .map(ContainerStatus::getImageID);
    Set<Digest> all = new TreeSet<>();
    Stream.concat(wanted, running)
        .filter(text -> text != null && text.indexOf('@') >= 0)
        .map(text -> Digest.tryParse(text.substring(text.lastIndexOf('@') + 1)))
        .flatMap(Optional::stream)
        .forEach(all::add);
    return all;
  }

  /** One digest a line; empty when they were not seen, or are more than a ConfigMap holds. */
  public static Optional<String> lines(Optional<Set<Digest>> digests) {
    StringBuilder lines = new StringBuilder();
    digests.ifPresent(all -> all.forEach(digest -> lines.append(digest).append('\n')));
    return digests.isPresent() && lines.length() <= MAX_BYTES
        ? Optional.of(lines.toString())
        : Optional.empty();
  }
}
