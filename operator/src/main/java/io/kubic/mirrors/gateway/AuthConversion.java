package io.kubic.mirrors.gateway;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLGenerator;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Translates docker_auth's {@code auth_config.yml} into a Secret with the users' password hashes
 * and a MirrorRegistry whose {@code spec.auth} decides as docker_auth did. What has no counterpart
 * is named, never dropped in silence.
 *
 * @param yaml the two documents; the Secret holds the hashes of the file and nothing more
 * @param notes what a person has to look at, a line each
 */
public record AuthConversion(String yaml, List<String> notes) {
  private static final Set<String> RULE = Set.of("match", "actions", "comment");
  private static final Set<String> MATCH = Set.of("account", "type", "name", "ip");
  private static final Set<String> TOP = Set.of("server", "token", "users", "acl");

  /**
   * @param text auth_config.yml
   * @param registry name of the MirrorRegistry
   * @throws IllegalArgumentException with one line when the text is no such file
   */
  public static AuthConversion of(String text, String registry) {
    ObjectMapper yaml =
        new ObjectMapper(
                YAMLFactory.builder().enable(YAMLGenerator.Feature.MINIMIZE_QUOTES).build())
            .enable(DeserializationFeature.FAIL_ON_READING_DUP_TREE_KEY);
    JsonNode root;
    try {
      root = yaml.readTree(text);
    } catch (JsonProcessingException e) {
      // The parser's message would quote the line, which may hold a hash.
      throw new IllegalArgumentException(
          "not valid YAML"
              + (e.getLocation() == null ? "" : " at line " + e.getLocation().getLineNr()));
    }
    if (root == null || !root.isObject() || !(root.has("users") || root.has("acl"))) {
      throw new IllegalArgumentException("neither users nor acl: this is no auth_config.yml");
    }
    List<String> notes = new ArrayList<>();
    for (String name : names(root)) {
      if (!TOP.contains(name)) {
        notes.add(name + " has no counterpart: only static users and acl are translated");
      }
    }
    String secretName = registry + "-users";
    ObjectNode data = yaml.createObjectNode();
    ObjectNode auth = yaml.createObjectNode();
    auth.put("anonymousPull", false);
    users(root.path("users"), secretName, data, auth, notes);
    rules(root.path("acl"), auth, notes);
    JsonNode expiration = root.path("token").path("expiration");
    if (expiration.isNumber()) {
      long seconds = Math.clamp(expiration.asLong(), 60, 3600);
      auth.put("tokenLifetime", seconds + "s");
      if (seconds != expiration.asLong()) {
        notes.add("token.expiration " + expiration.asLong() + " became " + seconds + "s");
      }
    }
    ObjectNode secret = object(yaml, "v1", "Secret", secretName);
    secret.set("stringData", data);
    ObjectNode mirror = object(yaml, "mirrors.kubic.io/v1alpha1", "MirrorRegistry", registry);
    mirror.putObject("spec").set("auth", auth);
    try {
      String documents =
          (data.isEmpty() ? "" : yaml.writeValueAsString(secret)) + yaml.writeValueAsString(mirror);
      return new AuthConversion(documents, List.copyOf(notes));
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void users(
      JsonNode users, String secretName, ObjectNode data, ObjectNode auth, List<String> notes) {
    ArrayNode list = auth.putArray("users");
    for (Map.Entry<String, JsonNode> user : users.properties()) {
      String name = user.getKey();
      String password = user.getValue().path("password").asText("");
      if (name.isEmpty()) {
        continue; // the anonymous account: what it may is in the rules
      }
      if (password.isEmpty()) {
        notes.add(
            "user " + name + " has no password, so any was good; it is left out: give it one");
        continue;
      }
      if (user.getValue().has("labels")) {
        notes.add("user " + name + ": labels have no counterpart");
      }
      data.put(name, password);
      ObjectNode entry = list.addObject();
      entry.put("name", name);
      entry.put("role", "Pull");
      entry.putObject("passwordSecretRef").put("name", secretName).put("key", name);
    }
  }

  private static void rules(JsonNode rules, ObjectNode auth, List<String> notes) {
    ArrayNode list = auth.putArray("acl");
    int index = 0;
    for (JsonNode rule : rules) {
      String path = "acl[" + index++ + "]";
      for (String name : names(rule)) {
        if (!RULE.contains(name)) {
          notes.add(path + "." + name + " has no counterpart");
        }
      }
      ObjectNode entry = auth.objectNode();
      boolean whole = true;
      for (String name : names(rule.path("match"))) {
        if (MATCH.contains(name)) {
          entry.put(name, rule.path("match").path(name).asText());
        } else {
          // Without one of its conditions a rule would match more than it did.
          notes.add(path + ".match." + name + " has no counterpart; the rule is left out");
          whole = false;
        }
      }
      ArrayNode actions = entry.putArray("actions");
      rule.path("actions").forEach(action -> actions.add(action.asText()));
      if (rule.has("comment")) {
        entry.put("comment", rule.path("comment").asText());
      }
      if (whole) {
        list.add(entry);
      }
    }
    // docker_auth refuses where no rule matches; here the role would decide.
    list.addObject().put("comment", "nothing else, as in docker_auth").putArray("actions");
  }

  private static ObjectNode object(ObjectMapper mapper, String version, String kind, String name) {
    ObjectNode object = mapper.createObjectNode();
    object.put("apiVersion", version);
    object.put("kind", kind);
    object.putObject("metadata").put("name", name);
    return object;
  }

  private static List<String> names(JsonNode node) {
    return node.properties().stream().map(Map.Entry::getKey).toList();
  }
}
