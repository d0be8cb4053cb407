package io.kubic.mirrors.controller.list;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.fabric8.kubernetes.api.model.KeyToPath;
import io.fabric8.kubernetes.api.model.KeyToPathBuilder;
import io.fabric8.kubernetes.api.model.ObjectMeta;
import io.fabric8.kubernetes.api.model.ObjectMetaBuilder;
import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.api.model.VolumeBuilder;
import io.fabric8.kubernetes.api.model.VolumeProjection;
import io.fabric8.kubernetes.api.model.VolumeProjectionBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import io.kubic.mirrors.api.v1alpha1.Api;
import io.kubic.mirrors.api.v1alpha1.KeyRef;
import io.kubic.mirrors.api.v1alpha1.LocalRef;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import io.kubic.mirrors.controller.support.Hash;
import io.kubic.mirrors.controller.support.Labels;
import io.kubic.mirrors.controller.support.Pods;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** The objects of one list, as pure functions of the model. */
final class ListResources {
  static final String KIND = "mirror-list";

  /** On a Job: hash of the spec that it runs. */
  static final String SPEC_HASH = "mirrors.kubic.io/spec-hash";

  /** On a Job: value of the reconcile-at annotation that it answers. */
  static final String REQUEST = "mirrors.kubic.io/request";

  /** On a Job that only plans: {@code true}. */
  static final String DRY_RUN = "mirrors.kubic.io/dry-run";

  /** On a Job: how many runs in a row failed before it. */
  static final String FAILURES = "mirrors.kubic.io/failures";

  /** On a Job: generation of the list that it was made for. */
  static final String GENERATION = "mirrors.kubic.io/generation";

  /** Where a lock out of a ConfigMap is found by a Job. */
  private static final String LOCK = "/etc/mirror/lock";

  /** Where secrets and bundles of sources are found by a Job. */
  private static final String SOURCES = "/etc/mirror/sources";

  private ListResources() {}

  /**
   * What a change of means a new run: all of the spec but when and whether to run, and the plan
   * that was approved.
   */
  static String specHash(MirrorList list) {
    MirrorListSpec spec = list.getSpec();
    return Hash.of(
        spec.approval() == MirrorListSpec.Approval.Manual ? approved(list) : "",
        ResourceFile.write(
            new MirrorListSpec(
                spec.registryRef(),
                null,
                null,
                null,
                spec.sources(),
                spec.blockedImages(),
                spec.layout(),
                spec.tagPolicy(),
                spec.indexPolicy(),
                spec.compare(),
                spec.prune(),
                spec.failurePolicy(),
                spec.retry(),
                spec.concurrency(),
                spec.guard(),
                spec.approval(),
                spec.lock(),
                spec.exportTo(),
                spec.importFrom(),
                null,
                spec.dryRun(),
                null,
                null)));
  }

  static ConfigMap configMap(ListModel model) {
    MirrorList file = new MirrorList();
    file.setMetadata(
        new ObjectMetaBuilder().withName(model.name()).withNamespace(model.namespace()).build());
    file.setSpec(model.spec());
    return new ConfigMapBuilder()
        .withMetadata(meta(model, model.configMap()))
        .withData(Map.of("list.yaml", ResourceFile.write(file)))
        .build();
  }

  /** The hash of the plan that was approved; empty when none was, or what it says is no hash. */
  static String approved(MirrorList list) {
    Map<String, String> annotations = list.getMetadata().getAnnotations();
    String hash = annotations == null ? "" : annotations.getOrDefault(Api.APPROVE, "").strip();
    return hash.length() == 64 && hash.chars().allMatch(c -> Character.digit(c, 16) >= 0)
        ? hash
        : "";
  }

  private static String[] arguments(ListModel model, String job, boolean recheck) {
    if (BundleJob.isOf(model.spec())) {
      List<String> arguments = new ArrayList<>(BundleJob.arguments(model, job));
      arguments.addAll(List.of("--source-files", SOURCES, "-o", "json", "--termination-log"));
      arguments.add("/dev/termination-log");
      if (model.spec().exportTo() == null) {
        arguments.addAll(
            List.of(
                "--authfile",
                "/etc/mirror/push/.dockerconfigjson",
                "--ca",
                "/etc/mirror/trust/ca.crt"));
      }
      return arguments.toArray(String[]::new);
    }
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "sync",
                "-f",
                "/etc/mirror/list/list.yaml",
                "--to",
                model.target(),
                "--authfile",
                "/etc/mirror/push/.dockerconfigjson",
                "--ca",
                "/etc/mirror/trust/ca.crt",
                "--source-files",
                SOURCES,
                "-o",
                "json",
                "--termination-log",
                "/dev/termination-log"));
    if (model.spec().approval() == MirrorListSpec.Approval.Manual && !model.approved().isEmpty()) {
      arguments.addAll(List.of("--approved", model.approved()));
    }
    if (recheck) {
      arguments.add("--recheck");
    }
    KeyRef lock = lock(model);
    if (lock != null) {
      arguments.addAll(List.of("--lock", LOCK + "/" + lock.keyOr("lock.json")));
    }
    return arguments.toArray(String[]::new);
  }

  private static @Nullable KeyRef lock(ListModel model) {
    MirrorListSpec.Lock lock = model.spec().lock();
    return lock == null ? null : lock.configMapRef();
  }

  /**
   * @param trigger what the run is for; its key makes the name
   * @param recheck whether what is in the target is looked at blob by blob
   */
  static Job job(
      ListModel model, Trigger trigger, String specHash, String request, boolean recheck) {
    KeyRef lock = lock(model);
    MirrorListSpec.JobTemplate template = model.spec().jobTemplate();
    ObjectMeta meta =
        meta(model, model.name() + "-sync-" + Hash.of(model.owner().getUid(), trigger.key()));
    meta.setAnnotations(
        new TreeMap<>(
            Map.of(SPEC_HASH, specHash, REQUEST, request, "mirrors.kubic.io/why", trigger.why())));
    if (model.spec().dryRun()) {
      meta.getAnnotations().put(DRY_RUN, "true");
    }
    return new JobBuilder()
        .withMetadata(meta)
        .withNewSpec()
        .withTtlSecondsAfterFinished(template.ttlSecondsAfterFinished())
        // Pods that were evicted or drained are replaced; an answer of ours is an answer.
        .withBackoffLimit(5)
        .withNewPodFailurePolicy()
        .addNewRule()
        .withAction("FailJob")
        .withNewOnExitCodes()
        .withContainerName("sync")
        .withOperator("In")
        .withValues(1, 2, 3, 4)
        .endOnExitCodes()
        .endRule()
        .addNewRule()
        .withAction("Ignore")
        .addNewOnPodCondition()
        .withType("DisruptionTarget")
        .withStatus("True")
        .endOnPodCondition()
        .endRule()
        .endPodFailurePolicy()
        .withNewTemplate()
        .withNewMetadata()
        .withLabels(Labels.of(KIND, model.name()))
        .endMetadata()
        .withNewSpec()
        .withRestartPolicy("Never")
        .withAutomountServiceAccountToken(false)
        .withEnableServiceLinks(false)
        .withSecurityContext(Pods.restricted())
        .withImagePullSecrets(Pods.pullSecrets(model.settings().imagePullSecrets().stream()))
        .withNodeSelector(template.nodeSelector().isEmpty() ? null : template.nodeSelector())
        .withTolerations(template.tolerations())
        .withPriorityClassName(template.priorityClassName())
        .addNewContainer()
        .withName("sync")
        .withImage(model.settings().operatorImage())
        .withCommand(Pods.command("sync"))
        .withArgs(arguments(model, meta.getName(), recheck))
        .withSecurityContext(Pods.locked())
        .withResources(
            Pods.resources(template.resources(), Pods.resources("100m", "192Mi", "512Mi")))
        .withVolumeMounts(
            Pods.readOnly("list", "/etc/mirror/list"),
            Pods.readOnly("sources", SOURCES),
            Pods.writable("tmp", "/tmp"))
        .addAllToVolumeMounts(
            model.target().isEmpty()
                ? List.of()
                : List.of(
                    Pods.readOnly("push", "/etc/mirror/push"),
                    Pods.readOnly("trust", "/etc/mirror/trust")))
        .addAllToVolumeMounts(BundleJob.mounts(model.spec()))
        .addAllToVolumeMounts(lock == null ? List.of() : List.of(Pods.readOnly("lock", LOCK)))
        .endContainer()
        .withVolumes(
            Pods.configMap("list", model.configMap()), sources(model), Pods.scratch("tmp", "1Gi"))
        .addAllToVolumes(
            model.target().isEmpty()
                ? List.of()
                : List.of(
                    Pods.secret("push", model.pushSecret()),
                    Pods.configMap("trust", model.trustConfigMap())))
        .addAllToVolumes(BundleJob.volumes(model.spec()))
        .addAllToVolumes(lock == null ? List.of() : List.of(Pods.configMap("lock", lock.name())))
        .endSpec()
        .endTemplate()
        .endSpec()
        .build();
  }

  /**
   * The Job with what the next look at it wants to know.
   *
   * @param failures how many runs in a row failed before it
   * @param generation of the list that it is made for
   */
  static Job noted(Job job, int failures, long generation) {
    return new JobBuilder(job)
        .editMetadata()
        .addToAnnotations(FAILURES, Integer.toString(failures))
        .addToAnnotations(GENERATION, Long.toString(generation))
        .endMetadata()
        .build();
  }

  /** One directory for each source: {@code <registry>/<name>/}, ':' written as '_'. */
  private static Volume sources(ListModel model) {
    List<VolumeProjection> projections = new ArrayList<>();
    for (MirrorListSpec.Source source : model.spec().sources()) {
      String directory = source.registry().replace(':', '_') + "/" + source.name() + "/";
      LocalRef credentials = source.credentialsSecretRef();
      if (credentials != null) {
        projections.add(
            secret(credentials.name(), directory, ".dockerconfigjson", "username", "password"));
      }
      LocalRef client = source.tls().clientCertSecretRef();
      if (client != null) {
        projections.add(secret(client.name(), directory, "tls.crt", "tls.key"));
      }
      KeyRef bundle = source.tls().caBundleRef();
      if (bundle != null) {
        projections.add(
            new VolumeProjectionBuilder()
                .withNewConfigMap()
                .withName(bundle.name())
                .withItems(item(bundle.keyOr("ca.crt"), directory + "ca.crt"))
                .endConfigMap()
                .build());
      }
      MirrorListSpec.Proxy proxy = source.proxy();
      LocalRef proxyCredentials = proxy == null ? null : proxy.credentialsSecretRef();
      if (proxyCredentials != null) {
        projections.add(
            new VolumeProjectionBuilder()
                .withNewSecret()
                .withName(proxyCredentials.name())
                .withItems(
                    item("username", directory + "proxy-username"),
                    item("password", directory + "proxy-password"))
                .endSecret()
                .build());
      }
    }
    VolumeBuilder volume = new VolumeBuilder().withName("sources");
    return projections.isEmpty()
        ? volume.withNewEmptyDir().endEmptyDir().build()
        : volume.withNewProjected().withSources(projections).endProjected().build();
  }

  /** Keys that a Secret does not have are left out: it may be of either type. */
  private static VolumeProjection secret(String name, String directory, String... keys) {
    List<KeyToPath> items = new ArrayList<>();
    for (String key : keys) {
      items.add(item(key, directory + key));
    }
    return new VolumeProjectionBuilder()
        .withNewSecret()
        .withName(name)
        .withItems(items)
        .withOptional(true)
        .endSecret()
        .build();
  }

  private static KeyToPath item(String key, String path) {
    return new KeyToPathBuilder().withKey(key).withPath(path).build();
  }

  private static ObjectMeta meta(ListModel model, String name) {
    return new ObjectMetaBuilder()
        .withNamespace(model.namespace())
        .withName(name)
        .withLabels(Labels.of(KIND, model.name()))
        .withOwnerReferences(model.owner())
        .build();
  }

  /** Annotation that asks for a run now; empty without one. */
  static String request(MirrorList list) {
    Map<String, String> annotations = list.getMetadata().getAnnotations();
    return annotations == null ? "" : annotations.getOrDefault(Api.RECONCILE_AT, "");
  }
}
