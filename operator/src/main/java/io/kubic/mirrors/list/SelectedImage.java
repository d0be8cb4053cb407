package io.kubic.mirrors.list;

import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Reference;
import io.kubic.mirrors.oci.Repository;
import io.kubic.mirrors.oci.Tag;
import org.jspecify.annotations.Nullable;

/**
 * One image that a list wants. Sorted by repository, tag, digest and source.
 *
 * @param source name of the source within the list; with the registry it finds the source's
 *     platforms, credentials and limits
 * @param repository where the image is, under the registry's own name (whatever endpoint it is
 *     reached by)
 * @param tag null when the list names only a digest
 * @param digest null unless the list names one; with a tag, the tag is to point at this digest
 */
public record SelectedImage(
    String source, Repository repository, @Nullable String tag, @Nullable Digest digest)
    implements Comparable<SelectedImage> {
  public SelectedImage {
    if (tag == null && digest == null) {
      throw new IllegalArgumentException(repository + ": neither tag nor digest");
    }
    if (tag != null) {
      Tag.require(tag);
    }
  }

  public String registry() {
    return repository.registry();
  }

  public Reference reference() {
    return new Reference(repository, tag, digest);
  }

  @Override
  public int compareTo(SelectedImage other) {
    int order = repository.compareTo(other.repository);
    if (order == 0) {
      order = text(tag).compareTo(text(other.tag));
    }
    if (order == 0) {
      order = text(digest).compareTo(text(other.digest));
    }
    return order != 0 ? order : source.compareTo(other.source);
  }

  @Override
  public String toString() {
    return reference().toString();
  }

  private static String text(@Nullable Object value) {
    return value == null ? "" : value.toString();
  }
}
