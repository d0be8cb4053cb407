package io.kubic.mirrors.controller.nodeconfig;

import io.fabric8.kubernetes.api.model.Affinity;
import io.fabric8.kubernetes.api.model.AffinityBuilder;
import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.fabric8.kubernetes.api.model.IntOrString;
import io.fabric8.kubernetes.api.model.LabelSelector;
import io.fabric8.kubernetes.api.model.LabelSelectorRequirement;
import io.fabric8.kubernetes.api.model.NodeSelectorRequirement;
import io.fabric8.kubernetes.api.model.NodeSelectorRequirementBuilder;
import io.fabric8.kubernetes.api.model.ObjectMeta;
import io.fabric8.kubernetes.api.model.ObjectMetaBuilder;
import io.fabric8.kubernetes.api.model.OwnerReference;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.api.model.SecretBuilder;
import io.fabric8.kubernetes.api.model.SecurityContext;
import io.fabric8.kubernetes.api.model.SecurityContextBuilder;
import io.fabric8.kubernetes.api.model.Toleration;
import io.fabric8.kubernetes.api.model.TolerationBuilder;
import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.api.model.VolumeBuilder;
import io.fabric8.kubernetes.api.model.VolumeMount;
import io.fabric8.kubernetes.api.model.apps.DaemonSet;
import io.fabric8.kubernetes.api.model.apps.DaemonSetBuilder;
import io.fabric8.kubernetes.client.utils.Serialization;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.Runtime;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.RuntimeRestart;
import io.kubic.mirrors.controller.support.Hash;
import io.kubic.mirrors.controller.support.Labels;
import io.kubic.mirrors.controller.support.Pods;
import io.kubic.mirrors.controller.support.Secrets;
import io.kubic.mirrors.controller.support.Settings;
import io.kubic.mirrors.node.HostMount;
import io.kubic.mirrors.node.NodeConfig;
import io.kubic.mirrors.node.PullCredentials;
import io.kubic.mirrors.node.render.Preview;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The agents of one NodeRegistryConfig: an immutable ConfigMap named by its content, and a
 * DaemonSet whose pod template names it. A changed configuration is a changed template; {@link
 * Rollout} says which node has it next.
 */
final class AgentResources {
  static final String KIND = "mirror-agent";

  /** On pods: hash of the configuration they apply. */
  static final String CONFIG_HASH = "mirrors.kubic.io/config-hash";

  /** On pods: hash of the template they were made from, of the agent's image as well. */
  static final String REVISION = "mirrors.kubic.io/revision";

  /** On pods: SHA-256 of the CA certificates that their nodes trust once the pod is ready. */
  static final String CA_HASHES = "mirrors.kubic.io/ca-sha256";

  private static final int PORT = 8081;

  /** Volume of templates whose nodes have to pull. */
  private static final String VERDICT = "pod";

  private AgentResources() {}

  /** Name of the DaemonSet. */
  static String name(String config) {
    return "mirror-agent-" + config;
  }

  /** One configuration as it goes to the nodes. */
  record Payload(String json, List<String> caSha256, PullCredentials credentials) {
    String hash() {
      return Hash.of(json);
    }

    String configMap(String config) {
      return name(config) + "-" + hash();
    }

    /** Named like the configuration, whose hash counts what is in it. */
    Optional<String> secret(String config) {
      return credentials.isEmpty() ? Optional.empty() : Optional.of(configMap(config));
    }
  }

  static ConfigMap configMap(
      String config, Payload payload, Settings settings, OwnerReference owner) {
    return new ConfigMapBuilder()
        .withMetadata(meta(payload.configMap(config), config, settings, owner))
        .withImmutable(true)
        .withData(Map.of("nodeconfig.json", payload.json()))
        .build();
  }

  /** The logins that nodes write into their runtimes' files; only the agents' pods mount them. */
  static Optional<Secret> secret(
      String config, Payload payload, Settings settings, OwnerReference owner) {
    return payload
        .secret(config)
        .map(
            name ->
                new SecretBuilder()
                    .withMetadata(meta(name, config, settings, owner))
                    .withImmutable(true)
                    .withType("Opaque")
                    .withData(
                        Secrets.encoded(Map.of("config.json", payload.credentials().toJson())))
                    .build());
  }

  /** What a node of each runtime gets, as {@code kubectl mirror render} prints it. */
  static ConfigMap rendered(
      String config, NodeConfig resolved, Settings settings, OwnerReference owner) {
    Map<String, String> data = new TreeMap<>();
    for (Preview preview : Preview.values()) {
      data.put(preview.name(), Preview.listing(preview.render(resolved)));
    }
    return new ConfigMapBuilder()
        .withMetadata(meta(name(config) + "-rendered", config, settings, owner))
        .withData(data)
        .build();
  }

  /**
   * @param runtimes whose directories are mounted
   * @param logins whether agents get the directory of their runtimes' logins
   * @param wholeHost whether agents get the whole file system of their nodes
   * @param excluded nodes whose system no agent can work on; its pod could not even start there
   */
  static DaemonSet daemonSet(
      String config,
      NodeRegistryConfigSpec spec,
      Payload payload,
      Collection<Runtime> runtimes,
      boolean logins,
      boolean wholeHost,
      Collection<String> excluded,
      Settings settings,
      OwnerReference owner) {
    Map<String, String> annotations = new TreeMap<>();
    annotations.put(CONFIG_HASH, payload.hash());
    annotations.put(CA_HASHES, String.join(",", payload.caSha256()));
    List<Volume> volumes = new ArrayList<>();
    List<VolumeMount> mounts = new ArrayList<>();
    volumes.add(Pods.configMap("config", payload.configMap(config)));
    mounts.add(Pods.readOnly("config", "/etc/mirror/node"));
    payload
        .secret(config)
        .ifPresent(
            secret -> {
              volumes.add(Pods.secret("credentials", secret));
              mounts.add(Pods.readOnly("credentials", "/etc/mirror/credentials"));
            });
    volumes.add(Pods.scratch("tmp", "16Mi"));
    mounts.add(Pods.writable("tmp", "/tmp"));
    if (spec.verify().mode() == NodeRegistryConfigSpec.VerifyMode.Pull) {
      // The bad news reaches the agent through its own pod: it has no API to ask.
      volumes.add(
          new VolumeBuilder()
              .withName(VERDICT)
              .withNewDownwardAPI()
              .addNewItem()
              .withPath("pull-failed")
              .withNewFieldRef()
              .withApiVersion("v1")
              .withFieldPath("metadata.annotations['" + PullProof.FAILED + "']")
              .endFieldRef()
              .endItem()
              .endDownwardAPI()
              .build());
      mounts.add(Pods.readOnly(VERDICT, "/etc/mirror/pod"));
    }
    int index = 0;
    for (HostMount mount : HostMount.of(runtimes, logins, wholeHost)) {
      String volume = "host-" + index++;
      volumes.add(
          new VolumeBuilder()
              .withName(volume)
              .withNewHostPath()
              .withPath(mount.path())
              .withType(HostMount.TYPE)
              .endHostPath()
              .build());
      mounts.add(
          mount.readOnly() ? Pods.readOnly(volume, at(mount)) : Pods.writable(volume, at(mount)));
    }
    List<Toleration> tolerations =
        spec.agent().tolerations().isEmpty()
            ? List.of(new TolerationBuilder().withOperator("Exists").build())
            : spec.agent().tolerations();
    String priority = spec.agent().priorityClassName();
    DaemonSet daemonSet =
        new DaemonSetBuilder()
            .withMetadata(meta(name(config), config, settings, owner))
            .withNewSpec()
            .withRevisionHistoryLimit(3)
            .withNewUpdateStrategy()
            .withType("OnDelete") // see Rollout
            .endUpdateStrategy()
            .withNewSelector()
            .withMatchLabels(Labels.selector(KIND, config))
            .endSelector()
            .withNewTemplate()
            .withNewMetadata()
            .withLabels(Labels.of(KIND, config))
            .withAnnotations(annotations)
            .endMetadata()
            .withNewSpec()
            .withAutomountServiceAccountToken(false)
            .withEnableServiceLinks(false)
            .withTerminationGracePeriodSeconds(15L)
            .withImagePullSecrets(Pods.pullSecrets(settings.imagePullSecrets().stream()))
            .withPriorityClassName(priority == null ? "system-node-critical" : priority)
            .withTolerations(tolerations)
            .withAffinity(affinity(spec.nodeSelector(), excluded))
            .withNewSecurityContext()
            .withNewSeccompProfile()
            .withType("RuntimeDefault")
            .endSeccompProfile()
            .endSecurityContext()
            .addNewContainer()
            .withName("agent")
            .withImage(settings.operatorImage())
            .withCommand(Pods.command("agent"))
            .withArgs(
                "agent",
                "--config",
                "/etc/mirror/node/nodeconfig.json",
                "--host-root",
                "/host",
                "--listen",
                ":" + PORT,
                "--node-name",
                "$(NODE_NAME)")
            .addNewEnv()
            .withName("NODE_NAME")
            .withNewValueFrom()
            .withNewFieldRef()
            .withApiVersion("v1")
            .withFieldPath("spec.nodeName")
            .endFieldRef()
            .endValueFrom()
            .endEnv()
            .addNewEnv()
            .withName("MALLOC_ARENA_MAX")
            .withValue("1")
            .endEnv()
            .addNewPort()
            .withName("health")
            .withContainerPort(PORT)
            .withProtocol("TCP")
            .endPort()
            .withNewReadinessProbe()
            .withNewHttpGet()
            .withPath("/readyz")
            .withPort(new IntOrString("health"))
            .withScheme("HTTP")
            .endHttpGet()
            .withPeriodSeconds(2)
            .withTimeoutSeconds(3)
            .withFailureThreshold(2)
            .endReadinessProbe()
            .withNewLivenessProbe()
            .withNewHttpGet()
            .withPath("/livez")
            .withPort(new IntOrString("health"))
            .withScheme("HTTP")
            .endHttpGet()
            .withInitialDelaySeconds(10)
            .withPeriodSeconds(20)
            .withTimeoutSeconds(5)
            .withFailureThreshold(6)
            .endLivenessProbe()
            .withSecurityContext(root(wholeHost))
            .withResources(
                Pods.resources(spec.agent().resources(), Pods.resources("10m", "64Mi", "96Mi")))
            .withVolumeMounts(mounts)
            .endContainer()
            .withVolumes(volumes)
            .endSpec()
            .endTemplate()
            .endSpec()
            .build();
    daemonSet
        .getSpec()
        .getTemplate()
        .getMetadata()
        .getAnnotations()
        .put(REVISION, Hash.of(Serialization.asJson(daemonSet.getSpec().getTemplate())));
    return daemonSet;
  }

  /** Whether an agent's node is proven by a pull only. */
  static boolean awaitsPull(Pod pod) {
    return pod.getSpec().getVolumes().stream().anyMatch(v -> v.getName().equals(VERDICT));
  }

  /** The revision that a DaemonSet's template or a pod has; empty for none. */
  static String revision(@Nullable ObjectMeta meta) {
    return meta == null || meta.getAnnotations() == null
        ? ""
        : meta.getAnnotations().getOrDefault(REVISION, "");
  }

  /** The files of a node belong to root; nothing else of root's power is needed. */
  private static SecurityContext root(boolean wholeHost) {
    SecurityContextBuilder context =
        new SecurityContextBuilder(Pods.locked()).withRunAsUser(0L).withRunAsGroup(0L);
    if (wholeHost) {
      // chroot(2); and SUSE's tool writes into directories that not even root may write.
      context.editCapabilities().addToAdd("DAC_OVERRIDE", "SYS_CHROOT").endCapabilities();
    }
    return context.build();
  }

  private static String at(HostMount mount) {
    return mount.path().equals(HostMount.ROOT) ? "/host" : "/host" + mount.path();
  }

  /** Whether agents of this template have a directory of their nodes. */
  static boolean mounts(DaemonSet daemonSet, String directory) {
    return daemonSet.getSpec().getTemplate().getSpec().getVolumes().stream()
        .anyMatch(
            volume ->
                volume.getHostPath() != null && volume.getHostPath().getPath().equals(directory));
  }

  /** Whether a configuration asks for a directory that agents do not have otherwise. */
  static boolean wants(NodeRegistryConfigSpec spec, String directory) {
    return switch (directory) {
      case HostMount.ROOT -> wantsWholeHost(spec);
      case HostMount.LOGINS -> spec.credentialsSecretRef() != null;
      default -> throw new IllegalArgumentException(directory);
    };
  }

  /** Whether a configuration needs programs of the host. */
  static boolean wantsWholeHost(NodeRegistryConfigSpec spec) {
    return spec.trust().systemStore() || spec.runtimeRestart() == RuntimeRestart.IfRequired;
  }

  private static Affinity affinity(@Nullable LabelSelector selector, Collection<String> excluded) {
    List<NodeSelectorRequirement> requirements = new ArrayList<>();
    requirements.add(requirement("kubernetes.io/os", "In", List.of("linux")));
    if (selector != null) {
      if (selector.getMatchLabels() != null) {
        new TreeMap<>(selector.getMatchLabels())
            .forEach((key, value) -> requirements.add(requirement(key, "In", List.of(value))));
      }
      for (LabelSelectorRequirement r : selector.getMatchExpressions()) {
        requirements.add(requirement(r.getKey(), r.getOperator(), r.getValues()));
      }
    }
    return new AffinityBuilder()
        .withNewNodeAffinity()
        .withNewRequiredDuringSchedulingIgnoredDuringExecution()
        .addNewNodeSelectorTerm()
        .withMatchFields(
            excluded.stream()
                .sorted()
                .map(node -> requirement("metadata.name", "NotIn", List.of(node)))
                .toList())
        .withMatchExpressions(requirements)
        .endNodeSelectorTerm()
        .endRequiredDuringSchedulingIgnoredDuringExecution()
        .endNodeAffinity()
        .build();
  }

  private static NodeSelectorRequirement requirement(
      String key, String operator, List<String> values) {
    return new NodeSelectorRequirementBuilder()
        .withKey(key)
        .withOperator(operator)
        .withValues(values)
        .build();
  }

  private static ObjectMeta meta(
      String name, String config, Settings settings, OwnerReference owner) {
    return new ObjectMetaBuilder()
        .withNamespace(settings.agentsNamespace())
        .withName(name)
        .withLabels(Labels.of(KIND, config))
        .withOwnerReferences(owner)
        .build();
  }
}
