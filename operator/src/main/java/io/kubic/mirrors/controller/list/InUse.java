package io.kubic.mirrors.controller.list;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.fabric8.kubernetes.api.model.ContainerStatus;
import io.fabric8.kubernetes.api.model.ListOptionsBuilder;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodList;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.controller.support.Labels;
import io.kubic.mirrors.controller.support.Pods;
import io.kubic.mirrors.oci.Digest;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * The digests that pods of the cluster run, for a Job that prunes. When not all pods can be seen,
 * the Job gets no file, and deletes nothing.
 */
final class InUse {
  private static final String FILE = "digests";
  private static final String DIRECTORY = "/etc/mirror/in-use";
  private static final long PAGE = 500;

  /** A ConfigMap holds 1 MiB: some 13,000 digests. */
  private static final int MAX_BYTES = 950_000;

  private InUse() {}

  static boolean isNeeded(MirrorListSpec spec) {
    return spec.prune().mode() == MirrorListSpec.PruneMode.Delete && spec.prune().protectInUse();
  }

  /** Asks for all pods, page by page; empty when they cannot be seen. */
  static Optional<Set<Digest>> digests(KubernetesClient client) {
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

  /** What a pod runs or is about to run, by digest. */
  static Set<Digest> digests(Pod pod) {
    Stream<String> wanted =
        Stream.concat(
                pod.getSpec().getContainers().stream(), pod.getSpec().getInitContainers().stream())
            .map(container -> container.getImage());
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

  static ConfigMap configMap(ListModel model, Optional<Set<Digest>> digests) {
    StringBuilder lines = new StringBuilder();
    digests.ifPresent(all -> all.forEach(digest -> lines.append(digest).append('\n')));
    boolean fits = digests.isPresent() && lines.length() <= MAX_BYTES;
    return new ConfigMapBuilder()
        .withNewMetadata()
        .withNamespace(model.namespace())
        .withName(name(model))
        .withLabels(Labels.of(ListResources.KIND, model.name()))
        .withOwnerReferences(model.owner())
        .endMetadata()
        .withData(fits ? Map.of(FILE, lines.toString()) : Map.of())
        .build();
  }

  /** The Job with the file. */
  static Job mounted(Job job, ListModel model) {
    Job changed = new JobBuilder(job).build();
    var pod = changed.getSpec().getTemplate().getSpec();
    pod.getVolumes().add(Pods.configMap("in-use", name(model)));
    var container = pod.getContainers().getFirst();
    container.getVolumeMounts().add(Pods.readOnly("in-use", DIRECTORY));
    List<String> args = new ArrayList<>(container.getArgs());
    args.add("--in-use");
    args.add(DIRECTORY + "/" + FILE);
    container.setArgs(args);
    return changed;
  }

  private static String name(ListModel model) {
    return model.name() + "-in-use";
  }
}
