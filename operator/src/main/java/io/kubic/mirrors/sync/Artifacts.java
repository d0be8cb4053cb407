package io.kubic.mirrors.sync;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.BlobVerifier;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.EmptyJson;
import io.kubic.mirrors.oci.ImageSource;
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

/**
 * Documents of ours that lie in a registry as OCI artifacts: one layer with the document, the empty
 * config (OCI image specification, "Guidelines for Artifact Usage"). A tag changes in one request,
 * after all that it names is there: a reader sees the old document or the new one.
 */
final class Artifacts {
  private static final JsonMapper JSON = JsonMapper.builder().build();

  private Artifacts() {}

  /**
   * A document and the manifest that it lies behind.
   *
   * @param annotations of the manifest
   */
  record Artifact(
      String repository, String type, byte[] document, Map<String, String> annotations) {
    private Descriptor layer() {
      return new Descriptor(type, Digest.of(document), document.length);
    }

    Manifest manifest() {
      ObjectNode root = JSON.createObjectNode().put("schemaVersion", 2);
      root.put("mediaType", MediaTypes.OCI_MANIFEST).put("artifactType", type);
      describe(root.putObject("config"), EmptyJson.DESCRIPTOR);
      describe(root.putArray("layers").addObject(), layer());
      if (!annotations.isEmpty()) {
        ObjectNode node = root.putObject("annotations");
        new TreeMap<>(annotations).forEach(node::put);
      }
      try {
        return Manifest.parse(JSON.writeValueAsBytes(root), MediaTypes.OCI_MANIFEST, repository);
      } catch (JsonProcessingException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  static Manifest write(
      ImageStore store, String repository, String tag, String type, byte[] document) {
    return write(store, new Artifact(repository, type, document, Map.of()), tag);
  }

  static Manifest write(ImageStore store, Artifact artifact, String tag) {
    String repository = artifact.repository();
    store.putBlob(repository, EmptyJson.DESCRIPTOR, null, EmptyJson.CONTENT);
    store.putBlob(repository, artifact.layer(), null, BlobContent.of(artifact.document()));
    Manifest manifest = artifact.manifest();
    store.putManifest(repository, manifest, tag);
    return manifest;
  }

  /**
   * Reads a document.
   *
   * @param maxBytes refused beyond
   * @return empty when there is no such tag
   * @throws RegistryException also when it is there but is not what {@link #write} wrote
   */
  static Optional<byte[]> read(
      ImageSource store, String repository, String tag, String type, int maxBytes) {
    Manifest manifest = store.findManifest(repository, tag).orElse(null);
    if (manifest == null) {
      return Optional.empty();
    }
    String object = store.name() + "/" + repository + ":" + tag;
    if (!(manifest.content() instanceof Manifest.Image image)
        || !type.equals(image.artifactType())
        || image.layers().size() != 1) {
      throw new RegistryException(Reason.MalformedResponse, object, "is no " + type);
    }
    Descriptor layer = image.layers().getFirst();
    if (layer.size() > maxBytes) {
      throw new RegistryException(
          Reason.TooLarge, object, "has " + layer.size() + " bytes, at most " + maxBytes + " do");
    }
    try (InputStream in = store.blob(repository, layer, 0)) {
      byte[] bytes = in.readNBytes((int) layer.size());
      BlobVerifier verifier = new BlobVerifier(layer, object);
      verifier.update(0, bytes, 0, bytes.length);
      if (!verifier.isComplete()) {
        throw new RegistryException(Reason.DigestMismatch, object, "ends early");
      }
      return Optional.of(bytes);
    } catch (IOException e) {
      throw new RegistryException(Reason.ConnectionFailed, object, "cannot be read", e);
    }
  }

  static void describe(ObjectNode node, Descriptor descriptor) {
    node.put("mediaType", descriptor.mediaType())
        .put("digest", descriptor.digest().toString())
        .put("size", descriptor.size());
  }
}
