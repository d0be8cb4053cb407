package io.kubic.mirrors.list;

import java.util.ArrayList;
import java.util.List;

/** Reads tags as {@link VersionTag}s, in one pass and without patterns. */
final class TagScanner {
  private final String text;
  private final String prefix;
  private final List<Piece> pieces = new ArrayList<>(6);
  private NumberRun numbers = NumberRun.EMPTY;
  private String qualifier = "";
  private TagKind kind = TagKind.VERSION;
  private int next;

  /**
   * What stands between two separators.
   *
   * @param separator the {@code -} or {@code _} in front
   */
  private record Piece(char separator, String text) {
    boolean isDigits() {
      return !text.isEmpty() && digitsEnd(text, 0) == text.length();
    }

    boolean isDigits(int length) {
      return text.length() == length && isDigits();
    }

    boolean isNumbers() {
      return isNumberRun(text, 0);
    }

    /** The letters in front; the whole text when it has nothing else. */
    String letters() {
      return text.substring(0, lettersEnd(text));
    }
  }

  private TagScanner(String text, String prefix) {
    this.text = text;
    this.prefix = prefix;
  }

  static VersionTag scan(String text) {
    if (isCompanion(text)) {
      return VersionTag.of(TagKind.COMPANION, text);
    }
    boolean v =
        text.length() > 1
            && (text.charAt(0) == 'v' || text.charAt(0) == 'V')
            && isDigit(text.charAt(1));
    int start = v ? 1 : 0;
    if (text.isEmpty() || !isDigit(text.charAt(start)) || isHash(text, start)) {
      return VersionTag.of(TagKind.NAME, text);
    }
    return new TagScanner(text, text.substring(0, start)).read(start);
  }

  private VersionTag read(int start) {
    int end = numbersEnd(text, start);
    numbers = NumberRun.of(text.substring(start, end));
    int glued = end;
    while (glued < text.length() && !isSeparator(text.charAt(glued))) {
      glued++;
    }
    qualifier = text.substring(end, glued);
    split(glued);
    if (qualifier.isEmpty() && numbers.size() == 1) {
      readUndottedVersion(end - start);
    } else if (qualifier.length() > 1 && numbers.size() == 1 && end - start == 8) {
      // 20240115T143000Z
      kind = TagKind.STAMP;
    }
    return readVariantAndBuild();
  }

  private void split(int from) {
    int at = from;
    while (at < text.length()) {
      char separator = text.charAt(at);
      int end = at + 1;
      while (end < text.length() && !isSeparator(text.charAt(end))) {
        end++;
      }
      pieces.add(new Piece(separator, text.substring(at + 1, end)));
      at = end;
    }
  }

  /** Calendar dates, time stamps, and versions written with dashes or underscores throughout. */
  private void readUndottedVersion(int digits) {
    if (digits == 4 && isYear(numbers.parts().getFirst()) && digitsAt(0, 2) && inRange(0, 1, 12)) {
      takeNumber();
      kind = TagKind.STAMP;
      if (digitsAt(1, 2) && inRange(1, 1, 31)) {
        takeNumber();
      } else if (next < pieces.size() && startsClock(pieces.get(next).text())) {
        takeClock();
      }
      return;
    }
    if (digits >= 7) {
      kind = TagKind.STAMP;
      if (digits == 8 && (digitsAt(0, 6) || digitsAt(0, 4))) {
        takeNumber();
      }
      return;
    }
    if (pieces.size() >= 2
        && pieces.get(0).isDigits()
        && pieces.get(1).isDigits()
        && pieces.get(0).separator() == pieces.get(1).separator()) {
      while (next < pieces.size() && pieces.get(next).isDigits()) {
        takeNumber();
      }
    }
  }

  private boolean digitsAt(int piece, int length) {
    return piece < pieces.size() && pieces.get(piece).isDigits(length);
  }

  private boolean inRange(int piece, int low, int high) {
    int value = Integer.parseInt(pieces.get(piece).text());
    return value >= low && value <= high;
  }

  private void takeNumber() {
    numbers = numbers.then(NumberRun.of(pieces.get(next).text()));
    next++;
  }

  /** {@code 15T16-07-38Z}: the day, and a clock that is part of the stamp. */
  private void takeClock() {
    String day = pieces.get(next).text();
    numbers = numbers.then(NumberRun.of(day.substring(0, 2)));
    StringBuilder clock = new StringBuilder(day.substring(2));
    next++;
    while (next < pieces.size()
        && pieces.get(next).text().length() >= 2
        && digitsEnd(pieces.get(next).text(), 0) == 2) {
      clock.append('-').append(pieces.get(next).text());
      next++;
    }
    qualifier = clock.toString();
  }

  private static boolean startsClock(String text) {
    return text.length() > 3 && digitsEnd(text, 0) == 2 && (text.charAt(2) | 0x20) == 't';
  }

  private VersionTag readVariantAndBuild() {
    List<NumberRun> found = new ArrayList<>(4);
    String word = "";
    int end = pieces.size();
    while (end > next) {
      Piece piece = pieces.get(end - 1);
      if (piece.isNumbers()) {
        String before = end - 1 > next ? pieces.get(end - 2).text() : "";
        if (TagWords.namesARelease(before) || anyWindows(end - 1)) {
          break;
        }
        found.add(NumberRun.of(piece.text()));
        end -= TagWords.countsBuilds(before) ? 2 : 1;
        continue;
      }
      String letters = piece.letters();
      if (TagWords.countsBuilds(letters) && isNumberRun(piece.text(), letters.length())) {
        found.add(NumberRun.of(piece.text().substring(letters.length())));
        end--;
        continue;
      }
      int dot = wordBeforeNumbers(piece.text());
      if (dot < 0) {
        break;
      }
      word = piece.text().substring(0, dot);
      NumberRun run = NumberRun.of(piece.text().substring(dot + 1));
      if (TagWords.countsBuilds(word)) {
        found.add(run);
        word = "";
        end--;
        continue;
      }
      if (TagWords.namesARelease(word) || TagWords.isWindows(word)) {
        word = "";
        break;
      }
      found.add(run);
      end--;
      break;
    }
    NumberRun build = NumberRun.EMPTY;
    for (NumberRun run : found.reversed()) {
      build = build.then(run);
    }
    StringBuilder variant = new StringBuilder();
    boolean preRelease = announces(qualifier);
    for (int i = next; i < end; i++) {
      variant.append(variant.isEmpty() ? "" : "-").append(pieces.get(i).text());
      preRelease |= announces(pieces.get(i).text());
    }
    if (!word.isEmpty()) {
      variant.append(variant.isEmpty() ? "" : "-").append(word);
      preRelease |= announces(word);
    }
    return new VersionTag(
        text, kind, prefix, numbers, qualifier, variant.toString(), build, preRelease);
  }

  private boolean anyWindows(int end) {
    for (int i = next; i < end; i++) {
      if (TagWords.isWindows(pieces.get(i).letters())) {
        return true;
      }
    }
    return false;
  }

  private static boolean announces(String word) {
    int start = word.startsWith(".") ? 1 : 0;
    String rest = word.substring(start);
    return TagWords.isPreRelease(rest.substring(0, lettersEnd(rest)));
  }

  /**
   * Where the dot of {@code <word>.<n>} stands, or -1: {@code rc.1}, {@code eksbuild.2}, and rpm's
   * {@code lp152.2.14}. A word that ends in a digit carries a version of its own ({@code
   * alpine3.20}).
   */
  private static int wordBeforeNumbers(String piece) {
    if (piece.isEmpty() || isDigit(piece.charAt(0))) {
      return -1;
    }
    int letters = lettersEnd(piece);
    if (letters > 0 && TagWords.isRpmMark(piece.substring(0, letters))) {
      int mark = digitsEnd(piece, letters);
      return mark > letters && mark < piece.length() && isNumberRun(piece, mark + 1) ? mark : -1;
    }
    int dot = piece.length();
    for (int i = piece.length() - 1; i > 0; i--) {
      char c = piece.charAt(i);
      if (c == '.') {
        dot = i;
      } else if (!isDigit(c)) {
        break;
      }
    }
    return dot < piece.length()
            && isNumberRun(piece, dot + 1)
            && !isDigit(piece.charAt(dot - 1))
            && piece.charAt(dot - 1) != '.'
        ? dot
        : -1;
  }

  /**
   * {@code sha256-<hex>} with or without one extension: cosign's signatures, attestations and
   * SBOMs, and the referrers tag schema, which cuts the digest at 64 characters.
   */
  private static boolean isCompanion(String text) {
    if (!text.startsWith("sha256-") && !text.startsWith("sha512-")) {
      return false;
    }
    int end = 7;
    while (end < text.length() && isHex(text.charAt(end))) {
      end++;
    }
    int digits = end - 7;
    if (digits != 64 && digits != 128) {
      return false;
    }
    if (end == text.length()) {
      return true;
    }
    return text.charAt(end) == '.' && end + 1 < text.length() && text.indexOf('.', end + 1) < 0;
  }

  /** Seven or more hexadecimal digits of which one is a letter: a commit, not a version. */
  private static boolean isHash(String text, int start) {
    boolean letter = false;
    int at = start;
    while (at < text.length() && isHex(text.charAt(at))) {
      letter |= !isDigit(text.charAt(at));
      at++;
    }
    return letter && at - start >= 7 && (at == text.length() || isSeparator(text.charAt(at)));
  }

  private static boolean isYear(String digits) {
    return digits.startsWith("19") || digits.startsWith("20");
  }

  private static boolean isSeparator(char c) {
    return c == '-' || c == '_';
  }

  private static boolean isHex(char c) {
    return isDigit(c) || (c >= 'a' && c <= 'f');
  }

  static boolean isDigit(char c) {
    return c >= '0' && c <= '9';
  }

  static int digitsEnd(String text, int from) {
    int at = from;
    while (at < text.length() && isDigit(text.charAt(at))) {
      at++;
    }
    return at;
  }

  private static int lettersEnd(String text) {
    int at = 0;
    while (at < text.length()
        && ((text.charAt(at) | 0x20) >= 'a' && (text.charAt(at) | 0x20) <= 'z')) {
      at++;
    }
    return at;
  }

  /** End of {@code digits(.digits)*} at {@code from}; a dot that no digit follows is not taken. */
  private static int numbersEnd(String text, int from) {
    int at = digitsEnd(text, from);
    while (at > from
        && at + 1 < text.length()
        && text.charAt(at) == '.'
        && isDigit(text.charAt(at + 1))) {
      at = digitsEnd(text, at + 1);
    }
    return at;
  }

  private static boolean isNumberRun(String text, int from) {
    return from < text.length()
        && isDigit(text.charAt(from))
        && numbersEnd(text, from) == text.length();
  }
}
