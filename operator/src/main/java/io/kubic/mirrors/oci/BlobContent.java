package io.kubic.mirrors.oci;

import java.io.ByteArrayInputStream;
import java.io.InputStream;

/** Where a blob's bytes come from, from any offset on, as often as needed. */
@FunctionalInterface
public interface BlobContent {
  /** The bytes from an offset on; to be closed by the caller. */
  InputStream open(long offset);

  /** Bytes that are at hand. */
  static BlobContent of(byte[] bytes) {
    return offset -> new ByteArrayInputStream(bytes, (int) offset, bytes.length - (int) offset);
  }
}
