package io.kubic.mirrors.controller.list;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.dsl.ContainerResource;
import io.kubic.mirrors.api.v1alpha1.GoDuration;
import io.kubic.mirrors.api.v1alpha1.MirrorListStatus;
import io.kubic.mirrors.sync.Termination;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What a Job that still runs tells in the logs of its pods: JSON lines, the plan first, then how
 * far it is. A log that cannot be read tells nothing; the end of the Job will.
 */
final class JobLog {
  /** The plan stands at the beginning. */
  private static final int HEAD_BYTES = 16 << 10;

  /** A line for each image, and one from time to time. */
  private static final int TAIL_LINES = 3;

  private static final JsonMapper JSON = JsonMapper.builder().build();

  private final KubernetesClient client;

  JobLog(KubernetesClient client) {
    this.client = client;
  }

  /**
   * What a run will do.
   *
   * @param pods one for each part, in their order
   * @return empty as long as one of them has not said
   */
  Optional<Termination> plan(List<Pod> pods) {
    List<Optional<Termination>> parts = pods.stream().map(pod -> plan(read(pod, true))).toList();
    if (parts.isEmpty() || parts.stream().anyMatch(Optional::isEmpty)) {
      return Optional.empty();
    }
    return parts.size() == 1 ? parts.getFirst() : Optional.of(Termination.merged(parts));
  }

  /**
   * How far a run is, all parts together.
   *
   * @return empty when none of them has said
   */
  Optional<MirrorListStatus.Progress> progress(List<Pod> pods) {
    return pods.stream()
        .map(pod -> progress(read(pod, false)))
        .flatMap(Optional::stream)
        .reduce(JobLog::plus);
  }

  private String read(Pod pod, boolean head) {
    if (pod.getStatus() == null || "Pending".equals(pod.getStatus().getPhase())) {
      return "";
    }
    try {
      ContainerResource log =
          client
              .pods()
              .inNamespace(pod.getMetadata().getNamespace())
              .withName(pod.getMetadata().getName())
              .inContainer("sync");
      String text =
          head ? log.limitBytes(HEAD_BYTES).getLog() : log.tailingLines(TAIL_LINES).getLog();
      return text == null ? "" : text;
    } catch (KubernetesClientException e) {
      return "";
    }
  }

  static Optional<Termination> plan(String log) {
    return log.lines()
        .filter(line -> line.startsWith("{"))
        .map(Termination::parse)
        .flatMap(Optional::stream)
        .filter(told -> told.hash() != null && told.plan() != null)
        .findFirst();
  }

  static Optional<MirrorListStatus.Progress> progress(String log) {
    return log.lines()
        .filter(line -> line.startsWith("{\"phase\""))
        .map(JobLog::parse)
        .flatMap(Optional::stream)
        .reduce((earlier, later) -> later);
  }

  private static Optional<MirrorListStatus.Progress> parse(String line) {
    try {
      JsonNode node = JSON.readTree(line);
      return Optional.of(
          new MirrorListStatus.Progress(
              node.path("phase").asText(),
              node.path("completed").asInt(),
              node.path("total").asInt(),
              node.path("bytesDone").asLong(),
              node.path("bytesTotal").asLong(),
              node.has("etaSeconds")
                  ? GoDuration.format(Duration.ofSeconds(node.path("etaSeconds").asLong()))
                  : null));
    } catch (JsonProcessingException e) {
      return Optional.empty(); // Cut in the middle.
    }
  }

  private static MirrorListStatus.Progress plus(
      MirrorListStatus.Progress a, MirrorListStatus.Progress b) {
    return new MirrorListStatus.Progress(
        a.phase(),
        number(a.completed()) + number(b.completed()),
        number(a.total()) + number(b.total()),
        number(a.bytesDone()) + number(b.bytesDone()),
        number(a.bytesTotal()) + number(b.bytesTotal()),
        later(a.eta(), b.eta()));
  }

  private static int number(@Nullable Integer value) {
    return value == null ? 0 : value;
  }

  private static long number(@Nullable Long value) {
    return value == null ? 0 : value;
  }

  private static @Nullable String later(@Nullable String a, @Nullable String b) {
    if (a == null || b == null) {
      return a == null ? b : a;
    }
    return GoDuration.parse(a, "eta").compareTo(GoDuration.parse(b, "eta")) < 0 ? b : a;
  }
}
