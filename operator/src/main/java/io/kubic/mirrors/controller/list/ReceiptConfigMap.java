package io.kubic.mirrors.controller.list;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.bundle.ReceiptStore;
import io.kubic.mirrors.controller.support.Labels;
import io.kubic.mirrors.controller.support.Owner;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.GZIPOutputStream;

/**
 * What an import left in its registry, as a ConfigMap that the connected side's {@code
 * baseReceiptRef} takes as it is. The API server takes 1 MiB of a ConfigMap: a larger receipt is
 * compressed, and of one that is too large even so the ConfigMap tells where it is.
 */
final class ReceiptConfigMap {
  static final String FILE = "receipt.json";
  static final String COMPRESSED = "receipt.json.gz";
  static final String SIGNATURE = "receipt.json.sig";
  static final String NOTE = "note";

  /** Annotation: the Job whose receipt it is. */
  static final String JOB = "mirrors.kubic.io/job";

  /** Most bytes of the receipt, with room for the rest of the ConfigMap. */
  static final int MAX_BYTES = 900_000;

  private ReceiptConfigMap() {}

  static String name(MirrorList list) {
    return list.getMetadata().getName() + "-receipt";
  }

  /** Whether it is the one of a Job already. */
  static boolean isOf(ConfigMap map, String job) {
    Map<String, String> annotations = map.getMetadata().getAnnotations();
    return annotations != null && job.equals(annotations.get(JOB));
  }

  /**
   * @param series the MirrorList that was exported
   * @param registry {@code host:port}
   */
  static ConfigMap of(
      MirrorList list, String job, String series, String registry, ReceiptStore.Kept receipt) {
    Map<String, String> data = new TreeMap<>();
    Map<String, String> binary = new TreeMap<>();
    byte[] bytes = receipt.bytes();
    if (bytes.length <= MAX_BYTES) {
      data.put(FILE, new String(bytes, StandardCharsets.UTF_8));
    } else {
      byte[] compressed = gzip(bytes);
      if (compressed.length <= MAX_BYTES) {
        binary.put(COMPRESSED, Base64.getEncoder().encodeToString(compressed));
      } else {
        data.put(
            NOTE,
            "the receipt has "
                + bytes.length
                + " bytes, too many for a ConfigMap; fetch it with: kubectl mirror receipt "
                + registry
                + " --list "
                + series
                + " --to receipt.json");
      }
    }
    String signature = receipt.signature();
    if (signature != null) {
      data.put(SIGNATURE, signature.strip() + "\n");
    }
    return new ConfigMapBuilder()
        .withNewMetadata()
        .withNamespace(list.getMetadata().getNamespace())
        .withName(name(list))
        .withLabels(Labels.of(ListResources.KIND, list.getMetadata().getName()))
        .withAnnotations(Map.of(JOB, job))
        .withOwnerReferences(Owner.of(list))
        .endMetadata()
        .withData(data)
        .withBinaryData(binary)
        .build();
  }

  /** The same bytes for the same receipt: Java writes no time into the header. */
  private static byte[] gzip(byte[] bytes) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(out)) {
      gzip.write(bytes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return out.toByteArray();
  }
}
