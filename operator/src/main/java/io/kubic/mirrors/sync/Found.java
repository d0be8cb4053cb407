package io.kubic.mirrors.sync;

import io.kubic.mirrors.list.SelectedImage;
import io.kubic.mirrors.oci.Digest;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What was found out about one image.
 *
 * @param item null when the platforms that are wanted leave it out
 * @param parts what it consists of, with sizes; empty when its manifest was not read
 * @param subjects what others may be attached to
 */
record Found(
    Wanted wanted,
    Plan.@Nullable Item item,
    Copier.@Nullable Work work,
    Map<Digest, Long> parts,
    @Nullable Outcome outcome,
    Set<Digest> subjects) {
  SelectedImage image() {
    return wanted.image();
  }

  boolean referrer() {
    return wanted.referrer();
  }

  /**
   * Something to look at.
   *
   * @param root the image that it travels with; itself for one that is selected
   * @param subject what it is attached to by the referrers API; null for everything else
   */
  record Wanted(SelectedImage image, SelectedImage root, @Nullable Digest subject) {
    boolean referrer() {
      return image != root;
    }
  }
}
