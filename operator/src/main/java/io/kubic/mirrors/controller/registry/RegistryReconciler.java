package io.kubic.mirrors.controller.registry;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.PersistentVolumeClaim;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.api.model.Service;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.policy.v1.PodDisruptionBudget;
import io.javaoperatorsdk.operator.api.config.informer.Informer;
import io.javaoperatorsdk.operator.api.config.informer.InformerEventSourceConfiguration;
import io.javaoperatorsdk.operator.api.reconciler.Context;
import io.javaoperatorsdk.operator.api.reconciler.ControllerConfiguration;
import io.javaoperatorsdk.operator.api.reconciler.ErrorStatusUpdateControl;
import io.javaoperatorsdk.operator.api.reconciler.EventSourceContext;
import io.javaoperatorsdk.operator.api.reconciler.Reconciler;
import io.javaoperatorsdk.operator.api.reconciler.UpdateControl;
import io.javaoperatorsdk.operator.processing.event.ResourceID;
import io.javaoperatorsdk.operator.processing.event.source.EventSource;
import io.javaoperatorsdk.operator.processing.event.source.informer.InformerEventSource;
import io.javaoperatorsdk.operator.processing.retry.GradualRetry;
import io.kubic.mirrors.api.v1alpha1.Api;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.KeyRef;
import io.kubic.mirrors.api.v1alpha1.LocalRef;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistry;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistrySpec;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfig;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigStatus;
import io.kubic.mirrors.api.v1alpha1.ObjectRef;
import io.kubic.mirrors.controller.support.Applier;
import io.kubic.mirrors.controller.support.Hash;
import io.kubic.mirrors.controller.support.Labels;
import io.kubic.mirrors.controller.support.PrimaryChange;
import io.kubic.mirrors.controller.support.Secrets;
import io.kubic.mirrors.controller.support.Settings;
import io.kubic.mirrors.controller.support.StatusPatch;
import io.kubic.mirrors.gateway.TokenKeys;
import io.kubic.mirrors.pki.CertificateBundle;
import io.kubic.mirrors.pki.InvalidCertificateException;
import io.kubic.mirrors.pki.RotationStep;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Keeps a registry running behind its gateway, with its certificates, credentials and storage. */
@ControllerConfiguration(
    name = "mirrorregistry",
    generationAwareEventProcessing = false,
    informer = @Informer(onUpdateFilter = PrimaryChange.class))
@GradualRetry(
    maxAttempts = -1,
    initialInterval = 2000,
    intervalMultiplier = 2,
    maxInterval = 300_000)
public final class RegistryReconciler implements Reconciler<MirrorRegistry> {
  private static final Duration LOOK_AGAIN = Duration.ofMinutes(5);
  private static final Duration LOOK_SOON = Duration.ofSeconds(3);

  /** Secrets of users are not watched: a changed password is seen after this long at the latest. */
  private static final Duration USERS_CHANGE = Duration.ofMinutes(1);

  /** How long a key signs tokens; it costs nobody anything to change it. */
  private static final Duration TOKEN_KEY_LIFE = Duration.ofDays(90);

  private static final String TOKEN_KEYS = "keys.json";
  private static final Logger LOG = LoggerFactory.getLogger(RegistryReconciler.class);

  private final Settings settings;
  private final RegistryProbe probe;
  private final SecureRandom random;
  private final Clock clock;
  private final Map<Class<?>, InformerEventSource<?, MirrorRegistry>> caches = new HashMap<>();

  public RegistryReconciler(
      Settings settings, RegistryProbe probe, SecureRandom random, Clock clock) {
    this.settings = settings;
    this.probe = probe;
    this.random = random;
    this.clock = clock;
  }

  @Override
  public List<EventSource<?, MirrorRegistry>> prepareEventSources(
      EventSourceContext<MirrorRegistry> context) {
    List<EventSource<?, MirrorRegistry>> sources = new ArrayList<>();
    for (Class<? extends HasMetadata> kind :
        List.of(
            Service.class,
            ConfigMap.class,
            Secret.class,
            PersistentVolumeClaim.class,
            Deployment.class,
            PodDisruptionBudget.class)) {
      sources.add(owned(kind, context));
    }
    sources.add(
        new InformerEventSource<>(
            InformerEventSourceConfiguration.from(Pod.class, MirrorRegistry.class)
                .withLabelSelector(ours())
                .withSecondaryToPrimaryMapper(RegistryReconciler::byInstance)
                .build(),
            context));
    sources.add(
        new InformerEventSource<>(
            InformerEventSourceConfiguration.from(NodeRegistryConfig.class, MirrorRegistry.class)
                .withWatchAllNamespaces()
                .withSecondaryToPrimaryMapper(
                    config ->
                        registryOf(config)
                            .map(ref -> Set.of(new ResourceID(ref.name(), ref.namespace())))
                            .orElse(Set.of()))
                .build(),
            context));
    return sources;
  }

  private <R extends HasMetadata> EventSource<R, MirrorRegistry> owned(
      Class<R> kind, EventSourceContext<MirrorRegistry> context) {
    InformerEventSource<R, MirrorRegistry> source =
        new InformerEventSource<>(
            InformerEventSourceConfiguration.from(kind, MirrorRegistry.class)
                .withLabelSelector(ours())
                .withSecondaryToPrimaryMapper(RegistryReconciler::byInstance)
                .build(),
            context);
    caches.put(kind, source);
    return source;
  }

  private static String ours() {
    return Labels.SELECTOR + "," + Labels.NAME + "=" + RegistryResources.KIND;
  }

  private static Set<ResourceID> byInstance(HasMetadata object) {
    String instance = object.getMetadata().getLabels().get(Labels.INSTANCE);
    return instance == null
        ? Set.of()
        : Set.of(new ResourceID(instance, object.getMetadata().getNamespace()));
  }

  /** The object as the informers know it; where none is prepared, as the server does. */
  @SuppressWarnings("unchecked")
  private <R extends HasMetadata> Optional<R> cached(Context<MirrorRegistry> context, R wanted) {
    InformerEventSource<R, MirrorRegistry> source =
        (InformerEventSource<R, MirrorRegistry>) caches.get(wanted.getClass());
    return source == null
        ? Optional.ofNullable(context.getClient().resource(wanted).get())
        : source.get(ResourceID.fromResource(wanted));
  }

  @Override
  public UpdateControl<MirrorRegistry> reconcile(
      MirrorRegistry registry, Context<MirrorRegistry> context) {
    RegistryStatus status = new RegistryStatus(registry, request(registry), clock);
    if (registry.getSpec().suspend()) {
      return update(registry, status.suspended(), LOOK_AGAIN);
    }
    RegistryModel model = RegistryModel.of(registry, settings);
    try {
      if (registry.getMetadata().getName().length() > RegistryNames.MAX_NAME) {
        throw new InvalidSpecException(
            "metadata.name",
            "is longer than " + RegistryNames.MAX_NAME + " characters; shorten it");
      }
      RotationRequests requests = RotationRequests.of(registry, clock);
      CertificateKeeper.policy(model.spec().certificates(), requests);
      PasswordKeeper.policy(model.spec().auth().passwordRotation(), requests.passwords());
      CertificateKeeper.subjectNames(model.spec().endpoint().extraNames());
      return reconcile(registry, model, requests, status, context);
    } catch (InvalidSpecException e) {
      return update(registry, status.invalid(e), LOOK_AGAIN);
    }
  }

  private UpdateControl<MirrorRegistry> reconcile(
      MirrorRegistry registry,
      RegistryModel model,
      RotationRequests requests,
      RegistryStatus status,
      Context<MirrorRegistry> context) {
    Applier applier = new Applier(context);
    RegistryNames names = model.names();
    Service service = apply(context, RegistryResources.service(model));
    String clusterIp = service.getSpec().getClusterIP();
    String authority = model.authority(clusterIp);

    List<Pod> pods =
        context
            .getSecondaryResourcesAsStream(Pod.class)
            .filter(RegistryReconciler::isReady)
            .toList();
    Map<String, Integer> acknowledged = new TreeMap<>();
    int nodes = 0;
    for (NodeRegistryConfig config : context.getSecondaryResources(NodeRegistryConfig.class)) {
      NodeRegistryConfigStatus seen = config.getStatus();
      if (seen == null || seen.nodes() == null) {
        continue;
      }
      Integer desired = seen.nodes().desired();
      nodes += desired == null ? 0 : desired;
      for (NodeRegistryConfigStatus.CaHash ca : seen.caHashes()) {
        Integer count = ca.nodes();
        acknowledged.merge(ca.sha256(), count == null ? 0 : count, Integer::sum);
      }
    }
    CertificateKeeper keeper =
        new CertificateKeeper(model, requests, context.getClient(), applier, random, clock);
    List<X509Certificate> served = served(model, pods, context);
    CertificateKeeper.Result certificates =
        keeper.keep(model.subjectAlternativeNames(clusterIp), served, acknowledged, nodes);

    Secret keys = createOnce(context, secret(model, names.keys(), this::randomKeys));
    GeneratedSecret.keep(
        context.getClient(),
        RegistryResources.secret(model, names.tokenKeys(), "Opaque", Map.of()),
        members -> Map.of(TOKEN_KEYS, tokenKeys(members.getOrDefault(TOKEN_KEYS, ""), requests)));
    PasswordKeeper passwordKeeper =
        new PasswordKeeper(
            model,
            context.getClient(),
            applier,
            PasswordKeeper.policy(model.spec().auth().passwordRotation(), requests.passwords()),
            secret -> cached(context, secret),
            random,
            clock);
    Map<String, String> users =
        GatewayFiles.users(
            passwords(model, passwordKeeper.keep(), context), Secrets.text(keys, "freeze.token"));
    apply(context, RegistryResources.secret(model, names.users(), "Opaque", users));
    List<Optional<RegistryProbe.PodState>> states =
        pods.stream().map(pod -> probe.state(address(pod) + ":5002")).toList();
    boolean accepted =
        !states.isEmpty()
            && states.stream()
                .allMatch(
                    state ->
                        state
                            .map(RegistryProbe.PodState::users)
                            .filter(version -> version.equals(users.get(GatewayFiles.VERSION)))
                            .isPresent());
    passwordKeeper.handOut(accepted, List.of(authority));
    apply(
        context,
        RegistryResources.configMap(
            model, names.gateway(), Map.of("gateway.json", GatewayFiles.config(model))));
    String config =
        DistributionConfig.yaml(
            model.spec(), Secrets.text(keys, "http.secret"), s3Keys(model, context));
    apply(
        context,
        RegistryResources.secret(model, names.config(), "Opaque", Map.of("config.yml", config)));
    if (model.spec().storage().onClaim()
        && model.spec().storage().claim().existingClaim() == null) {
      apply(context, RegistryResources.claim(model));
    }
    if (model.spec().replicas() > 1) {
      apply(context, RegistryResources.disruptionBudget(model));
    }
    Deployment deployment = apply(context, RegistryResources.deployment(model, Hash.of(config)));

    RegistryProbe.Outcome outcome =
        pods.isEmpty() ? null : probe.check(authority, certificates.trust());
    MirrorRegistryStatus next =
        status.observed(
            model,
            authority,
            certificates,
            passwordKeeper.nextRotation().map(Instant::toString).orElse(null),
            deployment,
            outcome,
            new MirrorRegistryStatus.NodesTrusting(
                certificates.trust().fingerprints().stream()
                    .mapToInt(sha256 -> acknowledged.getOrDefault(sha256, 0))
                    .max()
                    .orElse(0),
                nodes));
    boolean waiting =
        outcome instanceof RegistryProbe.Unhealthy
            || passwordKeeper.waiting()
            || certificates.last() instanceof RotationStep.Wait;
    Instant due = passwordKeeper.due().orElse(Instant.MAX);
    if (certificates.last() instanceof RotationStep.None(Instant until) && until.isBefore(due)) {
      due = until;
    }
    return update(registry, next, again(due, waiting, !model.spec().auth().users().isEmpty()));
  }

  /** When to look again although nothing was announced. */
  private Duration again(Instant due, boolean waiting, boolean users) {
    if (waiting) {
      return LOOK_SOON;
    }
    Duration again = users ? USERS_CHANGE : LOOK_AGAIN;
    if (due.isBefore(clock.instant().plus(again))) {
      again = Duration.between(clock.instant(), due).plusSeconds(1);
    }
    return again.compareTo(LOOK_SOON) < 0 ? LOOK_SOON : again;
  }

  private List<X509Certificate> served(
      RegistryModel model, List<Pod> pods, Context<MirrorRegistry> context) {
    ConfigMap key = RegistryResources.configMap(model, model.names().trust(), Map.of());
    Optional<CertificateBundle> trust = cached(context, key).flatMap(RegistryReconciler::bundle);
    if (pods.isEmpty() || trust.isEmpty()) {
      return List.of();
    }
    return probe.served(pods.stream().map(pod -> address(pod) + ":5000").toList(), trust.get());
  }

  private static String address(Pod pod) {
    String ip = pod.getStatus().getPodIP();
    return ip.indexOf(':') >= 0 ? "[" + ip + "]" : ip;
  }

  private static Optional<CertificateBundle> bundle(ConfigMap trust) {
    try {
      return Optional.of(
          CertificateBundle.parse(
              trust.getData() == null ? "" : trust.getData().getOrDefault("ca.crt", "")));
    } catch (InvalidCertificateException e) {
      return Optional.empty();
    }
  }

  private Map<String, String> randomKeys() {
    return Map.of(
        "http.secret",
        Credentials.randomText(random),
        "freeze.token",
        Credentials.randomText(random));
  }

  /**
   * The keys as they should be: first made, succeeded when due or asked for, forgotten when done.
   */
  private String tokenKeys(String present, RotationRequests requests) {
    byte[] keys = present.getBytes(StandardCharsets.UTF_8);
    byte[] next;
    try {
      next =
          present.isEmpty()
              ? TokenKeys.generate(random, clock)
              : RotationRequests.asks(requests.tokenKeys(), TokenKeys.newestMade(keys))
                  ? TokenKeys.successor(keys, random, clock)
                  : TokenKeys.advance(keys, TOKEN_KEY_LIFE, random, clock).orElse(keys);
    } catch (IllegalArgumentException e) {
      // Gateways keep the keys that they have in memory; a token lives for an hour at most.
      LOG.warn("the token keys are damaged and made anew: {}", e.getMessage());
      next = TokenKeys.generate(random, clock);
    }
    return new String(next, StandardCharsets.UTF_8);
  }

  /** By user, what the gateway compares a password with. */
  private static Map<String, List<String>> passwords(
      RegistryModel model, Map<String, List<String>> generated, Context<MirrorRegistry> context) {
    Map<String, List<String>> passwords = new TreeMap<>(generated);
    int index = 0;
    for (MirrorRegistrySpec.User user : model.spec().auth().users()) {
      KeyRef ref = user.passwordSecretRef();
      String path = "spec.auth.users[" + index++ + "]";
      if (passwords.containsKey(user.name())) {
        throw new InvalidSpecException(
            path + ".name", "'" + user.name() + "' is there already; choose another name");
      }
      Secret secret =
          context
              .getClient()
              .secrets()
              .inNamespace(model.names().namespace())
              .withName(ref.name())
              .get();
      String password = secret == null ? "" : Secrets.text(secret, ref.keyOr("password"));
      if (password.isBlank()) {
        throw new InvalidSpecException(
            path + ".passwordSecretRef",
            "Secret "
                + ref.name()
                + " has no key "
                + ref.keyOr("password")
                + "; create it with a password, a bcrypt hash or an htpasswd -nB line");
      }
      passwords.put(user.name(), List.of(password.strip()));
    }
    return passwords;
  }

  private static DistributionConfig.@Nullable S3Keys s3Keys(
      RegistryModel model, Context<MirrorRegistry> context) {
    MirrorRegistrySpec.S3 s3 = model.spec().storage().s3();
    LocalRef ref = s3 == null ? null : s3.credentialsSecretRef();
    if (ref == null) {
      return null;
    }
    Secret secret =
        context
            .getClient()
            .secrets()
            .inNamespace(model.names().namespace())
            .withName(ref.name())
            .get();
    String access = secret == null ? "" : Secrets.text(secret, "accessKey");
    String key = secret == null ? "" : Secrets.text(secret, "secretKey");
    if (access.isEmpty() || key.isEmpty()) {
      throw new InvalidSpecException(
          "spec.storage.s3.credentialsSecretRef",
          "Secret " + ref.name() + " needs the keys accessKey and secretKey");
    }
    return new DistributionConfig.S3Keys(access.strip(), key.strip());
  }

  private <R extends HasMetadata> R apply(Context<MirrorRegistry> context, R wanted) {
    return new Applier(context).apply(wanted, cached(context, wanted));
  }

  private Secret createOnce(Context<MirrorRegistry> context, Generated generated) {
    return new Applier(context)
        .createOnce(cached(context, generated.key()), generated.key(), generated.make());
  }

  private record Generated(Secret key, Supplier<Secret> make) {}

  private static Generated secret(
      RegistryModel model, String name, Supplier<Map<String, String>> data) {
    return new Generated(
        RegistryResources.secret(model, name, "Opaque", Map.of()),
        () -> RegistryResources.secret(model, name, "Opaque", data.get()));
  }

  private static boolean isReady(Pod pod) {
    return pod.getMetadata().getDeletionTimestamp() == null
        && pod.getStatus() != null
        && pod.getStatus().getPodIP() != null
        && pod.getStatus().getConditions().stream()
            .anyMatch(c -> "Ready".equals(c.getType()) && "True".equals(c.getStatus()));
  }

  private static Optional<ObjectRef> registryOf(NodeRegistryConfig config) {
    return Optional.ofNullable(config.getSpec().registryRef());
  }

  private static @Nullable String request(MirrorRegistry registry) {
    Map<String, String> annotations = registry.getMetadata().getAnnotations();
    return annotations == null ? null : annotations.get(Api.RECONCILE_AT);
  }

  @Override
  public ErrorStatusUpdateControl<MirrorRegistry> updateErrorStatus(
      MirrorRegistry registry, Context<MirrorRegistry> context, Exception e) {
    return ErrorStatusUpdateControl.noStatusUpdate();
  }

  private static UpdateControl<MirrorRegistry> update(
      MirrorRegistry registry, MirrorRegistryStatus status, Duration again) {
    return StatusPatch.of(
        registry,
        MirrorRegistry::new,
        status,
        RegistryStatus.comparable(registry.getStatus()),
        again);
  }
}
