package io.kubic.mirrors.gateway;

/**
 * Shell patterns with the semantics of Go's {@code path.Match}, which docker_auth uses: {@code *}
 * any run without a slash, {@code ?} one character but a slash, {@code [a-z]} and {@code [^a]}
 * classes, {@code \} takes the next character literally. The whole text must match.
 */
final class Glob {
  private final String pattern;

  /**
   * @throws IllegalArgumentException when a class or an escape does not end
   */
  Glob(String pattern) {
    this.pattern = pattern;
    for (int at = 0; at < pattern.length(); ) {
      at = element(pattern, at, 'x').next;
    }
  }

  boolean matches(String text) {
    int p = 0;
    int t = 0;
    int star = -1;
    int mark = 0;
    while (t < text.length()) {
      if (p < pattern.length() && pattern.charAt(p) == '*') {
        star = p++;
        mark = t;
        continue;
      }
      if (p < pattern.length()) {
        Element element = element(pattern, p, text.charAt(t));
        if (element.matches) {
          p = element.next;
          t++;
          continue;
        }
      }
      // Only the last star need be tried longer; it must not swallow a slash.
      if (star < 0 || text.charAt(mark) == '/') {
        return false;
      }
      p = star + 1;
      t = ++mark;
    }
    while (p < pattern.length() && pattern.charAt(p) == '*') {
      p++;
    }
    return p == pattern.length();
  }

  private record Element(int next, boolean matches) {}

  private static Element element(String pattern, int at, char c) {
    return switch (pattern.charAt(at)) {
      case '*' -> new Element(at + 1, c != '/');
      case '?' -> new Element(at + 1, c != '/');
      case '\\' -> {
        if (at + 1 >= pattern.length()) {
          throw new IllegalArgumentException("'" + pattern + "': the last \\ escapes nothing");
        }
        yield new Element(at + 2, pattern.charAt(at + 1) == c);
      }
      case '[' -> charClass(pattern, at + 1, c);
      default -> new Element(at + 1, pattern.charAt(at) == c);
    };
  }

  private static Element charClass(String pattern, int start, char c) {
    int at = start;
    boolean negated = at < pattern.length() && pattern.charAt(at) == '^';
    if (negated) {
      at++;
    }
    boolean found = false;
    int ranges = 0;
    while (at < pattern.length() && (pattern.charAt(at) != ']' || ranges == 0)) {
      if (pattern.charAt(at) == ']' || pattern.charAt(at) == '-') {
        throw malformed(pattern);
      }
      at = skipEscape(pattern, at);
      char low = pattern.charAt(at++);
      char high = low;
      if (at < pattern.length() && pattern.charAt(at) == '-') {
        at = skipEscape(pattern, at + 1);
        high = pattern.charAt(at++);
      }
      found |= low <= c && c <= high;
      ranges++;
    }
    if (at >= pattern.length()) {
      throw malformed(pattern);
    }
    return new Element(at + 1, found != negated);
  }

  private static int skipEscape(String pattern, int at) {
    int literal = at < pattern.length() && pattern.charAt(at) == '\\' ? at + 1 : at;
    if (literal >= pattern.length()) {
      throw malformed(pattern);
    }
    return literal;
  }

  private static IllegalArgumentException malformed(String pattern) {
    return new IllegalArgumentException("'" + pattern + "': a [class] of the glob is malformed");
  }
}
