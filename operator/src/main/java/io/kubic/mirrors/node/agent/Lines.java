package io.kubic.mirrors.node.agent;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.util.List;

/** Lines on an agent's standard output besides {@link NodeState}. */
final class Lines {
  private static final JsonFactory JSON = new JsonFactory();

  private Lines() {}

  /** Files that were written or removed. */
  static String applied(String node, String configHash, List<String> paths) {
    StringWriter text = new StringWriter();
    try (JsonGenerator json = JSON.createGenerator(text)) {
      json.writeStartObject();
      json.writeStringField("event", "FilesChanged");
      json.writeStringField("node", node);
      json.writeStringField("configHash", configHash);
      json.writeArrayFieldStart("paths");
      for (String path : paths) {
        json.writeString(path);
      }
      json.writeEndArray();
      json.writeEndObject();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return text.toString();
  }
}
