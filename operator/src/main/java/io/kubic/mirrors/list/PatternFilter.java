package io.kubic.mirrors.list;

import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.oci.Shown;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Include and exclude patterns: a text passes when an include pattern is found in it and no exclude
 * pattern is.
 */
final class PatternFilter {
  private final List<UserPattern> include;
  private final List<UserPattern> exclude;
  private final boolean all;

  private PatternFilter(List<UserPattern> include, List<UserPattern> exclude, boolean all) {
    this.include = include;
    this.exclude = exclude;
    this.all = all;
  }

  /**
   * @param emptyMeansAll what no include pattern at all means
   * @param path of the object that holds {@code include} and {@code exclude}
   * @throws InvalidSpecException naming the first bad pattern, as in {@code
   *     spec.sources[0].tags.exclude[2]}
   */
  static PatternFilter compile(
      List<String> include, List<String> exclude, boolean emptyMeansAll, String path) {
    return new PatternFilter(
        compileAll(include, path + ".include"),
        compileAll(exclude, path + ".exclude"),
        include.isEmpty() && emptyMeansAll);
  }

  static List<UserPattern> compileAll(List<String> patterns, String path) {
    List<UserPattern> compiled = new ArrayList<>(patterns.size());
    for (int i = 0; i < patterns.size(); i++) {
      compiled.add(UserPattern.compile(patterns.get(i), path + "[" + i + "]"));
    }
    return List.copyOf(compiled);
  }

  /** Whether an include pattern was given. */
  boolean includesByPattern() {
    return !include.isEmpty();
  }

  /** What stops a text, for a person; empty when it passes. */
  Optional<String> refusal(String text) {
    if (!all && include.stream().noneMatch(pattern -> pattern.isFoundIn(text))) {
      return Optional.of("include: none of its patterns is found in '" + Shown.of(text) + "'");
    }
    for (int i = 0; i < exclude.size(); i++) {
      if (exclude.get(i).isFoundIn(text)) {
        return Optional.of("exclude[" + i + "] is found in '" + Shown.of(text) + "'");
      }
    }
    return Optional.empty();
  }

  boolean passes(String text) {
    return (all || include.stream().anyMatch(pattern -> pattern.isFoundIn(text)))
        && exclude.stream().noneMatch(pattern -> pattern.isFoundIn(text));
  }
}
