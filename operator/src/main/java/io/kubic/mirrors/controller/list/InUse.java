package io.kubic.mirrors.controller.list;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.controller.support.Labels;
import io.kubic.mirrors.controller.support.Pods;
import io.kubic.mirrors.controller.support.RunningImages;
import io.kubic.mirrors.oci.Digest;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The digests that pods of the cluster run, for a Job that prunes. When not all pods can be seen,
 * the Job gets no file, and deletes nothing.
 */
final class InUse {
  private static final String FILE = "digests";
  private static final String DIRECTORY = "/etc/mirror/in-use";

  private InUse() {}

  static boolean isNeeded(MirrorListSpec spec) {
    return spec.exportTo() == null
        && spec.prune().mode() == MirrorListSpec.PruneMode.Delete
        && spec.prune().protectInUse();
  }

  static ConfigMap configMap(ListModel model, Optional<Set<Digest>> digests) {
    Optional<String> lines = RunningImages.lines(digests);
    return new ConfigMapBuilder()
        .withNewMetadata()
        .withNamespace(model.namespace())
        .withName(name(model))
        .withLabels(Labels.of(ListResources.KIND, model.name()))
        .withOwnerReferences(model.owner())
        .endMetadata()
        .withData(lines.map(text -> Map.of(FILE, text)).orElse(Map.of()))
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
