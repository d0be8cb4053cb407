package io.kubic.mirrors.controller.list;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.kubic.mirrors.api.v1alpha1.GoDuration;
import io.kubic.mirrors.api.v1alpha1.MirrorListStatus;
import io.kubic.mirrors.oci.Quota;
import io.kubic.mirrors.sync.Termination;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * What a run told, in the words of the status. The metrics are made from the status, so that they
 * cannot tell anything else.
 */
final class RunRecord {
  /** The most entries of a history. */
  static final int MAX_RUNS = 10;

  private static final int MAX_FAILURES = 20;
  private static final int MAX_TEXT = 256;

  /**
   * Bytes for all lists together; the rest of the 32 KiB of a status is for its conditions and for
   * what is of one line.
   */
  private static final int BUDGET = 22 << 10;

  private static final JsonMapper JSON = JsonMapper.builder().build();

  private RunRecord() {}

  static MirrorListStatus.@Nullable Plan plan(Termination told) {
    Termination.Planned plan = told.plan();
    return plan == null
        ? null
        : new MirrorListStatus.Plan(
            told.hash(),
            plan.repositories(),
            plan.images(),
            plan.bytes(),
            plan.bytesToTransfer(),
            plan.pruneCandidates());
  }

  static MirrorListStatus.@Nullable Summary summary(Termination told) {
    Termination.Summary sum = told.summary();
    return sum == null
        ? null
        : new MirrorListStatus.Summary(
            sum.copied(),
            sum.skipped(),
            sum.failed(),
            sum.drifted(),
            sum.pruned(),
            sum.referrers());
  }

  static List<MirrorListStatus.Source> sources(Termination told) {
    return told.sources().stream()
        .map(
            s ->
                new MirrorListStatus.Source(
                    s.registry(),
                    s.name(),
                    s.repositories(),
                    s.tags(),
                    s.selected(),
                    rateLimit(s.rateLimit())))
        .toList();
  }

  private static MirrorListStatus.@Nullable RateLimit rateLimit(@Nullable Quota quota) {
    if (quota == null) {
      return null;
    }
    Integer window = quota.window();
    return new MirrorListStatus.RateLimit(
        quota.limit(),
        quota.remaining(),
        window == null ? null : GoDuration.format(Duration.ofSeconds(window)),
        quota.throttled());
  }

  static List<MirrorListStatus.Shard> shards(Termination told) {
    return told.parts().stream()
        .map(
            part ->
                new MirrorListStatus.Shard(
                    part.index(),
                    part.done() + "/" + part.total(),
                    part.failed(),
                    part.error(),
                    part.reportRef()))
        .toList();
  }

  /**
   * The first failures, each image once: two parts of a run may have failed at the same thing.
   *
   * @param others lists of the same status, which share its room
   */
  static List<MirrorListStatus.Failure> failures(Termination told, List<?>... others) {
    int room = BUDGET;
    for (List<?> other : others) {
      room -= size(other);
    }
    Map<String, MirrorListStatus.Failure> some = new LinkedHashMap<>();
    for (Termination.Failure f : told.failures()) {
      MirrorListStatus.Failure failure =
          new MirrorListStatus.Failure(
              clip(f.image()),
              f.reason(),
              f.message() == null ? null : clip(f.message()),
              f.attempts());
      if (some.size() == MAX_FAILURES || room < size(failure)) {
        break;
      }
      if (some.putIfAbsent(failure.image(), failure) == null) {
        room -= size(failure);
      }
    }
    return List.copyOf(some.values());
  }

  /**
   * The history with a run in it: as the newest, or anew where it was already.
   *
   * @param keep how many runs, of which {@link #MAX_RUNS} at most
   */
  static List<MirrorListStatus.Run> history(
      List<MirrorListStatus.Run> old, MirrorListStatus.Run run, int keep) {
    List<MirrorListStatus.Run> runs = new ArrayList<>();
    runs.add(run);
    old.stream().filter(other -> !other.job().equals(run.job())).forEach(runs::add);
    return List.copyOf(runs.subList(0, Math.min(runs.size(), Math.clamp(keep, 1, MAX_RUNS))));
  }

  /**
   * A run for the history.
   *
   * @param told empty when it left nothing
   * @param reason why it failed; null when it did not
   */
  static MirrorListStatus.Run run(
      Job job,
      Optional<Termination> told,
      Instant at,
      MirrorListStatus.Result result,
      @Nullable String reason) {
    Termination.Summary sum = told.map(Termination::summary).orElse(null);
    return new MirrorListStatus.Run(
        job.getMetadata().getName(),
        at.toString(),
        duration(job, at),
        result,
        reason,
        sum == null ? null : Integer.valueOf(sum.copied()),
        sum == null ? null : Integer.valueOf(sum.skipped()),
        sum == null ? null : Integer.valueOf(sum.failed()),
        sum == null ? null : Integer.valueOf(sum.drifted()),
        sum == null ? null : Integer.valueOf(sum.pruned()),
        sum == null ? null : Integer.valueOf(sum.referrers()),
        sum == null ? null : Long.valueOf(sum.bytes()),
        reasons(told, result, reason));
  }

  /** A run that ended before it began, or left nothing, failed once, for its own reason. */
  private static Map<String, Integer> reasons(
      Optional<Termination> told, MirrorListStatus.Result result, @Nullable String reason) {
    Map<String, Integer> reasons = new TreeMap<>(told.map(Termination::reasons).orElse(Map.of()));
    if (reasons.isEmpty() && result == MirrorListStatus.Result.Failed && reason != null) {
      reasons.put(reason, 1);
    }
    return reasons;
  }

  private static @Nullable String duration(Job job, Instant at) {
    String start = job.getStatus() == null ? null : job.getStatus().getStartTime();
    return start == null
        ? null
        : GoDuration.format(Duration.between(Instant.parse(start), at).abs());
  }

  private static String clip(String text) {
    return text.length() <= MAX_TEXT ? text : text.substring(0, MAX_TEXT - 3) + "...";
  }

  private static int size(Object value) {
    try {
      return JSON.writeValueAsString(value).getBytes(StandardCharsets.UTF_8).length;
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
