package io.kubic.mirrors.node.render;

import java.util.List;

/**
 * The part of TOML 1.0 that runtimes read: tables, arrays of tables, strings, booleans and lists of
 * strings. Our own because the TOML generator of Jackson writes dotted keys and inline tables only,
 * and containerd takes the order of hosts from {@code [host."…"]} headers.
 */
final class Toml {
  private final StringBuilder text = new StringBuilder();

  Toml comment(String line) {
    text.append("# ").append(line).append('\n');
    return this;
  }

  Toml table(String... path) {
    return header("[", path, "]");
  }

  Toml element(String... path) {
    return header("[[", path, "]]");
  }

  Toml put(String key, String value) {
    return entry(key, quote(value));
  }

  Toml put(String key, boolean value) {
    return entry(key, Boolean.toString(value));
  }

  Toml put(String key, List<String> values) {
    return entry(key, list(values));
  }

  /** A list of lists, as containerd's {@code client}. */
  Toml putPairs(String key, List<List<String>> pairs) {
    return entry(key, "[" + String.join(", ", pairs.stream().map(Toml::list).toList()) + "]");
  }

  private Toml entry(String key, String value) {
    text.append(key(key)).append(" = ").append(value).append('\n');
    return this;
  }

  private Toml header(String open, String[] path, String close) {
    text.append('\n').append(open);
    for (int i = 0; i < path.length; i++) {
      text.append(i == 0 ? "" : ".").append(key(path[i]));
    }
    text.append(close).append('\n');
    return this;
  }

  private static String list(List<String> values) {
    return "[" + String.join(", ", values.stream().map(Toml::quote).toList()) + "]";
  }

  private static String key(String key) {
    return !key.isEmpty()
            && key.chars()
                .allMatch(c -> c < 128 && (Character.isLetterOrDigit(c) || c == '-' || c == '_'))
        ? key
        : quote(key);
  }

  /** A basic string; everything that could end it or leave the line is escaped. */
  private static String quote(String value) {
    StringBuilder quoted = new StringBuilder("\"");
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      switch (c) {
        case '"' -> quoted.append("\\\"");
        case '\\' -> quoted.append("\\\\");
        default -> {
          if (Character.isISOControl(c)) {
            quoted.append(String.format("\\u%04X", (int) c));
          } else {
            quoted.append(c);
          }
        }
      }
    }
    return quoted.append('"').toString();
  }

  @Override
  public String toString() {
    return text.toString();
  }
}
