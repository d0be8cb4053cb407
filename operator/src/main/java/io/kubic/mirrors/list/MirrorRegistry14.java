package io.kubic.mirrors.list;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * What mirror-registry 1.4 keeps for {@code --minimize}, {@code --newest-only}, or both (first the
 * one, then the other), defects included: tags are compared as numbers only when both consist of
 * nothing else, and belong together when the text of one begins with the text of the other. See
 * thkukuk/mirror-registry.
 *
 * <p>That comparison is no order for every set of tags ({@code 9 < 10} as numbers, {@code 10 <
 * 2-rc1 < 9} as text), so the original's result depends on its sort. Up to twelve tags this is the
 * insertion sort that Go uses for them, over the tags in the order of their bytes, and so is the
 * result; for more, a stable merge sort, which agrees with any sort wherever the comparison is an
 * order.
 */
final class MirrorRegistry14 implements TagPolicy {
  private static final int INSERTION_SORT_UP_TO = 12;

  private final boolean minimize;
  private final boolean newestOnly;

  MirrorRegistry14(boolean minimize, boolean newestOnly) {
    this.minimize = minimize;
    this.newestOnly = newestOnly;
  }

  @Override
  public List<VersionTag> keep(List<VersionTag> tags) {
    List<Entry> entries = new ArrayList<>();
    tags.stream()
        .sorted(Comparator.comparing(VersionTag::text))
        .forEach(tag -> entries.add(new Entry(tag)));
    List<Entry> kept = sort(entries);
    if (minimize) {
      kept = minimized(kept);
    }
    if (newestOnly) {
      kept = sort(newest(kept));
    }
    return kept.stream().map(Entry::tag).toList();
  }

  /** A tag with its numbers, if it has only numbers. */
  private static final class Entry {
    private final VersionTag tag;
    private final String[] numbers;

    Entry(VersionTag tag) {
      this.tag = tag;
      this.numbers = numbers(tag.text());
    }

    VersionTag tag() {
      return tag;
    }

    String text() {
      return tag.text();
    }

    private static String[] numbers(String text) {
      String[] parts =
          (text.startsWith("v") ? text.substring(1) : text).replace('-', '.').split("\\.", -1);
      for (String part : parts) {
        if (part.isEmpty() || TagScanner.digitsEnd(part, 0) != part.length()) {
          return new String[0];
        }
      }
      return parts;
    }

    int compareTo(Entry other) {
      if (numbers.length == 0 || other.numbers.length == 0) {
        return text().compareTo(other.text());
      }
      for (int i = 0; i < Math.max(numbers.length, other.numbers.length); i++) {
        int order = Long.compare(number(i), other.number(i));
        if (order != 0) {
          return order;
        }
      }
      return 0;
    }

    /** A number that is not there, or that no 64-bit integer holds, is -1. */
    private long number(int i) {
      if (i >= numbers.length) {
        return -1;
      }
      try {
        return Long.parseLong(numbers[i]);
      } catch (NumberFormatException e) {
        return -1;
      }
    }
  }

  private static List<Entry> minimized(List<Entry> sorted) {
    int last = sorted.size() - 1;
    if (last < 1) {
      return sorted;
    }
    List<Entry> kept = new ArrayList<>();
    kept.add(sorted.getFirst());
    int i = 1;
    while (i < last) {
      if (sorted.get(i + 1).text().startsWith(sorted.get(i).text())) {
        kept.add(sorted.get(i));
        i++;
        continue;
      }
      String before = sorted.get(i - 1).text();
      int end = i;
      while (end <= last && sorted.get(end).text().startsWith(before)) {
        end++;
      }
      int keep = Math.max(end - 1, i);
      kept.add(sorted.get(keep));
      i = keep + 1;
    }
    if (i == last) {
      kept.add(sorted.get(last));
    }
    return kept;
  }

  private static List<Entry> newest(List<Entry> sorted) {
    Set<Entry> kept = new LinkedHashSet<>();
    String newest = null;
    for (Entry entry : sorted.reversed()) {
      if (entry.text().equals("latest")) {
        kept.add(entry);
      } else if (newest == null) {
        newest = entry.text();
        kept.add(entry);
      } else if (newest.startsWith(entry.text())) {
        kept.add(entry);
      }
    }
    return new ArrayList<>(kept);
  }

  private static List<Entry> sort(List<Entry> entries) {
    if (entries.size() <= INSERTION_SORT_UP_TO) {
      List<Entry> sorted = new ArrayList<>(entries);
      for (int i = 1; i < sorted.size(); i++) {
        for (int j = i; j > 0 && sorted.get(j).compareTo(sorted.get(j - 1)) < 0; j--) {
          Entry moved = sorted.get(j);
          sorted.set(j, sorted.get(j - 1));
          sorted.set(j - 1, moved);
        }
      }
      return sorted;
    }
    // Not List.sort: it rejects a comparison that is no order.
    int middle = entries.size() / 2;
    List<Entry> left = sort(entries.subList(0, middle));
    List<Entry> right = sort(entries.subList(middle, entries.size()));
    List<Entry> merged = new ArrayList<>(entries.size());
    int i = 0;
    int j = 0;
    while (i < left.size() && j < right.size()) {
      merged.add(right.get(j).compareTo(left.get(i)) < 0 ? right.get(j++) : left.get(i++));
    }
    merged.addAll(left.subList(i, left.size()));
    merged.addAll(right.subList(j, right.size()));
    return merged;
  }
}
