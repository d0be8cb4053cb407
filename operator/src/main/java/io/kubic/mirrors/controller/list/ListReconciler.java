package io.kubic.mirrors.controller.list;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.javaoperatorsdk.operator.api.config.informer.Informer;
import io.javaoperatorsdk.operator.api.config.informer.InformerEventSourceConfiguration;
import io.javaoperatorsdk.operator.api.reconciler.Context;
import io.javaoperatorsdk.operator.api.reconciler.ControllerConfiguration;
import io.javaoperatorsdk.operator.api.reconciler.ErrorStatusUpdateControl;
import io.javaoperatorsdk.operator.api.reconciler.EventSourceContext;
import io.javaoperatorsdk.operator.api.reconciler.Reconciler;
import io.javaoperatorsdk.operator.api.reconciler.UpdateControl;
import io.javaoperatorsdk.operator.processing.event.ResourceID;
import io.javaoperatorsdk.operator.processing.event.source.Cache;
import io.javaoperatorsdk.operator.processing.event.source.EventSource;
import io.javaoperatorsdk.operator.processing.event.source.informer.InformerEventSource;
import io.javaoperatorsdk.operator.processing.retry.GradualRetry;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.LocalRef;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.api.v1alpha1.MirrorListStatus;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistry;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus;
import io.kubic.mirrors.controller.support.Applier;
import io.kubic.mirrors.controller.support.Jobs;
import io.kubic.mirrors.controller.support.Labels;
import io.kubic.mirrors.controller.support.MirrorStores;
import io.kubic.mirrors.controller.support.PrimaryChange;
import io.kubic.mirrors.controller.support.RunningImages;
import io.kubic.mirrors.controller.support.Schedule;
import io.kubic.mirrors.controller.support.Settings;
import io.kubic.mirrors.controller.support.StatusPatch;
import io.kubic.mirrors.sync.Termination;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Keeps a list's images in its registry: makes a Job when a run is due, and puts into the status
 * what the Job told in its termination message.
 */
@ControllerConfiguration(
    name = "mirrorlist",
    generationAwareEventProcessing = false,
    informer = @Informer(onUpdateFilter = PrimaryChange.class))
@GradualRetry(
    maxAttempts = -1,
    initialInterval = 2000,
    intervalMultiplier = 2,
    maxInterval = 300_000)
public final class ListReconciler implements Reconciler<MirrorList> {
  /** How long to wait before asking a running Job for its plan again. */
  private static final Duration UNTIL_PLANNED = Duration.ofSeconds(10);

  /** How often a Job that copies is asked how far it is. */
  private static final Duration EACH_PROGRESS = Duration.ofSeconds(20);

  /** How long to wait before looking whether the upkeep of the registry has ended. */
  private static final Duration AFTER_UPKEEP = Duration.ofSeconds(5);

  /** How long to wait before asking a registry again that did not give a receipt. */
  private static final Duration UNTIL_RECEIPT = Duration.ofMinutes(1);

  /** How long to wait before looking again for a Secret that a source names. */
  private static final Duration UNTIL_SECRET = Duration.ofMinutes(1);

  /**
   * Answers of the API server that will not be others a moment later: a quota, a policy, a field.
   */
  private static final Set<Integer> REFUSALS = Set.of(400, 403, 413, 422);

  /** The label of the Jobs of a registry's upkeep. */
  private static final String UPKEEP = "mirror-upkeep";

  /** The label with which Kubernetes tells the pods of a Job. */
  private static final String JOB = "batch.kubernetes.io/job-name";

  private final Settings settings;
  private final Clock clock;
  private final ReceiptKeeper receipts;
  private final Map<ResourceID, Asked> asked = new ConcurrentHashMap<>();
  private volatile @Nullable Cache<MirrorList> lists;
  private @Nullable InformerEventSource<Job, MirrorList> jobs;
  private @Nullable InformerEventSource<Pod, MirrorList> pods;
  private @Nullable InformerEventSource<ConfigMap, MirrorList> configMaps;
  private @Nullable InformerEventSource<MirrorRegistry, MirrorList> registries;

  /**
   * @param stores opens the registries, to fetch what imports left there
   */
  public ListReconciler(Settings settings, MirrorStores stores, Clock clock) {
    this.settings = settings;
    this.receipts = new ReceiptKeeper(stores);
    this.clock = clock;
  }

  /** The lists as they stand; none before the caches are there. */
  public Stream<MirrorList> lists() {
    Cache<MirrorList> known = lists;
    return known == null ? Stream.empty() : known.list();
  }

  @Override
  public List<EventSource<?, MirrorList>> prepareEventSources(
      EventSourceContext<MirrorList> context) {
    lists = context.getPrimaryCache();
    String ours = Labels.SELECTOR + "," + Labels.NAME + "=" + ListResources.KIND;
    jobs =
        new InformerEventSource<>(
            InformerEventSourceConfiguration.from(Job.class, MirrorList.class)
                .withLabelSelector(ours)
                .build(),
            context);
    configMaps =
        new InformerEventSource<>(
            InformerEventSourceConfiguration.from(ConfigMap.class, MirrorList.class)
                .withLabelSelector(ours)
                .build(),
            context);
    pods =
        new InformerEventSource<>(
            InformerEventSourceConfiguration.from(Pod.class, MirrorList.class)
                .withLabelSelector(ours)
                .withSecondaryToPrimaryMapper(ListReconciler::listOf)
                .build(),
            context);
    registries =
        new InformerEventSource<>(
            InformerEventSourceConfiguration.from(MirrorRegistry.class, MirrorList.class)
                .withSecondaryToPrimaryMapper(
                    registry ->
                        context
                            .getPrimaryCache()
                            .list(registry.getMetadata().getNamespace())
                            .filter(list -> targets(list, registry.getMetadata().getName()))
                            .map(ResourceID::fromResource)
                            .collect(Collectors.toSet()))
                .withPrimaryToSecondaryMapper(
                    (MirrorList list) ->
                        registryRef(list)
                            .map(
                                name ->
                                    Set.of(new ResourceID(name, list.getMetadata().getNamespace())))
                            .orElse(Set.of()))
                .build(),
            context);
    return List.of(jobs, configMaps, pods, registries);
  }

  private static Set<ResourceID> listOf(Pod pod) {
    String name = pod.getMetadata().getLabels().get(Labels.INSTANCE);
    return name == null ? Set.of() : Set.of(new ResourceID(name, pod.getMetadata().getNamespace()));
  }

  @Override
  public UpdateControl<MirrorList> reconcile(MirrorList list, Context<MirrorList> context) {
    ListStatus status = new ListStatus(list, clock);
    Schedule schedule;
    try {
      if (list.getMetadata().getName().length() > ListModel.MAX_NAME) {
        throw new InvalidSpecException(
            "metadata.name", "is longer than " + ListModel.MAX_NAME + " characters; shorten it");
      }
      BundleJob.check(list.getSpec());
      schedule = schedule(list);
    } catch (InvalidSpecException e) {
      return update(list, status.invalid(e), Optional.empty());
    }
    String specHash = ListResources.specHash(list);
    String request = ListResources.request(list);
    SyncRuns runs = SyncRuns.of(context.getSecondaryResources(Job.class));
    Optional<Job> latest = runs.latest();
    Applier applier = new Applier(context);
    Instant now = clock.instant();
    if (latest.isPresent() && !SyncRuns.finished(latest.get())) {
      Job job = latest.get();
      List<Pod> pods = pods(context, job);
      if (SyncRuns.isOutdated(job, pods, list.getMetadata().getGeneration(), now)) {
        applier.delete(job);
      }
      JobLog log = new JobLog(context.getClient());
      List<Pod> newest = SyncRuns.newest(job, pods);
      boolean known = status.knowsPlanOf(job);
      Optional<Termination> planned = known ? Optional.empty() : log.plan(newest);
      return update(
          list,
          status.running(
              job,
              specHash.equals(SyncRuns.annotation(job, ListResources.SPEC_HASH))
                  && status.holds(specHash, lost(context, list)),
              planned,
              known ? progress(log, list, job, newest) : Optional.empty()),
          Optional.of(known ? EACH_PROGRESS : UNTIL_PLANNED));
    }
    asked.remove(ResourceID.fromResource(list));
    // How a run ended is told before anything else, once: the pods may be gone at the next look.
    Optional<Job> untold = latest.filter(job -> !status.tells(job));
    if (list.getSpec().suspend() && untold.isEmpty()) {
      return update(list, status.suspended(), Optional.empty());
    }
    if (!list.getSpec().suspend()) {
      runs.surplus(list.getSpec().historyLimit()).forEach(applier::delete);
    }
    Optional<Termination> result =
        untold.flatMap(job -> SyncRuns.result(job, livePods(context, job)));
    Optional<MirrorListStatus.Result> ended =
        untold.map(job -> ListStatus.ended(job, result)).or(status::told);
    Trigger.Last last = last(list, status, latest, ended);
    Optional<Trigger> trigger =
        list.getSpec().suspend()
            ? Optional.empty()
            : Trigger.next(last, specHash, request, schedule, lost(context, list));
    boolean due = trigger.isPresent() && !trigger.get().at().isAfter(now);
    if (untold.isPresent()) {
      Job job = untold.get();
      return update(
          list,
          status.finished(
              job,
              result,
              SyncRuns.finishedAt(job).orElse(now),
              SyncRuns.annotation(job, ListResources.SPEC_HASH),
              SyncRuns.annotation(job, ListResources.REQUEST),
              trigger.map(Trigger::at).filter(at -> at.isAfter(now))),
          Optional.of(Duration.ZERO));
    }
    if (!due) {
      return update(
          list,
          status.stands(trigger.map(Trigger::at)),
          latest.isEmpty() || receipt(list, latest.get(), context)
              ? trigger.map(t -> Duration.between(now, t.at()))
              : Optional.of(UNTIL_RECEIPT));
    }
    Optional<Target.Unresolved> secrets = SourceSecrets.missing(list, context.getClient());
    if (secrets.isPresent()) {
      return update(list, status.waiting(secrets.get()), Optional.of(UNTIL_SECRET));
    }
    Target.Resolution resolution =
        list.getSpec().exportTo() != null
            ? Target.none()
            : Target.resolve(registryRef(list).orElse(""), registry(context, list));
    return switch (resolution) {
      case Target.Unresolved why -> update(list, status.waiting(why), Optional.empty());
      case Target.Resolved(Target target) -> {
        Optional<String> upkeep = upkeep(context, list);
        if (upkeep.isPresent()) {
          yield update(
              list,
              status.held(
                  "RegistryUpkeep",
                  upkeep.get() + " of its registry runs or is about to; the sync begins after it",
                  status.holds(specHash, lost(context, list))),
              Optional.of(AFTER_UPKEEP));
        }
        ListModel model = ListModel.of(list, settings, target);
        ConfigMap wanted = ListResources.configMap(model);
        applier.apply(
            wanted, Objects.requireNonNull(configMaps).get(ResourceID.fromResource(wanted)));
        Job job =
            ShardedJob.of(
                ListResources.noted(
                    ListResources.job(
                        model, trigger.get(), specHash, request, recheck(context, list)),
                    last == null || last.successful() ? 0 : last.failures(),
                    list.getMetadata().getGeneration()),
                shards(list.getSpec()));
        if (InUse.isNeeded(list.getSpec())) {
          ConfigMap inUse = InUse.configMap(model, RunningImages.digests(context.getClient()));
          applier.apply(
              inUse, Objects.requireNonNull(configMaps).get(ResourceID.fromResource(inUse)));
          job = InUse.mounted(job, model);
        }
        Job wantedJob = job;
        Job made =
            applier.createOnce(
                Objects.requireNonNull(jobs).get(ResourceID.fromResource(wantedJob)),
                wantedJob,
                () -> wantedJob);
        yield update(
            list,
            status.running(made, status.holds(specHash, lost(context, list)), Optional.empty()),
            Optional.of(UNTIL_PLANNED));
      }
    };
  }

  @Override
  public ErrorStatusUpdateControl<MirrorList> updateErrorStatus(
      MirrorList list, Context<MirrorList> context, Exception e) {
    if (!(e instanceof KubernetesClientException refused)
        || refused.getStatus() == null
        || !REFUSALS.contains(refused.getCode())) {
      return ErrorStatusUpdateControl.noStatusUpdate();
    }
    ListStatus status = new ListStatus(list, clock);
    MirrorListStatus told =
        status.held(
            "ApiServerRefused",
            String.valueOf(refused.getStatus().getMessage()),
            status.holds(ListResources.specHash(list), lost(context, list)));
    if (told.equals(ListStatus.comparable(list.getStatus()))) {
      return ErrorStatusUpdateControl.noStatusUpdate();
    }
    return ErrorStatusUpdateControl.patchStatus(StatusPatch.of(list, MirrorList::new, told));
  }

  /** Whether the receipt of an import is where it should be. */
  private boolean receipt(MirrorList list, Job job, Context<MirrorList> context) {
    ResourceID map = new ResourceID(ReceiptConfigMap.name(list), list.getMetadata().getNamespace());
    return receipts.keep(
        list,
        job.getMetadata().getName(),
        SyncRuns.result(job, pods(context, job)),
        Target.resolve(registryRef(list).orElse(""), registry(context, list)),
        Objects.requireNonNull(configMaps).get(map),
        context.getClient(),
        new Applier(context));
  }

  private static Schedule schedule(MirrorList list) {
    MirrorListSpec spec = list.getSpec();
    String cron = spec.schedule();
    if (cron != null) {
      return Schedule.cron(cron, spec.timeZone(), "spec.schedule", "spec.timeZone");
    }
    String interval = spec.interval();
    return Schedule.every(
        interval == null ? (BundleJob.isOf(spec) ? "0s" : "24h") : interval,
        "spec.interval",
        list.getMetadata().getUid());
  }

  /**
   * What is known of the last run; from the newest Job, or from the status when Jobs are gone.
   *
   * @param ended how it ended
   */
  private static Trigger.@Nullable Last last(
      MirrorList list,
      ListStatus known,
      Optional<Job> latest,
      Optional<MirrorListStatus.Result> ended) {
    // A plan that waits is no failure: it is made again when it is due.
    boolean successful = !ended.equals(Optional.of(MirrorListStatus.Result.Failed));
    if (latest.isPresent()) {
      Job job = latest.get();
      Instant made = Instant.parse(job.getMetadata().getCreationTimestamp());
      return new Trigger.Last(
          made,
          SyncRuns.finishedAt(job).orElse(made),
          successful,
          Math.max(known.failures(), SyncRuns.failuresBefore(job) + 1),
          SyncRuns.annotation(job, ListResources.SPEC_HASH),
          SyncRuns.annotation(job, ListResources.REQUEST));
    }
    MirrorListStatus status = list.getStatus();
    if (status == null || status.lastSyncTime() == null || status.syncedHash() == null) {
      return null;
    }
    String handled = status.lastHandledReconcileAt();
    return new Trigger.Last(
        Instant.parse(status.lastSyncTime()),
        Instant.parse(status.lastSyncTime()),
        successful,
        Math.max(1, known.failures()),
        status.syncedHash(),
        handled == null ? "" : handled);
  }

  /** How far a Job is; asked for now and then, so that the status is not written all the time. */
  private Optional<MirrorListStatus.Progress> progress(
      JobLog log, MirrorList list, Job job, List<Pod> pods) {
    Instant now = clock.instant();
    Asked last = asked.get(ResourceID.fromResource(list));
    if (last != null
        && last.job().equals(job.getMetadata().getName())
        && now.isBefore(last.at().plus(EACH_PROGRESS))) {
      return Optional.empty();
    }
    asked.put(ResourceID.fromResource(list), new Asked(job.getMetadata().getName(), now));
    return log.progress(pods);
  }

  /** When the progress of a Job was last asked for. */
  private record Asked(String job, Instant at) {}

  /** An approval is of one plan, which one pod makes. */
  private static int shards(MirrorListSpec spec) {
    return spec.approval() == MirrorListSpec.Approval.Manual ? 1 : spec.concurrency().shards();
  }

  private static List<Pod> pods(Context<MirrorList> context, Job job) {
    return context
        .getSecondaryResourcesAsStream(Pod.class)
        .filter(pod -> job.getMetadata().getName().equals(pod.getMetadata().getLabels().get(JOB)))
        .toList();
  }

  /** The same as the server has them now: the cache may not know yet how they ended. */
  private static List<Pod> livePods(Context<MirrorList> context, Job job) {
    return context
        .getClient()
        .pods()
        .inNamespace(job.getMetadata().getNamespace())
        .withLabel(JOB, job.getMetadata().getName())
        .list()
        .getItems();
  }

  /** When the target was last found to have lost content: an empty volume, or corrupt blobs. */
  private @Nullable Instant lost(Context<MirrorList> context, MirrorList list) {
    return registry(context, list)
        .map(MirrorRegistry::getStatus)
        .flatMap(
            status ->
                Stream.of(
                        Optional.ofNullable(status.storage())
                            .map(MirrorRegistryStatus.Storage::lostAt),
                        Optional.ofNullable(status.scrub())
                            .map(MirrorRegistryStatus.Scrub::corruptAt))
                    .flatMap(Optional::stream)
                    .map(Instant::parse)
                    .max(Instant::compareTo))
        .orElse(null);
  }

  /** Whether what is in the target must be looked at blob by blob: since corrupt ones went. */
  private boolean recheck(Context<MirrorList> context, MirrorList list) {
    String good = list.getStatus() == null ? null : list.getStatus().lastSuccessfulTime();
    return registry(context, list)
        .map(MirrorRegistry::getStatus)
        .map(MirrorRegistryStatus::scrub)
        .map(MirrorRegistryStatus.Scrub::corruptAt)
        .map(Instant::parse)
        .filter(at -> good == null || Instant.parse(good).isBefore(at))
        .isPresent();
  }

  /** The Job that keeps the target in order now, or waits to: no sync begins beside it. */
  private static Optional<String> upkeep(Context<MirrorList> context, MirrorList list) {
    return registryRef(list)
        .flatMap(
            registry ->
                Jobs.of(context.getClient(), list.getMetadata().getNamespace(), UPKEEP, registry)
                    .stream()
                    .filter(job -> !Jobs.finished(job))
                    .map(job -> "Job " + job.getMetadata().getName())
                    .findFirst());
  }

  private Optional<MirrorRegistry> registry(Context<MirrorList> context, MirrorList list) {
    return registryRef(list)
        .flatMap(
            name ->
                Objects.requireNonNull(registries)
                    .get(new ResourceID(name, list.getMetadata().getNamespace())));
  }

  private static Optional<String> registryRef(MirrorList list) {
    return Optional.ofNullable(list.getSpec().registryRef()).map(LocalRef::name);
  }

  private static boolean targets(MirrorList list, String registry) {
    return registryRef(list).filter(registry::equals).isPresent();
  }

  /** Writes the status if it differs, and comes back when the next run is due. */
  private static UpdateControl<MirrorList> update(
      MirrorList list, MirrorListStatus status, Optional<Duration> again) {
    return StatusPatch.of(
        list,
        MirrorList::new,
        status,
        ListStatus.comparable(list.getStatus()),
        again
            .map(d -> d.isNegative() ? Duration.ZERO : d.plusSeconds(1))
            .orElse(Duration.ofMinutes(10)));
  }
}
