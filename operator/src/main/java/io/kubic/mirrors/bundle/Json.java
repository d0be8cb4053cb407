package io.kubic.mirrors.bundle;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.Shown;
import java.io.IOException;
import java.nio.charset.StandardCharsets;

/** The JSON files of a bundle: the same value gives the same bytes, and fields may be added. */
final class Json {
  private static final int MAX_DEPTH = 64;
  private static final JsonMapper MAPPER =
      JsonMapper.builder(
              JsonFactory.builder()
                  .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                  .streamReadConstraints(
                      StreamReadConstraints.builder().maxNestingDepth(MAX_DEPTH).build())
                  .build())
          .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(SerializationFeature.ORDER_MAP_ENTRIES_BY_KEYS)
          .enable(SerializationFeature.INDENT_OUTPUT)
          .build();

  private Json() {}

  static byte[] bytes(Object value) {
    try {
      return (MAPPER.writeValueAsString(value) + "\n").getBytes(StandardCharsets.UTF_8);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * @param object what the file is called in messages
   * @throws RefusedException MalformedResponse
   */
  static <T> T read(byte[] bytes, Class<T> type, String object) {
    try {
      T value = MAPPER.readValue(bytes, type);
      if (value == null) {
        throw new RefusedException(Reason.MalformedResponse, object, "is empty");
      }
      return value;
    } catch (JsonProcessingException e) {
      String why =
          e.getCause() instanceof InvalidSpecException || e.getCause() instanceof RuntimeException
              ? String.valueOf(e.getCause().getMessage())
              : e.getOriginalMessage();
      throw new RefusedException(
          Reason.MalformedResponse, object, "is malformed: " + Shown.of(why));
    } catch (IOException e) {
      throw new RefusedException(Reason.MalformedResponse, object, "is malformed");
    }
  }

  static ObjectNode object() {
    return MAPPER.createObjectNode();
  }

  static JsonNode tree(Object value) {
    return MAPPER.valueToTree(value);
  }

  static <T> T value(JsonNode tree, Class<T> type) {
    try {
      return MAPPER.treeToValue(tree, type);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
