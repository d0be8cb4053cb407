package io.kubic.mirrors.oci;

/**
 * A repository in a registry.
 *
 * @param registry {@code host[:port]}
 * @param path as in {@code library/alpine}; OCI distribution specification, "Pulling manifests"
 */
public record Repository(String registry, String path) implements Comparable<Repository> {
  private static final int MAX_LENGTH = 255;

  public Repository {
    requireRegistry(registry);
    requirePath(path);
  }

  /** Whether a text is {@code host[:port]}: a DNS name, an IPv4 address or an IPv6 one in []. */
  public static boolean isRegistry(String text) {
    String host = text;
    int colon = text.lastIndexOf(':');
    if (colon >= 0 && !text.endsWith("]")) {
      String port = text.substring(colon + 1);
      host = text.substring(0, colon);
      if (port.isEmpty() || port.length() > 5) {
        return false;
      }
      int number = 0;
      for (int i = 0; i < port.length(); i++) {
        if (!digit(port.charAt(i))) {
          return false;
        }
        number = number * 10 + (port.charAt(i) - '0');
      }
      if (number < 1 || number > 65535) {
        return false;
      }
    }
    return isHost(host);
  }

  private static boolean isHost(String host) {
    if (host.startsWith("[") && host.endsWith("]") && host.length() > 3) {
      for (int i = 1; i < host.length() - 1; i++) {
        char c = host.charAt(i);
        if (Character.digit(c, 16) < 0 && c != ':' && c != '.') {
          return false;
        }
      }
      return host.indexOf("::") >= 0 || host.chars().filter(c -> c == ':').count() == 7;
    }
    if (host.isEmpty() || host.length() > 253) {
      return false;
    }
    boolean startOfLabel = true;
    for (int i = 0; i < host.length(); i++) {
      char c = host.charAt(i);
      boolean last = i == host.length() - 1 || host.charAt(i + 1) == '.';
      if (c == '.') {
        if (startOfLabel || i == host.length() - 1) {
          return false;
        }
        startOfLabel = true;
        continue;
      }
      boolean letter = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || digit(c);
      if (!letter && (c != '-' || startOfLabel || last)) {
        return false;
      }
      startOfLabel = false;
    }
    return true;
  }

  /**
   * Whether a text is a repository's path: components of lower case letters and digits, parted by
   * {@code .}, {@code _}, {@code __} or dashes, joined by slashes; at most 255 characters.
   */
  public static boolean isPath(String text) {
    if (text.isEmpty() || text.length() > MAX_LENGTH) {
      return false;
    }
    boolean needsWord = true;
    int i = 0;
    while (i < text.length()) {
      char c = text.charAt(i);
      if (c >= 'a' && c <= 'z' || digit(c)) {
        needsWord = false;
        i++;
        continue;
      }
      if (needsWord) {
        return false;
      }
      int end = i + 1;
      switch (c) {
        case '/', '.' -> {}
        case '_' -> {
          if (end < text.length() && text.charAt(end) == '_') {
            end++;
          }
        }
        case '-' -> {
          while (end < text.length() && text.charAt(end) == '-') {
            end++;
          }
        }
        default -> {
          return false;
        }
      }
      needsWord = true;
      i = end;
    }
    return !needsWord;
  }

  /**
   * The text itself.
   *
   * @throws IllegalArgumentException when it is no {@code host[:port]}
   */
  public static String requireRegistry(String text) {
    if (!isRegistry(text)) {
      throw new IllegalArgumentException(
          "no registry: '" + Shown.of(text) + "'; expected host[:port] without a scheme");
    }
    return text;
  }

  /**
   * The text itself.
   *
   * @throws IllegalArgumentException when it is no repository's path
   */
  public static String requirePath(String text) {
    if (!isPath(text)) {
      throw new IllegalArgumentException(
          "no repository: '"
              + Shown.of(text)
              + "'; lower case components joined by '/', at most 255 characters");
    }
    return text;
  }

  @Override
  public int compareTo(Repository other) {
    int byRegistry = registry.compareTo(other.registry);
    return byRegistry != 0 ? byRegistry : path.compareTo(other.path);
  }

  @Override
  public String toString() {
    return registry + "/" + path;
  }

  private static boolean digit(char c) {
    return c >= '0' && c <= '9';
  }
}
