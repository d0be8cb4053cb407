package io.kubic.mirrors.controller.registry;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.Namespace;
import io.fabric8.kubernetes.api.model.ObjectMetaBuilder;
import io.fabric8.kubernetes.api.model.PersistentVolumeClaim;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.api.model.Service;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.networking.v1.Ingress;
import io.fabric8.kubernetes.api.model.networking.v1.NetworkPolicy;
import io.fabric8.kubernetes.api.model.policy.v1.PodDisruptionBudget;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.javaoperatorsdk.operator.api.config.informer.Informer;
import io.javaoperatorsdk.operator.api.config.informer.InformerEventSourceConfiguration;
import io.javaoperatorsdk.operator.api.reconciler.Cleaner;
import io.javaoperatorsdk.operator.api.reconciler.Context;
import io.javaoperatorsdk.operator.api.reconciler.ControllerConfiguration;
import io.javaoperatorsdk.operator.api.reconciler.DeleteControl;
import io.javaoperatorsdk.operator.api.reconciler.ErrorStatusUpdateControl;
import io.javaoperatorsdk.operator.api.reconciler.EventSourceContext;
import io.javaoperatorsdk.operator.api.reconciler.Reconciler;
import io.javaoperatorsdk.operator.api.reconciler.UpdateControl;
import io.javaoperatorsdk.operator.processing.event.ResourceID;
import io.javaoperatorsdk.operator.processing.event.source.EventSource;
import io.javaoperatorsdk.operator.processing.event.source.informer.InformerEventSource;
import io.javaoperatorsdk.operator.processing.retry.GradualRetry;
import io.kubic.mirrors.api.v1alpha1.Api;
import io.kubic.mirrors.api.v1alpha1.GoDuration;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistry;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistrySpec;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfig;
import io.kubic.mirrors.api.v1alpha1.ObjectRef;
import io.kubic.mirrors.controller.support.Applier;
import io.kubic.mirrors.controller.support.ConfigMaps;
import io.kubic.mirrors.controller.support.Events;
import io.kubic.mirrors.controller.support.Hash;
import io.kubic.mirrors.controller.support.Labels;
import io.kubic.mirrors.controller.support.PrimaryChange;
import io.kubic.mirrors.controller.support.Secrets;
import io.kubic.mirrors.controller.support.Settings;
import io.kubic.mirrors.controller.support.StatusPatch;
import io.kubic.mirrors.pki.CertificateBundle;
import io.kubic.mirrors.pki.InvalidCertificateException;
import io.kubic.mirrors.pki.RotationStep;
import io.kubic.mirrors.pki.SubjectNames;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

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
public final class RegistryReconciler
    implements Reconciler<MirrorRegistry>, Cleaner<MirrorRegistry> {
  private static final Duration LOOK_AGAIN = Duration.ofMinutes(5);
  private static final Duration LOOK_SOON = Duration.ofSeconds(3);

  /** Secrets of others are not watched: a change is seen after this long at the latest. */
  private static final Duration FOREIGN_CHANGE = Duration.ofMinutes(1);

  private static final String TOKEN_KEYS = "keys.json";
  private static final int HTTP_FORBIDDEN = 403;
  private static final int HTTP_UNPROCESSABLE = 422;

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
            PodDisruptionBudget.class,
            NetworkPolicy.class,
            Ingress.class)) {
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
            InformerEventSourceConfiguration.from(Job.class, MirrorRegistry.class)
                .withLabelSelector(Labels.SELECTOR + "," + Labels.NAME + "=" + UpkeepJob.KIND)
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
    sources.add(
        new InformerEventSource<>(
            InformerEventSourceConfiguration.from(MirrorList.class, MirrorRegistry.class)
                .withSecondaryToPrimaryMapper(
                    list ->
                        list.getSpec().registryRef() == null
                            ? Set.of()
                            : Set.of(
                                new ResourceID(
                                    list.getSpec().registryRef().name(),
                                    list.getMetadata().getNamespace())))
                .build(),
            context));
    sources.add(
        new InformerEventSource<>(
            InformerEventSourceConfiguration.from(Namespace.class, MirrorRegistry.class)
                .withWatchAllNamespaces()
                .withSecondaryToPrimaryMapper(
                    namespace ->
                        context
                            .getPrimaryCache()
                            .list()
                            .filter(r -> r.getSpec().auth().pullSecret() != null)
                            .map(ResourceID::fromResource)
                            .collect(Collectors.toSet()))
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
      MirrorRegistrySpec.External external = model.spec().external();
      if (external != null) {
        return adopt(registry, model, external, status, context);
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
    MirrorRegistryStatus before = registry.getStatus();
    Endpoints endpoints =
        new Endpoints(model.spec().endpoint(), before == null ? null : before.endpoint());
    Service service = apply(context, RegistryResources.service(model, endpoints));
    Optional<String> wanted = endpoints.wanted(service);
    ingress(model, endpoints, context);
    apply(context, RegistryResources.networkPolicy(model));

    List<Pod> all = context.getSecondaryResourcesAsStream(Pod.class).toList();
    List<Pod> pods = all.stream().filter(RegistryReconciler::isReady).toList();
    NodeTrust nodes = NodeTrust.of(context.getSecondaryResources(NodeRegistryConfig.class));
    CertificateKeeper keeper =
        new CertificateKeeper(model, requests, context.getClient(), applier, random, clock);
    List<X509Certificate> served = served(model, pods, context);
    List<String> subject =
        model.subjectAlternativeNames(service.getSpec().getClusterIP(), endpoints.hosts(wanted));
    CertificateKeeper.Result certificates =
        model.spec().certificates().issuer().ownCa()
            ? keeper.keep(subject, served, nodes.acknowledged(), nodes.nodes())
            : new IssuedCertificate(
                    model,
                    context.getClient(),
                    context.getControllerConfiguration().fieldManager(),
                    keeper,
                    clock)
                .keep(subject, endpoints.hosts(wanted), served, nodes);

    RegistryKeys registryKeys = new RegistryKeys(random, clock);
    ForeignSecrets foreignSecrets = new ForeignSecrets(model, context.getClient());
    Secret keys = createOnce(context, secret(model, names.keys(), registryKeys::random));
    GeneratedSecret.keep(
        context.getClient(),
        RegistryResources.secret(model, names.tokenKeys(), "Opaque", Map.of()),
        members ->
            Map.of(
                TOKEN_KEYS, registryKeys.tokens(members.getOrDefault(TOKEN_KEYS, ""), requests)));
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
            foreignSecrets.passwords(passwordKeeper.keep()), Secrets.text(keys, "freeze.token"));
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
    Map<String, String> pull = passwordKeeper.handOut(accepted, endpoints.authorities(wanted));
    PullSecrets.Result pullSecrets =
        new PullSecrets(model, context.getClient(), applier).keep(pull);
    apply(
        context,
        RegistryResources.configMap(
            model, names.gateway(), Map.of("gateway.json", GatewayFiles.config(model))));
    Map<String, String> configuration =
        DistributionConfig.files(
            model.spec(),
            Secrets.text(keys, "http.secret"),
            foreignSecrets.s3Keys(),
            foreignSecrets.s3Authorities());
    apply(context, RegistryResources.secret(model, names.config(), "Opaque", configuration));
    claim(model, context);
    PodDisruptionBudget budget = RegistryResources.disruptionBudget(model);
    if (model.spec().replicas() > 1) {
      apply(context, budget);
    } else {
      remove(context, budget);
    }
    UpkeepKeeper upkeepKeeper =
        new UpkeepKeeper(model, context.getClient(), applier, map -> cached(context, map), clock);
    Deployment wantedDeployment =
        RegistryResources.deployment(model, Hash.of(configuration.values().toArray(String[]::new)));
    // A new pod would let writes in that a collection has frozen: it comes afterwards.
    Deployment deployment =
        upkeepKeeper.running()
            ? cached(context, wantedDeployment).orElseGet(() -> apply(context, wantedDeployment))
            : apply(context, wantedDeployment);

    MirrorRegistryStatus.Endpoint endpoint =
        wanted
            .map(
                authority ->
                    endpoints.next(
                        authority,
                        serves(authority, served, pods.size(), certificates),
                        nodes.settled(),
                        GoDuration.parse(
                            model.spec().certificates().ca().overlap(),
                            "spec.certificates.ca.overlap"),
                        clock.instant()))
            .orElse(before == null ? null : before.endpoint());
    Optional<String> authority =
        Optional.ofNullable(endpoint)
            .map(MirrorRegistryStatus.Endpoint::url)
            .map(Endpoints::authority);
    RegistryProbe.Outcome outcome =
        pods.isEmpty() || authority.isEmpty()
            ? null
            : probe.check(authority.get(), certificates.trust());
    StorageJudgement storage =
        StorageJudgement.of(
            before == null ? null : before.storage(),
            states.stream()
                .flatMap(Optional::stream)
                .map(RegistryProbe.PodState::storage)
                .flatMap(Stream::ofNullable)
                .toList(),
            model.spec().storage().s3() == null,
            settled(requests, context),
            clock.instant());
    if (storage.dataLost() && !told(before, storage.reason())) {
      Events.warn(context.getClient(), registry, storage.reason(), storage.message(), clock);
    }
    UpkeepKeeper.Result upkeep =
        upkeepKeeper.keep(
            new UpkeepKeeper.Situation(
                registry,
                requests,
                unsettled(deployment, model, storage),
                authority,
                all,
                states.stream().flatMap(Optional::stream).toList(),
                context.getSecondaryResources(MirrorList.class)));
    MirrorRegistryStatus.Contents contents = contents(registry, model, pods, upkeep, context);
    boolean moving = wanted.isPresent() && !wanted.equals(authority);
    MirrorRegistryStatus next =
        status.observed(
            new RegistryStatus.Observation(
                model,
                endpoint,
                wanted.isEmpty(),
                wanted.filter(w -> moving).orElse(null),
                certificates,
                passwordKeeper.nextRotation().map(Instant::toString).orElse(null),
                pullSecrets,
                deployment,
                PodTrouble.of(all),
                outcome,
                storage.holding(contents),
                contents,
                upkeep,
                new MirrorRegistryStatus.NodesTrusting(
                    certificates.trust().fingerprints().stream()
                        .mapToInt(sha256 -> nodes.acknowledged().getOrDefault(sha256, 0))
                        .max()
                        .orElse(0),
                    nodes.nodes())));
    boolean waiting =
        moving
            || wanted.isEmpty()
            || outcome instanceof RegistryProbe.Unhealthy
            || passwordKeeper.waiting()
            || upkeep.busy()
            || upkeep.frozen()
            || certificates.last() instanceof RotationStep.Wait;
    Instant due = passwordKeeper.due().orElse(Instant.MAX);
    if (certificates.last() instanceof RotationStep.None(Instant until) && until.isBefore(due)) {
      due = until;
    }
    if (upkeep.due().isPresent() && upkeep.due().get().isBefore(due)) {
      due = upkeep.due().get();
    }
    boolean foreign =
        !model.spec().auth().users().isEmpty() || !model.spec().certificates().issuer().ownCa();
    return update(registry, next, again(due, waiting, foreign));
  }

  /**
   * What the registry holds, counted anew when a list ran or garbage was collected since; in an
   * object store only a collection counts, which reads every manifest anyway.
   */
  private MirrorRegistryStatus.@Nullable Contents contents(
      MirrorRegistry registry,
      RegistryModel model,
      List<Pod> pods,
      UpkeepKeeper.Result upkeep,
      Context<MirrorRegistry> context) {
    MirrorRegistryStatus.Contents known =
        registry.getStatus() == null ? null : registry.getStatus().contents();
    if (model.spec().storage().s3() != null) {
      return upkeep.left() == null ? known : upkeep.left();
    }
    String newest =
        Stream.concat(
                context.getSecondaryResources(MirrorList.class).stream()
                    .map(list -> list.getStatus() == null ? null : list.getStatus().lastSyncTime()),
                Stream.of(
                    registry.getMetadata().getCreationTimestamp(),
                    upkeep.garbageCollection().lastRun()))
            .flatMap(Stream::ofNullable)
            .max(Comparator.comparing(Instant::parse))
            .orElse("");
    if (pods.isEmpty() || (known != null && newest.equals(known.asOf()))) {
      return known;
    }
    return probe
        .stored(address(pods.getFirst()) + ":5002")
        .map(
            stored ->
                new MirrorRegistryStatus.Contents(
                    stored.repositories(), stored.tags(), stored.bytes(), newest))
        .orElse(known);
  }

  /** Why the pods and their content are not as they should be; empty when they are. */
  private static Optional<String> unsettled(
      Deployment deployment, RegistryModel model, StorageJudgement storage) {
    if (storage.dataLost()) {
      return Optional.of("content is lost and has to come back first");
    }
    return RegistryStatus.rolledOut(deployment, model.spec().replicas())
        ? Optional.empty()
        : Optional.of("not every pod of the registry is ready and of the newest form");
  }

  private UpdateControl<MirrorRegistry> adopt(
      MirrorRegistry registry,
      RegistryModel model,
      MirrorRegistrySpec.External external,
      RegistryStatus status,
      Context<MirrorRegistry> context) {
    AdoptedRegistry adopted = AdoptedRegistry.read(model, external, context.getClient());
    apply(
        context,
        RegistryResources.configMap(
            model, model.names().trust(), Map.of("ca.crt", adopted.trust().toPem())));
    RegistryProbe.Outcome outcome = adopted.ping(probe);
    MirrorRegistryStatus before = registry.getStatus();
    // A survey writes, so it is not done again before the spec changes or somebody asks.
    boolean asked =
        before == null
            || !Objects.equals(before.observedGeneration(), registry.getMetadata().getGeneration())
            || !Objects.equals(before.lastHandledReconcileAt(), request(registry));
    MirrorRegistryStatus.Capabilities known = before == null ? null : before.capabilities();
    if (outcome instanceof RegistryProbe.Healthy && (known == null || asked)) {
      known = adopted.survey(probe);
    }
    return update(
        registry,
        status.adopted(model, external, adopted.trust(), outcome, known),
        outcome instanceof RegistryProbe.Healthy ? FOREIGN_CHANGE : LOOK_SOON.multipliedBy(5));
  }

  /** Whether an endpoint can be announced: every pod shows its name, and it answers. */
  private boolean serves(
      String authority,
      List<X509Certificate> served,
      int pods,
      CertificateKeeper.Result certificates) {
    SubjectNames host = SubjectNames.of(List.of(Endpoints.host(authority)));
    return pods > 0
        && served.size() == pods
        && served.stream().allMatch(leaf -> SubjectNames.of(leaf).cover(host))
        && probe.check(authority, certificates.trust()) instanceof RegistryProbe.Healthy;
  }

  private void ingress(RegistryModel model, Endpoints endpoints, Context<MirrorRegistry> context) {
    Optional<String> host = endpoints.ingressHost();
    if (host.isPresent()) {
      apply(context, RegistryResources.ingress(model, host.get()));
    } else {
      remove(context, RegistryResources.ingress(model, ""));
    }
  }

  private void claim(RegistryModel model, Context<MirrorRegistry> context) {
    MirrorRegistrySpec.Storage storage = model.spec().storage();
    if (!storage.onClaim() || storage.claim().existingClaim() != null) {
      return;
    }
    try {
      apply(context, RegistryResources.claim(model));
    } catch (KubernetesClientException e) {
      if (e.getCode() != HTTP_FORBIDDEN && e.getCode() != HTTP_UNPROCESSABLE) {
        throw e;
      }
      String why = e.getStatus() == null ? e.getMessage() : e.getStatus().getMessage();
      throw new InvalidSpecException(
          "spec.storage.persistentVolumeClaim", "the API server refuses the change: " + why);
    }
  }

  /** Until when a loss of content is settled: accepted, or filled up again by every list. */
  private static @Nullable Instant settled(
      RotationRequests requests, Context<MirrorRegistry> context) {
    Set<MirrorList> lists = context.getSecondaryResources(MirrorList.class);
    Instant filled =
        lists.stream()
            .map(
                list ->
                    list.getStatus() == null || list.getStatus().lastSuccessfulTime() == null
                        ? Instant.MIN
                        : Instant.parse(list.getStatus().lastSuccessfulTime()))
            .min(Instant::compareTo)
            .orElse(Instant.MIN);
    Instant accepted = requests.dataLoss();
    return accepted != null && accepted.isAfter(filled) ? accepted : filled;
  }

  private <R extends HasMetadata> void remove(Context<MirrorRegistry> context, R key) {
    cached(context, key)
        .filter(
            found ->
                found.getMetadata().getLabels() != null
                    && Labels.OPERATOR.equals(
                        found.getMetadata().getLabels().get(Labels.MANAGED_BY)))
        .ifPresent(new Applier(context)::delete);
  }

  /**
   * A registry goes when no node is told to pull from it, or when somebody insists. Until then it
   * is kept as if nobody had asked. Its content goes only if the spec says so, and everything else
   * is collected by Kubernetes, save what it cannot: pull Secrets in other namespaces.
   */
  @Override
  public DeleteControl cleanup(MirrorRegistry registry, Context<MirrorRegistry> context) {
    RegistryModel model = RegistryModel.of(registry, settings);
    List<String> users =
        context.getSecondaryResources(NodeRegistryConfig.class).stream()
            .map(config -> config.getMetadata().getName())
            .sorted()
            .toList();
    boolean forced = "true".equals(annotations(registry).get(Api.FORCE_DELETE));
    if (!users.isEmpty() && !forced) {
      String why =
          "NodeRegistryConfig "
              + String.join(", ", users)
              + " still points here: delete or redirect it first, or insist with the annotation "
              + Api.FORCE_DELETE
              + "=true";
      if (!told(registry.getStatus(), "DeletionBlocked")) {
        Events.warn(context.getClient(), registry, "DeletionBlocked", why, clock);
      }
      UpdateControl<MirrorRegistry> kept = reconcile(registry, context);
      MirrorRegistryStatus status =
          kept.getResource()
              .map(MirrorRegistry::getStatus)
              .orElse(RegistryStatus.comparable(registry.getStatus()));
      patchStatus(
          registry,
          new RegistryStatus(registry, request(registry), clock).deletionBlocked(status, why),
          context);
      return DeleteControl.noFinalizerRemoval()
          .rescheduleAfter(kept.getScheduleDelay().orElse(LOOK_AGAIN.toMillis()));
    }
    Applier applier = new Applier(context);
    new PullSecrets(model, context.getClient(), applier).remove();
    MirrorRegistrySpec.Storage storage = model.spec().storage();
    if (storage.onDelete() == MirrorRegistrySpec.OnDelete.Delete
        && model.spec().external() == null
        && storage.onClaim()
        && storage.claim().existingClaim() == null) {
      remove(context, RegistryResources.claim(model));
    }
    return DeleteControl.defaultDelete();
  }

  /** Whether a reason stands in the status already: its event was written before it. */
  private static boolean told(@Nullable MirrorRegistryStatus status, String reason) {
    return status != null && status.conditions().stream().anyMatch(c -> c.reason().equals(reason));
  }

  private static void patchStatus(
      MirrorRegistry registry, MirrorRegistryStatus status, Context<MirrorRegistry> context) {
    if (status.equals(RegistryStatus.comparable(registry.getStatus()))) {
      return;
    }
    MirrorRegistry patch = new MirrorRegistry();
    patch.setMetadata(
        new ObjectMetaBuilder()
            .withName(registry.getMetadata().getName())
            .withNamespace(registry.getMetadata().getNamespace())
            .build());
    patch.setStatus(status);
    context
        .getClient()
        .resource(patch)
        .subresource("status")
        .patch(
            new PatchContext.Builder()
                .withPatchType(PatchType.SERVER_SIDE_APPLY)
                .withFieldManager(context.getControllerConfiguration().fieldManager())
                .withForce(true)
                .build());
  }

  /** When to look again although nothing was announced. */
  private Duration again(Instant due, boolean waiting, boolean foreign) {
    if (waiting) {
      return LOOK_SOON;
    }
    Duration again = foreign ? FOREIGN_CHANGE : LOOK_AGAIN;
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
      return Optional.of(CertificateBundle.parse(ConfigMaps.text(trust, "ca.crt")));
    } catch (InvalidCertificateException e) {
      return Optional.empty();
    }
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

  private static Map<String, String> annotations(MirrorRegistry registry) {
    Map<String, String> annotations = registry.getMetadata().getAnnotations();
    return annotations == null ? Map.of() : annotations;
  }

  private static @Nullable String request(MirrorRegistry registry) {
    return annotations(registry).get(Api.RECONCILE_AT);
  }

  @Override
  public ErrorStatusUpdateControl<MirrorRegistry> updateErrorStatus(
      MirrorRegistry registry, Context<MirrorRegistry> context, Exception e) {
    if (!(e instanceof KubernetesClientException refused) || refused.getStatus() == null) {
      return ErrorStatusUpdateControl.noStatusUpdate();
    }
    MirrorRegistryStatus status =
        new RegistryStatus(registry, request(registry), clock)
            .refused(String.valueOf(refused.getStatus().getMessage()));
    if (status.equals(RegistryStatus.comparable(registry.getStatus()))) {
      return ErrorStatusUpdateControl.noStatusUpdate();
    }
    MirrorRegistry patch = new MirrorRegistry();
    patch.setMetadata(
        new ObjectMetaBuilder()
            .withName(registry.getMetadata().getName())
            .withNamespace(registry.getMetadata().getNamespace())
            .build());
    patch.setStatus(status);
    return ErrorStatusUpdateControl.patchStatus(patch);
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
