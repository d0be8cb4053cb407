package io.kubic.mirrors.bundle;

import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.RegistryException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** Whether a bundle is what was exported: every byte, and everything that its images need. */
public final class Verification {
  private final BundleDirectory directory;
  private final Set<Digest> expected = new HashSet<>();
  private final Set<Digest> seen = new HashSet<>();
  private final List<String> problems = new ArrayList<>();

  private Verification(BundleDirectory directory) {
    this.directory = directory;
    directory.bundle().expects().forEach(e -> expected.add(e.digest()));
  }

  /** What is wrong, one line each; empty when nothing is. */
  public static List<String> of(BundleDirectory directory) {
    Verification verification = new Verification(directory);
    for (BundleImage image : directory.bundle().images()) {
      verification.look(image.name(), image.descriptor());
    }
    List<String> all = new ArrayList<>(verification.problems);
    directory.verify(Set.of(), bytes -> {}).forEach(file -> all.add(file + " is damaged"));
    return List.copyOf(all);
  }

  private void look(String image, Descriptor top) {
    if (!seen.add(top.digest())) {
      return;
    }
    Manifest manifest;
    try {
      manifest =
          Manifest.parse(
              directory.read(top.digest(), Manifest.MAX_BYTES),
              top.mediaType(),
              image,
              top.digest());
    } catch (RegistryException e) {
      problems.add(image + ": " + e.getMessage());
      return;
    }
    for (Descriptor blob : manifest.blobs()) {
      if (!directory.has(blob.digest()) && !expected.contains(blob.digest())) {
        problems.add(image + ": " + blob.digest() + " is missing");
      }
    }
    for (Descriptor child : manifest.children()) {
      // A child that is not there was left out by the list's platforms.
      if (child.isManifest() && directory.has(child.digest())) {
        look(image, child);
      }
    }
  }
}
