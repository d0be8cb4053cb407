package io.kubic.mirrors.oci;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A manifest: the bytes as they are, never written anew, and a view of what they say. OCI image
 * manifest and index, Docker schema 2 and manifest list; schema 1 is refused by name.
 */
public final class Manifest {
  /** What registries accept and this program reads: 4 MiB. */
  public static final int MAX_BYTES = 4 << 20;

  /** No honest manifest comes near; deeper JSON is refused before it costs anything. */
  private static final int MAX_DEPTH = 64;

  /**
   * Of JSON: an index of 4 MiB that lists what there is has fewer. Each costs up to fifty bytes of
   * memory, however few it has itself.
   */
  private static final int MAX_TOKENS = 500_000;

  private static final ObjectMapper JSON =
      new ObjectMapper(
              JsonFactory.builder()
                  .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                  .streamReadConstraints(
                      StreamReadConstraints.builder()
                          .maxNestingDepth(MAX_DEPTH)
                          .maxTokenCount(MAX_TOKENS)
                          .build())
                  .build())
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

  private final byte[] bytes;
  private final String mediaType;
  private final Digest digest;
  private final Content content;

  private Manifest(byte[] bytes, String mediaType, Digest digest, Content content) {
    this.bytes = bytes;
    this.mediaType = mediaType;
    this.digest = digest;
    this.content = content;
  }

  /** What a manifest says. */
  public sealed interface Content {
    /** The manifest that this one is attached to; null for none. */
    @Nullable Descriptor subject();

    /** What kind of artifact it is, as said; null when not said. */
    @Nullable String artifactType();
  }

  /** One image or artifact. */
  public record Image(
      Descriptor config,
      List<Descriptor> layers,
      @Nullable Descriptor subject,
      @Nullable String artifactType)
      implements Content {
    public Image {
      layers = List.copyOf(layers);
    }
  }

  /** Several manifests, mostly one for each platform. */
  public record Index(
      List<Descriptor> manifests, @Nullable Descriptor subject, @Nullable String artifactType)
      implements Content {
    public Index {
      manifests = List.copyOf(manifests);
    }
  }

  /**
   * Reads a manifest.
   *
   * @param bytes as received; not copied, and not to be changed afterwards
   * @param contentType the header or descriptor that came with them; null when there was none
   * @param object what the manifest is called in messages
   * @throws RegistryException TooLarge, UnsupportedMediaType or MalformedResponse
   */
  public static Manifest parse(byte[] bytes, @Nullable String contentType, String object) {
    return parse(bytes, contentType, object, Digest.of(bytes));
  }

  private static RegistryException schema1(String object) {
    return new RegistryException(
        Reason.UnsupportedMediaType,
        object,
        "is in Docker's schema 1 format, which current registries refuse; rebuild and push it with a"
            + " current tool");
  }

  /**
   * Reads a manifest that must have a digest.
   *
   * @throws RegistryException DigestMismatch, besides those of {@link #parse(byte[], String,
   *     String)}
   */
  public static Manifest parse(
      byte[] bytes, @Nullable String contentType, String object, Digest expected) {
    String declared = contentType == null ? "" : MediaTypes.bare(contentType);
    if (MediaTypes.isDockerSchema1(declared)) {
      // Its digest leaves the signatures out, so it would never be that of the bytes.
      throw schema1(object);
    }
    Digest found = expected.same(bytes);
    if (!found.equals(expected)) {
      throw new RegistryException(
          Reason.DigestMismatch, object, "the manifest is " + found + ", expected " + expected);
    }
    if (bytes.length > MAX_BYTES) {
      throw new RegistryException(Reason.TooLarge, object, "the manifest is larger than 4 MiB");
    }
    JsonNode root;
    try {
      root = JSON.readTree(bytes);
    } catch (JsonProcessingException e) {
      throw new RegistryException(
          Reason.MalformedResponse,
          object,
          "the manifest is no JSON: " + Shown.of(e.getOriginalMessage()));
    } catch (IOException e) {
      throw new RegistryException(Reason.MalformedResponse, object, "the manifest is no JSON", e);
    }
    if (root == null || !root.isObject()) {
      throw new RegistryException(
          Reason.MalformedResponse, object, "the manifest is no JSON object");
    }
    String stated = root.path("mediaType").asText("");
    if (MediaTypes.isDockerSchema1(stated) || root.path("schemaVersion").asInt() == 1) {
      throw schema1(object);
    }
    String type = mediaType(declared, stated, root, object);
    if (!root.path("schemaVersion").isInt() || root.path("schemaVersion").asInt() != 2) {
      throw new RegistryException(
          Reason.MalformedResponse, object, "the manifest's schemaVersion is not 2");
    }
    boolean index = MediaTypes.isIndex(type);
    // Bytes that read as both an image and an index are an attack: GHSA-77vh-xpmg-72qh.
    if (index && (root.has("layers") || root.has("config"))
        || !index && (root.has("manifests") || root.has("fsLayers"))) {
      throw new RegistryException(
          Reason.MalformedResponse, object, "the manifest is ambiguous: image and index at once");
    }
    try {
      return new Manifest(bytes, type, found, index ? index(root) : image(root));
    } catch (IllegalArgumentException e) {
      throw new RegistryException(
          Reason.MalformedResponse, object, "the manifest is malformed: " + e.getMessage());
    }
  }

  private static String mediaType(String declared, String stated, JsonNode root, String object) {
    if (!stated.isEmpty()) {
      if (MediaTypes.isManifest(declared) && !declared.equals(stated)) {
        throw new RegistryException(
            Reason.MalformedResponse,
            object,
            "is served as " + declared + " but says of itself " + Shown.of(stated));
      }
      if (!MediaTypes.isManifest(stated)) {
        throw new RegistryException(
            Reason.UnsupportedMediaType, object, "is of type " + Shown.of(stated));
      }
      return stated;
    }
    if (MediaTypes.isManifest(declared)) {
      return declared;
    }
    // Only OCI manifests may leave their type out; the shape tells which one it is.
    if (declared.isEmpty()
        || declared.equals("application/json")
        || declared.equals("application/octet-stream")
        || declared.startsWith("text/plain")) {
      if (root.path("manifests").isArray()) {
        return MediaTypes.OCI_INDEX;
      }
      if (root.path("config").isObject()) {
        return MediaTypes.OCI_MANIFEST;
      }
      throw new RegistryException(Reason.MalformedResponse, object, "is no manifest");
    }
    throw new RegistryException(
        declared.startsWith("text/") ? Reason.MalformedResponse : Reason.UnsupportedMediaType,
        object,
        "is of type " + Shown.of(declared));
  }

  private static Content image(JsonNode root) {
    JsonNode config = root.path("config");
    if (!config.isObject()) {
      throw new IllegalArgumentException("it has no config");
    }
    return new Image(
        descriptor(config), descriptors(root.path("layers")), subject(root), artifactType(root));
  }

  private static Content index(JsonNode root) {
    if (!root.path("manifests").isArray()) {
      throw new IllegalArgumentException("it has no list of manifests");
    }
    return new Index(descriptors(root.path("manifests")), subject(root), artifactType(root));
  }

  private static @Nullable Descriptor subject(JsonNode root) {
    return root.path("subject").isObject() ? descriptor(root.path("subject")) : null;
  }

  private static @Nullable String artifactType(JsonNode root) {
    return root.path("artifactType").isTextual() ? root.path("artifactType").asText() : null;
  }

  private static List<Descriptor> descriptors(JsonNode array) {
    if (array.isMissingNode() || array.isNull()) {
      return List.of();
    }
    if (!array.isArray()) {
      throw new IllegalArgumentException("a list of descriptors is no list");
    }
    List<Descriptor> found = new ArrayList<>(array.size());
    array.forEach(node -> found.add(descriptor(node)));
    return found;
  }

  private static Descriptor descriptor(JsonNode node) {
    JsonNode size = node.path("size");
    if (!size.isIntegralNumber() || !size.canConvertToLong() || size.asLong() < 0) {
      throw new IllegalArgumentException("a descriptor has no proper size");
    }
    if (!node.path("digest").isTextual()) {
      throw new IllegalArgumentException("a descriptor has no digest");
    }
    JsonNode platform = node.path("platform");
    List<String> urls = new ArrayList<>();
    node.path("urls").forEach(url -> urls.add(url.asText()));
    Map<String, String> annotations = new LinkedHashMap<>();
    node.path("annotations")
        .properties()
        .forEach(entry -> annotations.put(entry.getKey(), entry.getValue().asText()));
    return new Descriptor(
        node.path("mediaType").asText(""),
        Digest.parse(node.path("digest").asText()),
        size.asLong(),
        platform.isObject()
            ? new Platform(
                platform.path("os").asText(""),
                platform.path("architecture").asText(""),
                text(platform, "variant"),
                text(platform, "os.version"))
            : null,
        text(node, "artifactType"),
        urls,
        annotations);
  }

  private static @Nullable String text(JsonNode node, String field) {
    String value = node.path(field).asText("");
    return value.isEmpty() ? null : value;
  }

  /** The bytes as received; a copy. */
  public byte[] bytes() {
    return bytes.clone();
  }

  /** How many bytes it has. */
  public int size() {
    return bytes.length;
  }

  public String mediaType() {
    return mediaType;
  }

  public Digest digest() {
    return digest;
  }

  public Content content() {
    return content;
  }

  public boolean isIndex() {
    return content instanceof Index;
  }

  /** A pointer to this manifest. */
  public Descriptor descriptor() {
    return new Descriptor(mediaType, digest, bytes.length);
  }

  /** The manifest that this one is attached to. */
  public Optional<Descriptor> subject() {
    return Optional.ofNullable(content.subject());
  }

  /** The manifests below this one, in order; empty for an image. */
  public List<Descriptor> children() {
    return switch (content) {
      case Index index -> index.manifests();
      case Image _ -> List.of();
    };
  }

  /** Config and layers, in order, without the layers that stay at their vendor. */
  public List<Descriptor> blobs() {
    return switch (content) {
      case Index _ -> List.of();
      case Image image -> {
        List<Descriptor> all = new ArrayList<>(image.layers().size() + 1);
        all.add(image.config());
        image.layers().stream().filter(layer -> !layer.isForeign()).forEach(all::add);
        yield List.copyOf(all);
      }
    };
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof Manifest that
        && digest.equals(that.digest)
        && mediaType.equals(that.mediaType);
  }

  @Override
  public int hashCode() {
    return digest.hashCode();
  }

  @Override
  public String toString() {
    return mediaType + " " + digest;
  }
}
