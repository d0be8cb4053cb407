package io.kubic.mirrors.bundle;

import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.layout.BlobDirectory;
import io.kubic.mirrors.oci.layout.Disk;
import io.kubic.mirrors.oci.layout.PlainFile;
import io.kubic.mirrors.oci.layout.SkopeoDirectory;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;

/**
 * Makes the directories of {@code skopeo sync --scoped --dest dir} of a bundle. Blobs are linked,
 * not copied, where the file system can, until somebody copies the directories elsewhere.
 */
public final class SkopeoWriter {
  /** Where the bundle lies meanwhile, within the directory. */
  private static final String BUNDLE = ".bundle";

  private final Path root;
  private final Disk disk;

  public SkopeoWriter(Path root, Disk disk) {
    this.root = root;
    this.disk = disk;
  }

  /**
   * Where the bundle is to be exported to first.
   *
   * @throws RefusedException when the directory holds anything else
   */
  public Path bundle() {
    Path bundle = root.resolve(BUNDLE);
    if (Files.exists(root, LinkOption.NOFOLLOW_LINKS) && !PlainFile.isDirectory(bundle)) {
      try (DirectoryStream<Path> entries = Files.newDirectoryStream(root)) {
        if (entries.iterator().hasNext()) {
          throw new RefusedException(
              Reason.Conflict,
              root.toString(),
              "is not empty; skopeo's directories want a directory of their own");
        }
      } catch (IOException e) {
        throw new RefusedException(
            Reason.TargetRejected, root.toString(), "is no directory that can be read");
      }
    }
    return bundle;
  }

  /** Makes the directories, and removes the bundle at last; may be done again after any end. */
  public void write(Bundle bundle) {
    BlobDirectory blobs = new BlobDirectory(bundle(), bundle(), disk);
    for (BundleImage image : bundle.images()) {
      Path target = root.resolve(image.name());
      if (PlainFile.isDirectory(target)) {
        continue;
      }
      Path aside = root.resolve(BUNDLE).resolve("image");
      disk.removeAll(aside);
      disk.directory(aside);
      disk.write(
          aside.resolve(SkopeoDirectory.VERSION_FILE),
          SkopeoDirectory.VERSION.getBytes(StandardCharsets.US_ASCII),
          root.resolve(BUNDLE).resolve("small"));
      fill(blobs, image.digest(), aside, SkopeoDirectory.MANIFEST);
      Path parent = target.getParent();
      if (parent != null) {
        disk.directory(parent);
      }
      disk.rename(aside, target);
    }
    disk.removeAll(root.resolve(BUNDLE));
  }

  private void fill(BlobDirectory blobs, Digest digest, Path directory, String name) {
    byte[] bytes = blobs.file(digest).read(Manifest.MAX_BYTES);
    Manifest manifest = Manifest.parse(bytes, null, digest.toString(), digest);
    disk.write(directory.resolve(name), bytes, root.resolve(BUNDLE).resolve("small"));
    for (Descriptor blob : manifest.blobs()) {
      link(blobs.path(blob.digest()), directory.resolve(fileName(blob.digest())));
    }
    for (Descriptor child : manifest.children()) {
      if (child.isManifest() && blobs.has(child)) {
        fill(
            blobs,
            child.digest(),
            directory,
            child.digest().hex() + "." + SkopeoDirectory.MANIFEST);
      }
    }
  }

  private static String fileName(Digest digest) {
    return digest.algorithm() == Digest.Algorithm.SHA256
        ? digest.hex()
        : digest.algorithm().id() + "-" + digest.hex();
  }

  private static void link(Path from, Path to) {
    if (Files.exists(to, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    try {
      Files.createLink(to, from);
    } catch (IOException | UnsupportedOperationException e) {
      try {
        Files.copy(from, to);
      } catch (IOException other) {
        throw new RegistryException(
            Reason.TargetRejected, to.toString(), "cannot be written", other);
      }
    }
  }
}
