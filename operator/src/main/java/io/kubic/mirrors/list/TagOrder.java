package io.kubic.mirrors.list;

import io.kubic.mirrors.api.v1alpha1.MirrorListSpec.SortBy;
import java.math.BigDecimal;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * What "newest" means to {@code limit}: the order of versions, or {@code sortBy} over the tag, or
 * over what {@code extract} took from it. A tag that has no place in the order - no semantic
 * version, no number - drops out.
 */
final class TagOrder {
  private final @Nullable SortBy sortBy;

  TagOrder(@Nullable SortBy sortBy) {
    this.sortBy = sortBy;
  }

  /** The candidates that have a place, oldest first. */
  List<Candidate> sorted(List<Candidate> candidates) {
    return switch (sortBy) {
      case null -> candidates.stream().sorted(Comparator.comparing(Candidate::tag)).toList();
      case Alphabetical -> sorted(candidates, candidate -> Optional.of(candidate.value()));
      case SemVer ->
          sorted(
              candidates,
              candidate ->
                  SemverRange.version(VersionTag.parse(candidate.value()), candidate.value()));
      case Numerical -> sorted(candidates, candidate -> number(candidate.value()));
    };
  }

  private static <K extends Comparable<? super K>> List<Candidate> sorted(
      List<Candidate> candidates, Function<Candidate, Optional<K>> key) {
    record Placed<P>(P place, Candidate candidate) {}
    return candidates.stream()
        .flatMap(candidate -> key.apply(candidate).map(k -> new Placed<>(k, candidate)).stream())
        .sorted(
            Comparator.<Placed<K>, K>comparing(Placed::place)
                .thenComparing(placed -> placed.candidate().name()))
        .map(Placed::candidate)
        .toList();
  }

  /** Digits with or without a fraction. */
  private static Optional<BigDecimal> number(String text) {
    int end = TagScanner.digitsEnd(text, 0);
    if (end > 0 && end < text.length() && text.charAt(end) == '.') {
      int fraction = TagScanner.digitsEnd(text, end + 1);
      end = fraction > end + 1 ? fraction : end;
    }
    return end > 0 && end == text.length() ? Optional.of(new BigDecimal(text)) : Optional.empty();
  }

  /**
   * A tag on its way through the rules.
   *
   * @param name as the registry has it
   * @param value what is compared: the name, or what {@code extract} took from it
   * @param tag the value, read; its text is the name
   */
  record Candidate(String name, String value, VersionTag tag) {
    static Candidate of(String name, String value) {
      return new Candidate(name, value, VersionTag.parse(value).called(name));
    }
  }
}
