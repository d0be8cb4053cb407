package io.kubic.mirrors.list;

import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.semver4j.RangesList;
import org.semver4j.RangesListFactory;
import org.semver4j.Semver;
import org.semver4j.SemverException;

/**
 * A range of semantic versions, written as for Masterminds/semver, which Helm and skopeo use:
 * comparators {@code = != > >= < <= ~ ^}, joined by spaces or commas for <em>and</em> and by {@code
 * ||} for <em>or</em>; {@code x} and {@code *} as wildcards; {@code 1.2 - 1.4} for both ends
 * included. A pre-release is only in a range that names one, as in {@code >=1.2.0-0}.
 */
final class SemverRange {
  private static final String SYNTAX =
      "is no range of versions: %s; write for example '>=1.2.0 <2', '~1.22' or '1.2 - 1.4 || ^2.1'";

  private static final Set<String> OPERATORS =
      Set.of("", "=", "==", "!=", ">", ">=", "=>", "<", "<=", "=<", "~", "~>", "^");

  private final List<Alternative> alternatives;

  /** One side of {@code ||}. */
  private record Alternative(RangesList range, List<RangesList> except) {
    boolean contains(Semver version) {
      return range.isSatisfiedBy(version)
          && except.stream().noneMatch(excluded -> excluded.isSatisfiedBy(version));
    }
  }

  private SemverRange(List<Alternative> alternatives) {
    this.alternatives = alternatives;
  }

  /**
   * @param path as in {@code spec.sources[0].tags.semver}
   * @throws InvalidSpecException when a part of it cannot be read
   */
  static SemverRange compile(String text, String path) {
    List<Alternative> alternatives = new ArrayList<>();
    int start = 0;
    while (start <= text.length()) {
      int or = text.indexOf("||", start);
      int end = or < 0 ? text.length() : or;
      alternatives.add(alternative(text.substring(start, end), path));
      start = end + 2;
    }
    return new SemverRange(alternatives);
  }

  private static Alternative alternative(String text, String path) {
    List<String> words = words(text);
    if (words.isEmpty()) {
      throw invalid(path, "an alternative is empty");
    }
    StringBuilder and = new StringBuilder();
    List<String> except = new ArrayList<>();
    boolean preReleases = false;
    for (int i = 0; i < words.size(); i++) {
      String word = words.get(i);
      if (word.equals("-")) {
        // 1.2 - 1.4: both neighbours are plain versions
        if (i == 0
            || i == words.size() - 1
            || !isPlain(words.get(i - 1))
            || !isPlain(words.get(i + 1))) {
          throw invalid(path, "'-' joins two versions");
        }
        and.append(" -");
        continue;
      }
      String operator = operator(word);
      String version = word.substring(operator.length());
      String bare = version.startsWith("v") ? version.substring(1) : version;
      if (!OPERATORS.contains(operator) || !isPartial(bare)) {
        throw invalid(path, "'" + word + "'");
      }
      preReleases |= bare.indexOf('-') >= 0;
      String comparator =
          switch (operator) {
            case "=>" -> ">=" + bare;
            case "=<" -> "<=" + bare;
            case "~>" -> "~" + bare;
            case "=", "==", "!=" -> bare;
            default -> operator + bare;
          };
      if (operator.equals("!=")) {
        except.add(comparator);
      } else {
        and.append(' ').append(comparator);
      }
    }
    boolean withPreReleases = preReleases;
    return new Alternative(
        ranges(and.isEmpty() ? "*" : and.substring(1), withPreReleases, path),
        except.stream().map(version -> ranges(version, withPreReleases, path)).toList());
  }

  private static RangesList ranges(String text, boolean preReleases, String path) {
    try {
      return RangesListFactory.create(text, preReleases);
    } catch (SemverException e) {
      throw invalid(path, "'" + text + "'");
    }
  }

  private static InvalidSpecException invalid(String path, String what) {
    return new InvalidSpecException(path, SYNTAX.formatted(what));
  }

  /** Splits at spaces and commas; an operator that stands alone goes to the word behind it. */
  private static List<String> words(String text) {
    List<String> words = new ArrayList<>();
    String pending = "";
    StringBuilder word = new StringBuilder();
    for (int i = 0; i <= text.length(); i++) {
      char c = i == text.length() ? ' ' : text.charAt(i);
      if (c != ' ' && c != ',') {
        word.append(c);
      } else if (!word.isEmpty()) {
        String found = pending + word;
        word.setLength(0);
        boolean alone = !found.equals("-") && operator(found).length() == found.length();
        pending = alone ? found : "";
        if (!alone) {
          words.add(found);
        }
      }
    }
    if (!pending.isEmpty()) {
      words.add(pending);
    }
    return words;
  }

  private static String operator(String word) {
    int end = 0;
    while (end < word.length() && "=!<>~^".indexOf(word.charAt(end)) >= 0) {
      end++;
    }
    return word.substring(0, end);
  }

  private static boolean isPlain(String word) {
    return !word.equals("-") && operator(word).isEmpty();
  }

  /** {@code 1}, {@code 1.x}, {@code 1.2.3-rc.1}, {@code *}. */
  private static boolean isPartial(String text) {
    int dash = text.indexOf('-');
    String[] numbers = (dash < 0 ? text : text.substring(0, dash)).split("\\.", -1);
    if (numbers.length > 3 || dash >= 0 && numbers.length < 3) {
      return false;
    }
    for (String number : numbers) {
      boolean wild = number.equals("x") || number.equals("X") || number.equals("*");
      boolean digits =
          !number.isEmpty()
              && number.length() <= 9
              && TagScanner.digitsEnd(number, 0) == number.length();
      if (dash >= 0 ? !digits : !wild && !digits) {
        return false;
      }
    }
    return dash < 0 || Semver.isValid(text);
  }

  boolean contains(Semver version) {
    return alternatives.stream().anyMatch(alternative -> alternative.contains(version));
  }

  /**
   * A tag as semantic version: up to three numbers with or without {@code v} and a pre-release
   * behind a dash. As everywhere outside the strict grammar, {@code 1.22} is {@code 1.22.0}.
   */
  static Optional<Semver> version(VersionTag tag, String text) {
    if (tag.kind() != TagKind.VERSION || !tag.qualifier().isEmpty()) {
      return Optional.empty();
    }
    int start = tag.prefix().length();
    int dash = text.indexOf('-', start);
    String core = dash < 0 ? text.substring(start) : text.substring(start, dash);
    String[] parts = core.split("\\.", -1);
    if (parts.length > 3) {
      return Optional.empty();
    }
    StringBuilder version = new StringBuilder();
    for (int i = 0; i < 3; i++) {
      String part = i < parts.length ? parts[i] : "0";
      if (part.isEmpty() || TagScanner.digitsEnd(part, 0) != part.length() || part.length() > 9) {
        return Optional.empty();
      }
      version.append(i == 0 ? "" : ".").append(NumberRun.stripped(part));
    }
    if (dash >= 0) {
      version.append(text, dash, text.length());
    }
    return Optional.ofNullable(Semver.parse(version.toString()));
  }
}
