package io.kubic.mirrors.controller.nodeconfig;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.fabric8.kubernetes.api.model.Pod;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigStatus;
import java.time.Instant;
import java.util.Optional;

/** What an agent says about its node: the last NodeState line of its log. */
final class AgentReport {
  private static final ObjectMapper JSON = new ObjectMapper();

  private AgentReport() {}

  /**
   * @param log the last lines of an agent's log
   * @return empty when the agent has not said that anything is wrong
   */
  static Optional<NodeRegistryConfigStatus.FailingNode> failing(String node, String log) {
    return log.lines()
        .map(AgentReport::parse)
        .flatMap(Optional::stream)
        .filter(line -> "NodeState".equals(line.path("event").asText()))
        .reduce((first, last) -> last)
        .filter(line -> !line.path("ready").asBoolean())
        .map(
            line ->
                new NodeRegistryConfigStatus.FailingNode(
                    node, text(line, "runtime"), text(line, "reason"), text(line, "message")));
  }

  /**
   * An agent that has said nothing, though it had time: what the kubelet and the scheduler tell.
   *
   * @param since pods that were made later are still on their way
   */
  static Optional<NodeRegistryConfigStatus.FailingNode> missing(Pod pod, Instant since) {
    String created = pod.getMetadata().getCreationTimestamp();
    if (created == null || Instant.parse(created).isAfter(since)) {
      return Optional.empty();
    }
    String why =
        pod.getStatus() == null
            ? ""
            : pod.getStatus().getContainerStatuses().stream()
                .map(container -> container.getState())
                .filter(state -> state != null && state.getWaiting() != null)
                .map(
                    state ->
                        state.getWaiting().getReason()
                            + (state.getWaiting().getMessage() == null
                                ? ""
                                : ": " + state.getWaiting().getMessage()))
                .findFirst()
                .orElse("");
    String message =
        "the agent's pod "
            + pod.getMetadata().getName()
            + " does not run"
            + (why.isEmpty() ? "" : ": " + why)
            + "; kubectl describe it";
    return Optional.of(
        new NodeRegistryConfigStatus.FailingNode(
            pod.getSpec().getNodeName(), null, "AgentMissing", shortened(message)));
  }

  private static String text(JsonNode line, String member) {
    return shortened(line.path(member).asText(""));
  }

  private static String shortened(String text) {
    return text.length() <= 300 ? text : text.substring(0, 297) + "...";
  }

  private static Optional<JsonNode> parse(String line) {
    if (!line.startsWith("{")) {
      return Optional.empty();
    }
    try {
      return Optional.of(JSON.readTree(line));
    } catch (JsonProcessingException e) {
      return Optional.empty();
    }
  }
}
