package io.kubic.mirrors.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BundleFilesTest {
  private static final byte[] RECEIPT =
      ("{\"schema\":\"mirrors.kubic.io/receipt/v1\",\"series\":\"kubic\",\"sequence\":1,"
              + "\"bundle\":\"sha256:%1$s\",\"checksum\":\"sha256:%1$s\",\"target\":\"m:5000\","
              + "\"imported\":\"2026-01-01T00:00:00Z\",\"complete\":true}")
          .formatted("0".repeat(64))
          .getBytes(StandardCharsets.UTF_8);

  @TempDir private Path directory;

  private Path file(String name, byte[] bytes) throws IOException {
    return Files.write(directory.resolve(name), bytes);
  }

  private static byte[] gzip(byte[] bytes) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(out)) {
      gzip.write(bytes);
    }
    return out.toByteArray();
  }

  @Test
  void aCompressedReceiptIsTheSameReceipt() throws IOException {
    BundleFiles.ReceiptFile plain = BundleFiles.receipt(file("receipt.json", RECEIPT), null);
    BundleFiles.ReceiptFile small =
        BundleFiles.receipt(file("receipt.json.gz", gzip(RECEIPT)), null);
    assertThat(small.receipt()).isEqualTo(plain.receipt());
    assertThat(small.bytes()).as("what a bundle calls its base").isEqualTo(RECEIPT);
  }

  @Test
  void oneThatIsCutIsRefusedInOneLine() throws IOException {
    byte[] whole = gzip(RECEIPT);
    Path cut = file("receipt.json.gz", Arrays.copyOf(whole, whole.length - 9));
    assertThatThrownBy(() -> BundleFiles.receipt(cut, null))
        .isInstanceOf(CommandException.class)
        .hasMessage(cut + ": is no file that gzip wrote whole");
  }
}
