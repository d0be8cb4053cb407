package io.kubic.mirrors.node.rules;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.toml.TomlMapper;
import com.fasterxml.jackson.dataformat.toml.TomlReadFeature;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** A TOML document with typed access: a value of another type than expected is an error. */
final class TomlFile {
  private static final TomlMapper TOML =
      TomlMapper.builder().enable(TomlReadFeature.PARSE_JAVA_TIME).build();

  private final String name;
  private final ObjectNode root;

  private TomlFile(String name, ObjectNode root) {
    this.name = name;
    this.root = root;
  }

  static TomlFile parse(String text, String name) throws InvalidFileException {
    try {
      JsonNode root = TOML.readTree(text);
      if (!(root instanceof ObjectNode table)) {
        return new TomlFile(name, TOML.createObjectNode());
      }
      return new TomlFile(name, table);
    } catch (JsonProcessingException e) {
      String message = String.valueOf(e.getOriginalMessage());
      int end = message.indexOf('\n');
      throw new InvalidFileException(
          name
              + (e.getLocation() == null
                  ? ""
                  : ":" + e.getLocation().getLineNr() + ":" + e.getLocation().getColumnNr()),
          "is no TOML: " + (end < 0 ? message : message.substring(0, end)));
    }
  }

  ObjectNode root() {
    return root;
  }

  InvalidFileException invalid(String key, String problem) {
    return new InvalidFileException(name, key + ": " + problem);
  }

  /**
   * Readers match keys without regard to case when there is no exact match; then two keys may meet
   * in one field. Such keys are refused.
   */
  void exactKeys(ObjectNode table, String path, Set<String> known) throws InvalidFileException {
    Set<String> seen = new HashSet<>();
    for (String key : fields(table)) {
      String lower = key.toLowerCase(Locale.ROOT);
      if (known.contains(lower) && !known.contains(key) || !seen.add(lower)) {
        throw invalid(join(path, key), "write it as '" + lower + "', once");
      }
    }
  }

  @Nullable String string(ObjectNode table, String path, String key) throws InvalidFileException {
    JsonNode value = table.get(key);
    if (value == null) {
      return null;
    }
    if (!value.isTextual()) {
      throw invalid(join(path, key), "is no string");
    }
    return value.textValue();
  }

  boolean bool(ObjectNode table, String path, String key) throws InvalidFileException {
    JsonNode value = table.get(key);
    if (value == null) {
      return false;
    }
    if (!value.isBoolean()) {
      throw invalid(join(path, key), "is neither true nor false");
    }
    return value.booleanValue();
  }

  @Nullable List<String> strings(ObjectNode table, String path, String key)
      throws InvalidFileException {
    JsonNode value = table.get(key);
    return value == null ? null : strings(value, join(path, key));
  }

  List<String> strings(JsonNode value, String path) throws InvalidFileException {
    List<String> strings = new ArrayList<>();
    if (!value.isArray()) {
      throw invalid(path, "is no list of strings");
    }
    for (JsonNode element : value) {
      if (!element.isTextual()) {
        throw invalid(path, "is no list of strings");
      }
      strings.add(element.textValue());
    }
    return strings;
  }

  @Nullable ObjectNode table(ObjectNode table, String path, String key)
      throws InvalidFileException {
    JsonNode value = table.get(key);
    if (value == null) {
      return null;
    }
    if (!(value instanceof ObjectNode found)) {
      throw invalid(join(path, key), "is no table");
    }
    return found;
  }

  List<ObjectNode> tables(ObjectNode table, String path, String key) throws InvalidFileException {
    JsonNode value = table.get(key);
    List<ObjectNode> tables = new ArrayList<>();
    if (value == null) {
      return tables;
    }
    if (!value.isArray()) {
      throw invalid(join(path, key), "is no array of tables; write [[" + join(path, key) + "]]");
    }
    for (JsonNode element : value) {
      if (!(element instanceof ObjectNode found)) {
        throw invalid(join(path, key), "is no array of tables");
      }
      tables.add(found);
    }
    return tables;
  }

  static List<String> fields(ObjectNode table) {
    List<String> names = new ArrayList<>();
    table.fieldNames().forEachRemaining(names::add);
    return names;
  }

  static String join(String path, String key) {
    return path.isEmpty() ? key : path + "." + key;
  }
}
