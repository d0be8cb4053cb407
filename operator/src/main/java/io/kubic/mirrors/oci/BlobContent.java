package io.kubic.mirrors.oci;

import java.io.ByteArrayInputStream;
import java.io.InputStream;

/** Where a blob's bytes come from, from any offset on, as often as needed. */
@FunctionalInterface
public interface BlobContent {
  /** The bytes from an offset on; to be closed by the caller. */
  InputStream open(long offset);

  /**
   * Told by whoever stores it of the bytes that it has read, for progress; of those that are read a
   * second time too.
   */
  default void passed(long bytes) {}

  /** Bytes that are at hand. */
  static BlobContent of(byte[] bytes) {
    return offset -> new ByteArrayInputStream(bytes, (int) offset, bytes.length - (int) offset);
  }
}
