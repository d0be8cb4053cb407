package io.kubic.mirrors.oci;

import java.nio.charset.StandardCharsets;

/**
 * The empty JSON document, for a config that has nothing to say (OCI image specification,
 * manifest.md, "Guidance for an Empty Descriptor").
 */
public final class EmptyJson {
  private static final byte[] BYTES = "{}".getBytes(StandardCharsets.UTF_8);

  /** What names it. */
  public static final Descriptor DESCRIPTOR =
      new Descriptor(MediaTypes.OCI_EMPTY, Digest.of(BYTES), BYTES.length);

  /** Its two bytes. */
  public static final BlobContent CONTENT = BlobContent.of(BYTES);

  private EmptyJson() {}
}
