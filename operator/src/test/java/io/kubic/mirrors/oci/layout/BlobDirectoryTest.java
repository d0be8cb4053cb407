package io.kubic.mirrors.oci.layout;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BlobDirectoryTest {
  private static final byte[] BYTES = "what a layer holds".getBytes(UTF_8);
  private static final Descriptor BLOB =
      new Descriptor("application/x", Digest.of(BYTES), BYTES.length);

  @TempDir private Path root;
  private BlobDirectory blobs;

  /** Where the content was asked for from. */
  private final List<Long> offsets = new ArrayList<>();

  @BeforeEach
  void open() {
    blobs = new BlobDirectory(root, root.resolve("partial"), new Disk(Checkpoint.NONE));
  }

  private BlobContent content(byte[] bytes) {
    return offset -> {
      offsets.add(offset);
      return new ByteArrayInputStream(bytes, (int) offset, bytes.length - (int) offset);
    };
  }

  private Path partial(String text) throws IOException {
    Path aside = root.resolve("partial").resolve(BLOB.digest().hex());
    Files.createDirectories(aside.getParent());
    return Files.writeString(aside, text);
  }

  @Test
  void whatAnInterruptedRunLeftIsContinued() throws IOException {
    partial("what a");
    assertThat(blobs.put(BLOB, content(BYTES))).isTrue();
    assertThat(offsets).containsExactly(6L);
    assertThat(Files.readAllBytes(blobs.path(BLOB.digest()))).isEqualTo(BYTES);
  }

  /** As a file system leaves it that lost its power. */
  @Test
  void whatAnInterruptedRunLeftAndIsWrongCostsNoFurtherRun() throws IOException {
    for (String wrong : List.of("\0\0\0\0\0\0", "\0".repeat(BYTES.length), "x".repeat(99))) {
      offsets.clear();
      Path aside = partial(wrong);
      assertThat(blobs.put(BLOB, content(BYTES))).isTrue();
      assertThat(offsets.getLast()).isZero();
      assertThat(Files.readAllBytes(blobs.path(BLOB.digest()))).isEqualTo(BYTES);
      assertThat(aside).doesNotExist();
      blobs.remove(BLOB.digest());
    }
  }

  @Test
  void aSourceThatSendsWrongBytesIsAskedOnceAndLeavesNothing() throws IOException {
    assertThatThrownBy(() -> blobs.put(BLOB, content("what a layer hides".getBytes(UTF_8))))
        .isInstanceOfSatisfying(
            RegistryException.class, e -> assertThat(e.reason()).isEqualTo(Reason.DigestMismatch));
    assertThat(offsets).containsExactly(0L);
    assertThat(root.resolve("partial")).isEmptyDirectory();
    Path aside = partial("what a");
    offsets.clear();
    assertThatThrownBy(() -> blobs.put(BLOB, content("what a layer hides".getBytes(UTF_8))))
        .isInstanceOf(RegistryException.class);
    assertThat(offsets).containsExactly(6L, 0L);
    assertThat(aside).doesNotExist();
    assertThat(blobs.has(BLOB)).isFalse();
  }
}
