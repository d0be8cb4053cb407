package io.kubic.mirrors.controller.list;

import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.kubic.mirrors.api.v1alpha1.Api;
import io.kubic.mirrors.api.v1alpha1.Condition;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListStatus;
import io.kubic.mirrors.controller.support.ByteSize;
import io.kubic.mirrors.controller.support.Conditions;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.sync.Termination;
import java.time.Clock;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Computes the status of a list; pure but for the clock. */
final class ListStatus {
  static final String SYNCED = "Synced";
  static final String DISCOVERY_COMPLETE = "DiscoveryComplete";
  static final String AWAITING_APPROVAL = "AwaitingApproval";

  /** Why a list is not synced whose run only planned. */
  private static final String DRY_RUN = "DryRun";

  static final String DRIFTED = "Drifted";
  static final String RATE_LIMITED = Reason.RateLimited.name();
  static final String TARGET_FULL = Reason.TargetFull.name();
  private static final Set<String> TYPES =
      Set.of(
          Conditions.READY,
          Conditions.RECONCILING,
          Conditions.STALLED,
          SYNCED,
          DISCOVERY_COMPLETE,
          AWAITING_APPROVAL,
          DRIFTED,
          RATE_LIMITED,
          TARGET_FULL);

  private final MirrorListStatus old;
  private final long generation;
  private final int keep;
  private final Conditions conditions;

  ListStatus(MirrorList list, Clock clock) {
    old = list.getStatus() == null ? empty() : list.getStatus();
    generation = list.getMetadata().getGeneration();
    keep = list.getSpec().historyLimit();
    conditions = new Conditions(old.conditions(), generation, clock);
  }

  static MirrorListStatus empty() {
    return new MirrorListStatus(
        null, null, List.of(), null, null, null, null, null, List.of(), List.of(), null, null, null,
        null, null, null, List.of(), List.of(), null, null);
  }

  /** What stands in the status now, without the conditions of others. */
  static MirrorListStatus comparable(@Nullable MirrorListStatus status) {
    MirrorListStatus s = status == null ? empty() : status;
    return new MirrorListStatus(
        s.observedGeneration(),
        s.lastHandledReconcileAt(),
        Conditions.only(s.conditions(), TYPES),
        s.images(),
        s.size(),
        s.plan(),
        s.progress(),
        s.summary(),
        s.failures(),
        s.sources(),
        s.lastSyncTime(),
        s.lastSuccessfulTime(),
        s.nextSyncTime(),
        s.job(),
        s.reportRef(),
        s.lockRef(),
        s.shards(),
        s.history(),
        s.syncedHash(),
        s.bundle());
  }

  MirrorListStatus invalid(InvalidSpecException e) {
    carry();
    conditions.stalled("InvalidSpec", String.valueOf(e.getMessage()));
    return with(idle(), old.nextSyncTime());
  }

  MirrorListStatus suspended() {
    carry();
    conditions.stalled("Suspended", "spec.suspend is true: no new runs; set it to false");
    return with(idle(), null);
  }

  /** The target or a source cannot be used yet; what was synced stays synced. */
  MirrorListStatus waiting(Target.Unresolved why) {
    carry();
    conditions.progressing(why.reason(), why.message());
    return with(idle(), null);
  }

  /**
   * No run is under way or due: what was told of the last one stands, also when its pods and its
   * Job are gone.
   *
   * @param next when the next run is due
   */
  MirrorListStatus stands(Optional<Instant> next) {
    carry();
    conclude();
    return with(idle(), next.map(Instant::toString).orElse(null));
  }

  /** Whether the status tells already how this Job ended. */
  boolean tells(Job job) {
    return SyncRuns.finishedAt(job).filter(at -> tells(job, at)).isPresent();
  }

  private boolean tells(Job job, Instant at) {
    String name = job.getMetadata().getName();
    return old.history().stream()
            .anyMatch(run -> run.job().equals(name) && at.toString().equals(run.time()))
        || name.equals(old.job()) && at.toString().equals(old.lastSyncTime());
  }

  /** How the last run ended, as it was told; empty when none was. */
  Optional<MirrorListStatus.Result> told() {
    if (!old.history().isEmpty()) {
      return Optional.ofNullable(old.history().getFirst().result());
    }
    return Optional.ofNullable(old.lastSyncTime())
        .map(
            at ->
                at.equals(old.lastSuccessfulTime())
                    ? MirrorListStatus.Result.Succeeded
                    : MirrorListStatus.Result.Failed);
  }

  /** How many runs in a row failed, the newest among them, as far as the history goes. */
  int failures() {
    return (int)
        old.history().stream()
            .takeWhile(run -> run.result() == MirrorListStatus.Result.Failed)
            .count();
  }

  /**
   * Whether the last run copied all of what is asked for now.
   *
   * @param lost when the target was found to have lost content; null: never
   */
  boolean holds(String specHash, @Nullable Instant lost) {
    String good = old.lastSuccessfulTime();
    return specHash.equals(old.syncedHash())
        && conditions.was(SYNCED)
        && !conditions.was(AWAITING_APPROVAL)
        && (lost == null || good != null && !Instant.parse(good).isBefore(lost));
  }

  /** How a Job ended that ended. */
  static MirrorListStatus.Result ended(Job job, Optional<Termination> result) {
    if (result.map(Termination::isAwaitingApproval).orElse(false)) {
      return MirrorListStatus.Result.AwaitingApproval;
    }
    return SyncRuns.succeeded(job) && result.map(Termination::successful).orElse(true)
        ? MirrorListStatus.Result.Succeeded
        : MirrorListStatus.Result.Failed;
  }

  /**
   * A run is due and does not begin; what was said of the last one stands, if it was of the same.
   *
   * @param copied whether what is asked for was copied
   */
  MirrorListStatus held(String reason, String why, boolean copied) {
    carry();
    if (copied) {
      conclude();
      conditions.set(Conditions.RECONCILING, true, reason, why);
    } else {
      conditions.progressing(reason, why);
    }
    return with(idle(), null);
  }

  /** Whether the plan in the status is that of this Job, which still runs. */
  boolean knowsPlanOf(Job job) {
    return job.getMetadata().getName().equals(old.job()) && old.plan() != null && planned(old);
  }

  /** A running Job's plan is marked by the images that it will have done. */
  private static boolean planned(MirrorListStatus status) {
    return status.conditions().stream()
        .anyMatch(c -> c.type().equals(Conditions.RECONCILING) && c.reason().equals("Copying"));
  }

  /**
   * A Job runs. A run that only repeats a good one leaves Ready as it is.
   *
   * @param told what it said it will do; empty when that is not known yet, or known already
   */
  MirrorListStatus running(Job job, boolean sameSpec, Optional<Termination> told) {
    return running(job, sameSpec, told, Optional.empty());
  }

  /**
   * @param progress how far it said it is; empty when it was not asked
   */
  MirrorListStatus running(
      Job job,
      boolean sameSpec,
      Optional<Termination> told,
      Optional<MirrorListStatus.Progress> progress) {
    carry();
    boolean planned = told.isPresent() || knowsPlanOf(job);
    String reason = planned ? "Copying" : "Syncing";
    String message =
        "Job " + job.getMetadata().getName() + (planned ? " is copying its plan" : " is planning");
    if (sameSpec && conditions.was(SYNCED)) {
      conditions.ready("Synced", "the last run copied everything; the next is under way");
      conditions.set(Conditions.RECONCILING, true, reason, message);
    } else {
      conditions.progressing(reason, message);
    }
    return with(
        new MirrorListStatus(
            old.observedGeneration(),
            old.lastHandledReconcileAt(),
            old.conditions(),
            old.images(),
            old.size(),
            told.map(RunRecord::plan).orElse(old.plan()),
            progress.orElse(job.getMetadata().getName().equals(old.job()) ? old.progress() : null),
            old.summary(),
            old.failures(),
            old.sources(),
            old.lastSyncTime(),
            old.lastSuccessfulTime(),
            old.nextSyncTime(),
            job.getMetadata().getName(),
            old.reportRef(),
            old.lockRef(),
            old.shards(),
            old.history(),
            old.syncedHash(),
            old.bundle()),
        null);
  }

  /**
   * A Job ended.
   *
   * @param result what it told; empty when its pod is gone before we could read it
   * @param next when the next run is due
   */
  MirrorListStatus finished(
      Job job,
      Optional<Termination> result,
      Instant at,
      String specHash,
      String request,
      Optional<Instant> next) {
    if (result.isEmpty() && tells(job, at)) {
      // The pod went after we had read it: what was read stands.
      return stands(next);
    }
    String name = job.getMetadata().getName();
    MirrorListStatus.Result ended = ended(job, result);
    boolean successful = ended == MirrorListStatus.Result.Succeeded;
    boolean waits = ended == MirrorListStatus.Result.AwaitingApproval;
    boolean dry = SyncRuns.isDry(job);
    String message = result.map(ListStatus::tell).orElse("");
    if (waits) {
      conditions.set(
          AWAITING_APPROVAL,
          true,
          AWAITING_APPROVAL,
          message + "; approve it: kubectl mirror approve, or the annotation " + Api.APPROVE);
      repeat(SYNCED);
    } else {
      conditions.set(AWAITING_APPROVAL, false, "NotWaiting", "no plan waits for approval");
      if (successful && dry) {
        conditions.set(
            SYNCED, false, DRY_RUN, "nothing was copied, since spec.dryRun is true: " + message);
      } else if (successful) {
        conditions.set(
            SYNCED, true, "Synced", message.isEmpty() ? "everything is in the mirror" : message);
      } else {
        if (message.isEmpty()) {
          message =
              "Job "
                  + name
                  + " failed and left no report: "
                  + SyncRuns.failure(job).orElse("unknown cause")
                  + "; see its pod's log";
        }
        String reason = result.map(Termination::leadingReason).orElse("Internal");
        conditions.set(SYNCED, false, reason, message);
      }
    }
    conclude();
    result.ifPresent(
        r ->
            conditions.set(
                DISCOVERY_COMPLETE,
                r.complete(),
                r.complete() ? "Complete" : "Incomplete",
                r.complete()
                    ? "every repository and tag list was read"
                    : "not everything could be listed; see failures"));
    result.ifPresentOrElse(
        this::troubles,
        () -> {
          repeat(DRIFTED);
          repeat(RATE_LIMITED);
          repeat(TARGET_FULL);
        });
    Termination r = result.orElse(null);
    List<MirrorListStatus.Source> sources = r == null ? old.sources() : RunRecord.sources(r);
    List<MirrorListStatus.Shard> shards = r == null ? List.of() : RunRecord.shards(r);
    List<MirrorListStatus.Run> history =
        RunRecord.history(
            old.history(),
            RunRecord.run(
                job,
                result,
                at,
                ended,
                waits || successful ? null : conditions.reason(Conditions.READY)),
            keep);
    MirrorListStatus told =
        new MirrorListStatus(
            null,
            null,
            List.of(),
            r == null || waits ? old.images() : r.done() + "/" + r.total(),
            waits ? old.size() : wholeSize(r),
            r == null || r.plan() == null ? old.plan() : RunRecord.plan(r),
            null,
            r == null || r.summary() == null ? old.summary() : RunRecord.summary(r),
            r == null ? List.of() : RunRecord.failures(r, sources, shards, history),
            sources,
            at.toString(),
            successful && !dry ? at.toString() : old.lastSuccessfulTime(),
            null,
            name,
            r == null || r.reportRef() == null ? old.reportRef() : r.reportRef(),
            r == null || r.lockRef() == null ? old.lockRef() : r.lockRef(),
            shards,
            history,
            specHash,
            bundle(r));
    return with(told, next.map(Instant::toString).orElse(null), request);
  }

  /** What a person has to do something about; a condition that never held is not told. */
  private void troubles(Termination r) {
    int drifted = r.summary() == null ? 0 : r.summary().drifted();
    trouble(
        DRIFTED,
        drifted > 0,
        drifted + " tags moved at the source; tagPolicy: Immutable keeps what is in the mirror");
    trouble(
        RATE_LIMITED,
        r.failedFor(RATE_LIMITED),
        "the upstream's limit stopped a part of the run; it is tried again by itself");
    trouble(
        TARGET_FULL,
        r.failedFor(TARGET_FULL),
        "the mirror has no space left: enlarge its storage, prune, or collect garbage");
  }

  private void trouble(String type, boolean is, String message) {
    boolean told = old.conditions().stream().anyMatch(c -> c.type().equals(type));
    if (is) {
      conditions.set(type, true, type, message);
    } else if (told) {
      conditions.set(type, false, "None", "not in the last run");
    }
  }

  private MirrorListStatus.@Nullable Bundle bundle(@Nullable Termination r) {
    Termination.Bundle b = r == null ? null : r.bundle();
    return b == null
        ? old.bundle()
        : new MirrorListStatus.Bundle(
            b.id(),
            b.sequence(),
            b.base(),
            b.bytes(),
            b.images(),
            b.volumes(),
            b.sha256(),
            b.signed(),
            b.ref());
  }

  /**
   * A run knows the size of what it copies; what is there already costs it one HEAD, which tells no
   * size. So the size of a list is that of the last run that copied all of it.
   */
  private @Nullable String wholeSize(@Nullable Termination r) {
    if (r == null || r.plan() == null || r.summary() == null) {
      return old.size();
    }
    return r.summary().skipped() == 0 || old.size() == null
        ? ByteSize.format(r.plan().bytes())
        : old.size();
  }

  private static String tell(Termination r) {
    Termination.Failed error = r.error();
    if (error != null) {
      return error.reason() + ": " + error.message();
    }
    Termination.Bundle bundle = r.bundle();
    StringBuilder text =
        new StringBuilder(
            bundle == null
                ? r.done() + " of " + r.total() + " images in the mirror"
                : "bundle "
                    + bundle.id().substring(0, Math.min(12, bundle.id().length()))
                    + ", sequence "
                    + bundle.sequence());
    Termination.Summary summary = r.summary();
    if (summary != null) {
      text.append(": ")
          .append(summary.copied())
          .append(" copied, ")
          .append(summary.skipped())
          .append(" up to date");
      if (summary.failed() > 0) {
        text.append(", ").append(summary.failed()).append(" failed");
      }
      if (summary.drifted() > 0) {
        text.append(", ").append(summary.drifted()).append(" drifted");
      }
      if (summary.pruned() > 0) {
        text.append(", ").append(summary.pruned()).append(" pruned");
      }
      summary.sparseRefused().ifPresent(told -> text.append("; ").append(told));
    }
    return text.toString();
  }

  /** The three of every kind, as they follow from what was told of the last run. */
  private void conclude() {
    conditions
        .now(AWAITING_APPROVAL)
        .filter(Condition::holds)
        .or(() -> conditions.now(SYNCED))
        .ifPresent(
            c -> {
              if (c.type().equals(SYNCED) && c.holds()) {
                conditions.ready(c.reason(), c.message());
              } else {
                conditions.progressing(c.reason(), c.message());
                conditions.set(Conditions.RECONCILING, false, c.reason(), c.message());
              }
            });
  }

  /** What stands while nothing runs. */
  private MirrorListStatus idle() {
    return new MirrorListStatus(
        old.observedGeneration(),
        old.lastHandledReconcileAt(),
        old.conditions(),
        old.images(),
        old.size(),
        old.plan(),
        null,
        old.summary(),
        old.failures(),
        old.sources(),
        old.lastSyncTime(),
        old.lastSuccessfulTime(),
        old.nextSyncTime(),
        old.job(),
        old.reportRef(),
        old.lockRef(),
        old.shards(),
        old.history(),
        old.syncedHash(),
        old.bundle());
  }

  /** Conditions that a state does not touch stay as they are. */
  private void carry() {
    repeat(AWAITING_APPROVAL);
    repeat(SYNCED);
    repeat(DISCOVERY_COMPLETE);
    repeat(DRIFTED);
    repeat(RATE_LIMITED);
    repeat(TARGET_FULL);
  }

  private void repeat(String type) {
    old.conditions().stream()
        .filter(c -> c.type().equals(type))
        .forEach(c -> conditions.set(c.type(), c.status(), c.reason(), c.message()));
  }

  private MirrorListStatus with(MirrorListStatus s, @Nullable String next) {
    return with(s, next, old.lastHandledReconcileAt());
  }

  private MirrorListStatus with(
      MirrorListStatus s, @Nullable String next, @Nullable String handled) {
    return new MirrorListStatus(
        generation,
        handled == null || handled.isEmpty() ? null : handled,
        conditions.list(),
        s.images(),
        s.size(),
        s.plan(),
        s.progress(),
        s.summary(),
        s.failures(),
        s.sources(),
        s.lastSyncTime(),
        s.lastSuccessfulTime(),
        next,
        s.job(),
        s.reportRef(),
        s.lockRef(),
        s.shards(),
        s.history(),
        s.syncedHash(),
        s.bundle());
  }
}
