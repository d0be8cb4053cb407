package io.kubic.mirrors.controller.list;

import io.fabric8.kubernetes.api.model.ContainerStatus;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.kubic.mirrors.controller.support.Jobs;
import io.kubic.mirrors.sync.Termination;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/** The Jobs of one list, newest first, and what they and their pods say. */
record SyncRuns(List<Job> newestFirst) {
  private static final Comparator<Pod> CREATED =
      Comparator.comparing(pod -> pod.getMetadata().getCreationTimestamp());

  /** How long pods of a Job may take to begin before the Job makes way for what a list says now. */
  private static final Duration PATIENCE = Duration.ofMinutes(1);

  static SyncRuns of(Collection<Job> jobs) {
    return new SyncRuns(
        jobs.stream()
            .sorted(
                Comparator.comparing((Job job) -> job.getMetadata().getCreationTimestamp())
                    .thenComparing(job -> job.getMetadata().getName())
                    .reversed())
            .toList());
  }

  Optional<Job> latest() {
    return newestFirst.stream().findFirst();
  }

  /** Finished runs beyond the newest {@code keep}. */
  List<Job> surplus(int keep) {
    return newestFirst.stream().filter(SyncRuns::finished).skip(keep).toList();
  }

  static boolean finished(Job job) {
    return Jobs.finished(job);
  }

  static boolean succeeded(Job job) {
    return Jobs.succeeded(job);
  }

  /** When the Job finished, as its condition says. */
  static Optional<Instant> finishedAt(Job job) {
    return Jobs.finishedAt(job);
  }

  /** The message of the Failed condition. */
  static Optional<String> failure(Job job) {
    return Jobs.failure(job);
  }

  /** Whether it only plans. */
  static boolean isDry(Job job) {
    return "true".equals(annotation(job, ListResources.DRY_RUN));
  }

  /** The empty text where there is none. */
  static String annotation(Job job, String name) {
    return job.getMetadata().getAnnotations() == null
        ? ""
        : job.getMetadata().getAnnotations().getOrDefault(name, "");
  }

  /** How many runs in a row failed before this one. */
  static int failuresBefore(Job job) {
    try {
      return Integer.parseInt(annotation(job, ListResources.FAILURES));
    } catch (NumberFormatException e) {
      return 0; // A Job of before.
    }
  }

  /** The newest pod of a Job, or of each of its parts in their order; empty until all are there. */
  static List<Pod> newest(Job job, List<Pod> pods) {
    return ShardedJob.is(job)
        ? ShardedJob.newest(job, pods)
        : pods.stream().max(CREATED).map(List::of).orElse(List.of());
  }

  /**
   * What the newest pod of the Job, or of each of its parts, wrote when it ended. Of a Job that
   * succeeded only pods that did count: the newest may be gone, and an older one had failed.
   */
  static Optional<Termination> result(Job job, List<Pod> pods) {
    List<Pod> count =
        succeeded(job)
            ? pods.stream().filter(pod -> "Succeeded".equals(pod.getStatus().getPhase())).toList()
            : pods;
    return ShardedJob.is(job)
        ? ShardedJob.result(job, count, SyncRuns::told)
        : count.stream().max(CREATED).flatMap(SyncRuns::told);
  }

  private static Optional<Termination> told(Pod pod) {
    return pod.getStatus().getContainerStatuses().stream()
        .filter(container -> container.getName().equals("sync"))
        .map(ContainerStatus::getState)
        .filter(state -> state.getTerminated() != null)
        .map(state -> state.getTerminated().getMessage())
        .filter(Objects::nonNull)
        .findFirst()
        .flatMap(Termination::parse);
  }

  /**
   * Whether a Job shall make way: its list changed, and none of its pods has begun in a while, as
   * where a Secret is missing or no node fits.
   *
   * @param generation of the list now
   */
  static boolean isOutdated(Job job, List<Pod> pods, long generation, Instant now) {
    String made = annotation(job, ListResources.GENERATION);
    return !made.isEmpty()
        && !made.equals(Long.toString(generation))
        && pods.stream()
            .allMatch(
                pod -> pod.getStatus() == null || "Pending".equals(pod.getStatus().getPhase()))
        && Instant.parse(job.getMetadata().getCreationTimestamp()).plus(PATIENCE).isBefore(now);
  }
}
