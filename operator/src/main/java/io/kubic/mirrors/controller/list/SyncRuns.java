package io.kubic.mirrors.controller.list;

import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobCondition;
import java.time.Instant;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/** The Jobs of one list, newest first, and what their conditions say. */
record SyncRuns(List<Job> newestFirst) {

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
    return has(job, "Complete") || has(job, "Failed");
  }

  static boolean succeeded(Job job) {
    return has(job, "Complete");
  }

  /** When the Job finished, as its condition says. */
  static Optional<Instant> finishedAt(Job job) {
    return conditions(job).stream()
        .filter(condition -> "True".equals(condition.getStatus()))
        .filter(
            condition ->
                "Complete".equals(condition.getType()) || "Failed".equals(condition.getType()))
        .map(condition -> Instant.parse(condition.getLastTransitionTime()))
        .findFirst();
  }

  /** The message of the Failed condition. */
  static Optional<String> failure(Job job) {
    return conditions(job).stream()
        .filter(condition -> "Failed".equals(condition.getType()))
        .map(JobCondition::getMessage)
        .findFirst();
  }

  private static boolean has(Job job, String type) {
    return conditions(job).stream()
        .anyMatch(
            condition -> type.equals(condition.getType()) && "True".equals(condition.getStatus()));
  }

  private static List<JobCondition> conditions(Job job) {
    return job.getStatus() == null || job.getStatus().getConditions() == null
        ? List.of()
        : job.getStatus().getConditions();
  }
}
