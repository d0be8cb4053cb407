package io.kubic.mirrors.upkeep;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kubic.mirrors.oci.Digest;
import org.junit.jupiter.api.Test;

class InventoryTest {
  private static final String A = "sha256:" + "a".repeat(64);
  private static final String B = "sha256:" + "b".repeat(64);

  /** As distribution 3.1.2 prints it. */
  private static final String OUTPUT =
      """
      library/app
      library/app: marking manifest %s\s
      library/app: marking blob %s
      other

      3 blobs marked, 1 blobs and 0 manifests eligible for deletion
      blob eligible for deletion: %s
      library/app: layer link eligible for deletion: %s
      """
          .formatted(A, B, B, B);

  @Test
  void manifestsAndWhatASweepWouldDeleteAreRead() {
    Inventory inventory = Inventory.parse(OUTPUT);

    assertThat(inventory.manifests().get("library/app")).containsExactly(Digest.parse(A));
    assertThat(inventory.sweepable()).containsExactly(Digest.parse(B));
    assertThat(inventory.size()).isEqualTo(1);
  }

  @Test
  void anOutputThatBreaksOffIsNotBelieved() {
    assertThatThrownBy(() -> Inventory.parse(OUTPUT.substring(0, OUTPUT.indexOf("3 blobs"))))
        .isInstanceOf(UpkeepException.class);
    assertThatThrownBy(() -> Inventory.parse("a: marking manifest sha256:x\n" + OUTPUT))
        .isInstanceOf(UpkeepException.class);
  }
}
