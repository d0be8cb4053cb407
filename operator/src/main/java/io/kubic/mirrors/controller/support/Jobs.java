package io.kubic.mirrors.controller.support;

import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobCondition;
import io.fabric8.kubernetes.client.KubernetesClient;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** What the conditions of a Job say, and which Jobs there are. */
public final class Jobs {
  private Jobs() {}

  /**
   * The Jobs of one kind as the server has them now.
   *
   * @param name as in {@link Labels#of}
   * @param instance null: of all custom resources of the namespace
   */
  public static List<Job> of(
      KubernetesClient client, String namespace, String name, @Nullable String instance) {
    Map<String, String> labels = new TreeMap<>();
    labels.put(Labels.MANAGED_BY, Labels.OPERATOR);
    labels.put(Labels.NAME, name);
    if (instance != null) {
      labels.put(Labels.INSTANCE, instance);
    }
    return client.batch().v1().jobs().inNamespace(namespace).withLabels(labels).list().getItems();
  }

  /** Whether it ended, well or not. */
  public static boolean finished(Job job) {
    return has(job, "Complete") || has(job, "Failed");
  }

  public static boolean succeeded(Job job) {
    return has(job, "Complete");
  }

  /** When it finished, as its condition says. */
  public static Optional<Instant> finishedAt(Job job) {
    return conditions(job).stream()
        .filter(condition -> "True".equals(condition.getStatus()))
        .filter(
            condition ->
                "Complete".equals(condition.getType()) || "Failed".equals(condition.getType()))
        .map(condition -> Instant.parse(condition.getLastTransitionTime()))
        .findFirst();
  }

  /** The message of the Failed condition. */
  public static Optional<String> failure(Job job) {
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
