package io.kubic.mirrors.bundle;

import com.fasterxml.jackson.annotation.JsonInclude;
import io.kubic.mirrors.list.SelectedImage;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.oci.Repository;
import io.kubic.mirrors.oci.Tag;
import org.jspecify.annotations.Nullable;

/**
 * An image in a bundle.
 *
 * @param source of the list that it was selected by
 * @param repository with its registry, as in {@code registry.example/app}
 * @param tag null when only the digest names it
 * @param size of the manifest in bytes
 * @param referrer whether it is a signature or the like that travels with another image
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record BundleImage(
    String source,
    String repository,
    @Nullable String tag,
    Digest digest,
    String mediaType,
    long size,
    @JsonInclude(JsonInclude.Include.NON_DEFAULT) boolean referrer)
    implements Comparable<BundleImage> {
  public BundleImage {
    if (source == null || repository == null || digest == null || mediaType == null) {
      throw new IllegalArgumentException("an image lacks source, repository, digest or mediaType");
    }
    parse(repository);
    if (tag != null) {
      Tag.require(tag);
    }
    if (!MediaTypes.isManifest(mediaType) || size <= 0) {
      throw new IllegalArgumentException(repository + " is no manifest");
    }
  }

  static Repository parse(String repository) {
    int slash = repository.indexOf('/');
    if (slash <= 0) {
      throw new IllegalArgumentException("no registry in '" + repository + "'");
    }
    return new Repository(repository.substring(0, slash), repository.substring(slash + 1));
  }

  static String name(String repository, @Nullable String tag, Digest digest) {
    return repository + (tag == null ? "@" + digest : ":" + tag);
  }

  /** As in {@code registry.example/app:1}. */
  public String name() {
    return name(repository, tag, digest);
  }

  Repository parsed() {
    return parse(repository);
  }

  Descriptor descriptor() {
    return new Descriptor(mediaType, digest, size);
  }

  SelectedImage selected() {
    return new SelectedImage(source, parsed(), tag, digest);
  }

  @Override
  public int compareTo(BundleImage other) {
    return name().compareTo(other.name());
  }
}
