package io.kubic.mirrors.oci;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Optional;

/**
 * Where images are read from: a remote registry, or a directory. Repositories are paths within the
 * store; an identifier is a tag or a digest. All methods block, and throw {@link
 * RegistryException}.
 */
public interface ImageSource {
  /** What the store is called in messages and reports, as in {@code registry.example:5000}. */
  String name();

  /**
   * What a tag or digest names now, by the cheapest question there is; empty when there is no such
   * thing.
   */
  Optional<Descriptor> resolve(String repository, String identifier);

  /**
   * Whether reading a manifest is known to use up a quota that asking for its digest does not, as
   * at Docker Hub.
   */
  default boolean isMetered() {
    return false;
  }

  /** A manifest; when the identifier is a digest, the bytes have been checked against it. */
  Manifest manifest(String repository, String identifier);

  /** The same; empty when there is no such thing. */
  default Optional<Manifest> findManifest(String repository, String identifier) {
    try {
      return Optional.of(manifest(repository, identifier));
    } catch (RegistryException e) {
      if (e.reason() == Reason.NotFound) {
        return Optional.empty();
      }
      throw e;
    }
  }

  /**
   * A blob's bytes from an offset on, not verified: {@link BlobVerifier} does that. The stream goes
   * on by itself after a broken connection, ends at the descriptor's size, and throws a {@link
   * RegistryException} when that cannot be.
   */
  InputStream blob(String repository, Descriptor blob, long offset);

  /** Whether a repository has a blob; its bytes are not looked at. */
  default boolean hasBlob(String repository, Descriptor blob) {
    try (InputStream content = blob(repository, blob, 0)) {
      return blob.size() == 0 || content.read() >= 0;
    } catch (RegistryException e) {
      if (e.reason() == Reason.NotFound) {
        return false;
      }
      throw e;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** All tags of a repository. */
  Listing tags(String repository);

  /**
   * The manifests that name a subject, by the referrers API (OCI distribution specification 1.1);
   * empty when the store does not know that API.
   */
  Optional<List<Descriptor>> referrers(String repository, Digest subject);
}
