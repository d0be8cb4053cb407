package io.kubic.mirrors.sync;

import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Where something may travel with an image although a plan did not find it: the search failed, or
 * the image itself could not be looked at. What is there already must not count as missing.
 *
 * @param repositories of the target
 */
public record Doubts(Set<String> repositories) {
  public Doubts {
    repositories = Set.copyOf(repositories);
  }

  /**
   * Whether something in the target may be attached to an image although it was not found.
   *
   * @param tag null when only its digest names it
   */
  public boolean cover(String repository, @Nullable String tag) {
    return repositories.contains(repository) && (tag == null || Companions.isTag(tag));
  }
}
