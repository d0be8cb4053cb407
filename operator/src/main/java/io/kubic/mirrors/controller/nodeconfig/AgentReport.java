package io.kubic.mirrors.controller.nodeconfig;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigStatus;
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

  private static String text(JsonNode line, String member) {
    String text = line.path(member).asText("");
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
