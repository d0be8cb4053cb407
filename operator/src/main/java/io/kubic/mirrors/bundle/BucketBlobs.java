package io.kubic.mirrors.bundle;

import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.layout.BlobDirectory;
import io.kubic.mirrors.oci.layout.BlobLocks;
import io.kubic.mirrors.oci.layout.Blobs;
import io.kubic.mirrors.oci.layout.StoredFile;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The blobs of a bundle that is written into a bucket. Layers go from the source into the bucket
 * without touching a disk; manifests, which are read again and again, also lie in a directory.
 */
final class BucketBlobs implements Blobs {
  private final Bucket bucket;
  private final BlobDirectory near;
  private final Map<Digest, Bucket.Item> items = new ConcurrentHashMap<>();
  private final BlobLocks busy = new BlobLocks();

  /**
   * @param near for manifests
   * @param items what the bucket has already
   */
  BucketBlobs(Bucket bucket, BlobDirectory near, Iterable<Bucket.Item> items) {
    this.bucket = bucket;
    this.near = near;
    for (Bucket.Item item : items) {
      BlobDirectory.digestOf(item.name()).ifPresent(digest -> this.items.put(digest, item));
    }
  }

  @Override
  public OptionalLong size(Digest digest) {
    Bucket.Item item = items.get(digest);
    return item == null ? OptionalLong.empty() : OptionalLong.of(item.size());
  }

  @Override
  public StoredFile file(Digest digest) {
    if (near.size(digest).isPresent()) {
      return near.file(digest);
    }
    Bucket.Item item = items.get(digest);
    if (item == null) {
      throw new RegistryException(
          Reason.NotFound, bucket.name() + "/" + BlobDirectory.nameOf(digest), "is missing");
    }
    return new BucketFile(bucket, item);
  }

  @Override
  public List<Digest> list() {
    return List.copyOf(items.keySet());
  }

  @Override
  public void remove(Digest digest) {
    bucket.remove(BlobDirectory.nameOf(digest));
    items.remove(digest);
    near.remove(digest);
  }

  @Override
  public boolean put(Descriptor blob, BlobContent content) {
    if (blob.isManifest()) {
      near.put(blob, content);
    }
    return busy.unlessThere(
        this,
        blob,
        () -> {
          String name = BlobDirectory.nameOf(blob.digest());
          bucket.put(name, blob, content);
          // Its version is asked for by who reads it back in this run: nobody, but for a listing.
          items.put(blob.digest(), new Bucket.Item(name, blob.size(), ""));
        });
  }
}
