package io.kubic.mirrors.node;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;

/**
 * A registry or a part of one: {@code host[:port][/path]}, with the grammar of an image name
 * (reference.go of the distribution project). So it can stand in registries.conf, in a URL and in a
 * directory's name without quoting.
 *
 * @param registry {@code host[:port]}; a host is a name, an IPv4 address or an IPv6 address in
 *     brackets
 * @param path components of a repository's name joined by a slash, or empty; no leading slash
 */
public record Location(String registry, String path) implements Comparable<Location> {
  /** Longer names are refused by every registry (distribution-spec, 255 characters). */
  private static final int MAX_LENGTH = 255;

  /**
   * @param text {@code host[:port][/path]}
   * @param field the field that holds it, for the message
   * @throws InvalidSpecException when it is anything else
   */
  public static Location parse(String text, String field) {
    int slash = text.indexOf('/');
    String registry = slash < 0 ? text : text.substring(0, slash);
    String path = slash < 0 ? "" : text.substring(slash + 1);
    if (text.length() > MAX_LENGTH
        || !isRegistry(registry)
        || (slash >= 0 && !isRepository(path))) {
      throw new InvalidSpecException(
          field, "'" + printable(text) + "' is no registry; write host[:port][/path]");
    }
    return new Location(registry, path);
  }

  @JsonCreator
  static Location parse(String text) {
    return parse(text, "location");
  }

  /** The name or address without the port; an IPv6 address keeps its brackets. */
  public String host() {
    int colon = portColon();
    return colon < 0 ? registry : registry.substring(0, colon);
  }

  /** The API's root for containerd and for a probe, as in {@code https://mirror:5000/v2/path}. */
  public String url(String scheme) {
    return scheme + "://" + registry + (path.isEmpty() ? "" : "/v2/" + path);
  }

  private int portColon() {
    int colon = registry.lastIndexOf(':');
    return colon > registry.lastIndexOf(']') ? colon : -1;
  }

  /** Whether the text is {@code host[:port]}. */
  public static boolean isRegistry(String text) {
    int colon = text.lastIndexOf(':');
    String host = text;
    if (colon > text.lastIndexOf(']')) {
      String port = text.substring(colon + 1);
      if (port.isEmpty() || port.length() > 5 || !all(port, "0123456789")) {
        return false;
      }
      int number = Integer.parseInt(port);
      if (number < 1 || number > 65535) {
        return false;
      }
      host = text.substring(0, colon);
    }
    return isHost(host);
  }

  /** Whether the text is a host's name, an IPv4 address or an IPv6 address in brackets. */
  public static boolean isHost(String host) {
    if (host.startsWith("[") && host.endsWith("]")) {
      return host.length() > 3
          && all(host.substring(1, host.length() - 1), "0123456789abcdefABCDEF:");
    }
    if (host.isEmpty() || host.length() > 253) {
      return false;
    }
    for (String label : host.split("\\.", -1)) {
      if (label.isEmpty()
          || label.startsWith("-")
          || label.endsWith("-")
          || !label.chars().allMatch(c -> isAlphanumeric(c) || c >= 'A' && c <= 'Z' || c == '-')) {
        return false;
      }
    }
    return true;
  }

  /** Whether the text is the name of a repository, or of several by their common beginning. */
  public static boolean isRepository(String path) {
    for (String component : path.split("/", -1)) {
      if (!isComponent(component)) {
        return false;
      }
    }
    return true;
  }

  /** alpha-numeric, separated by one dot, one or two underscores, or any number of dashes. */
  private static boolean isComponent(String component) {
    if (component.isEmpty()
        || !isAlphanumeric(component.charAt(0))
        || !isAlphanumeric(component.charAt(component.length() - 1))) {
      return false;
    }
    int at = 0;
    while (at < component.length()) {
      char c = component.charAt(at);
      if (isAlphanumeric(c)) {
        at++;
        continue;
      }
      int end = at;
      while (end < component.length() && component.charAt(end) == c) {
        end++;
      }
      int most =
          switch (c) {
            case '.' -> 1;
            case '_' -> 2;
            case '-' -> Integer.MAX_VALUE;
            default -> 0;
          };
      if (end - at > most || !isAlphanumeric(component.charAt(end))) {
        return false;
      }
      at = end;
    }
    return true;
  }

  private static boolean isAlphanumeric(int c) {
    return c >= 'a' && c <= 'z' || c >= '0' && c <= '9';
  }

  private static boolean all(String text, String allowed) {
    return text.chars().allMatch(c -> allowed.indexOf(c) >= 0);
  }

  /** Text from outside on one line of a message. */
  static String printable(String text) {
    StringBuilder shown = new StringBuilder();
    text.codePoints()
        .limit(80)
        .forEach(c -> shown.appendCodePoint(Character.isISOControl(c) ? '?' : c));
    return shown.toString();
  }

  @Override
  public int compareTo(Location other) {
    return toString().compareTo(other.toString());
  }

  @Override
  @JsonValue
  public String toString() {
    return path.isEmpty() ? registry : registry + "/" + path;
  }
}
