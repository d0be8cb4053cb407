package io.kubic.mirrors.oci.registry;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Who we are, for each registry or part of one. The form of Docker's {@code config.json} and of
 * Secrets of type {@code kubernetes.io/dockerconfigjson}; the longest matching prefix of {@code
 * host[:port]/path} wins, as in containers-auth.json(5).
 */
public final class Credentials {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Credentials NONE = new Credentials(List.of(), null);

  /** Looked up one after another; the first map that knows a key wins for that key. */
  private final List<Map<String, Login>> files;

  private final @Nullable Login always;

  private Credentials(List<Map<String, Login>> files, @Nullable Login always) {
    this.files = files;
    this.always = always;
  }

  /**
   * One account.
   *
   * @param identityToken a refresh token that replaces the password; null for none
   */
  public record Login(String username, Secret password, @Nullable Secret identityToken) {
    public Login(String username, Secret password) {
      this(username, password, null);
    }

    /** The value of a Basic {@code Authorization} header. */
    Secret basic() {
      String pair = username + ":" + password.reveal();
      return new Secret(
          "Basic " + Base64.getEncoder().encodeToString(pair.getBytes(StandardCharsets.UTF_8)));
    }
  }

  /** Nobody. */
  public static Credentials none() {
    return NONE;
  }

  /** One account for every repository of the registry that it is used with. */
  public static Credentials of(Login login) {
    return new Credentials(List.of(), login);
  }

  /**
   * Docker's {@code config.json}.
   *
   * @param json the text
   * @param name what it is called in messages, as a file name
   * @throws IllegalArgumentException when it is malformed; the message holds nothing of the text
   */
  public static Credentials fromDockerConfig(String json, String name) {
    JsonNode root;
    try {
      root = JSON.readTree(json);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(name + ": is no JSON");
    }
    if (root == null || !root.isObject()) {
      throw new IllegalArgumentException(name + ": is no JSON object with 'auths'");
    }
    Map<String, Login> logins = new HashMap<>();
    for (Map.Entry<String, JsonNode> entry : root.path("auths").properties()) {
      login(entry.getValue(), name, entry.getKey())
          .ifPresent(login -> logins.put(normal(entry.getKey()), login));
    }
    return new Credentials(List.of(Map.copyOf(logins)), null);
  }

  private static Optional<Login> login(JsonNode node, String name, String key) {
    String username = node.path("username").asText("");
    String password = node.path("password").asText("");
    String auth = node.path("auth").asText("");
    String identity = node.path("identitytoken").asText("");
    if (username.isEmpty() && !auth.isEmpty()) {
      String pair;
      try {
        pair = new String(Base64.getMimeDecoder().decode(auth), StandardCharsets.UTF_8);
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException(name + ": auths[" + key + "].auth is no base64");
      }
      int colon = pair.indexOf(':');
      if (colon < 0) {
        throw new IllegalArgumentException(name + ": auths[" + key + "].auth is no user:password");
      }
      username = pair.substring(0, colon);
      password = pair.substring(colon + 1);
    }
    if (username.isEmpty() && identity.isEmpty()) {
      return Optional.empty();
    }
    return Optional.of(
        new Login(
            username,
            new Secret(password.strip()),
            identity.isEmpty() ? null : new Secret(identity)));
  }

  /** These credentials first, then others. */
  public Credentials or(Credentials next) {
    if (this == NONE) {
      return next;
    }
    List<Map<String, Login>> all = new ArrayList<>(files);
    all.addAll(next.files);
    return new Credentials(List.copyOf(all), always != null ? always : next.always);
  }

  /**
   * The account for a repository.
   *
   * @param registry {@code host[:port]}
   * @param path the repository; empty for the registry itself
   */
  public Optional<Login> find(String registry, String path) {
    String host = normal(registry);
    String key = path.isEmpty() ? host : host + "/" + path;
    while (true) {
      for (Map<String, Login> file : files) {
        Login login = file.get(key);
        if (login != null) {
          return Optional.of(login);
        }
      }
      int slash = key.lastIndexOf('/');
      if (slash < 0) {
        return Optional.ofNullable(always);
      }
      key = key.substring(0, slash);
    }
  }

  private static String normal(String key) {
    String rest = key.strip();
    int scheme = rest.indexOf("://");
    rest = scheme < 0 ? rest : rest.substring(scheme + 3);
    while (rest.endsWith("/")) {
      rest = rest.substring(0, rest.length() - 1);
    }
    int slash = rest.indexOf('/');
    String host = slash < 0 ? rest : rest.substring(0, slash);
    String path = slash < 0 ? "" : rest.substring(slash);
    // The API of the whole registry, as Docker writes it.
    path = path.equals("/v1") || path.equals("/v2") ? "" : path;
    host =
        switch (host) {
          case "index.docker.io", "registry-1.docker.io" -> "docker.io";
          default -> host;
        };
    return host + path;
  }

  @Override
  public String toString() {
    return "***";
  }
}
