package io.kubic.mirrors.controller.registry;

import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.ContainerBuilder;
import io.fabric8.kubernetes.api.model.ObjectMeta;
import io.fabric8.kubernetes.api.model.ObjectMetaBuilder;
import io.fabric8.kubernetes.api.model.PodSpec;
import io.fabric8.kubernetes.api.model.PodSpecBuilder;
import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.api.model.VolumeBuilder;
import io.fabric8.kubernetes.api.model.VolumeMount;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistrySpec;
import io.kubic.mirrors.controller.support.Hash;
import io.kubic.mirrors.controller.support.Labels;
import io.kubic.mirrors.controller.support.Pods;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The Job of one task, as a pure function of the model. It mounts what the registry's pods mount,
 * so it runs beside one where the volume is tied to a node. What it is told when it is released
 * (gateways, digests in use) is in a ConfigMap, since the pod of a Job cannot be changed.
 */
final class UpkeepJob {
  /** The label of these Jobs and their pods; not that of the registry's pods. */
  static final String KIND = "mirror-upkeep";

  static final String CONTAINER = "upkeep";

  /** Members of the ConfigMap. */
  static final String GATEWAYS = "gateways";

  static final String IN_USE = "in-use";
  private static final String IDLE = "idle.yml";

  private static final long LONGEST_SECONDS = 6 * 3600L;
  private static final int KEPT_SECONDS = 14 * 24 * 3600;
  private static final String FILES = "/etc/mirror/upkeep";

  private UpkeepJob() {}

  /**
   * What the Job is told, when it is released.
   *
   * @param gateways {@code http://address:port} of all admin ports, one a line
   * @param inUse digests that pods run, one a line
   */
  static Map<String, String> files(String gateways, String inUse) {
    return Map.of(
        GATEWAYS,
        gateways,
        IN_USE,
        inUse,
        IDLE,
        """
        version: "0.1"
        storage: {inmemory: {}}
        http: {addr: "127.0.0.1:5001"}
        """);
  }

  /**
   * A Job that waits to be released.
   *
   * @param authority {@code host:port} of the registry
   */
  static Job of(RegistryModel model, UpkeepTask task, String key, String authority) {
    String name = model.names().name();
    Map<String, String> labels = new TreeMap<>(Labels.of(KIND, name));
    labels.put(Labels.COMPONENT, task.command());
    ObjectMeta meta =
        new ObjectMetaBuilder(
                RegistryResources.meta(
                    model,
                    name + "-" + task.command() + "-" + Hash.of(model.owner().getUid(), key)))
            .withLabels(labels)
            .build();
    return new JobBuilder()
        .withMetadata(meta)
        .withNewSpec()
        .withSuspend(true)
        // A second pod would trust gateways that the first one froze.
        .withBackoffLimit(0)
        .withActiveDeadlineSeconds(LONGEST_SECONDS)
        .withTtlSecondsAfterFinished(KEPT_SECONDS)
        .withNewTemplate()
        .withNewMetadata()
        .withLabels(labels)
        .endMetadata()
        .withSpec(pod(model, task, authority))
        .endTemplate()
        .endSpec()
        .build();
  }

  private static PodSpec pod(RegistryModel model, UpkeepTask task, String authority) {
    PodSpecBuilder pod =
        RegistryResources.pod(model)
            .withRestartPolicy("Never")
            .withTerminationGracePeriodSeconds(5L)
            .withContainers(upkeep(model, task, authority))
            .withVolumes(volumes(model));
    if (task == UpkeepTask.GC) {
      // The program that sweeps is the registry's own: taken from the root of a process of its
      // image, which need not have a shell or a cp.
      pod.withShareProcessNamespace(true).withInitContainers(program(model));
    }
    if (model.besideTheRegistry()) {
      pod.withAffinity(RegistryResources.besideTheRegistry(model));
    }
    return pod.build();
  }

  private static Container upkeep(RegistryModel model, UpkeepTask task, String authority) {
    ContainerBuilder container =
        new ContainerBuilder()
            .withName(CONTAINER)
            .withImage(model.settings().operatorImage())
            .withCommand(Pods.command("sync"))
            .withArgs(
                switch (task) {
                  case GC -> collect(model, authority);
                  case SCRUB ->
                      List.of(
                          "scrub",
                          RegistryResources.STORAGE,
                          "--termination-log",
                          "/dev/termination-log");
                })
            .withSecurityContext(Pods.locked())
            .withResources(Pods.resources("100m", "256Mi", "1Gi"))
            .withVolumeMounts(
                Pods.readOnly(CONTAINER, FILES),
                Pods.readOnly("admin", "/etc/mirror/admin"),
                Pods.readOnly("trust", "/etc/mirror/trust"),
                Pods.readOnly("keys", "/etc/mirror/keys"),
                Pods.readOnly("registry-config", RegistryResources.CONFIG),
                Pods.writable("tmp", "/tmp"));
    RegistryResources.trustBucket(model, container);
    if (model.spec().storage().s3() == null) {
      container.addToVolumeMounts(Pods.writable("storage", RegistryResources.STORAGE));
    }
    return container.build();
  }

  private static List<String> collect(RegistryModel model, String authority) {
    MirrorRegistrySpec.GarbageCollection wanted = model.spec().garbageCollection();
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "gc",
                "--registry",
                authority,
                "--authfile",
                "/etc/mirror/admin/.dockerconfigjson",
                "--ca",
                "/etc/mirror/trust/ca.crt",
                "--registry-process",
                "--registry-config",
                RegistryResources.CONFIG + "/config.yml",
                "--gateways-file",
                FILES + "/" + GATEWAYS,
                "--freeze-token-file",
                "/etc/mirror/keys/freeze.token",
                "--in-use",
                FILES + "/" + IN_USE,
                "--max-percent",
                wanted.maxDeletePercent().toString(),
                "--grace",
                wanted.gracePeriod(),
                "--termination-log",
                "/dev/termination-log"));
    if (model.spec().storage().s3() == null) {
      arguments.addAll(List.of("--storage", RegistryResources.STORAGE));
    }
    if (wanted.dryRun()) {
      arguments.add("--dry-run");
    }
    return arguments;
  }

  private static Container program(RegistryModel model) {
    return new ContainerBuilder()
        .withName("program")
        .withImage(model.image())
        .withRestartPolicy("Always")
        .withCommand("/bin/registry", "serve", FILES + "/" + IDLE)
        .addNewEnv()
        .withName("OTEL_TRACES_EXPORTER")
        .withValue("none")
        .endEnv()
        .withSecurityContext(Pods.locked())
        .withResources(Pods.resources("10m", "32Mi", "128Mi"))
        .withVolumeMounts(new VolumeMount[] {Pods.readOnly(CONTAINER, FILES)})
        .build();
  }

  private static List<Volume> volumes(RegistryModel model) {
    RegistryNames names = model.names();
    List<Volume> volumes =
        new ArrayList<>(
            List.of(
                Pods.configMap(CONTAINER, names.upkeep()),
                Pods.secret("admin", names.credentials(GeneratedUser.ADMIN)),
                Pods.configMap("trust", names.trust()),
                new VolumeBuilder()
                    .withName("keys")
                    .withNewSecret()
                    .withSecretName(names.keys())
                    .addNewItem()
                    .withKey("freeze.token")
                    .withPath("freeze.token")
                    .endItem()
                    .endSecret()
                    .build(),
                Pods.secret("registry-config", names.config()),
                Pods.scratch("tmp", "64Mi")));
    RegistryResources.storage(model).ifPresent(volumes::add);
    return volumes;
  }
}
