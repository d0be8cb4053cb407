package io.kubic.mirrors.list;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The newest build of every version and variant. A tag without a build - a version ({@code
 * 1.22.3}), a variant ({@code 1.22.3-bookworm}), a name ({@code latest}, {@code edge}) - is never
 * dropped; of the builds of one {@link VersionTag.Line} only the newest stays, numbers compared as
 * numbers. Where two builds have equal numbers ({@code -r1} and {@code -1}) the one that sorts last
 * as text stays.
 */
final class LatestBuild implements TagPolicy {
  @Override
  public List<VersionTag> keep(List<VersionTag> tags) {
    List<VersionTag> kept = new ArrayList<>();
    Map<VersionTag.Line, VersionTag> newest = new HashMap<>();
    for (VersionTag tag : tags) {
      if (tag.hasBuild()) {
        newest.merge(tag.line(), tag, (a, b) -> a.compareTo(b) < 0 ? b : a);
      } else {
        kept.add(tag);
      }
    }
    kept.addAll(newest.values());
    kept.sort(null);
    return kept;
  }
}
