package io.kubic.mirrors.api.v1alpha1;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationContext;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonDeserializer;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MappingIterator;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.exc.MismatchedInputException;
import com.fasterxml.jackson.databind.exc.UnrecognizedPropertyException;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLGenerator;
import io.fabric8.kubernetes.api.model.ObjectMeta;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Reads our kinds from YAML or JSON text, one or several documents, and writes them. Strict: an
 * unknown field is an error, as it is at {@code kubectl apply}.
 */
public final class ResourceFile {
  private static final ObjectMapper PLAIN =
      new ObjectMapper(
              YAMLFactory.builder().disable(YAMLGenerator.Feature.WRITE_DOC_START_MARKER).build())
          .enable(DeserializationFeature.FAIL_ON_READING_DUP_TREE_KEY)
          .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);
  private static final ObjectMapper YAML =
      PLAIN
          .copy()
          .registerModule(new SimpleModule().addDeserializer(ObjectMeta.class, new Metadata()));

  /** How Jackson begins to tell of a field that is there twice. */
  private static final String DUPLICATE = "Duplicate field '";

  private ResourceFile() {}

  /**
   * The documents of one kind, in order; documents of other kinds are passed over.
   *
   * @param text YAML or JSON
   * @param name what the text is called in messages, as in {@code list.yaml}
   * @throws InvalidSpecException when the text is no YAML, or a document of the kind has an unknown
   *     field, a value of the wrong type or another apiVersion; the message names file and field
   */
  public static <T> List<T> read(String text, String name, Class<T> kind) {
    List<T> found = new ArrayList<>();
    try (MappingIterator<JsonNode> documents = YAML.readerFor(JsonNode.class).readValues(text)) {
      while (documents.hasNextValue()) {
        JsonNode document = documents.nextValue();
        if (document == null || document.isNull() || document.isMissingNode()) {
          continue;
        }
        if (!document.isObject() || !document.path("kind").isTextual()) {
          throw new InvalidSpecException(
              name, "a document has no 'kind'; expected " + kind.getSimpleName());
        }
        if (!document.path("kind").asText().equals(kind.getSimpleName())) {
          continue;
        }
        String version = document.path("apiVersion").asText();
        if (!version.equals(Api.GROUP + "/" + Api.VERSION)) {
          throw new InvalidSpecException(
              name + ": apiVersion",
              "'" + version + "' is not known; write " + Api.GROUP + "/" + Api.VERSION);
        }
        if (!document.path("spec").isObject()) {
          throw new InvalidSpecException(name + ": spec", "is missing");
        }
        found.add(YAML.treeToValue(document, kind));
      }
      return found;
    } catch (UnrecognizedPropertyException e) {
      throw new InvalidSpecException(
          name + ": " + path(e),
          "no such field; known here: "
              + e.getKnownPropertyIds().stream()
                  .map(String::valueOf)
                  .sorted()
                  .collect(Collectors.joining(", ")));
    } catch (JsonMappingException e) {
      if (e.getCause() instanceof InvalidSpecException invalid) {
        throw invalid;
      }
      throw new InvalidSpecException(name + ": " + path(e), problem(e));
    } catch (JsonProcessingException e) {
      throw new InvalidSpecException(
          name
              + (e.getLocation() == null
                  ? ""
                  : ":" + e.getLocation().getLineNr() + ":" + e.getLocation().getColumnNr()),
          "not valid YAML: " + firstLine(e));
    } catch (IOException e) {
      throw new InvalidSpecException(name, "cannot be read: " + e.getMessage());
    }
  }

  /**
   * The metadata that people write. To look at the whole class, for what only a server adds, takes
   * a tenth of a command's start, so that is done only when there is such a field.
   */
  private static final class Metadata extends JsonDeserializer<ObjectMeta> {
    @Override
    public ObjectMeta deserialize(JsonParser parser, DeserializationContext context)
        throws IOException {
      JsonNode tree = parser.readValueAsTree();
      ObjectMeta metadata = new ObjectMeta();
      for (Map.Entry<String, JsonNode> field : tree.properties()) {
        String name = field.getValue().isTextual() ? field.getKey() : "";
        switch (name) {
          case "name" -> metadata.setName(field.getValue().asText());
          case "namespace" -> metadata.setNamespace(field.getValue().asText());
          default -> {
            return whole(parser, tree);
          }
        }
      }
      return tree.isObject() ? metadata : whole(parser, tree);
    }

    /** The class keeps what it does not know, where others refuse it. */
    private static ObjectMeta whole(JsonParser parser, JsonNode tree) throws IOException {
      ObjectMeta metadata = PLAIN.treeToValue(tree, ObjectMeta.class);
      Map<String, Object> unknown = metadata.getAdditionalProperties();
      if (!unknown.isEmpty()) {
        throw UnrecognizedPropertyException.from(
            parser,
            ObjectMeta.class,
            unknown.keySet().iterator().next(),
            List.of("annotations", "labels", "name", "namespace"));
      }
      return metadata;
    }
  }

  /** One object as YAML, fields in declaration order. */
  public static String write(Object resource) {
    try {
      return YAML.writeValueAsString(resource);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  private static String path(JsonMappingException e) {
    StringBuilder path = new StringBuilder();
    for (JsonMappingException.Reference step : e.getPath()) {
      if (step.getFieldName() != null) {
        path.append(path.isEmpty() ? "" : ".").append(step.getFieldName());
      } else {
        path.append('[').append(step.getIndex()).append(']');
      }
    }
    return path.isEmpty() ? "document" : path.toString();
  }

  /** Without the names of our classes, which tell nothing to whoever wrote the file. */
  private static String problem(JsonMappingException e) {
    Class<?> wanted =
        e instanceof MismatchedInputException mismatch ? mismatch.getTargetType() : null;
    String message = firstLine(e);
    int twice = message.indexOf(DUPLICATE);
    if (twice >= 0) {
      int start = twice + DUPLICATE.length();
      int end = message.indexOf('\'', start);
      return "'" + message.substring(start, end < 0 ? message.length() : end) + "' is there twice";
    }
    if (wanted == null) {
      return message;
    }
    if (wanted.isEnum()) {
      return "expected one of "
          + Stream.of(wanted.getEnumConstants())
              .map(String::valueOf)
              .collect(Collectors.joining(", "));
    }
    if (wanted == Integer.class
        || wanted == int.class
        || wanted == Long.class
        || wanted == long.class) {
      return "expected a whole number";
    }
    if (wanted == Boolean.class || wanted == boolean.class) {
      return "expected true or false";
    }
    if (Collection.class.isAssignableFrom(wanted)) {
      return "expected a list";
    }
    if (wanted == String.class) {
      return "expected text";
    }
    return wanted.isRecord() || Map.class.isAssignableFrom(wanted) ? "expected fields" : message;
  }

  private static String firstLine(JsonProcessingException e) {
    String message = e.getOriginalMessage();
    int end = message.indexOf('\n');
    return end < 0 ? message : message.substring(0, end);
  }
}
