package io.kubic.mirrors.node;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Collections;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * With what a node's runtimes log in to mirrors: the {@code auths} of Docker's config.json, by
 * {@code host[:port]} or {@code host[:port]/path} (containers-auth.json(5)). They come to a node as
 * a file of their own and are in no other document; nothing here shows them.
 */
public final class PullCredentials {
  public static final PullCredentials NONE = new PullCredentials(new TreeMap<>());

  private final SortedMap<String, String> auths;

  private PullCredentials(SortedMap<String, String> auths) {
    this.auths = Collections.unmodifiableSortedMap(auths);
  }

  /**
   * Reads {@code {"auths": {"host:port": {"auth": "<base64 of user:password>"}}}}; {@code username}
   * and {@code password} are taken where there is no {@code auth}.
   *
   * @throws InvalidSpecException when it is anything else; the message holds nothing of the text
   */
  public static PullCredentials parse(String json, String name) {
    SortedMap<String, String> auths = new TreeMap<>();
    try (JsonParser in = new JsonFactory().createParser(json)) {
      boolean any = false;
      if (in.nextToken() != JsonToken.START_OBJECT) {
        throw new InvalidSpecException(name, "is no JSON object with 'auths'");
      }
      while (in.nextToken() == JsonToken.FIELD_NAME) {
        String field = in.currentName();
        if (in.nextToken() == JsonToken.START_OBJECT && field.equals("auths")) {
          any = true;
          entries(in, auths);
        } else {
          in.skipChildren();
        }
      }
      if (!any) {
        throw new InvalidSpecException(name, "is no JSON object with 'auths'");
      }
    } catch (IOException e) {
      throw new InvalidSpecException(name, "is no JSON");
    }
    return new PullCredentials(auths);
  }

  private static void entries(JsonParser in, SortedMap<String, String> auths) throws IOException {
    while (in.nextToken() == JsonToken.FIELD_NAME) {
      String key = normal(in.currentName());
      if (in.nextToken() != JsonToken.START_OBJECT) {
        in.skipChildren();
        continue;
      }
      Map<String, String> members = new TreeMap<>();
      while (in.nextToken() == JsonToken.FIELD_NAME) {
        String member = in.currentName();
        if (in.nextToken().isScalarValue()) {
          members.put(member, in.getText());
        } else {
          in.skipChildren();
        }
      }
      String auth = members.getOrDefault("auth", "");
      if (auth.isEmpty() && members.containsKey("username")) {
        auth = encode(members.get("username"), members.getOrDefault("password", ""));
      }
      if (isPair(auth)) {
        auths.put(key, auth);
      }
    }
  }

  /** One account for one registry. */
  public static PullCredentials of(String registry, String user, String password) {
    return new PullCredentials(new TreeMap<>(Map.of(registry, encode(user, password))));
  }

  private static String encode(String user, String password) {
    return Base64.getEncoder()
        .encodeToString((user + ":" + password).getBytes(StandardCharsets.UTF_8));
  }

  /** Whether a header and every reader can hold it: one line of base64 with a colon inside. */
  private static boolean isPair(String auth) {
    try {
      return new String(Base64.getDecoder().decode(auth), StandardCharsets.UTF_8).indexOf(':') > 0;
    } catch (IllegalArgumentException e) {
      return false;
    }
  }

  /** As older tools write keys: with a scheme, or with the API's path. */
  private static String normal(String key) {
    String rest = key.strip();
    int scheme = rest.indexOf("://");
    rest = scheme < 0 ? rest : rest.substring(scheme + 3);
    while (rest.endsWith("/")) {
      rest = rest.substring(0, rest.length() - 1);
    }
    for (String version : new String[] {"/v1", "/v2"}) {
      rest = rest.endsWith(version) ? rest.substring(0, rest.length() - version.length()) : rest;
    }
    return rest;
  }

  public boolean isEmpty() {
    return auths.isEmpty();
  }

  /** Only those that one of the locations is below: nodes get nothing that they have no use for. */
  public PullCredentials restrictedTo(Iterable<Location> locations) {
    SortedMap<String, String> kept = new TreeMap<>();
    for (Location location : locations) {
      key(location).ifPresent(key -> kept.put(key, String.valueOf(auths.get(key))));
    }
    return new PullCredentials(kept);
  }

  /** The longest key that the location is at or below. */
  private Optional<String> key(Location location) {
    String key = location.toString();
    while (!auths.containsKey(key)) {
      int slash = key.lastIndexOf('/');
      if (slash < 0) {
        return Optional.empty();
      }
      key = key.substring(0, slash);
    }
    return Optional.of(key);
  }

  /** The value of an {@code Authorization} header for a place; empty when nothing is known. */
  public Optional<String> basic(Location location) {
    return key(location).map(key -> "Basic " + auths.get(key));
  }

  /** By key, base64 of {@code user:password}; sorted. */
  public SortedMap<String, String> auths() {
    return auths;
  }

  /** The document that {@link #parse} reads. */
  public String toJson() {
    StringBuilder json = new StringBuilder("{\"auths\":{");
    auths.forEach(
        (key, auth) ->
            json.append(json.charAt(json.length() - 1) == '{' ? "" : ",")
                .append('"')
                .append(key)
                .append("\":{\"auth\":\"")
                .append(auth)
                .append("\"}"));
    return json.append("}}").toString();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof PullCredentials that && auths.equals(that.auths);
  }

  @Override
  public int hashCode() {
    return auths.hashCode();
  }

  @Override
  public String toString() {
    return "***";
  }
}
