package io.kubic.mirrors.sync;

import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.util.ArrayDeque;
import java.util.HashSet;
import java.util.List;
import java.util.Queue;
import java.util.Set;

/** What must not be pruned because pods run it. */
public final class InUse {
  private InUse() {}

  /**
   * Whether pods run an image: runtimes name it by its index or by the child of their platform,
   * which may be in an index within the index.
   *
   * @param running digests that pods run
   * @throws RegistryException when its manifest cannot be read; TooLarge when there are more
   *     indexes in it than are ever copied
   */
  public static boolean is(
      ImageStore target, String repository, Descriptor image, Set<Digest> running) {
    if (running.isEmpty()) {
      return false;
    }
    if (running.contains(image.digest())) {
      return true;
    }
    Queue<Digest> unread = new ArrayDeque<>(List.of(image.digest()));
    Set<Digest> known = new HashSet<>(unread);
    while (!unread.isEmpty()) {
      for (Descriptor child : children(target, repository, unread.remove(), image)) {
        if (running.contains(child.digest())) {
          return true;
        }
        if (MediaTypes.isIndex(child.mediaType()) && known.add(child.digest())) {
          unread.add(child.digest());
        }
      }
      if (known.size() > Closure.MAX_MANIFESTS) {
        throw new RegistryException(
            Reason.TooLarge,
            target.name() + "/" + repository + "@" + image.digest(),
            "has more than " + Closure.MAX_MANIFESTS + " indexes in it");
      }
    }
    return false;
  }

  private static List<Descriptor> children(
      ImageStore target, String repository, Digest digest, Descriptor image) {
    if (digest.equals(image.digest())) {
      return target.manifest(repository, digest.toString()).children();
    }
    // Where a filter of platforms left it out, nobody runs it from here.
    return target
        .findManifest(repository, digest.toString())
        .map(Manifest::children)
        .orElse(List.of());
  }
}
