package io.kubic.mirrors.gateway;

import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What a request means in the distribution-spec ("Endpoints") and which access it needs. Everything
 * that the spec does not name is refused here and never reaches the registry. Pure.
 */
sealed interface Route {
  /**
   * A request of the spec.
   *
   * @param needs the accesses it needs, all of them
   * @param path the path to send on
   * @param query the query to send on, null for none
   */
  record Accepted(
      Kind kind, String repository, List<Access> needs, String path, @Nullable String query)
      implements Route {}

  /** Not a path of the spec. */
  record NotFound() implements Route {}

  /** A path of the spec, but not with this method. */
  record MethodNotAllowed(String allow) implements Route {}

  /**
   * A path of the spec with a digest that is none, or a query that two readers could understand
   * differently.
   *
   * @param code of the spec's "Error Codes"
   */
  record BadRequest(String code, String problem) implements Route {}

  /** Kinds of requests; the name is a label of the metrics. */
  enum Kind {
    VERSION,
    CATALOG,
    TAGS,
    MANIFEST_READ,
    MANIFEST_HEAD,
    MANIFEST_WRITE,
    MANIFEST_DELETE,
    BLOB_READ,
    BLOB_HEAD,
    BLOB_DELETE,
    UPLOAD_START,
    UPLOAD_STATUS,
    UPLOAD_WRITE,
    UPLOAD_CANCEL,
    REFERRERS;

    /** Whether it changes content, so that a freeze holds it back. */
    boolean writes() {
      return switch (this) {
        case MANIFEST_WRITE,
            MANIFEST_DELETE,
            BLOB_DELETE,
            UPLOAD_START,
            UPLOAD_WRITE,
            UPLOAD_CANCEL ->
            true;
        case VERSION,
            CATALOG,
            TAGS,
            MANIFEST_READ,
            MANIFEST_HEAD,
            BLOB_READ,
            BLOB_HEAD,
            UPLOAD_STATUS,
            REFERRERS ->
            false;
      };
    }

    boolean deletes() {
      return this == MANIFEST_DELETE || this == BLOB_DELETE;
    }
  }

  /**
   * @param rawPath as it was sent, still encoded
   * @param rawQuery as it was sent, null for none
   */
  static Route of(String method, String rawPath, @Nullable String rawQuery) {
    // Some clients encode the colon of a digest; nothing else in a path of the spec needs encoding.
    String path = rawPath.replace("%3A", ":").replace("%3a", ":");
    if (path.indexOf('%') >= 0 || path.indexOf(';') >= 0) {
      return new NotFound();
    }
    if (path.equals("/v2/") || path.equals("/v2")) {
      return reading(method, Kind.VERSION, Kind.VERSION, "", List.of(), "/v2/", null);
    }
    if (path.equals("/v2/_catalog")) {
      return reading(method, Kind.CATALOG, null, "", List.of(Access.catalog()), path, rawQuery);
    }
    if (!path.startsWith("/v2/")) {
      return new NotFound();
    }
    String rest = path.substring("/v2/".length());
    int last = rest.lastIndexOf('/');
    int second = last <= 0 ? -1 : rest.lastIndexOf('/', last - 1);
    if (second <= 0) {
      return new NotFound();
    }
    String name = rest.substring(0, second);
    String part = rest.substring(second + 1, last);
    String end = rest.substring(last + 1);
    if (part.equals("uploads")) {
      if (!name.endsWith("/blobs")) {
        return new NotFound();
      }
      name = name.substring(0, name.length() - "/blobs".length());
    }
    if (!isName(name)) {
      return new NotFound();
    }
    List<Access> pull = List.of(Access.repository(name, Access.PULL));
    List<Access> push = List.of(Access.repository(name, Access.PULL, Access.PUSH));
    List<Access> delete = List.of(Access.repository(name, Access.DELETE));
    return switch (part) {
      case "tags" ->
          end.equals("list")
              ? reading(method, Kind.TAGS, null, name, pull, path, rawQuery)
              : new NotFound();
      case "referrers" ->
          isDigest(end)
              ? reading(method, Kind.REFERRERS, null, name, pull, path, rawQuery)
              : new NotFound();
      case "manifests" -> {
        if (!isDigest(end) && !isTag(end)) {
          yield end.indexOf(':') > 0 ? noDigest() : new NotFound();
        }
        yield switch (method) {
          case "GET" -> new Accepted(Kind.MANIFEST_READ, name, pull, path, rawQuery);
          case "HEAD" -> new Accepted(Kind.MANIFEST_HEAD, name, pull, path, rawQuery);
          case "PUT" -> new Accepted(Kind.MANIFEST_WRITE, name, push, path, rawQuery);
          case "DELETE" -> new Accepted(Kind.MANIFEST_DELETE, name, delete, path, rawQuery);
          default -> new MethodNotAllowed("GET, HEAD, PUT, DELETE");
        };
      }
      case "blobs" -> {
        if (!isDigest(end)) {
          yield end.indexOf(':') > 0 ? noDigest() : new NotFound();
        }
        yield switch (method) {
          case "GET" -> new Accepted(Kind.BLOB_READ, name, pull, path, rawQuery);
          case "HEAD" -> new Accepted(Kind.BLOB_HEAD, name, pull, path, rawQuery);
          case "DELETE" -> new Accepted(Kind.BLOB_DELETE, name, delete, path, rawQuery);
          default -> new MethodNotAllowed("GET, HEAD, DELETE");
        };
      }
      case "uploads" -> {
        if (end.isEmpty()) {
          yield method.equals("POST")
              ? uploadStart(name, path, rawQuery)
              : new MethodNotAllowed("POST");
        }
        if (!isSession(end)) {
          yield new NotFound();
        }
        yield switch (method) {
          case "GET", "HEAD" -> new Accepted(Kind.UPLOAD_STATUS, name, push, path, rawQuery);
          case "PATCH", "PUT" -> new Accepted(Kind.UPLOAD_WRITE, name, push, path, rawQuery);
          // Who may push may give up a push; nothing of the content is deleted.
          case "DELETE" -> new Accepted(Kind.UPLOAD_CANCEL, name, push, path, rawQuery);
          default -> new MethodNotAllowed("GET, HEAD, PATCH, PUT, DELETE");
        };
      }
      default -> new NotFound();
    };
  }

  private static BadRequest noDigest() {
    return new BadRequest("DIGEST_INVALID", "the reference is no digest");
  }

  private static Route reading(
      String method,
      Kind get,
      @Nullable Kind head,
      String name,
      List<Access> needs,
      String path,
      @Nullable String query) {
    if (method.equals("GET")) {
      return new Accepted(get, name, needs, path, query);
    }
    if (method.equals("HEAD") && head != null) {
      return new Accepted(head, name, needs, path, query);
    }
    return new MethodNotAllowed(head == null ? "GET" : "GET, HEAD");
  }

  /**
   * A mount also reads another repository. The registry reads its parameters from the first of
   * several values, so exactly those that were judged are sent on, written anew.
   */
  private static Route uploadStart(String name, String path, @Nullable String rawQuery) {
    Optional<Map<String, String>> parsed = parseQuery(rawQuery);
    if (parsed.isEmpty()) {
      return new BadRequest("UNSUPPORTED", "the query is malformed, or names a parameter twice");
    }
    Map<String, String> query = new LinkedHashMap<>(parsed.get());
    query.keySet().retainAll(Set.of("mount", "from", "digest", "digest-algorithm"));
    List<Access> needs = new ArrayList<>();
    needs.add(Access.repository(name, Access.PULL, Access.PUSH));
    String from = query.get("from");
    if (from != null && !from.isEmpty()) {
      if (!isName(from)) {
        return new BadRequest("NAME_INVALID", "from is no repository name");
      }
      if (!from.equals(name)) {
        needs.add(Access.repository(from, Access.PULL));
      }
    }
    StringBuilder written = new StringBuilder();
    query.forEach(
        (key, value) ->
            written
                .append(written.isEmpty() ? "" : "&")
                .append(key)
                .append('=')
                .append(URLEncoder.encode(value, StandardCharsets.UTF_8)));
    return new Accepted(
        Kind.UPLOAD_START,
        name,
        List.copyOf(needs),
        path,
        written.isEmpty() ? null : written.toString());
  }

  private static Optional<Map<String, String>> parseQuery(@Nullable String rawQuery) {
    Map<String, String> found = new LinkedHashMap<>();
    if (rawQuery == null || rawQuery.isEmpty()) {
      return Optional.of(found);
    }
    try {
      for (String pair : rawQuery.split("&")) {
        if (pair.isEmpty()) {
          continue;
        }
        int equals = pair.indexOf('=');
        String key = equals < 0 ? pair : pair.substring(0, equals);
        String value = equals < 0 ? "" : pair.substring(equals + 1);
        String before =
            found.put(
                URLDecoder.decode(key, StandardCharsets.UTF_8),
                URLDecoder.decode(value, StandardCharsets.UTF_8));
        if (before != null || pair.indexOf(';') >= 0) {
          return Optional.empty();
        }
      }
      return Optional.of(found);
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  /**
   * Repository names of the distribution-spec ("Pulling manifests"): components of lower-case
   * letters and digits with {@code .}, {@code _}, {@code __} or dashes between; 255 characters.
   */
  static boolean isName(String name) {
    if (name.isEmpty() || name.length() > 255) {
      return false;
    }
    for (String component : name.split("/", -1)) {
      if (!isComponent(component)) {
        return false;
      }
    }
    return true;
  }

  private static boolean isComponent(String component) {
    int at = 0;
    int length = component.length();
    if (length == 0) {
      return false;
    }
    while (true) {
      int begin = at;
      while (at < length && isLowerAlphanumeric(component.charAt(at))) {
        at++;
      }
      if (at == begin) {
        return false;
      }
      if (at == length) {
        return true;
      }
      char separator = component.charAt(at);
      int run = at;
      while (run < length && component.charAt(run) == separator) {
        run++;
      }
      int count = run - at;
      boolean good =
          switch (separator) {
            case '.' -> count == 1;
            case '_' -> count <= 2;
            case '-' -> true;
            default -> false;
          };
      if (!good) {
        return false;
      }
      at = run;
    }
  }

  private static boolean isTag(String tag) {
    if (tag.isEmpty() || tag.length() > 128 || tag.charAt(0) == '.' || tag.charAt(0) == '-') {
      return false;
    }
    return tag.chars().allMatch(c -> isAlphanumeric(c) || c == '_' || c == '.' || c == '-');
  }

  private static boolean isDigest(String digest) {
    int colon = digest.indexOf(':');
    if (colon <= 0 || digest.length() > 256 || digest.length() - colon < 33) {
      return false;
    }
    return digest
            .chars()
            .limit(colon)
            .allMatch(c -> isAlphanumeric(c) || c == '+' || c == '.' || c == '-' || c == '_')
        && digest
            .chars()
            .skip(colon + 1L)
            .allMatch(
                c -> (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'));
  }

  private static boolean isSession(String session) {
    return session.length() <= 256
        && session
            .chars()
            .allMatch(c -> isAlphanumeric(c) || c == '-' || c == '_' || c == '.' || c == '=');
  }

  private static boolean isLowerAlphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  }

  private static boolean isAlphanumeric(int c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
  }
}
