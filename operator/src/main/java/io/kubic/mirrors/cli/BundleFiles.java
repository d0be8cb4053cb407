package io.kubic.mirrors.cli;

import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import io.kubic.mirrors.bundle.Receipt;
import io.kubic.mirrors.bundle.ReceiptStore;
import io.kubic.mirrors.bundle.RefusedException;
import io.kubic.mirrors.bundle.SigningKey;
import io.kubic.mirrors.bundle.VerifyingKey;
import io.kubic.mirrors.list.SkopeoFile;
import io.kubic.mirrors.oci.Reason;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.zip.GZIPInputStream;
import org.jspecify.annotations.Nullable;

/** The files that the commands around a bundle take and give: keys, lists, receipts. */
final class BundleFiles {
  private BundleFiles() {}

  static @Nullable SigningKey signingKey(@Nullable Path file) {
    if (file == null) {
      return null;
    }
    try {
      return SigningKey.parse(text(file), file.toString());
    } catch (IllegalArgumentException e) {
      throw new CommandException(ExitCode.USAGE, String.valueOf(e.getMessage()));
    }
  }

  static @Nullable VerifyingKey verifyingKey(@Nullable Path file) {
    if (file == null) {
      return null;
    }
    try {
      return VerifyingKey.parse(text(file), file.toString());
    } catch (IllegalArgumentException e) {
      throw new CommandException(ExitCode.USAGE, String.valueOf(e.getMessage()));
    }
  }

  /** A MirrorList, or the list of mirror-registry and skopeo, as one. */
  static MirrorList list(Path file, @Nullable String name, PrintWriter notes) {
    String text = text(file);
    String called = String.valueOf(file.getFileName());
    if (!text.contains("apiVersion")) {
      SkopeoFile.Converted converted = SkopeoFile.convert(text, called, series(called), "mirror");
      converted.notes().forEach(note -> notes.println("note: " + note));
      text = converted.yaml();
    }
    List<MirrorList> lists =
        ResourceFile.read(text, called, MirrorList.class).stream()
            .filter(list -> name == null || name.equals(list.getMetadata().getName()))
            .toList();
    if (lists.size() != 1) {
      throw new CommandException(
          ExitCode.USAGE,
          file
              + (lists.isEmpty()
                  ? ": holds no MirrorList" + (name == null ? "" : " named " + name)
                  : ": holds several MirrorLists; name one with --list"));
    }
    return lists.getFirst();
  }

  /** A name for a list that has none but its file's. */
  private static String series(String file) {
    int dot = file.indexOf('.');
    String base = (dot > 0 ? file.substring(0, dot) : file).toLowerCase(java.util.Locale.ROOT);
    StringBuilder name = new StringBuilder();
    for (char c : base.toCharArray()) {
      boolean word = c >= 'a' && c <= 'z' || c >= '0' && c <= '9';
      if (word || c == '-' && !name.isEmpty()) {
        name.append(c);
      }
    }
    while (!name.isEmpty() && name.charAt(name.length() - 1) == '-') {
      name.setLength(name.length() - 1);
    }
    return name.isEmpty() ? "list" : name.toString();
  }

  /** A receipt, and its bytes. */
  record ReceiptFile(Receipt receipt, byte[] bytes) {}

  static @Nullable ReceiptFile receipt(@Nullable Path file, @Nullable VerifyingKey key) {
    if (file == null) {
      return null;
    }
    byte[] bytes = plain(bytes(file), file);
    if (key == null) {
      return new ReceiptFile(Receipt.parse(bytes, file.toString()), bytes);
    }
    Path signature = signatureOf(file);
    if (!Files.exists(signature)) {
      throw new RefusedException(
          Reason.SignatureInvalid, file.toString(), "has no signature " + signature);
    }
    return new ReceiptFile(Receipt.parse(bytes, file.toString(), key, bytes(signature)), bytes);
  }

  /** Writes a receipt, and its signature beside it; each is whole or not there. */
  static void write(Path file, ReceiptStore.Kept receipt) {
    try {
      replace(file, receipt.bytes());
      String signature = receipt.signature();
      if (signature != null) {
        replace(signatureOf(file), (signature.strip() + "\n").getBytes(StandardCharsets.US_ASCII));
      } else {
        Files.deleteIfExists(signatureOf(file));
      }
    } catch (IOException e) {
      throw new CommandException(
          ExitCode.FAILED, file + ": cannot be written: " + e.getClass().getSimpleName());
    }
  }

  private static void replace(Path file, byte[] bytes) throws IOException {
    Path aside = file.resolveSibling(file.getFileName() + ".new");
    Files.write(aside, bytes);
    Files.move(aside, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  /** Of a compressed receipt the signature is that of the receipt. */
  private static Path signatureOf(Path file) {
    String name = String.valueOf(file.getFileName());
    String plain = name.endsWith(".gz") ? name.substring(0, name.length() - 3) : name;
    return file.resolveSibling(plain + ".sig");
  }

  /** What gzip compressed, as a large receipt is in a ConfigMap; anything else as it is. */
  private static byte[] plain(byte[] bytes, Path file) {
    if (bytes.length < 2 || bytes[0] != 0x1f || (bytes[1] & 0xff) != 0x8b) {
      return bytes;
    }
    try (GZIPInputStream in = new GZIPInputStream(new ByteArrayInputStream(bytes))) {
      byte[] plain = in.readNBytes((int) Receipt.MAX_BYTES + 1);
      if (plain.length > Receipt.MAX_BYTES) {
        throw new CommandException(ExitCode.USAGE, file + ": is too large for a receipt");
      }
      return plain;
    } catch (IOException e) {
      throw new CommandException(ExitCode.USAGE, file + ": is no file that gzip wrote whole");
    }
  }

  static String text(Path file) {
    return new String(bytes(file), StandardCharsets.UTF_8);
  }

  private static byte[] bytes(Path file) {
    try {
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new CommandException(
          ExitCode.USAGE, file + ": cannot be read: " + e.getClass().getSimpleName());
    }
  }
}
