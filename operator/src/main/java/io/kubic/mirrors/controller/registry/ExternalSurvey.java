package io.kubic.mirrors.controller.registry;

import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus.Capabilities;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus.Capability;
import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.oci.RegistryException;
import java.nio.charset.StandardCharsets;
import java.util.function.Supplier;

/**
 * Finds out what a registry that is not ours can do, by doing it in a repository of its own: {@code
 * mirror-operator/probe}. Everything that is stored there is a few bytes, and is deleted where the
 * registry deletes at all.
 */
final class ExternalSurvey {
  private static final String REPOSITORY = "mirror-operator/probe";
  private static final String CONFIG = "application/vnd.oci.image.config.v1+json";
  private static final String OTHER = "mirror-operator/probe-mount";
  private final ImageStore store;
  private final String nonce;

  /**
   * @param nonce makes the content new, so that nothing of an earlier survey answers
   */
  ExternalSurvey(ImageStore store, String nonce) {
    this.store = store;
    this.nonce = nonce;
  }

  /** What can be found without writing. */
  Capabilities reading() {
    return new Capabilities(
        Capability.Unknown, Capability.Unknown, Capability.Unknown, referrers());
  }

  /** Everything. */
  Capabilities writing() {
    byte[] config =
        ("{\"architecture\":\"none\",\"os\":\"none\",\"nonce\":\"" + nonce + "\"}")
            .getBytes(StandardCharsets.UTF_8);
    Descriptor blob = new Descriptor(CONFIG, Digest.of(config), config.length);
    Capability mount =
        tried(
            () -> {
              store.putBlob(REPOSITORY, blob, null, BlobContent.of(config));
              ImageStore.BlobWrite second =
                  store.putBlob(OTHER, blob, REPOSITORY, BlobContent.of(config));
              return second != ImageStore.BlobWrite.WRITTEN;
            });
    Manifest sparse =
        manifest(
            "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%d,\"platform\":{\"architecture\":\"amd64\",\"os\":\"linux\"}}]}"
                .formatted(
                    MediaTypes.OCI_INDEX,
                    MediaTypes.OCI_MANIFEST,
                    Digest.of(nonce.getBytes(StandardCharsets.UTF_8)),
                    500));
    Capability sparseIndexes =
        tried(
            () -> {
              store.putManifest(REPOSITORY, sparse, null);
              return true;
            });
    Manifest image =
        manifest(
            "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%d},\"layers\":[]}"
                .formatted(MediaTypes.OCI_MANIFEST, CONFIG, blob.digest(), blob.size()));
    Manifest artifact =
        manifest(
            "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"artifactType\":\"application/vnd.mirror-operator.probe\",\"config\":{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%d},\"layers\":[],\"subject\":{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%d}}"
                .formatted(
                    MediaTypes.OCI_MANIFEST,
                    CONFIG,
                    blob.digest(),
                    blob.size(),
                    MediaTypes.OCI_MANIFEST,
                    image.digest(),
                    image.bytes().length));
    // An empty list proves nothing: some answer so for want of an index.
    Capability referrers =
        tried(
            () -> {
              store.putManifest(REPOSITORY, image, null);
              store.putManifest(REPOSITORY, artifact, null);
              return store
                  .referrers(REPOSITORY, image.digest())
                  .filter(
                      all -> all.stream().anyMatch(one -> one.digest().equals(artifact.digest())))
                  .isPresent();
            });
    Capability delete =
        tried(
            () -> {
              store.putManifest(REPOSITORY, image, null);
              return store.delete(REPOSITORY, image.digest().toString());
            });
    if (delete == Capability.Supported) {
      tried(() -> store.delete(REPOSITORY, artifact.digest().toString()));
    }
    if (sparseIndexes == Capability.Supported) {
      tried(() -> store.delete(REPOSITORY, sparse.digest().toString()));
    }
    return new Capabilities(delete, mount, sparseIndexes, referrers);
  }

  /** That there is no list may only mean that there is no such repository. */
  private Capability referrers() {
    Capability found =
        tried(
            () ->
                store
                    .referrers(REPOSITORY, Digest.of(nonce.getBytes(StandardCharsets.UTF_8)))
                    .isPresent());
    return found == Capability.Supported ? found : Capability.Unknown;
  }

  private static Manifest manifest(String json) {
    return Manifest.parse(json.getBytes(StandardCharsets.UTF_8), null, "probe");
  }

  /** A refusal is an answer; a network that fails, or a missing right, is none. */
  private static Capability tried(Supplier<Boolean> attempt) {
    try {
      return attempt.get() ? Capability.Supported : Capability.Unsupported;
    } catch (RegistryException e) {
      return switch (e.reason()) {
        case Unauthorized,
            Forbidden,
            RateLimited,
            Timeout,
            Stalled,
            ConnectionFailed,
            ServerError,
            TLSVerification,
            NameResolution ->
            Capability.Unknown;
        default -> Capability.Unsupported;
      };
    }
  }
}
