package io.kubic.mirrors.list;

import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * All that {@code tags} of a source says, compiled: include and exclude, then the policy. Signature
 * and attestation tags are left out first: they travel with their subject.
 */
final class TagRules {
  private final PatternFilter filter;
  private final TagPolicy policy;

  private TagRules(PatternFilter filter, TagPolicy policy) {
    this.filter = filter;
    this.policy = policy;
  }

  /**
   * @param path of the object, as in {@code spec.sources[0].tags}
   * @throws InvalidSpecException when a pattern or range cannot be read
   */
  static TagRules compile(MirrorListSpec.Tags tags, String path) {
    TagPolicy policy =
        switch (tags.select()) {
          case All -> TagPolicy.all();
          case LatestBuild -> new LatestBuild();
          case Latest -> new Latest();
        };
    return new TagRules(PatternFilter.compile(tags.include(), tags.exclude(), true, path), policy);
  }

  /**
   * The tags that are wanted, in the order of versions.
   *
   * @param offered as the registry lists them: any order, duplicates allowed
   */
  List<String> select(Collection<String> offered) {
    Set<String> distinct = new LinkedHashSet<>(offered);
    List<VersionTag> candidates =
        distinct.stream()
            .map(VersionTag::parse)
            .filter(tag -> tag.kind() != TagKind.COMPANION && filter.passes(tag.text()))
            .toList();
    return policy.keep(candidates).stream().map(VersionTag::text).toList();
  }
}
