package io.kubic.mirrors.list;

import com.google.re2j.Matcher;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec.Compatibility;
import io.kubic.mirrors.oci.Shown;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * All that {@code tags} of a source says, compiled, and applied in this order: signatures are left
 * out (they travel with their subject), {@code include} and {@code exclude}, {@code extract},
 * {@code semver}, {@code select}, {@code limit}. Behind {@code extract} every step looks at what
 * was taken from the tag; a tag from which nothing is taken drops out.
 */
final class TagRules {
  private final PatternFilter filter;
  private final @Nullable UserPattern extract;
  private final String group;
  private final @Nullable SemverRange semver;
  private final TagPolicy policy;
  private final boolean legacy;
  private final MirrorListSpec.Select select;
  private final int limit;
  private final TagOrder order;

  private TagRules(MirrorListSpec.Tags tags, String path) {
    this.filter = PatternFilter.compile(tags.include(), tags.exclude(), true, path);
    this.extract =
        tags.extract() == null ? null : UserPattern.compile(tags.extract(), path + ".extract");
    this.group = extract == null ? "" : onlyGroup(extract, path + ".extract");
    this.semver =
        tags.semver() == null ? null : SemverRange.compile(tags.semver(), path + ".semver");
    boolean minimized = tags.compatibility() == Compatibility.MirrorRegistry14Minimized;
    this.legacy = minimized || tags.compatibility() == Compatibility.MirrorRegistry14;
    this.select = tags.select();
    this.policy =
        switch (tags.select()) {
          case All -> legacy ? new MirrorRegistry14(minimized, false) : TagPolicy.all();
          case LatestBuild -> legacy ? new MirrorRegistry14(true, false) : new LatestBuild();
          case Latest -> legacy ? new MirrorRegistry14(minimized, true) : new Latest();
        };
    if (tags.limit() < 0) {
      throw new InvalidSpecException(path + ".limit", "is negative; 0 means all");
    }
    if (tags.sortBy() != null && tags.limit() == 0) {
      throw new InvalidSpecException(path + ".sortBy", "orders what limit keeps: set limit");
    }
    this.limit = tags.limit();
    this.order = new TagOrder(tags.sortBy());
  }

  /**
   * @param path of the object, as in {@code spec.sources[0].tags}
   * @throws InvalidSpecException when a pattern or range cannot be read
   */
  static TagRules compile(MirrorListSpec.Tags tags, String path) {
    return new TagRules(tags, path);
  }

  /**
   * The tags that are wanted, oldest first.
   *
   * @param offered as the registry lists them: any order, duplicates allowed
   */
  List<String> select(Collection<String> offered) {
    return select(offered, limit);
  }

  private List<TagOrder.Candidate> candidates(Collection<String> offered) {
    List<TagOrder.Candidate> candidates = new ArrayList<>();
    for (String name : new LinkedHashSet<>(offered)) {
      // The tool of 2019 took signatures for versions.
      if (filter.passes(name) && (legacy || VersionTag.parse(name).kind() != TagKind.COMPANION)) {
        value(name).map(value -> TagOrder.Candidate.of(name, value)).ifPresent(candidates::add);
      }
    }
    if (semver != null) {
      candidates.removeIf(
          candidate ->
              SemverRange.version(candidate.tag(), candidate.value())
                  .filter(semver::contains)
                  .isEmpty());
    }
    return candidates;
  }

  private List<String> select(Collection<String> offered, int most) {
    List<TagOrder.Candidate> candidates = candidates(offered);
    List<VersionTag> kept = policy.keep(candidates.stream().map(TagOrder.Candidate::tag).toList());
    if (most == 0) {
      return kept.stream().map(VersionTag::text).toList();
    }
    Set<String> names = new HashSet<>();
    kept.forEach(tag -> names.add(tag.text()));
    List<TagOrder.Candidate> ordered =
        order.sorted(
            candidates.stream().filter(candidate -> names.contains(candidate.name())).toList());
    return ordered.subList(Math.max(0, ordered.size() - most), ordered.size()).stream()
        .map(TagOrder.Candidate::name)
        .toList();
  }

  /**
   * Why a tag is selected or not, step by step, for a person; ends at the step that drops it.
   *
   * @param offered as the registry lists them
   */
  List<String> explain(Collection<String> offered, String tag) {
    List<String> steps = new ArrayList<>();
    if (!offered.contains(tag)) {
      steps.add("no: the registry lists no tag " + Shown.of(tag));
      return steps;
    }
    if (!legacy && VersionTag.parse(tag).kind() == TagKind.COMPANION) {
      steps.add("no: it is a signature or the like, which travels with its image");
      return steps;
    }
    Optional<String> refused = filter.refusal(tag);
    if (refused.isPresent()) {
      steps.add("no: tags." + refused.get());
      return steps;
    }
    steps.add("tags.include and tags.exclude let it pass");
    Optional<String> value = value(tag);
    if (value.isEmpty()) {
      steps.add("no: tags.extract takes nothing from it");
      return steps;
    }
    if (extract != null) {
      steps.add("tags.extract takes '" + Shown.of(value.get()) + "' from it");
    }
    TagOrder.Candidate candidate = TagOrder.Candidate.of(tag, value.get());
    if (semver != null) {
      if (SemverRange.version(candidate.tag(), candidate.value())
          .filter(semver::contains)
          .isEmpty()) {
        steps.add("no: it is not in the range of tags.semver");
        return steps;
      }
      steps.add("it is in the range of tags.semver");
    }
    if (!select(offered, 0).contains(tag)) {
      List<VersionTag> rivals =
          candidates(offered).stream()
              .map(TagOrder.Candidate::tag)
              .filter(other -> other.line().equals(candidate.tag().line()) && other.hasBuild())
              .toList();
      steps.add(
          "no: tags.select: "
              + select
              + (select == MirrorListSpec.Select.LatestBuild && !legacy && !rivals.isEmpty()
                  ? " keeps the newer build "
                      + rivals.stream().max(Comparator.naturalOrder()).orElseThrow().text()
                  : " keeps newer ones"));
      return steps;
    }
    steps.add("tags.select: " + select + " keeps it");
    if (limit > 0 && !select(offered).contains(tag)) {
      steps.add("no: tags.limit: " + limit + " keeps newer ones");
      return steps;
    }
    steps.add("yes: it is selected");
    return steps;
  }

  private Optional<String> value(String name) {
    if (extract == null) {
      return Optional.of(name);
    }
    Matcher matcher = extract.matcher(name);
    return matcher.find() ? Optional.ofNullable(matcher.group(group)) : Optional.empty();
  }

  private static String onlyGroup(UserPattern pattern, String path) {
    if (pattern.groups().size() != 1) {
      throw new InvalidSpecException(
          path,
          "has "
              + pattern.groups().size()
              + " named groups; name exactly one, as in '^release-(?P<version>.*)$'");
    }
    return pattern.groups().iterator().next();
  }
}
