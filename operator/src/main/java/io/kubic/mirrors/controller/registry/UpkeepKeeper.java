package io.kubic.mirrors.controller.registry;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ContainerStateTerminated;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistry;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistrySpec;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus.UpkeepResult;
import io.kubic.mirrors.controller.support.Applier;
import io.kubic.mirrors.controller.support.ConfigMaps;
import io.kubic.mirrors.controller.support.Jobs;
import io.kubic.mirrors.controller.support.Labels;
import io.kubic.mirrors.controller.support.RunningImages;
import io.kubic.mirrors.controller.support.Schedule;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Carries out what {@link UpkeepPlan} decides, and reads what became of it. */
final class UpkeepKeeper {
  private static final Logger LOG = LoggerFactory.getLogger(UpkeepKeeper.class);
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int KEPT = 2;
  private static final int REFUSED = 3;
  private static final String ADMIN_PORT = ":5002";

  private final RegistryModel model;
  private final KubernetesClient client;
  private final Applier applier;
  private final Function<ConfigMap, Optional<ConfigMap>> cached;
  private final Clock clock;
  private final List<Job> jobs;

  /**
   * @param cached a ConfigMap as an informer has it
   */
  UpkeepKeeper(
      RegistryModel model,
      KubernetesClient client,
      Applier applier,
      Function<ConfigMap, Optional<ConfigMap>> cached,
      Clock clock) {
    this.model = model;
    this.client = client;
    this.applier = applier;
    this.cached = cached;
    this.clock = clock;
    // Asked for, not out of a cache: two runs at once would be one too many.
    this.jobs = Jobs.of(client, model.names().namespace(), UpkeepJob.KIND, model.names().name());
  }

  /**
   * What is seen of the registry.
   *
   * @param unsettled why its pods are not all ready and of the newest form
   * @param authority {@code host:port} that is announced
   * @param pods all of its pods
   */
  record Situation(
      MirrorRegistry registry,
      RotationRequests requests,
      Optional<String> unsettled,
      Optional<String> authority,
      List<Pod> pods,
      List<RegistryProbe.PodState> states,
      Collection<MirrorList> lists) {}

  /**
   * What is told.
   *
   * @param left what a collection that ended since counted; null: none did
   * @param frozen whether a gateway holds writes back
   * @param waiting for what a run that is due waits; null: none does
   * @param busy whether to look again soon
   */
  record Result(
      MirrorRegistryStatus.GarbageCollection garbageCollection,
      MirrorRegistryStatus.@Nullable Scrub scrub,
      MirrorRegistryStatus.@Nullable Contents left,
      boolean frozen,
      @Nullable UpkeepTask task,
      @Nullable String waiting,
      boolean busy,
      Optional<Instant> due) {}

  /** Whether a Job was let run and has not ended: the registry's pods must stay as they are. */
  boolean running() {
    return unfinished().filter(UpkeepPlan.Run::released).isPresent();
  }

  private Optional<UpkeepPlan.Run> unfinished() {
    return jobs.stream()
        .filter(job -> !Jobs.finished(job))
        .flatMap(
            job ->
                task(job).stream()
                    .map(
                        task ->
                            new UpkeepPlan.Run(
                                task,
                                job.getMetadata().getName(),
                                !Boolean.TRUE.equals(job.getSpec().getSuspend()))))
        // One that runs comes first.
        .max(Comparator.comparing(UpkeepPlan.Run::released).thenComparing(UpkeepPlan.Run::job));
  }

  /**
   * Takes the next step.
   *
   * @throws io.kubic.mirrors.api.v1alpha1.InvalidSpecException when a schedule is none
   */
  Result keep(Situation seen) {
    MirrorRegistryStatus before = seen.registry().getStatus();
    Collected newest = collected(before == null ? null : before.garbageCollection());
    MirrorRegistryStatus.GarbageCollection collected = newest.status();
    MirrorRegistryStatus.Scrub scrubbed = scrubbed(before == null ? null : before.scrub());
    List<UpkeepPlan.Wish> wishes = wishes(seen.requests(), collected, scrubbed);
    Instant made = Instant.parse(seen.registry().getMetadata().getCreationTimestamp());
    Optional<UpkeepPlan.Run> unfinished = unfinished();
    Optional<String> unsettled =
        seen.unsettled().isPresent() || seen.authority().isPresent()
            ? seen.unsettled()
            : Optional.of("no endpoint is announced yet");
    UpkeepPlan.Step step =
        UpkeepPlan.next(
            new UpkeepPlan.Seen(
                made,
                clock.instant(),
                wishes,
                unfinished,
                unsettled,
                unfinished.isPresent() ? syncs(seen.lists()) : List.of(),
                gateways(seen.pods()),
                unfinished.isPresent() ? told() : Set.of()));
    String waiting = take(step, seen);
    tidy(before);
    UpkeepTask task = task(step);
    return new Result(
        new MirrorRegistryStatus.GarbageCollection(
            collected.lastRun(),
            collected.lastResult(),
            collected.message(),
            collected.freedBytes(),
            collected.estimatedBytes(),
            due(wishes, UpkeepTask.GC, made)),
        scrubbed == null && model.spec().scrub() == null
            ? null
            : scrub(scrubbed, due(wishes, UpkeepTask.SCRUB, made)),
        newest.left(),
        seen.states().stream().anyMatch(RegistryProbe.PodState::frozen),
        task,
        waiting,
        !(step instanceof UpkeepPlan.Rest),
        step instanceof UpkeepPlan.Rest(Optional<Instant> due) ? due : Optional.empty());
  }

  /** Does it; what a run waits for then, or null. */
  private @Nullable String take(UpkeepPlan.Step step, Situation seen) {
    return switch (step) {
      case UpkeepPlan.Rest _, UpkeepPlan.Watch _ -> null;
      case UpkeepPlan.Hold(UpkeepTask _, String why) -> why;
      case UpkeepPlan.Wait(UpkeepTask _, String why) -> why;
      case UpkeepPlan.Queue(UpkeepTask task, String key) -> {
        Job job = UpkeepJob.of(model, task, key, seen.authority().orElseThrow());
        var _ = applier.createOnce(Optional.empty(), job, () -> job);
        yield "it begins";
      }
      case UpkeepPlan.Release(UpkeepPlan.Run run) -> release(run, seen);
      case UpkeepPlan.Abort(UpkeepPlan.Run run, String why) -> {
        LOG.warn("{} is ended and begun anew: {}", run.job(), why);
        jobs.stream()
            .filter(job -> job.getMetadata().getName().equals(run.job()))
            .forEach(applier::delete);
        yield why;
      }
    };
  }

  private @Nullable String release(UpkeepPlan.Run run, Situation seen) {
    if (seen.states().size() < seen.pods().size()) {
      return "not every gateway answers";
    }
    if (!pods(Map.of()).isEmpty()) {
      return "the pod of an earlier run ends";
    }
    Optional<String> inUse =
        run.task() == UpkeepTask.GC
            ? RunningImages.lines(RunningImages.digests(client))
            : Optional.of("");
    if (inUse.isEmpty()) {
      return "what pods run cannot be seen: the operator needs to list the pods of all namespaces,"
          + " and they must be fewer than 13,000 images";
    }
    String gateways =
        gateways(seen.pods()).stream()
            .map(gateway -> "http://" + gateway + "\n")
            .collect(Collectors.joining());
    ConfigMap files =
        RegistryResources.configMap(
            model, model.names().upkeep(), UpkeepJob.files(gateways, inUse.get()));
    var _ = applier.apply(files, cached.apply(files));
    LOG.info("letting {} run", run.job());
    client
        .batch()
        .v1()
        .jobs()
        .inNamespace(model.names().namespace())
        .withName(run.job())
        .patch(PatchContext.of(PatchType.JSON_MERGE), "{\"spec\": {\"suspend\": false}}");
    return null;
  }

  private List<UpkeepPlan.Wish> wishes(
      RotationRequests requests,
      MirrorRegistryStatus.GarbageCollection collected,
      MirrorRegistryStatus.@Nullable Scrub scrubbed) {
    MirrorRegistrySpec.GarbageCollection wanted = model.spec().garbageCollection();
    Schedule collections =
        Schedule.cron(
            wanted.schedule(),
            wanted.timeZone(),
            "spec.garbageCollection.schedule",
            "spec.garbageCollection.timeZone");
    MirrorRegistrySpec.Scrub scrub = model.spec().scrub();
    Schedule scrubs =
        scrub == null
            ? null
            : Schedule.cron(
                scrub.schedule(), scrub.timeZone(), "spec.scrub.schedule", "spec.scrub.timeZone");
    if (!model.contentCanBeShared()) {
      return List.of();
    }
    List<UpkeepPlan.Wish> wishes = new ArrayList<>();
    wishes.add(
        new UpkeepPlan.Wish(
            UpkeepTask.GC,
            wanted.suspend() ? null : collections,
            requests.garbage(),
            time(collected.lastRun()),
            collected.lastResult() == UpkeepResult.Failed));
    if (model.spec().storage().s3() == null) {
      wishes.add(
          new UpkeepPlan.Wish(
              UpkeepTask.SCRUB,
              scrubs,
              requests.scrub(),
              scrubbed == null ? null : time(scrubbed.lastRun()),
              scrubbed != null && scrubbed.lastResult() == UpkeepResult.Failed));
    }
    return wishes;
  }

  private static @Nullable String due(List<UpkeepPlan.Wish> wishes, UpkeepTask task, Instant made) {
    return wishes.stream()
        .filter(wish -> wish.task() == task)
        .flatMap(wish -> wish.due(made).stream())
        .map(Instant::toString)
        .findFirst()
        .orElse(null);
  }

  private static @Nullable Instant time(@Nullable String text) {
    return text == null ? null : Instant.parse(text);
  }

  /** Lists of this registry with a Job that has not ended. */
  private List<String> syncs(Collection<MirrorList> lists) {
    Set<String> elsewhere =
        lists.stream()
            .filter(
                list ->
                    list.getSpec().registryRef() == null
                        || !list.getSpec().registryRef().name().equals(model.names().name()))
            .map(list -> list.getMetadata().getName())
            .collect(Collectors.toSet());
    return Jobs.of(client, model.names().namespace(), "mirror-list", null).stream()
        .filter(job -> !Jobs.finished(job))
        .map(job -> job.getMetadata().getLabels().getOrDefault(Labels.INSTANCE, ""))
        .filter(list -> !elsewhere.contains(list))
        .distinct()
        .sorted()
        .toList();
  }

  private static Set<String> gateways(List<Pod> pods) {
    return pods.stream()
        .filter(UpkeepKeeper::lives)
        .filter(pod -> pod.getStatus().getPodIP() != null)
        .map(pod -> address(pod.getStatus().getPodIP()) + ADMIN_PORT)
        .collect(Collectors.toCollection(TreeSet::new));
  }

  private static boolean lives(Pod pod) {
    return pod.getStatus() != null
        && !"Succeeded".equals(pod.getStatus().getPhase())
        && !"Failed".equals(pod.getStatus().getPhase());
  }

  private static String address(String ip) {
    return ip.indexOf(':') >= 0 ? "[" + ip + "]" : ip;
  }

  /** The gateways that the running Job was told of. */
  private Set<String> told() {
    ConfigMap files =
        client
            .configMaps()
            .inNamespace(model.names().namespace())
            .withName(model.names().upkeep())
            .get();
    return ConfigMaps.text(files, UpkeepJob.GATEWAYS)
        .lines()
        .map(line -> line.substring(line.indexOf("://") + 3))
        .collect(Collectors.toSet());
  }

  private List<Pod> pods(Map<String, String> further) {
    return client
        .pods()
        .inNamespace(model.names().namespace())
        .withLabels(Labels.selector(UpkeepJob.KIND, model.names().name()))
        .withLabels(further)
        .list()
        .getItems()
        .stream()
        .filter(pod -> !further.isEmpty() || lives(pod))
        .toList();
  }

  // --- what became of a run ---

  private static Optional<UpkeepTask> task(Job job) {
    return UpkeepTask.of(job.getMetadata().getLabels().getOrDefault(Labels.COMPONENT, ""));
  }

  private static @Nullable UpkeepTask task(UpkeepPlan.Step step) {
    return switch (step) {
      case UpkeepPlan.Rest _ -> null;
      case UpkeepPlan.Hold(UpkeepTask task, String _) -> task;
      case UpkeepPlan.Queue(UpkeepTask task, String _) -> task;
      case UpkeepPlan.Wait(UpkeepTask task, String _) -> task;
      case UpkeepPlan.Release(UpkeepPlan.Run run) -> run.task();
      case UpkeepPlan.Watch(UpkeepPlan.Run run) -> run.task();
      case UpkeepPlan.Abort(UpkeepPlan.Run run, String _) -> run.task();
    };
  }

  /** The newest run that ended and is not in the status yet. */
  private Optional<Job> ended(UpkeepTask task, @Nullable String lastRun) {
    return jobs.stream()
        .filter(job -> task(job).filter(task::equals).isPresent())
        .filter(job -> Jobs.finishedAt(job).isPresent())
        .filter(
            job ->
                lastRun == null
                    || Jobs.finishedAt(job).orElseThrow().isAfter(Instant.parse(lastRun)))
        .max(Comparator.comparing(job -> Jobs.finishedAt(job).orElseThrow()));
  }

  /**
   * What the Job's pod wrote when it ended.
   *
   * @param report JSON; missing when it told nothing
   */
  private record Told(UpkeepResult result, String message, JsonNode report) {}

  private Told told(Job job) {
    Optional<ContainerStateTerminated> end =
        pods(Map.of("batch.kubernetes.io/job-name", job.getMetadata().getName())).stream()
            .filter(pod -> pod.getStatus() != null)
            .flatMap(pod -> pod.getStatus().getContainerStatuses().stream())
            .filter(container -> container.getName().equals(UpkeepJob.CONTAINER))
            .map(container -> container.getState().getTerminated())
            .filter(Objects::nonNull)
            .findFirst();
    JsonNode report =
        end.map(ContainerStateTerminated::getMessage)
            .map(UpkeepKeeper::parse)
            .orElse(MissingNode.getInstance());
    if (Jobs.succeeded(job) && report.isObject()) {
      return new Told(
          report.path("dryRun").asBoolean() ? UpkeepResult.Estimated : UpkeepResult.Succeeded,
          "",
          report);
    }
    String why =
        report.has("error")
            ? report.path("error").asText()
            : Jobs.succeeded(job)
                ? "the run told nothing"
                : Jobs.failure(job).orElse("the pod was lost");
    boolean refused =
        end.map(ContainerStateTerminated::getExitCode).filter(code -> code == REFUSED).isPresent();
    return new Told(refused ? UpkeepResult.Refused : UpkeepResult.Failed, why, report);
  }

  private static JsonNode parse(String text) {
    try {
      return JSON.readTree(text);
    } catch (JsonProcessingException e) {
      return MissingNode.getInstance();
    }
  }

  /**
   * The last collection.
   *
   * @param left what it counted, if it is not in the status yet
   */
  private record Collected(
      MirrorRegistryStatus.GarbageCollection status,
      MirrorRegistryStatus.@Nullable Contents left) {}

  private Collected collected(MirrorRegistryStatus.@Nullable GarbageCollection before) {
    MirrorRegistryStatus.GarbageCollection old =
        before == null
            ? new MirrorRegistryStatus.GarbageCollection(null, null, null, null, null, null)
            : before;
    Optional<Job> ended = ended(UpkeepTask.GC, old.lastRun());
    if (ended.isEmpty()) {
      return new Collected(old, null);
    }
    Told told = told(ended.get());
    JsonNode report = told.report();
    long bytes = report.path("freedBytes").asLong();
    String end = Jobs.finishedAt(ended.get()).orElseThrow().toString();
    JsonNode left = report.path("left");
    return new Collected(
        new MirrorRegistryStatus.GarbageCollection(
            end,
            told.result(),
            switch (told.result()) {
              case Succeeded ->
                  "%d of %d manifests deleted, %d blobs swept"
                      .formatted(
                          report.path("deleted").asInt(),
                          report.path("manifests").asInt(),
                          report.path("sweptBlobs").asInt());
              case Estimated ->
                  "%d of %d manifests are needed by nothing, %d of them too young to go"
                      .formatted(
                          report.path("unneeded").asInt(),
                          report.path("manifests").asInt(),
                          report.path("young").asInt());
              case Refused, Failed -> told.message();
            },
            told.result() == UpkeepResult.Succeeded ? (Long) bytes : old.freedBytes(),
            told.result() == UpkeepResult.Estimated ? (Long) bytes : null,
            null),
        left.isObject()
            ? new MirrorRegistryStatus.Contents(
                left.path("repositories").asLong(),
                left.path("tags").asLong(),
                left.path("bytes").asLong(),
                end)
            : null);
  }

  private MirrorRegistryStatus.@Nullable Scrub scrubbed(MirrorRegistryStatus.@Nullable Scrub old) {
    Optional<Job> ended = ended(UpkeepTask.SCRUB, old == null ? null : old.lastRun());
    if (ended.isEmpty()) {
      return old;
    }
    Told told = told(ended.get());
    JsonNode report = told.report();
    String end = Jobs.finishedAt(ended.get()).orElseThrow().toString();
    if (told.result() != UpkeepResult.Succeeded) {
      return new MirrorRegistryStatus.Scrub(
          end,
          told.result(),
          told.message(),
          old == null ? null : old.blobs(),
          old == null ? null : old.bytes(),
          old == null ? null : old.corrupt(),
          old == null ? null : old.corruptAt(),
          null);
    }
    long corrupt = report.path("corrupt").asLong();
    return new MirrorRegistryStatus.Scrub(
        end,
        told.result(),
        corrupt == 0
            ? "all content is what its digests say"
            : corrupt + " blobs were not what their digests say, and were set aside",
        report.path("blobs").asLong(),
        report.path("bytes").asLong(),
        corrupt,
        corrupt > 0 ? end : old == null ? null : old.corruptAt(),
        null);
  }

  private static MirrorRegistryStatus.Scrub scrub(
      MirrorRegistryStatus.@Nullable Scrub done, @Nullable String next) {
    return done == null
        ? new MirrorRegistryStatus.Scrub(null, null, null, null, null, null, null, next)
        : new MirrorRegistryStatus.Scrub(
            done.lastRun(),
            done.lastResult(),
            done.message(),
            done.blobs(),
            done.bytes(),
            done.corrupt(),
            done.corruptAt(),
            next);
  }

  /** Runs whose end stands in the status go, but for the last ones. */
  private void tidy(@Nullable MirrorRegistryStatus before) {
    for (UpkeepTask task : UpkeepTask.values()) {
      String last =
          before == null
              ? null
              : switch (task) {
                case GC ->
                    before.garbageCollection() == null
                        ? null
                        : before.garbageCollection().lastRun();
                case SCRUB -> before.scrub() == null ? null : before.scrub().lastRun();
              };
      if (last == null) {
        continue;
      }
      jobs.stream()
          .filter(job -> task(job).filter(task::equals).isPresent())
          .filter(job -> Jobs.finishedAt(job).isPresent())
          .filter(job -> !Jobs.finishedAt(job).orElseThrow().isAfter(Instant.parse(last)))
          .sorted(Comparator.comparing((Job job) -> Jobs.finishedAt(job).orElseThrow()).reversed())
          .skip(KEPT)
          .forEach(applier::delete);
    }
  }
}
