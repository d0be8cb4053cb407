package io.kubic.mirrors.controller.list;

import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.kubic.mirrors.controller.support.Jobs;
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
}
