package io.kubic.mirrors.sync;

import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.RegistryException;
import java.util.HashSet;
import java.util.Set;

/** What must not be pruned because pods run it. */
public final class InUse {
  private InUse() {}

  /**
   * Whether pods run an image: runtimes name it by its index or by the child of their platform.
   *
   * @param running digests that pods run
   * @throws RegistryException when its manifest cannot be read
   */
  public static boolean is(
      ImageStore target, String repository, Descriptor image, Set<Digest> running) {
    if (running.isEmpty()) {
      return false;
    }
    Set<Digest> all = new HashSet<>();
    all.add(image.digest());
    target
        .manifest(repository, image.digest().toString())
        .children()
        .forEach(child -> all.add(child.digest()));
    return all.stream().anyMatch(running::contains);
  }
}
