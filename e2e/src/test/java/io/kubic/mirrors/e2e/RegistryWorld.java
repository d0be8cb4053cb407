package io.kubic.mirrors.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.NamespaceBuilder;
import io.fabric8.kubernetes.api.model.PersistentVolumeClaim;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.api.model.SecretBuilder;
import io.fabric8.kubernetes.api.model.Service;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.apps.DeploymentBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import io.fabric8.kubernetes.api.model.networking.v1.Ingress;
import io.fabric8.kubernetes.api.model.networking.v1.NetworkPolicy;
import io.fabric8.kubernetes.api.model.policy.v1.PodDisruptionBudget;
import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.fabric8.kubernetes.client.okhttp.OkHttpClientFactory;
import io.javaoperatorsdk.operator.api.config.ControllerConfiguration;
import io.javaoperatorsdk.operator.api.reconciler.Context;
import io.javaoperatorsdk.operator.api.reconciler.UpdateControl;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistry;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfig;
import io.kubic.mirrors.controller.registry.RegistryProbe;
import io.kubic.mirrors.controller.registry.RegistryReconciler;
import io.kubic.mirrors.controller.support.Settings;
import io.kubic.mirrors.pki.CertificateAuthority;
import io.kubic.mirrors.pki.CertificateBundle;
import io.kubic.mirrors.pki.CertifiedKey;
import io.kubic.mirrors.pki.InvalidCertificateException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.net.HttpURLConnection;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.Response;

/**
 * One registry in one namespace of a real API server, reconciled without the SDK's threads: each
 * pass is one call, its writes are counted, and the operator can be killed before or after any of
 * them. The pods are only told of; what the gateways would show is what the Secrets hold.
 */
final class RegistryWorld implements RegistryProbe, AutoCloseable {
  static final String NAME = "mirror";

  /** Every right that operators of this JVM made use of, as {@code patch secrets}. */
  static final Set<String> USED = new ConcurrentSkipListSet<>();

  private static final String SYSTEM = "mirror-system";
  private static final int NEVER = -1;
  private static final SecureRandom RANDOM = new SecureRandom();

  final KubernetesClient admin;
  final String namespace;
  final Time time = new Time();

  /** Every CA, password and token key that was ever seen. */
  final Set<String> minted = new TreeSet<>();

  /** What the gateways see of their volume. */
  RegistryProbe.Volume volume = new RegistryProbe.Volume(50L << 30, 1L << 30, false);

  /** What is counted in the volume. */
  Stored stored = new Stored(2, 5, 1 << 20);

  /** Whether the gateways hold writes back. */
  boolean frozen;

  /** Whether gateways take up what is in the Secrets. */
  boolean reloads = true;

  /** Asks adopted registries for real; null: they answer as follows. */
  RegistryProbe real;

  /** What an adopted registry answers, and how often it was surveyed. */
  Outcome externalOutcome = new Healthy();

  int surveys;

  /** Rights that the chart does not give, and that were made use of. */
  private final Set<String> forbidden = new ConcurrentSkipListSet<>();

  private final Path kubeconfig;
  private List<X509Certificate> shown = List.of();
  private int crashAt = NEVER;
  private boolean crashAfter;
  private boolean dead;
  private final AtomicInteger writes = new AtomicInteger();
  private KubernetesClient operator;

  /** A clock that is set by hand. */
  static final class Time extends Clock {
    private Instant now = Instant.parse("2026-01-01T00:00:00Z");

    void pass(Duration duration) {
      now = now.plus(duration);
    }

    @Override
    public Instant instant() {
      return now;
    }

    @Override
    public ZoneId getZone() {
      return ZoneOffset.UTC;
    }

    @Override
    public Clock withZone(ZoneId zone) {
      return this;
    }
  }

  RegistryWorld(Path kubeconfig, String namespace) {
    this.kubeconfig = kubeconfig;
    this.namespace = namespace;
    this.admin = client(false);
    this.operator = client(true);
    admin
        .resource(
            new NamespaceBuilder().withNewMetadata().withName(namespace).endMetadata().build())
        .create();
  }

  /** The kinds, ready to be used, and the chart's rights for the operator. */
  static void install(ApiServer server) {
    server.installKinds();
    allow(server);
  }

  private static void allow(ApiServer server) {
    Lab.Result rights =
        Lab.run(
                Duration.ofSeconds(30),
                Map.of(),
                List.of(
                    Lab.tool("helm"),
                    "template",
                    "mirror-operator",
                    "helm/mirror-operator",
                    "--namespace",
                    SYSTEM,
                    "--show-only",
                    "templates/rbac.yaml"))
            .orFail();
    try {
      Path file = Files.createTempFile("rbac", ".yaml");
      try {
        Files.writeString(file, rights.out());
        for (String name : List.of(SYSTEM, "mirror-agents")) {
          server.kubectl("create", "namespace", name);
        }
        server.kubectl("apply", "--server-side", "-f", file.toString()).orFail();
      } finally {
        Files.delete(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** What the operator asked the server for, as a role would say it. */
  private void watchRights(Request request, int status) {
    List<String> path = request.url().pathSegments();
    int resource = path.indexOf("namespaces") + 2;
    if (path.indexOf("namespaces") < 0 || resource >= path.size()) {
      resource = path.getFirst().equals("api") ? 2 : 3;
    }
    if (resource >= path.size()) {
      return;
    }
    String sub = path.size() > resource + 2 ? "/" + path.get(resource + 2) : "";
    String verb =
        switch (request.method()) {
          case "GET" -> path.size() > resource + 1 ? "get" : "list";
          case "POST" -> "create";
          case "PUT" -> "update";
          default -> request.method().toLowerCase(Locale.ROOT);
        };
    String asked = verb + " " + path.get(resource) + sub;
    USED.add(asked);
    if (status == HttpURLConnection.HTTP_FORBIDDEN) {
      forbidden.add(asked);
    }
  }

  private KubernetesClient client(boolean killable) {
    Config config = Config.fromKubeconfig(kubeconfig.toFile());
    config.setRequestRetryBackoffLimit(0);
    if (killable) {
      // The rights of the chart, neither more nor less.
      config.setImpersonateUsername("system:serviceaccount:" + SYSTEM + ":mirror-operator");
      config.setImpersonateGroups("system:serviceaccounts", "system:authenticated");
    }
    return new KubernetesClientBuilder()
        .withConfig(config)
        .withHttpClientFactory(
            new OkHttpClientFactory() {
              @Override
              protected void additionalConfig(OkHttpClient.Builder builder) {
                if (killable) {
                  builder.addInterceptor(
                      chain -> {
                        boolean write = !chain.request().method().equals("GET");
                        if (dead) {
                          throw new IOException("killed");
                        }
                        int n = write ? writes.incrementAndGet() : 0;
                        if (write && n == crashAt && !crashAfter) {
                          dead = true;
                          throw new IOException("killed");
                        }
                        Response response = chain.proceed(chain.request());
                        watchRights(chain.request(), response.code());
                        if (write && n == crashAt && crashAfter) {
                          dead = true;
                          response.close();
                          throw new IOException("killed");
                        }
                        return response;
                      });
                }
              }
            })
        .build();
  }

  /** Kills the operator at its n-th write from now on, once. */
  void killAt(int n, boolean after) {
    writes.set(0);
    crashAt = n;
    crashAfter = after;
    dead = false;
  }

  int writes() {
    return writes.get();
  }

  void create(String spec) {
    admin
        .genericKubernetesResources("mirrors.kubic.io/v1alpha1", "MirrorRegistry")
        .inNamespace(namespace)
        .resource(
            admin
                .getKubernetesSerialization()
                .unmarshal(
                    """
                    apiVersion: mirrors.kubic.io/v1alpha1
                    kind: MirrorRegistry
                    metadata: {name: mirror, namespace: %s}
                    spec: %s
                    """
                        .formatted(namespace, spec),
                    GenericKubernetesResource.class))
        .create();
  }

  void secret(String name, Map<String, String> members) {
    admin
        .resource(
            new SecretBuilder()
                .withNewMetadata()
                .withNamespace(namespace)
                .withName(name)
                .endMetadata()
                .withStringData(members)
                .build())
        .serverSideApply();
  }

  /** A registry whose content is in a bucket; gives what the operator tells it. */
  String onBucket(Registries.Bucket bucket, int replicas) {
    createOnBucket(bucket, replicas, "");
    settle();
    pod();
    settle();
    return text(secret("mirror-registry-config"), "config.yml");
  }

  /**
   * A registry whose content is to be in a bucket.
   *
   * @param more members of {@code storage.s3}
   */
  void createOnBucket(Registries.Bucket bucket, int replicas, String more) {
    secret("bucket", Map.of("accessKey", bucket.accessKey(), "secretKey", bucket.secretKey()));
    create(
        "{replicas: %d, storage: {s3: {bucket: %s, endpoint: '%s', forcePathStyle: true, rootDirectory: /mirror, credentialsSecretRef: {name: bucket}%s}}}"
            .formatted(replicas, bucket.name(), bucket.endpoint(), more));
  }

  /** A pod that is ready, as the kubelet would tell. */
  void pod() {
    pod("registry-0", "192.0.2.1");
  }

  void pod(String name, String address) {
    Pod pod =
        new PodBuilder()
            .withNewMetadata()
            .withNamespace(namespace)
            .withName(name)
            .addToLabels("app.kubernetes.io/name", "mirror-registry")
            .addToLabels("app.kubernetes.io/instance", NAME)
            .addToLabels("app.kubernetes.io/managed-by", "mirror-operator")
            .endMetadata()
            .withNewSpec()
            .withAutomountServiceAccountToken(false)
            .addNewContainer()
            .withName("gateway")
            .withImage("mirror-operator:1")
            .endContainer()
            .endSpec()
            .build();
    admin.resource(pod).create();
    Pod ready = admin.resource(pod).get();
    ready.setStatus(
        new PodBuilder()
            .withNewStatus()
            .withPodIP(address)
            .withPhase("Running")
            .addNewCondition()
            .withType("Ready")
            .withStatus("True")
            .endCondition()
            .endStatus()
            .build()
            .getStatus());
    admin.resource(ready).updateStatus();
  }

  /** A ConfigMap of CA certificates. */
  void trust(String name, String pem) {
    admin
        .resource(
            new ConfigMapBuilder()
                .withNewMetadata()
                .withNamespace(namespace)
                .withName(name)
                .endMetadata()
                .addToData("ca.crt", pem)
                .build())
        .serverSideApply();
  }

  Deployment deployment() {
    return admin.apps().deployments().inNamespace(namespace).withName("mirror-registry").get();
  }

  /** Tells of the Deployment what its controller would when all is ready. */
  void rolledOut() {
    Deployment deployment = deployment();
    deployment.setStatus(
        new DeploymentBuilder()
            .withNewStatus()
            .withObservedGeneration(deployment.getMetadata().getGeneration())
            .withReplicas(1)
            .withUpdatedReplicas(1)
            .withReadyReplicas(1)
            .endStatus()
            .build()
            .getStatus());
    admin.resource(deployment).updateStatus();
  }

  /** The Jobs of upkeep. */
  List<Job> upkeep() {
    return admin
        .batch()
        .v1()
        .jobs()
        .inNamespace(namespace)
        .withLabel("app.kubernetes.io/name", "mirror-upkeep")
        .list()
        .getItems();
  }

  /** A Job of a list, as if it were made and ran. */
  void syncJob(String list) {
    admin
        .resource(
            new JobBuilder()
                .withNewMetadata()
                .withNamespace(namespace)
                .withName(list + "-sync")
                .addToLabels("app.kubernetes.io/name", "mirror-list")
                .addToLabels("app.kubernetes.io/instance", list)
                .addToLabels("app.kubernetes.io/managed-by", "mirror-operator")
                .endMetadata()
                .withNewSpec()
                .withNewTemplate()
                .withNewSpec()
                .withRestartPolicy("Never")
                .addNewContainer()
                .withName("sync")
                .withImage("mirror-operator:1")
                .endContainer()
                .endSpec()
                .endTemplate()
                .endSpec()
                .build())
        .create();
  }

  /** Ends a Job; its pod leaves a message. */
  void finish(String name, int exitCode, String message) {
    Job job = admin.batch().v1().jobs().inNamespace(namespace).withName(name).get();
    Map<String, String> labels = new TreeMap<>(job.getMetadata().getLabels());
    labels.put("batch.kubernetes.io/job-name", name);
    Pod pod =
        new PodBuilder()
            .withNewMetadata()
            .withNamespace(namespace)
            .withName(name + "-0")
            .withLabels(labels)
            .endMetadata()
            .withSpec(job.getSpec().getTemplate().getSpec())
            .build();
    admin.resource(pod).create();
    Pod ended = admin.resource(pod).get();
    ended.setStatus(
        new PodBuilder()
            .withNewStatus()
            .withPhase(exitCode == 0 ? "Succeeded" : "Failed")
            .addNewContainerStatus()
            .withName(job.getSpec().getTemplate().getSpec().getContainers().getFirst().getName())
            .withNewState()
            .withNewTerminated()
            .withExitCode(exitCode)
            .withMessage(message)
            .endTerminated()
            .endState()
            .endContainerStatus()
            .endStatus()
            .build()
            .getStatus());
    admin.resource(ended).updateStatus();
    String now = time.instant().toString();
    JobBuilder status =
        new JobBuilder(job)
            .editOrNewStatus()
            .withStartTime(now)
            .withCompletionTime(exitCode == 0 ? now : null)
            .withSucceeded(exitCode == 0 ? 1 : null)
            .withFailed(exitCode == 0 ? null : 1)
            .addNewCondition()
            .withType(exitCode == 0 ? "SuccessCriteriaMet" : "FailureTarget")
            .withStatus("True")
            .withLastTransitionTime(now)
            .endCondition()
            .addNewCondition()
            .withType(exitCode == 0 ? "Complete" : "Failed")
            .withStatus("True")
            .withMessage(exitCode == 0 ? "" : "it failed")
            .withLastTransitionTime(now)
            .endCondition()
            .endStatus();
    admin.resource(status.build()).updateStatus();
  }

  MirrorRegistry registry() {
    return admin.resources(MirrorRegistry.class).inNamespace(namespace).withName(NAME).get();
  }

  void annotate(String key, String value) {
    admin
        .resources(MirrorRegistry.class)
        .inNamespace(namespace)
        .withName(NAME)
        .patch(
            PatchContext.of(PatchType.JSON_MERGE),
            "{\"metadata\": {\"annotations\": {\"%s\": \"%s\"}}}".formatted(key, value));
  }

  void patch(String spec) {
    admin
        .resources(MirrorRegistry.class)
        .inNamespace(namespace)
        .withName(NAME)
        .patch(PatchContext.of(PatchType.JSON_MERGE), "{\"spec\": %s}".formatted(spec));
  }

  /** Reconciles until nothing is written; a killed operator is started anew. */
  void settle() {
    for (int i = 0; i < 40; i++) {
      int before = writes.get();
      boolean died = false;
      try {
        pass();
      } catch (KubernetesClientException e) {
        if (!dead) {
          throw e;
        }
        died = true;
        dead = false;
        crashAt = NEVER;
        operator.close();
        operator = client(true);
      }
      look();
      if (!died && writes.get() == before) {
        return;
      }
    }
    assertThat(false).as("still writing after 40 passes").isTrue();
  }

  private void pass() {
    MirrorRegistry registry = registry();
    if (registry == null) {
      return;
    }
    RegistryReconciler reconciler = new RegistryReconciler(settings(), this, RANDOM, time);
    Context<MirrorRegistry> context = context();
    if (registry.getMetadata().getDeletionTimestamp() != null) {
      if (reconciler.cleanup(registry, context).isRemoveFinalizer()) {
        operator
            .resources(MirrorRegistry.class)
            .inNamespace(namespace)
            .withName(NAME)
            .patch(PatchContext.of(PatchType.JSON_MERGE), "{\"metadata\": {\"finalizers\": null}}");
      }
      return;
    }
    if (registry.getMetadata().getFinalizers().isEmpty()) {
      operator
          .resources(MirrorRegistry.class)
          .inNamespace(namespace)
          .withName(NAME)
          .patch(
              PatchContext.of(PatchType.JSON_MERGE),
              "{\"metadata\": {\"finalizers\": [\"mirrors.kubic.io/finalizer\"]}}");
    }
    UpdateControl<MirrorRegistry> control = reconciler.reconcile(registry, context);
    if (control.isPatchStatus()) {
      operator
          .resource(control.getResource().orElseThrow())
          .subresource("status")
          .patch(
              new PatchContext.Builder()
                  .withPatchType(PatchType.SERVER_SIDE_APPLY)
                  .withFieldManager("mirrorregistry")
                  .withForce(true)
                  .build());
    }
  }

  static Settings settings() {
    return new Settings(
        "mirror-operator:1", "registry:3", "mirror-agents", "cluster.local", List.of(), Set.of());
  }

  @SuppressWarnings("unchecked")
  private Context<MirrorRegistry> context() {
    ControllerConfiguration<?> configuration =
        proxy(ControllerConfiguration.class, Map.of("fieldManager", arguments -> "mirrorregistry"));
    return proxy(
        Context.class,
        Map.of(
            "getClient", arguments -> operator,
            "getControllerConfiguration", arguments -> configuration,
            "getSecondaryResources", arguments -> secondary((Class<?>) arguments[0])));
  }

  private Set<? extends HasMetadata> secondary(Class<?> kind) {
    if (kind == Pod.class) {
      return Set.copyOf(
          admin
              .pods()
              .inNamespace(namespace)
              .withLabel("app.kubernetes.io/name", "mirror-registry")
              .list()
              .getItems());
    }
    if (kind == MirrorList.class) {
      return Set.copyOf(admin.resources(MirrorList.class).inNamespace(namespace).list().getItems());
    }
    return admin.resources(NodeRegistryConfig.class).list().getItems().stream()
        .filter(
            config ->
                config.getSpec().registryRef() != null
                    && config.getSpec().registryRef().namespace().equals(namespace))
        .collect(Collectors.toSet());
  }

  private interface Answer {
    Object give(Object[] arguments);
  }

  @SuppressWarnings("unchecked")
  private static <T> T proxy(Class<T> type, Map<String, Answer> answers) {
    return (T)
        Proxy.newProxyInstance(
            type.getClassLoader(),
            new Class<?>[] {type},
            (proxy, method, arguments) -> {
              Answer answer = answers.get(method.getName());
              if (answer != null) {
                return answer.give(arguments == null ? new Object[0] : arguments);
              }
              if (method.isDefault()) {
                return InvocationHandler.invokeDefault(proxy, method, arguments);
              }
              throw new UnsupportedOperationException(method.getName());
            });
  }

  // --- what the gateways show ---

  @Override
  public Outcome check(String authority, CertificateBundle trust) {
    return new Healthy();
  }

  @Override
  public List<X509Certificate> served(List<String> authorities, CertificateBundle trust) {
    if (reloads || shown.isEmpty()) {
      shown = leaf().map(leaf -> authorities.stream().map(a -> leaf).toList()).orElse(List.of());
    }
    return shown;
  }

  @Override
  public Optional<PodState> state(String adminAddress) {
    return reloads
        ? Optional.of(
            new PodState(text(secret("mirror-registry-users"), "version"), volume, frozen, 0))
        : Optional.empty();
  }

  @Override
  public Optional<Stored> stored(String adminAddress) {
    return Optional.of(stored);
  }

  @Override
  public Outcome ping(External external) {
    return real == null ? externalOutcome : real.ping(external);
  }

  @Override
  public MirrorRegistryStatus.Capabilities survey(External external, boolean allowedToWrite) {
    surveys++;
    if (real != null) {
      return real.survey(external, allowedToWrite);
    }
    return new MirrorRegistryStatus.Capabilities(
        MirrorRegistryStatus.Capability.Supported, null, null, null);
  }

  // --- what can be seen ---

  Secret secret(String name) {
    return admin.secrets().inNamespace(namespace).withName(name).get();
  }

  static String text(Secret secret, String key) {
    return secret == null || secret.getData() == null || secret.getData().get(key) == null
        ? ""
        : new String(Base64.getDecoder().decode(secret.getData().get(key)), StandardCharsets.UTF_8);
  }

  Optional<X509Certificate> leaf() {
    Secret secret = secret("mirror-registry-tls");
    try {
      return secret == null
          ? Optional.empty()
          : Optional.of(
              CertifiedKey.parse(text(secret, "tls.crt"), text(secret, "tls.key")).leaf());
    } catch (InvalidCertificateException e) {
      throw new AssertionError(e);
    }
  }

  CertificateBundle trust() {
    ConfigMap map =
        admin.configMaps().inNamespace(namespace).withName("mirror-registry-trust").get();
    try {
      return map == null
          ? CertificateBundle.empty()
          : CertificateBundle.parse(map.getData().get("ca.crt"));
    } catch (InvalidCertificateException e) {
      throw new AssertionError(e);
    }
  }

  List<Secret> authorities() {
    return admin.secrets().inNamespace(namespace).list().getItems().stream()
        .filter(secret -> secret.getMetadata().getName().startsWith("mirror-registry-ca-"))
        .toList();
  }

  /** Remembers what was made, and checks what must hold at any moment. */
  private void look() {
    authorities().forEach(ca -> minted.add("ca " + ca.getMetadata().getName()));
    String keys = text(secret("mirror-registry-token-keys"), "keys.json");
    for (String part : keys.split("\"kid\":\"")) {
      if (!part.equals(keys) && !part.startsWith("{\"keys\"")) {
        minted.add("key " + part.substring(0, part.indexOf('"')));
      }
    }
    Secret passwords = secret("mirror-registry-passwords");
    if (passwords != null) {
      for (String user : passwords.getData().keySet()) {
        for (String part : text(passwords, user).split("\"password\":\"")) {
          if (!part.startsWith("[")) {
            minted.add("password of " + user + " " + part.substring(0, part.indexOf('"')));
          }
        }
      }
    }
    leaf()
        .ifPresent(
            leaf ->
                assertThat(
                        trust().certificates().stream()
                            .anyMatch(root -> CertificateAuthority.signed(root, leaf)))
                    .as("the leaf's root is published")
                    .isTrue());
    Secret users = secret("mirror-registry-users");
    for (String user : List.of("admin", "push", "pull")) {
      Secret handedOut = secret("mirror-registry-" + user);
      if (handedOut != null && users != null) {
        assertThat(users.getData().values())
            .as("the password of " + user + " is good")
            .contains(handedOut.getData().get("password"));
      }
    }
  }

  /** All objects but for what is random. */
  Map<String, String> objects() {
    Map<String, String> objects = new TreeMap<>();
    for (Class<? extends HasMetadata> kind :
        List.of(
            Service.class,
            ConfigMap.class,
            Secret.class,
            PersistentVolumeClaim.class,
            Deployment.class,
            PodDisruptionBudget.class,
            NetworkPolicy.class,
            Ingress.class)) {
      for (HasMetadata object : admin.resources(kind).inNamespace(namespace).list().getItems()) {
        String name = object.getMetadata().getName();
        if (name.equals("kube-root-ca.crt")) {
          continue;
        }
        String key = name.startsWith("mirror-registry-ca-") ? "mirror-registry-ca-*" : name;
        objects.merge(
            object.getKind() + " " + key, shape(object), (a, b) -> a + " and another " + b);
      }
    }
    return objects;
  }

  private static String shape(HasMetadata object) {
    String labels =
        new TreeMap<>(object.getMetadata().getLabels())
            + " owned "
            + object.getMetadata().getOwnerReferences().size();
    return switch (object) {
      case Secret secret -> labels + secret.getType() + new TreeSet<>(secret.getData().keySet());
      case ConfigMap map -> labels + new TreeSet<>(map.getData().keySet());
      case Deployment deployment ->
          labels
              + deployment.getMetadata().getGeneration()
              + deployment.getSpec().getTemplate().getSpec();
      case Service service -> labels + service.getSpec().getPorts();
      case PersistentVolumeClaim claim -> labels + claim.getSpec();
      default -> labels;
    };
  }

  List<String> secretsIn(String other) {
    List<String> names = new ArrayList<>();
    admin
        .secrets()
        .inNamespace(other)
        .list()
        .getItems()
        .forEach(secret -> names.add(secret.getMetadata().getName()));
    return names;
  }

  String condition(String type) {
    return registry().getStatus().conditions().stream()
        .filter(c -> c.type().equals(type))
        .map(c -> c.status() + " " + c.reason())
        .findFirst()
        .orElse("none");
  }

  @Override
  public void close() {
    admin.close();
    operator.close();
    assertThat(forbidden).as("what the chart does not allow").isEmpty();
  }
}
