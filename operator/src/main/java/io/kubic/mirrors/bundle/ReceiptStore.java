package io.kubic.mirrors.bundle;

import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.EmptyJson;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.io.IOException;
import java.io.InputStream;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The receipts of a registry, kept in itself: an OCI artifact for each series, whose tag {@code
 * latest} is the last one. It is what a replay is recognised by.
 */
public final class ReceiptStore {
  /** No registry has this name, so no mirrored image lies there. */
  static final String HOME = "mirrors.kubic.io";

  private static final String TYPE = "application/vnd.kubic.mirrors.receipt.v1+json";
  private static final String SIGNATURE = "io.kubic.mirrors.receipt.signature";
  private static final String TAG = "latest";

  private final ImageStore target;

  public ReceiptStore(ImageStore target) {
    this.target = target;
  }

  /**
   * A receipt as it is kept.
   *
   * @param signature base64; null when it is not signed
   */
  public record Kept(byte[] bytes, @Nullable String signature) {}

  /** Where the receipts of a series lie in a registry. */
  public static String repository(String series) {
    return HOME + "/receipts/" + series;
  }

  /** The series whose receipts lie in a repository; empty for any other repository. */
  public static Optional<String> series(String repository) {
    String home = repository("");
    return repository.startsWith(home) && repository.length() > home.length()
        ? Optional.of(repository.substring(home.length()))
        : Optional.empty();
  }

  /**
   * The last receipt of a series.
   *
   * @throws RegistryException when the registry does not answer
   * @throws RefusedException MalformedResponse when there is one that nobody can read
   */
  public Optional<Kept> find(String series) {
    String repository = repository(Bundle.requireSeries(series));
    if (target.resolve(repository, TAG).isEmpty()) {
      return Optional.empty();
    }
    Manifest manifest = target.manifest(repository, TAG);
    String object = target.name() + "/" + repository;
    if (!(manifest.content() instanceof Manifest.Image image) || image.layers().size() != 1) {
      throw new RefusedException(Reason.MalformedResponse, object, "is no receipt");
    }
    Descriptor layer = image.layers().getFirst();
    if (layer.size() > Receipt.MAX_BYTES) {
      throw new RefusedException(Reason.MalformedResponse, object, "is too large");
    }
    try (InputStream in = target.blob(repository, layer, 0)) {
      byte[] bytes = in.readNBytes((int) layer.size());
      if (!layer.digest().same(bytes).equals(layer.digest())) {
        throw new RefusedException(Reason.DigestMismatch, object, "is damaged");
      }
      return Optional.of(new Kept(bytes, layer.annotations().get(SIGNATURE)));
    } catch (IOException e) {
      throw new RegistryException(Reason.ConnectionFailed, object, "cannot be read", e);
    }
  }

  /** Keeps a receipt as the last one. */
  void put(String series, Kept receipt) {
    String repository = repository(series);
    Descriptor layer = new Descriptor(TYPE, Digest.of(receipt.bytes()), receipt.bytes().length);
    target.putBlob(repository, EmptyJson.DESCRIPTOR, null, EmptyJson.CONTENT);
    target.putBlob(repository, layer, null, BlobContent.of(receipt.bytes()));
    Map<String, Object> content = new TreeMap<>(describe(layer));
    if (receipt.signature() != null) {
      content.put("annotations", Map.of(SIGNATURE, receipt.signature().strip()));
    }
    Map<String, Object> root = new TreeMap<>();
    root.put("schemaVersion", 2);
    root.put("mediaType", MediaTypes.OCI_MANIFEST);
    root.put("artifactType", TYPE);
    root.put("config", describe(EmptyJson.DESCRIPTOR));
    root.put("layers", new Object[] {content});
    target.putManifest(
        repository,
        Manifest.parse(Json.bytes(root), MediaTypes.OCI_MANIFEST, target.name() + "/" + repository),
        TAG);
  }

  private static Map<String, Object> describe(Descriptor blob) {
    return Map.of(
        "mediaType", blob.mediaType(), "digest", blob.digest().toString(), "size", blob.size());
  }
}
