package io.kubic.mirrors.node.render;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import org.jspecify.annotations.Nullable;

/**
 * The file with everybody's logins, containers-auth.json(5): the one file that we share. Ours are
 * single entries of {@code auths}; all others stay as they are, and what somebody else says of the
 * same registry is his.
 */
public final class AuthFile {
  /** Where CRI-O and podman look as system services, without a {@code global_auth_file}. */
  public static final String PATH = "/run/containers/0/auth.json";

  private static final JsonMapper JSON = new JsonMapper();

  private final ObjectNode root;

  private AuthFile(ObjectNode root) {
    this.root = root;
  }

  /**
   * @param text null for no file
   * @return empty when the runtimes would not read it either
   */
  public static Optional<AuthFile> parse(@Nullable String text) {
    try {
      JsonNode read =
          text == null || text.isBlank() ? JSON.createObjectNode() : JSON.readTree(text);
      return read instanceof ObjectNode object
              && (object.get("auths") == null || object.get("auths").isObject())
          ? Optional.of(new AuthFile(object))
          : Optional.empty();
    } catch (JsonProcessingException e) {
      return Optional.empty();
    }
  }

  /** Keys that somebody else has a login for, other than what we wrote. */
  public List<String> foreign(Map<String, String> ours, Map<String, String> written) {
    List<String> foreign = new ArrayList<>();
    for (String key : ours.keySet()) {
      String there = auth(key);
      if (there != null && !there.equals(written.get(key)) && !there.equals(ours.get(key))) {
        foreign.add(key);
      }
    }
    return foreign;
  }

  /** Whether every entry is there as given. */
  public boolean holds(Map<String, String> ours) {
    return ours.entrySet().stream()
        .allMatch(entry -> entry.getValue().equals(auth(entry.getKey())));
  }

  private @Nullable String auth(String key) {
    JsonNode entry = root.path("auths").get(key);
    return entry == null ? null : entry.path("auth").asText("");
  }

  /**
   * With ours in it, and without what we wrote before.
   *
   * @param written what of ours may be there
   */
  public AuthFile with(SortedMap<String, String> ours, Map<String, String> written) {
    ObjectNode next = without(written).root;
    ObjectNode auths = next.withObject("/auths");
    ours.forEach((key, auth) -> auths.putObject(key).put("auth", auth));
    return new AuthFile(next);
  }

  /** Without what we wrote, as far as nobody has changed it since. */
  public AuthFile without(Map<String, String> written) {
    ObjectNode next = root.deepCopy();
    if (next.get("auths") instanceof ObjectNode auths) {
      written.forEach(
          (key, auth) -> {
            if (auth.equals(auth(key))) {
              auths.remove(key);
            }
          });
      if (auths.isEmpty() && !written.isEmpty()) {
        next.remove("auths");
      }
    }
    return new AuthFile(next);
  }

  /** Whether nothing is in it. */
  public boolean isEmpty() {
    return root.isEmpty() || root.size() == 1 && root.path("auths").isEmpty() && root.has("auths");
  }

  /** Whether both say the same, however they are written. */
  public boolean says(AuthFile other) {
    return isEmpty() && other.isEmpty() || root.equals(other.root);
  }

  /** The text, indented as podman writes it. */
  public String text() {
    try {
      return JSON.writerWithDefaultPrettyPrinter().writeValueAsString(root) + "\n";
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public String toString() {
    return "***";
  }
}
