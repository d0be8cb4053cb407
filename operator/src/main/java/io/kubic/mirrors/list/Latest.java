package io.kubic.mirrors.list;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * The newest version, its aliases, and {@code latest}. The newest version is the greatest by
 * numbers among those that are neither date stamps nor pre-releases; where there is none, among the
 * pre-releases, and then among the stamps. With it stay all its variants, each in its newest build,
 * and every tag whose version is the beginning of it number by number ({@code 1} and {@code 1.25}
 * of {@code 1.25.3}, never {@code 1.2}). A repository without any version keeps {@code latest}
 * only.
 */
final class Latest implements TagPolicy {
  private static final String LATEST = "latest";
  private final TagPolicy latestBuild = new LatestBuild();

  @Override
  public List<VersionTag> keep(List<VersionTag> tags) {
    Optional<VersionTag> newest =
        tags.stream()
            .filter(tag -> tag.kind() == TagKind.VERSION || tag.kind() == TagKind.STAMP)
            .max(
                Comparator.comparing(VersionTag::kind)
                    .thenComparing((VersionTag tag) -> !tag.preRelease())
                    .thenComparing(VersionTag::numbers)
                    .thenComparing(VersionTag::qualifier, NaturalOrder.INSTANCE));
    List<VersionTag> kept = new ArrayList<>();
    for (VersionTag tag : tags) {
      if (tag.text().equals(LATEST) || newest.isPresent() && belongsTo(newest.orElseThrow(), tag)) {
        kept.add(tag);
      }
    }
    return latestBuild.keep(kept);
  }

  private static boolean belongsTo(VersionTag newest, VersionTag tag) {
    return tag.kind() == newest.kind()
        && tag.preRelease() == newest.preRelease()
        && (tag.numbers().equals(newest.numbers())
                && NaturalOrder.INSTANCE.compare(tag.qualifier(), newest.qualifier()) == 0
            || tag.qualifier().isEmpty() && tag.numbers().isPrefixOf(newest.numbers()));
  }
}
