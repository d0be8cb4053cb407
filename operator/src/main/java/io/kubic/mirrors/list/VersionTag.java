package io.kubic.mirrors.list;

import java.util.Comparator;

/**
 * A tag, read as version, variant and build. {@code 1.25.3-alpine3.18-r2} is the version {@code
 * 1.25.3}, the variant {@code alpine3.18}, the build {@code 2}.
 *
 * <ul>
 *   <li>The <b>version</b> stands at the beginning: an optional {@code v}, numbers joined by dots,
 *       and what is glued to them ({@code 1.24rc1}, {@code 1.1.1w}, {@code 4.2.Final}). A calendar
 *       date ({@code 2024-01-15}) and a version written with dashes or underscores throughout
 *       ({@code 1_80_0}) are versions too.
 *   <li>The <b>build</b> is the trailing run of numbers behind the version, each led by a dash or
 *       an underscore: {@code -1}, {@code -1.2}, {@code _4}, {@code -r3}, {@code -rev1-build2.14},
 *       {@code -<word>.<n>}. A number that belongs to a thing named before it ({@code -debian-12},
 *       {@code -temurin-21}) or is glued to a word ({@code -alpine3.20}, {@code -rc1}) is no build.
 *   <li>The <b>variant</b> is every word in between, the word of {@code -<word>.<n>} included.
 * </ul>
 *
 * <p>Natural order: kind, version numbers as numbers, pre-releases before what they announce, what
 * is glued to the version, variant, build numbers as numbers, text. It is total, and equal only for
 * equal texts.
 *
 * @param text the tag
 * @param kind what the tag is
 * @param prefix {@code v}, {@code V} or empty
 * @param numbers of the version; empty unless the kind is {@code VERSION} or {@code STAMP}
 * @param qualifier what is glued to the version's numbers, or empty
 * @param variant words between version and build joined by {@code -}, or empty
 * @param build numbers of the build; empty for a tag without one
 * @param preRelease whether qualifier or variant name a pre-release
 */
record VersionTag(
    String text,
    TagKind kind,
    String prefix,
    NumberRun numbers,
    String qualifier,
    String variant,
    NumberRun build,
    boolean preRelease)
    implements Comparable<VersionTag> {

  private static final Comparator<VersionTag> ORDER =
      Comparator.comparing(VersionTag::kind)
          .thenComparing(VersionTag::numbers)
          .thenComparing(tag -> !tag.preRelease())
          .thenComparing(VersionTag::qualifier, NaturalOrder.INSTANCE)
          .thenComparing(VersionTag::variant, NaturalOrder.INSTANCE)
          .thenComparing(VersionTag::build)
          .thenComparing(VersionTag::prefix)
          .thenComparing(VersionTag::text);

  /** What the builds of one version and one variant have in common. */
  record Line(String prefix, NumberRun numbers, String qualifier, String variant) {}

  static VersionTag parse(String text) {
    return TagScanner.scan(text);
  }

  static VersionTag of(TagKind kind, String text) {
    return new VersionTag(text, kind, "", NumberRun.EMPTY, "", "", NumberRun.EMPTY, false);
  }

  /** The same version under another name. */
  VersionTag called(String name) {
    return name.equals(text)
        ? this
        : new VersionTag(name, kind, prefix, numbers, qualifier, variant, build, preRelease);
  }

  boolean hasBuild() {
    return !build.isEmpty();
  }

  Line line() {
    return new Line(prefix, numbers, qualifier, variant);
  }

  @Override
  public int compareTo(VersionTag other) {
    return ORDER.compare(this, other);
  }
}
