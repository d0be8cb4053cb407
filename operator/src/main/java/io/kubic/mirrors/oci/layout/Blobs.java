package io.kubic.mirrors.oci.layout;

import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.RegistryException;
import java.util.List;
import java.util.OptionalLong;

/**
 * The blobs of an image layout that is being filled. One has its digest as its name only after its
 * bytes were hashed: a name of the right size is proof, unless the medium rots. Safe for threads.
 */
public interface Blobs {
  /** How many bytes a blob has; empty when it is not there. */
  OptionalLong size(Digest digest);

  /** Whether a blob is there whole. */
  default boolean has(Descriptor blob) {
    OptionalLong size = size(blob.digest());
    return size.isPresent() && size.getAsLong() == blob.size();
  }

  /**
   * The file of a blob.
   *
   * @throws RegistryException NotFound
   */
  StoredFile file(Digest digest);

  /** All blobs, in no order; what has another name is left out. */
  List<Digest> list();

  /** Removes a blob. */
  void remove(Digest digest);

  /**
   * Makes a blob exist.
   *
   * @param content asked only for what is not there yet
   * @return false when it was there
   * @throws RegistryException DigestMismatch, TargetFull, TargetRejected, or what the content
   *     throws
   */
  boolean put(Descriptor blob, BlobContent content);
}
