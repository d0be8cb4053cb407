package io.kubic.mirrors.controller.list;

import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.PodFailurePolicyRule;
import io.kubic.mirrors.sync.Termination;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * A run in several pods: an Indexed Job, each index one part of the list. A part that fails does
 * not stop the others, and what they tell is added up.
 */
final class ShardedJob {
  private static final String INDEXED = "Indexed";
  private static final String INDEX = "batch.kubernetes.io/job-completion-index";

  private ShardedJob() {}

  /** The same Job for so many parts. */
  static Job of(Job job, int shards) {
    if (shards <= 1) {
      return job;
    }
    Job sharded = new JobBuilder(job).build();
    var spec = sharded.getSpec();
    spec.setCompletionMode(INDEXED);
    spec.setCompletions(shards);
    spec.setParallelism(shards);
    spec.setBackoffLimitPerIndex(spec.getBackoffLimit());
    spec.setBackoffLimit(null);
    for (PodFailurePolicyRule rule : spec.getPodFailurePolicy().getRules()) {
      if (rule.getAction().equals("FailJob")) {
        rule.setAction("FailIndex");
      }
    }
    var container = spec.getTemplate().getSpec().getContainers().getFirst();
    List<String> args = new ArrayList<>(container.getArgs());
    args.add("--shard");
    args.add("$(JOB_COMPLETION_INDEX)/" + shards);
    args.add("--run");
    args.add(job.getMetadata().getName());
    container.setArgs(args);
    return sharded;
  }

  static boolean is(Job job) {
    return INDEXED.equals(job.getSpec().getCompletionMode());
  }

  /**
   * What all parts told. A part that left no report makes the whole incomplete.
   *
   * @param pods of the Job
   * @param told what a pod wrote when it ended
   * @return empty when no part told anything
   */
  static Optional<Termination> result(
      Job job, List<Pod> pods, Function<Pod, Optional<Termination>> told) {
    List<Optional<Termination>> parts = new ArrayList<>();
    for (int i = 0; i < job.getSpec().getCompletions(); i++) {
      parts.add(newestFirst(pods, i).map(told).flatMap(Optional::stream).findFirst());
    }
    return parts.stream().allMatch(Optional::isEmpty)
        ? Optional.empty()
        : Optional.of(Termination.merged(parts));
  }

  /** The newest pod of each part, in their order; empty until every part has one. */
  static List<Pod> newest(Job job, List<Pod> pods) {
    List<Pod> newest = new ArrayList<>();
    for (int i = 0; i < job.getSpec().getCompletions(); i++) {
      newestFirst(pods, i).findFirst().ifPresent(newest::add);
    }
    return newest.size() == job.getSpec().getCompletions() ? newest : List.of();
  }

  private static Stream<Pod> newestFirst(List<Pod> pods, int part) {
    String index = Integer.toString(part);
    return pods.stream()
        .filter(pod -> index.equals(index(pod)))
        .sorted(
            (a, b) ->
                b.getMetadata()
                    .getCreationTimestamp()
                    .compareTo(a.getMetadata().getCreationTimestamp()));
  }

  private static String index(Pod pod) {
    var annotations = pod.getMetadata().getAnnotations();
    return annotations == null ? "" : annotations.getOrDefault(INDEX, "");
  }
}
