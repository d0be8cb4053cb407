package io.kubic.mirrors.bundle;

import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.layout.BlobDirectory;
import io.kubic.mirrors.oci.layout.Blobs;
import io.kubic.mirrors.oci.layout.PlainFile;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * The bucket that an export fills. Blobs go there as they come; the other files are made in a
 * directory first, and follow at the end. The checksums are the last object, and with them the
 * bundle is one. Until then there is {@value #MARK}, by which the next run knows that all this is
 * its own.
 */
final class BucketTarget {
  /** What an unfinished export is about. */
  static final String MARK = BundleDirectory.PARTIAL + "/state.json";

  private static final String OPAQUE = "application/octet-stream";

  private final Bucket bucket;
  private final Map<String, Bucket.Item> items = new TreeMap<>();

  /** Lists a bucket. */
  BucketTarget(Bucket bucket) {
    this.bucket = bucket;
    list();
  }

  private void list() {
    items.clear();
    for (Bucket.Item item : bucket.list()) {
      if (!item.name().isEmpty()) {
        items.put(item.name(), item);
      }
    }
  }

  /** The bundle that is there, if it is complete but for its last step, which is then done. */
  Optional<BundleWriter.Done> committed() {
    Bucket.Item sums = items.get(Checksums.FILE);
    Bucket.Item json = items.get(BundleDirectory.BUNDLE);
    if (sums == null || json == null) {
      return Optional.empty();
    }
    if (items.containsKey(MARK)) {
      bucket.remove(MARK);
    }
    BucketFile file = new BucketFile(bucket, json);
    return Optional.of(
        new BundleWriter.Done(
            Json.read(file.read(Bundle.MAX_BYTES), Bundle.class, file.name()),
            Digest.of(new BucketFile(bucket, sums).read(Checksums.MAX_BYTES))));
  }

  /**
   * Takes up what an interrupted export was about.
   *
   * @return its state; empty for a new export
   * @throws RefusedException when there is something else
   */
  Optional<byte[]> state() {
    Bucket.Item mark = items.get(MARK);
    if (mark == null) {
      if (!items.isEmpty()) {
        throw new RefusedException(
            Reason.Conflict, bucket.name(), "is not empty; a bundle wants a prefix of its own");
      }
      return Optional.empty();
    }
    bucket.dropUnfinished();
    return Optional.of(new BucketFile(bucket, mark).read(1 << 16));
  }

  /** Marks the prefix as an export's. */
  void begin(byte[] state) {
    bucket.put(MARK, state);
  }

  /**
   * What comes into the bucket.
   *
   * @param near where manifests lie as well
   */
  Blobs blobs(BlobDirectory near) {
    return new BucketBlobs(bucket, near, items.values());
  }

  /**
   * Sends what makes it a bundle.
   *
   * @param root a directory with all files but the blobs
   */
  void publish(Path root) {
    byte[] checksums = PlainFile.of(root.resolve(Checksums.FILE)).read(Checksums.MAX_BYTES);
    Map<String, Digest> sums = Checksums.parse(checksums, root.toString()).files();
    sums.forEach(
        (name, sum) -> {
          if (!name.startsWith("blobs/")) {
            PlainFile file = PlainFile.of(root.resolve(name));
            bucket.put(name, new Descriptor(OPAQUE, sum, file.size()), file::open);
          }
        });
    exactly(sums.keySet());
    Path signature = root.resolve(Checksums.SIGNATURE);
    if (PlainFile.isFile(signature)) {
      bucket.put(Checksums.SIGNATURE, PlainFile.of(signature).read(VerifyingKey.MAX_SIGNATURE));
    }
    bucket.put(Checksums.FILE, checksums);
    bucket.remove(MARK);
  }

  /** Nothing is missing, and nothing is there that an earlier run wanted otherwise. */
  private void exactly(Set<String> wanted) {
    list();
    Set<String> missing = new TreeSet<>(wanted);
    missing.removeAll(items.keySet());
    if (!missing.isEmpty()) {
      throw new RefusedException(
          Reason.Conflict,
          bucket.name(),
          "lost " + missing.iterator().next() + " meanwhile; let only one export write there");
    }
    for (String name : items.keySet()) {
      if (wanted.contains(name) || name.equals(MARK)) {
        continue;
      }
      boolean ours =
          name.startsWith("blobs/")
              || name.startsWith(BundleDirectory.EXTRAS)
              || name.equals(Checksums.SIGNATURE);
      if (!ours) {
        throw new RefusedException(
            Reason.Conflict,
            bucket.name() + "/" + name,
            "does not belong to the bundle; remove it, and run the export again");
      }
      bucket.remove(name);
    }
  }
}
