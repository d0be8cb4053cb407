package io.kubic.mirrors.list;

import com.google.re2j.Matcher;
import com.google.re2j.Pattern;
import com.google.re2j.PatternSyntaxException;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Set;

/**
 * A pattern that a user wrote: RE2, found anywhere in a text unless it is anchored. Matching takes
 * time linear in the text, and compiling a bounded amount of memory: RE2 limits one repetition to
 * 1000, and {@link #MAX_PROGRAM} limits what nested repetitions unfold to.
 */
final class UserPattern {
  /** Longest pattern, in characters. */
  static final int MAX_LENGTH = 1024;

  /** Largest number of instructions that a pattern may unfold to. */
  static final int MAX_PROGRAM = 20_000;

  private final Pattern pattern;

  private UserPattern(Pattern pattern) {
    this.pattern = pattern;
  }

  /**
   * @param path where the pattern stands, as in {@code spec.sources[0].repositories.include[1]}
   * @throws InvalidSpecException when it is no RE2 pattern, or too large
   */
  static UserPattern compile(String text, String path) {
    if (text.isEmpty()) {
      throw new InvalidSpecException(path, "is empty; write '.*' for everything");
    }
    if (text.length() > MAX_LENGTH) {
      throw new InvalidSpecException(
          path,
          "has "
              + text.length()
              + " characters, at most "
              + MAX_LENGTH
              + " are allowed; use several patterns");
    }
    if (unfolded(text) > MAX_PROGRAM) {
      throw new InvalidSpecException(
          path, "its nested repetitions unfold to more than " + MAX_PROGRAM + " steps");
    }
    try {
      return new UserPattern(Pattern.compile(text));
    } catch (PatternSyntaxException e) {
      throw new InvalidSpecException(
          path,
          "no RE2 pattern: "
              + e.getDescription()
              + (e.getPattern() == null || e.getPattern().isEmpty() ? "" : ": " + e.getPattern())
              + hint(text, e.getDescription()));
    }
  }

  boolean isFoundIn(String text) {
    return pattern.matcher(text).find();
  }

  Matcher matcher(String text) {
    return pattern.matcher(text);
  }

  /** Names of the pattern's named groups. */
  Set<String> groups() {
    return pattern.namedGroups().keySet();
  }

  @Override
  public String toString() {
    return pattern.pattern();
  }

  private static String hint(String text, String description) {
    if (text.startsWith("*")) {
      return "; this is a regular expression, not a glob: write '.*'";
    }
    if (description.contains("perl") || description.contains("Perl") || text.contains("(?")) {
      return "; RE2 has no look-around and no back-references: use exclude patterns instead";
    }
    return "";
  }

  /** An upper estimate of what repetitions unfold to, capped far above what is allowed. */
  private static long unfolded(String text) {
    Deque<Long> outer = new ArrayDeque<>();
    long sum = 0;
    long atom = 0;
    int i = 0;
    while (i < text.length()) {
      char c = text.charAt(i);
      switch (c) {
        case '\\' -> {
          sum += atom;
          atom = 1;
          i++;
        }
        case '[' -> {
          sum += atom;
          atom = 1;
          i = classEnd(text, i);
        }
        case '(' -> {
          outer.push(sum + atom);
          sum = 0;
          atom = 0;
        }
        case ')' -> {
          atom = sum + atom + 2;
          sum = outer.isEmpty() ? 0 : outer.pop();
        }
        case '{' -> {
          int end = text.indexOf('}', i);
          long count = end < 0 ? -1 : largestCount(text.substring(i + 1, end));
          if (count >= 0) {
            atom = Math.min(Math.max(1, count) * Math.max(1, atom), 1L << 40);
            i = end;
          } else {
            sum += atom;
            atom = 1;
          }
        }
        default -> {
          sum += atom;
          atom = 1;
        }
      }
      i++;
    }
    long all = sum + atom;
    while (!outer.isEmpty()) {
      all += outer.pop();
    }
    return all;
  }

  private static int classEnd(String text, int open) {
    int i = open + 1;
    if (i < text.length() && text.charAt(i) == '^') {
      i++;
    }
    if (i < text.length() && text.charAt(i) == ']') {
      i++;
    }
    while (i < text.length() && text.charAt(i) != ']') {
      if (text.charAt(i) == '\\') {
        i++;
      } else if (text.startsWith("[:", i)) {
        int end = text.indexOf(":]", i + 2);
        i = end < 0 ? i : end + 1;
      }
      i++;
    }
    return i;
  }

  /** The larger number of {@code n}, {@code n,} or {@code n,m}; -1 when it is no repetition. */
  private static long largestCount(String inner) {
    int comma = inner.indexOf(',');
    String low = comma < 0 ? inner : inner.substring(0, comma);
    String high = comma < 0 ? "" : inner.substring(comma + 1);
    if (!isCount(low) || !high.isEmpty() && !isCount(high)) {
      return -1;
    }
    return Math.max(Long.parseLong(low), high.isEmpty() ? 0 : Long.parseLong(high));
  }

  private static boolean isCount(String text) {
    return !text.isEmpty() && text.length() <= 9 && TagScanner.digitsEnd(text, 0) == text.length();
  }
}
