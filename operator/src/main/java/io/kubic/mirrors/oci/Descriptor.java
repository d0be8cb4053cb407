package io.kubic.mirrors.oci;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A pointer to content: OCI image specification, descriptor.md.
 *
 * @param size bytes, not negative
 * @param platform of a manifest in an index; null when not said
 * @param artifactType of a referrer; null when not said
 * @param urls where else the content is said to lie; never fetched from
 */
public record Descriptor(
    String mediaType,
    Digest digest,
    long size,
    @Nullable Platform platform,
    @Nullable String artifactType,
    List<String> urls,
    Map<String, String> annotations) {

  public Descriptor {
    if (size < 0) {
      throw new IllegalArgumentException("negative size of " + digest);
    }
    urls = List.copyOf(urls);
    annotations = Map.copyOf(annotations);
  }

  public Descriptor(String mediaType, Digest digest, long size) {
    this(mediaType, digest, size, null, null, List.of(), Map.of());
  }

  /** Whether the content is a manifest or an index, not a blob. */
  public boolean isManifest() {
    return MediaTypes.isManifest(mediaType);
  }

  /** Whether the content stays at its vendor and is not copied. */
  public boolean isForeign() {
    return MediaTypes.isForeignLayer(mediaType);
  }
}
