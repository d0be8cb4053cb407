package io.kubic.mirrors.controller.registry;

import io.fabric8.kubernetes.api.model.Affinity;
import io.fabric8.kubernetes.api.model.AffinityBuilder;
import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.ContainerBuilder;
import io.fabric8.kubernetes.api.model.EmptyDirVolumeSource;
import io.fabric8.kubernetes.api.model.IntOrString;
import io.fabric8.kubernetes.api.model.ObjectMeta;
import io.fabric8.kubernetes.api.model.ObjectMetaBuilder;
import io.fabric8.kubernetes.api.model.PersistentVolumeClaim;
import io.fabric8.kubernetes.api.model.PersistentVolumeClaimBuilder;
import io.fabric8.kubernetes.api.model.PodAffinityTerm;
import io.fabric8.kubernetes.api.model.PodAffinityTermBuilder;
import io.fabric8.kubernetes.api.model.PodSpecBuilder;
import io.fabric8.kubernetes.api.model.Quantity;
import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.api.model.SecretBuilder;
import io.fabric8.kubernetes.api.model.Service;
import io.fabric8.kubernetes.api.model.ServiceBuilder;
import io.fabric8.kubernetes.api.model.ServicePort;
import io.fabric8.kubernetes.api.model.ServicePortBuilder;
import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.api.model.VolumeBuilder;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.apps.DeploymentBuilder;
import io.fabric8.kubernetes.api.model.apps.DeploymentStrategy;
import io.fabric8.kubernetes.api.model.apps.DeploymentStrategyBuilder;
import io.fabric8.kubernetes.api.model.networking.v1.Ingress;
import io.fabric8.kubernetes.api.model.networking.v1.IngressBuilder;
import io.fabric8.kubernetes.api.model.networking.v1.NetworkPolicy;
import io.fabric8.kubernetes.api.model.networking.v1.NetworkPolicyBuilder;
import io.fabric8.kubernetes.api.model.policy.v1.PodDisruptionBudget;
import io.fabric8.kubernetes.api.model.policy.v1.PodDisruptionBudgetBuilder;
import io.kubic.mirrors.api.v1alpha1.LocalRef;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistrySpec;
import io.kubic.mirrors.controller.support.Labels;
import io.kubic.mirrors.controller.support.Pods;
import io.kubic.mirrors.controller.support.Secrets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The objects of one registry, as pure functions of the model. Values are in the form in which the
 * API server keeps them: anything else would be applied anew at every reconciliation.
 */
final class RegistryResources {
  static final String KIND = "mirror-registry";

  /** Changes of this annotation roll the pods: what distribution reads only once. */
  static final String CONFIG_HASH = "mirrors.kubic.io/config-hash";

  /** Where the registry's volume is in both containers; the gateway only looks. */
  static final String STORAGE = "/var/lib/registry";

  /** Where distribution's configuration is. */
  static final String CONFIG = "/etc/mirror/registry";

  private static final int GATEWAY_PORT = 5000;
  private static final int ADMIN_PORT = 5002;

  private RegistryResources() {}

  static ObjectMeta meta(RegistryModel model, String name) {
    return new ObjectMetaBuilder()
        .withNamespace(model.names().namespace())
        .withName(name)
        .withLabels(Labels.of(KIND, model.names().name()))
        .withOwnerReferences(model.owner())
        .build();
  }

  static Service service(RegistryModel model, Endpoints endpoints) {
    MirrorRegistrySpec.Endpoint endpoint = model.spec().endpoint();
    ObjectMeta meta = meta(model, model.names().main());
    if (endpoint.type() == MirrorRegistrySpec.EndpointType.LoadBalancer
        && !endpoint.annotations().isEmpty()) {
      meta.setAnnotations(new TreeMap<>(endpoint.annotations()));
    }
    List<ServicePort> ports =
        endpoints.ports().stream()
            .map(
                port ->
                    new ServicePortBuilder()
                        .withName(port.equals(endpoint.port()) ? "https" : "https-" + port)
                        .withPort(port)
                        .withProtocol("TCP")
                        .withTargetPort(new IntOrString("https"))
                        .build())
            .toList();
    return new ServiceBuilder()
        .withMetadata(meta)
        .withNewSpec()
        .withType(endpoints.serviceType().name())
        .withSelector(Labels.selector(KIND, model.names().name()))
        .withPorts(ports)
        .endSpec()
        .build();
  }

  /**
   * The Ingress ends TLS with the registry's own certificate, so that nodes trust it, and speaks
   * TLS to the gateway. How its controller is told so is an annotation of that controller; those of
   * ingress-nginx are given, others come from the spec.
   */
  static Ingress ingress(RegistryModel model, String host) {
    MirrorRegistrySpec.Endpoint endpoint = model.spec().endpoint();
    ObjectMeta meta = meta(model, model.names().main());
    Map<String, String> annotations = new TreeMap<>();
    annotations.put("nginx.ingress.kubernetes.io/backend-protocol", "HTTPS");
    annotations.put("nginx.ingress.kubernetes.io/proxy-body-size", "0");
    annotations.put("nginx.ingress.kubernetes.io/proxy-request-buffering", "off");
    annotations.putAll(endpoint.annotations());
    meta.setAnnotations(annotations);
    return new IngressBuilder()
        .withMetadata(meta)
        .withNewSpec()
        .withIngressClassName(endpoint.ingressClassName())
        .addNewTl()
        .withHosts(host)
        .withSecretName(model.names().tls())
        .endTl()
        .addNewRule()
        .withHost(host)
        .withNewHttp()
        .addNewPath()
        .withPath("/")
        .withPathType("Prefix")
        .withNewBackend()
        .withNewService()
        .withName(model.names().main())
        .withNewPort()
        .withName("https")
        .endPort()
        .endService()
        .endBackend()
        .endPath()
        .endHttp()
        .endRule()
        .endSpec()
        .build();
  }

  /**
   * Everybody may come to the gateway; its admin port is for the operator and for namespaces that
   * are labelled for monitoring. The pods themselves have nowhere to go but an object store.
   */
  static NetworkPolicy networkPolicy(RegistryModel model) {
    NetworkPolicyBuilder policy =
        new NetworkPolicyBuilder()
            .withMetadata(meta(model, model.names().main()))
            .withNewSpec()
            .withNewPodSelector()
            .withMatchLabels(Labels.selector(KIND, model.names().name()))
            .endPodSelector()
            .withPolicyTypes("Ingress")
            .addNewIngress()
            .addNewPort()
            .withProtocol("TCP")
            .withPort(new IntOrString(GATEWAY_PORT))
            .endPort()
            .endIngress()
            .addNewIngress()
            .addNewFrom()
            .withNewNamespaceSelector()
            .endNamespaceSelector()
            .withNewPodSelector()
            .addToMatchLabels(Labels.NAME, Labels.OPERATOR)
            .endPodSelector()
            .endFrom()
            .addNewFrom()
            .withNewNamespaceSelector()
            .addToMatchLabels("mirrors.kubic.io/monitoring", "true")
            .endNamespaceSelector()
            .endFrom()
            // Who collects garbage holds back writes.
            .addNewFrom()
            .withNewPodSelector()
            .withMatchLabels(Labels.selector(UpkeepJob.KIND, model.names().name()))
            .endPodSelector()
            .endFrom()
            .addNewPort()
            .withProtocol("TCP")
            .withPort(new IntOrString(ADMIN_PORT))
            .endPort()
            .endIngress()
            .endSpec();
    if (model.spec().storage().s3() == null) {
      policy.editSpec().addToPolicyTypes("Egress").endSpec();
    }
    return policy.build();
  }

  static ConfigMap configMap(RegistryModel model, String name, Map<String, String> data) {
    return new ConfigMapBuilder()
        .withMetadata(meta(model, name))
        .withData(new TreeMap<>(data))
        .build();
  }

  static Secret secret(RegistryModel model, String name, String type, Map<String, String> data) {
    return new SecretBuilder()
        .withMetadata(meta(model, name))
        .withType(type)
        .withData(Secrets.encoded(data))
        .build();
  }

  /** The claim has no owner: what becomes of it is decided when the registry is deleted. */
  static PersistentVolumeClaim claim(RegistryModel model) {
    MirrorRegistrySpec.VolumeClaim claim = model.spec().storage().claim();
    ObjectMeta meta = meta(model, model.claimName());
    meta.setOwnerReferences(List.of());
    return new PersistentVolumeClaimBuilder()
        .withMetadata(meta)
        .withNewSpec()
        .withAccessModes(claim.accessMode().name())
        .withStorageClassName(claim.storageClassName())
        .withNewResources()
        .withRequests(Map.of("storage", canonical(claim.size())))
        .endResources()
        .endSpec()
        .build();
  }

  static PodDisruptionBudget disruptionBudget(RegistryModel model) {
    return new PodDisruptionBudgetBuilder()
        .withMetadata(meta(model, model.names().main()))
        .withNewSpec()
        .withMaxUnavailable(new IntOrString(1))
        .withNewSelector()
        .withMatchLabels(Labels.selector(KIND, model.names().name()))
        .endSelector()
        .endSpec()
        .build();
  }

  /**
   * @param configHash hash of what distribution reads only at its start
   */
  static Deployment deployment(RegistryModel model, String configHash) {
    MirrorRegistrySpec.PodTemplate template = model.spec().podTemplate();
    Map<String, String> labels = new TreeMap<>(template.labels());
    labels.putAll(Labels.of(KIND, model.names().name()));
    Map<String, String> annotations = new TreeMap<>(template.annotations());
    annotations.put(CONFIG_HASH, configHash);
    return new DeploymentBuilder()
        .withMetadata(meta(model, model.names().main()))
        .withNewSpec()
        .withReplicas(model.spec().replicas())
        .withStrategy(strategy(model))
        .withRevisionHistoryLimit(3)
        .withNewSelector()
        .withMatchLabels(Labels.selector(KIND, model.names().name()))
        .endSelector()
        .withNewTemplate()
        .withNewMetadata()
        .withLabels(labels)
        .withAnnotations(annotations)
        .endMetadata()
        .withSpec(
            pod(model)
                .withTerminationGracePeriodSeconds(90L)
                .withAffinity(affinity(model))
                // A native sidecar: it starts before the gateway and stops after it has drained.
                .withInitContainers(registry(model))
                .withContainers(gateway(model))
                .withVolumes(volumes(model))
                .build())
        .endTemplate()
        .endSpec()
        .build();
  }

  /** What all pods of a registry have in common: rights, pull Secrets, where they may run. */
  static PodSpecBuilder pod(RegistryModel model) {
    MirrorRegistrySpec.PodTemplate template = model.spec().podTemplate();
    return new PodSpecBuilder()
        .withAutomountServiceAccountToken(false)
        .withEnableServiceLinks(false)
        .withSecurityContext(Pods.restricted())
        .withImagePullSecrets(
            Pods.pullSecrets(
                Stream.concat(
                    model.settings().imagePullSecrets().stream(),
                    model.spec().pullSecretsRef().stream().map(LocalRef::name))))
        .withNodeSelector(template.nodeSelector().isEmpty() ? null : template.nodeSelector())
        .withTolerations(template.tolerations())
        .withPriorityClassName(template.priorityClassName());
  }

  private static DeploymentStrategy strategy(RegistryModel model) {
    if (model.spec().storage().onClaim()
        && model.spec().storage().claim().accessMode()
            == MirrorRegistrySpec.AccessMode.ReadWriteOncePod) {
      return new DeploymentStrategyBuilder().withType("Recreate").build();
    }
    return new DeploymentStrategyBuilder()
        .withType("RollingUpdate")
        .withNewRollingUpdate()
        .withMaxSurge(new IntOrString(1))
        .withMaxUnavailable(new IntOrString(0))
        .endRollingUpdate()
        .build();
  }

  /** On the node of a pod that serves. */
  static Affinity besideTheRegistry(RegistryModel model) {
    return new AffinityBuilder()
        .withNewPodAffinity()
        .withRequiredDuringSchedulingIgnoredDuringExecution(beside(model))
        .endPodAffinity()
        .build();
  }

  private static PodAffinityTerm beside(RegistryModel model) {
    return new PodAffinityTermBuilder()
        .withTopologyKey("kubernetes.io/hostname")
        .withNewLabelSelector()
        .withMatchLabels(Labels.selector(KIND, model.names().name()))
        .endLabelSelector()
        .build();
  }

  /**
   * A ReadWriteOnce volume is attached to one node: the new pod of a rollout must start where the
   * old one runs. The first pod is free to go anywhere (Kubernetes waives a term that a pod itself
   * matches when no other does). Several replicas go to several nodes where they can.
   */
  private static @Nullable Affinity affinity(RegistryModel model) {
    Affinity wanted = model.spec().podTemplate().affinity();
    if (wanted != null) {
      return wanted;
    }
    if (model.tiedToOneNode()) {
      return besideTheRegistry(model);
    }
    if (model.spec().replicas() > 1) {
      return new AffinityBuilder()
          .withNewPodAntiAffinity()
          .addNewPreferredDuringSchedulingIgnoredDuringExecution()
          .withWeight(100)
          .withPodAffinityTerm(beside(model))
          .endPreferredDuringSchedulingIgnoredDuringExecution()
          .endPodAntiAffinity()
          .build();
    }
    return null;
  }

  private static Container registry(RegistryModel model) {
    ContainerBuilder container =
        new ContainerBuilder()
            .withName("registry")
            .withImage(model.image())
            .withRestartPolicy("Always")
            .withCommand("/bin/registry", "serve", CONFIG + "/config.yml")
            .addNewEnv()
            .withName("OTEL_TRACES_EXPORTER")
            .withValue("none")
            .endEnv()
            // Each read of a blob takes 4 MiB for a moment: collected before the limit is met.
            .addNewEnv()
            .withName("GOMEMLIMIT")
            .withValue("400MiB")
            .endEnv()
            .withSecurityContext(Pods.locked())
            .withResources(Pods.resources("50m", "64Mi", "512Mi"))
            .withVolumeMounts(
                Pods.readOnly("registry-config", CONFIG), Pods.writable("tmp", "/tmp"));
    trustBucket(model, container);
    if (model.spec().storage().s3() == null) {
      container.addToVolumeMounts(Pods.writable("storage", STORAGE));
    }
    return container.build();
  }

  /**
   * Lets distribution trust the CA of its bucket besides the system's: its S3 driver has no option
   * for that, and Go reads all files of a directory that is named so (crypto/x509, root_unix.go).
   */
  static void trustBucket(RegistryModel model, ContainerBuilder container) {
    MirrorRegistrySpec.S3 s3 = model.spec().storage().s3();
    if (s3 != null && s3.caBundleRef() != null) {
      container.addNewEnv().withName("SSL_CERT_DIR").withValue(CONFIG).endEnv();
    }
  }

  private static Container gateway(RegistryModel model) {
    ContainerBuilder container =
        new ContainerBuilder()
            .withName("gateway")
            .withImage(model.settings().operatorImage())
            .withCommand(Pods.command("gateway"))
            .withArgs("gateway", "--config", "/etc/mirror/gateway/gateway.json")
            .addNewEnv()
            .withName("MALLOC_ARENA_MAX")
            .withValue("2")
            .endEnv()
            .addNewPort()
            .withName("https")
            .withContainerPort(GATEWAY_PORT)
            .withProtocol("TCP")
            .endPort()
            .addNewPort()
            .withName("admin")
            .withContainerPort(ADMIN_PORT)
            .withProtocol("TCP")
            .endPort()
            .withNewReadinessProbe()
            .withNewHttpGet()
            .withPath("/readyz")
            .withPort(new IntOrString("admin"))
            .withScheme("HTTP")
            .endHttpGet()
            .withPeriodSeconds(2)
            .withTimeoutSeconds(3)
            .withFailureThreshold(3)
            .endReadinessProbe()
            .withNewLivenessProbe()
            .withNewHttpGet()
            .withPath("/livez")
            .withPort(new IntOrString("admin"))
            .withScheme("HTTP")
            .endHttpGet()
            .withInitialDelaySeconds(10)
            .withPeriodSeconds(10)
            .withTimeoutSeconds(5)
            .withFailureThreshold(6)
            .endLivenessProbe()
            .withSecurityContext(Pods.locked())
            .withResources(
                Pods.resources(
                    model.spec().podTemplate().resources(),
                    Pods.resources("100m", "192Mi", "384Mi")))
            .withVolumeMounts(
                Pods.readOnly("gateway-config", "/etc/mirror/gateway"),
                Pods.readOnly("tls", "/etc/mirror/tls"),
                Pods.readOnly("token-keys", "/etc/mirror/token-keys"),
                Pods.readOnly("users", "/etc/mirror/users"),
                Pods.readOnly("keys", "/etc/mirror/keys"),
                Pods.writable("tmp", "/tmp"));
    if (model.spec().storage().s3() == null) {
      container.addToVolumeMounts(Pods.readOnly("storage", STORAGE));
    }
    return container.build();
  }

  private static List<Volume> volumes(RegistryModel model) {
    RegistryNames names = model.names();
    List<Volume> volumes =
        new ArrayList<>(
            List.of(
                Pods.configMap("gateway-config", names.gateway()),
                Pods.secret("tls", names.tls()),
                Pods.secret("token-keys", names.tokenKeys()),
                Pods.secret("users", names.users()),
                Pods.secret("keys", names.keys()),
                Pods.secret("registry-config", names.config()),
                Pods.scratch("tmp", "64Mi")));
    storage(model).ifPresent(volumes::add);
    return volumes;
  }

  /** What holds the content; empty for an object store. */
  static Optional<Volume> storage(RegistryModel model) {
    MirrorRegistrySpec.Storage storage = model.spec().storage();
    VolumeBuilder volume = new VolumeBuilder().withName("storage");
    if (storage.s3() != null) {
      return Optional.empty();
    }
    MirrorRegistrySpec.HostPath hostPath = storage.hostPath();
    MirrorRegistrySpec.EmptyDir emptyDir = storage.emptyDir();
    if (hostPath != null) {
      volume
          .withNewHostPath()
          .withPath(hostPath.path())
          .withType("DirectoryOrCreate")
          .endHostPath();
    } else if (emptyDir != null) {
      EmptyDirVolumeSource source = new EmptyDirVolumeSource();
      Quantity limit = emptyDir.sizeLimit();
      if (limit != null) {
        source.setSizeLimit(canonical(limit));
      }
      volume.withEmptyDir(source);
    } else {
      volume
          .withNewPersistentVolumeClaim()
          .withClaimName(model.claimName())
          .endPersistentVolumeClaim();
    }
    return Optional.of(volume.build());
  }

  /** The form that the API server keeps: 1024Mi becomes 1Gi, or every apply would be a change. */
  static Quantity canonical(Quantity quantity) {
    java.math.BigDecimal bytes = Quantity.getAmountInBytes(quantity);
    String[] units = {"Ei", "Pi", "Ti", "Gi", "Mi", "Ki"};
    for (int i = 0; i < units.length; i++) {
      java.math.BigDecimal unit = java.math.BigDecimal.valueOf(1L << (10 * (units.length - i)));
      if (quantity.getFormat() != null
          && quantity.getFormat().endsWith("i")
          && bytes.signum() > 0
          && bytes.remainder(unit).signum() == 0) {
        return new Quantity(bytes.divide(unit).toPlainString(), units[i]);
      }
    }
    return quantity;
  }
}
