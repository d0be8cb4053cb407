package io.kubic.mirrors.controller.registry;

import io.kubic.mirrors.controller.support.Schedule;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Decides what is done next about the upkeep of one registry; pure. Where a run stands is seen, not
 * noted: a Job that is suspended waits for the syncs that still run, and no other begins as long as
 * it is there; it is released when none runs; once released, everything that could write must be
 * what it froze. So an operator that died between two writes goes on from what it finds.
 */
final class UpkeepPlan {
  /** After a run that failed the next is tried this much later, or by its schedule. */
  static final Duration RETRY = Duration.ofHours(1);

  private UpkeepPlan() {}

  /** What is to be done. */
  sealed interface Step {}

  /** Nothing, until then; empty: never by itself. */
  record Rest(Optional<Instant> due) implements Step {}

  /** A run is due and cannot be prepared yet. */
  record Hold(UpkeepTask task, String why) implements Step {}

  /**
   * Make a Job that waits.
   *
   * @param key what it is for: the same wish makes the same Job
   */
  record Queue(UpkeepTask task, String key) implements Step {}

  /** The Job waits. */
  record Wait(UpkeepTask task, String why) implements Step {}

  /** Let the Job run. */
  record Release(Run run) implements Step {}

  /** The Job runs. */
  record Watch(Run run) implements Step {}

  /** Something could write that was not frozen: end the Job; it is made anew. */
  record Abort(Run run, String why) implements Step {}

  /**
   * A Job.
   *
   * @param released whether it was let run; false while it waits
   */
  record Run(UpkeepTask task, String job, boolean released) {}

  /**
   * When a task is wished for.
   *
   * @param schedule null: only on request
   * @param request a run before this time does not count; null: nobody asks
   */
  record Wish(
      UpkeepTask task,
      @Nullable Schedule schedule,
      @Nullable Instant request,
      @Nullable Instant lastRun,
      boolean failed) {
    /** When the next run is due. */
    Optional<Instant> due(Instant made) {
      if (request != null && (lastRun == null || lastRun.isBefore(request))) {
        return Optional.of(request);
      }
      Instant last = lastRun == null ? made : lastRun;
      Optional<Instant> planned = Optional.ofNullable(schedule).flatMap(when -> when.after(last));
      return failed && schedule != null
          ? Stream.concat(planned.stream(), Stream.of(last.plus(RETRY))).min(Instant::compareTo)
          : planned;
    }
  }

  /**
   * What can be seen.
   *
   * @param made when the registry was made
   * @param unfinished the Job that has not ended
   * @param settled whether all pods are ready and of the newest form; else why not
   * @param syncs lists with a Job that has not ended
   * @param gateways admin addresses of all pods that could let a write in
   * @param frozen those that the Job was told of
   */
  record Seen(
      Instant made,
      Instant now,
      List<Wish> wishes,
      Optional<Run> unfinished,
      Optional<String> unsettled,
      List<String> syncs,
      Set<String> gateways,
      Set<String> frozen) {}

  static Step next(Seen seen) {
    if (seen.unfinished().isPresent()) {
      return go(seen, seen.unfinished().get());
    }
    Optional<Wish> first =
        seen.wishes().stream()
            .filter(wish -> wish.due(seen.made()).isPresent())
            .min(Comparator.comparing(wish -> wish.due(seen.made()).orElseThrow()));
    if (first.isEmpty()) {
      return new Rest(Optional.empty());
    }
    Wish wish = first.get();
    Instant due = wish.due(seen.made()).orElseThrow();
    if (due.isAfter(seen.now())) {
      return new Rest(Optional.of(due));
    }
    return seen.unsettled().isPresent()
        ? new Hold(wish.task(), seen.unsettled().get())
        : new Queue(wish.task(), wish.task().command() + "/" + due);
  }

  private static Step go(Seen seen, Run run) {
    if (!run.released()) {
      if (!seen.syncs().isEmpty()) {
        return new Wait(
            run.task(), "MirrorList " + String.join(", ", seen.syncs()) + " copies still");
      }
      return seen.unsettled().isPresent()
          ? new Wait(run.task(), seen.unsettled().get())
          : new Release(run);
    }
    Set<String> free = new TreeSet<>(seen.gateways());
    free.removeAll(seen.frozen());
    return run.task() == UpkeepTask.SCRUB || free.isEmpty()
        ? new Watch(run)
        : new Abort(run, "the pod at " + String.join(", ", free) + " came up and lets writes in");
  }
}
