package io.kubic.mirrors.list;

import java.util.ArrayList;
import java.util.List;

/**
 * A run of decimal numbers of any length, as {@code 1.22.3} or the {@code 1, 2, 14} of {@code
 * rev1.2-build14}. Compared number by number; where one run is the beginning of the other, the
 * shorter comes first. Leading zeros do not count.
 *
 * @param parts digits without leading zeros; {@code 0} for zero
 */
record NumberRun(List<String> parts) implements Comparable<NumberRun> {
  static final NumberRun EMPTY = new NumberRun(List.of());

  NumberRun {
    parts = List.copyOf(parts);
  }

  /**
   * @param dotted digits and dots, as in {@code 08.2}
   */
  static NumberRun of(String dotted) {
    List<String> parts = new ArrayList<>(4);
    int start = 0;
    for (int i = 0; i <= dotted.length(); i++) {
      if (i == dotted.length() || dotted.charAt(i) == '.') {
        parts.add(stripped(dotted.substring(start, i)));
        start = i + 1;
      }
    }
    return new NumberRun(parts);
  }

  NumberRun then(NumberRun more) {
    List<String> all = new ArrayList<>(parts);
    all.addAll(more.parts);
    return new NumberRun(all);
  }

  boolean isEmpty() {
    return parts.isEmpty();
  }

  int size() {
    return parts.size();
  }

  /** Whether this run is the beginning of the other, or equal to it. */
  boolean isPrefixOf(NumberRun other) {
    return parts.size() <= other.parts.size() && parts.equals(other.parts.subList(0, parts.size()));
  }

  @Override
  public int compareTo(NumberRun other) {
    int shared = Math.min(parts.size(), other.parts.size());
    for (int i = 0; i < shared; i++) {
      int order = compareDigits(parts.get(i), other.parts.get(i));
      if (order != 0) {
        return order;
      }
    }
    return Integer.compare(parts.size(), other.parts.size());
  }

  /** Compares two numbers without leading zeros, however long. */
  static int compareDigits(String a, String b) {
    int order = Integer.compare(a.length(), b.length());
    return order != 0 ? order : a.compareTo(b);
  }

  static String stripped(String digits) {
    int start = 0;
    while (start < digits.length() - 1 && digits.charAt(start) == '0') {
      start++;
    }
    return digits.substring(start);
  }
}
