package io.kubic.mirrors.oci;

import org.jspecify.annotations.Nullable;

/** A source of images that can also be written to. */
public interface ImageStore extends ImageSource {

  /** What had to be done for a blob. */
  enum BlobWrite {
    /** It was there. */
    PRESENT,
    /** It came from another repository of the store. */
    MOUNTED,
    /** Its bytes were written. */
    WRITTEN
  }

  /**
   * Makes a blob exist in a repository. No wrong byte is ever stored under the digest.
   *
   * @param mountFrom a repository of this store that has it; null when none is known
   * @param content asked only when the bytes are needed
   */
  BlobWrite putBlob(
      String repository, Descriptor blob, @Nullable String mountFrom, BlobContent content);

  /**
   * Stores a manifest as the bytes it is, and compares the store's digest with its own.
   *
   * @param tag what shall name it from now on; null for its digest alone
   */
  void putManifest(String repository, Manifest manifest, @Nullable String tag);

  /**
   * Removes a tag, or a manifest with all its tags.
   *
   * @return false when there was none
   */
  boolean delete(String repository, String identifier);
}
