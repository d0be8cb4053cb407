package io.kubic.mirrors.controller.list;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.bundle.ReceiptStore;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Random;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;

class ReceiptConfigMapTest {
  private static ConfigMap of(byte[] receipt, String signature) {
    MirrorList list = new MirrorList();
    list.getMetadata().setName("import");
    list.getMetadata().setNamespace("mirror-system");
    list.getMetadata().setUid("uid");
    return ReceiptConfigMap.of(
        list, "import-sync-1", "kubic", "10.0.0.1:5000", new ReceiptStore.Kept(receipt, signature));
  }

  /** Digests, as a receipt is mostly made of. */
  private static byte[] digests(int size) {
    Random random = new Random(1);
    StringBuilder text = new StringBuilder();
    while (text.length() < size) {
      text.append(Integer.toHexString(random.nextInt()));
    }
    return text.substring(0, size).getBytes(StandardCharsets.US_ASCII);
  }

  @Test
  void aReceiptIsAFileThatAnExportTakes() {
    ConfigMap map = of("{}".getBytes(StandardCharsets.US_ASCII), "c2ln");
    assertThat(map.getMetadata().getName()).isEqualTo("import-receipt");
    assertThat(map.getData())
        .containsOnlyKeys("receipt.json", "receipt.json.sig")
        .containsEntry("receipt.json", "{}")
        .containsEntry("receipt.json.sig", "c2ln\n");
    assertThat(ReceiptConfigMap.isOf(map, "import-sync-1")).isTrue();
    assertThat(ReceiptConfigMap.isOf(map, "import-sync-2")).isFalse();
  }

  @Test
  void aLargeOneIsCompressedAndTheSameReceiptGivesTheSameBytes() throws IOException {
    byte[] receipt = digests(1_400_000);
    ConfigMap map = of(receipt, null);
    assertThat(map.getData()).isEmpty();
    byte[] compressed = Base64.getDecoder().decode(map.getBinaryData().get("receipt.json.gz"));
    assertThat(compressed.length).isLessThan(1 << 20);
    assertThat(new GZIPInputStream(new ByteArrayInputStream(compressed)).readAllBytes())
        .isEqualTo(receipt);
    assertThat(of(receipt, null)).isEqualTo(map);
  }

  @Test
  void ofOneThatIsTooLargeItTellsWhereItIs() {
    ConfigMap map = of(digests(3_000_000), null);
    assertThat(map.getBinaryData()).isEmpty();
    assertThat(map.getData())
        .containsOnlyKeys("note")
        .containsEntry(
            "note",
            "the receipt has 3000000 bytes, too many for a ConfigMap; fetch it with: kubectl mirror"
                + " receipt 10.0.0.1:5000 --list kubic --to receipt.json");
  }
}
