package io.kubic.mirrors.list;

import java.util.List;

/** Decides which tags of one repository stay. Pure: the same tags in any order, the same answer. */
interface TagPolicy {
  /**
   * @param tags without duplicates and without companions, in any order
   * @return what stays, in the order of versions
   */
  List<VersionTag> keep(List<VersionTag> tags);

  /** Everything. */
  static TagPolicy all() {
    return tags -> tags.stream().sorted().toList();
  }
}
