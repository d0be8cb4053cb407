package io.kubic.mirrors.oci.layout;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.MediaTypes;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

/**
 * The {@code index.json} of an OCI image layout (OCI image specification, image-layout.md).
 *
 * @param entries sorted by name
 */
public record LayoutIndex(List<Entry> entries) {
  /** The name of an image within a layout: annotations.md of the OCI image specification. */
  public static final String REF_NAME = "org.opencontainers.image.ref.name";

  /** The name under which containerd's {@code image import} stores it. */
  public static final String CONTAINERD_NAME = "io.containerd.image.name";

  /** The content of the file {@code oci-layout}. */
  public static final String LAYOUT = "{\"imageLayoutVersion\":\"1.0.0\"}";

  private static final JsonMapper JSON = JsonMapper.builder().build();

  public LayoutIndex {
    entries = entries.stream().sorted(java.util.Comparator.comparing(Entry::name)).toList();
  }

  /**
   * One image.
   *
   * @param name as in {@code registry.example/app:1}
   */
  public record Entry(String name, Descriptor descriptor) {}

  /** The file; equal entries give equal bytes. */
  public byte[] toJson() {
    ObjectNode root = JSON.createObjectNode();
    root.put("schemaVersion", 2).put("mediaType", MediaTypes.OCI_INDEX);
    ArrayNode manifests = root.putArray("manifests");
    for (Entry entry : entries) {
      manifests
          .addObject()
          .put("mediaType", entry.descriptor().mediaType())
          .put("digest", entry.descriptor().digest().toString())
          .put("size", entry.descriptor().size())
          .set(
              "annotations",
              JSON.valueToTree(
                  new java.util.TreeMap<>(
                      Map.of(REF_NAME, entry.name(), CONTAINERD_NAME, entry.name()))));
    }
    try {
      return (JSON.writeValueAsString(root) + "\n").getBytes(StandardCharsets.UTF_8);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
