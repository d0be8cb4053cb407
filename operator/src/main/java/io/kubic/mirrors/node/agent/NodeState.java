package io.kubic.mirrors.node.agent;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.util.List;

/**
 * What an agent says about its node, in one line.
 *
 * @param runtime names of the runtimes, comma-separated
 * @param message one line; empty when there is nothing to say
 * @param configHash of the configuration that the node has; empty before the first
 * @param caSha256 fingerprints of the CA certificates that lie on the node's disk, sorted
 * @param withdrawn mirrors that are out of the node's files because they do not answer
 */
public record NodeState(
    String node,
    String runtime,
    NodeReason reason,
    String message,
    boolean ready,
    String configHash,
    List<String> caSha256,
    List<String> withdrawn) {
  private static final JsonFactory JSON = new JsonFactory();

  NodeState with(String hash, List<String> authorities, List<String> out) {
    return new NodeState(node, runtime, reason, message, ready, hash, authorities, out);
  }

  /** The line, without a line's end. */
  public String toJson() {
    StringWriter text = new StringWriter();
    try (JsonGenerator json = JSON.createGenerator(text)) {
      json.writeStartObject();
      json.writeStringField("event", "NodeState");
      json.writeStringField("node", node);
      json.writeStringField("runtime", runtime);
      json.writeStringField("reason", reason.name());
      json.writeStringField("message", message);
      json.writeBooleanField("ready", ready);
      json.writeStringField("configHash", configHash);
      write(json, "caSha256", caSha256);
      write(json, "withdrawn", withdrawn);
      json.writeEndObject();
    } catch (IOException e) {
      throw new UncheckedIOException(e); // a StringWriter does not fail
    }
    return text.toString();
  }

  private static void write(JsonGenerator json, String field, List<String> values)
      throws IOException {
    json.writeArrayFieldStart(field);
    for (String value : values) {
      json.writeString(value);
    }
    json.writeEndArray();
  }
}
