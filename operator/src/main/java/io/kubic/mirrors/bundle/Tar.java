package io.kubic.mirrors.bundle;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.util.Arrays;
import java.util.Locale;
import java.util.SortedMap;

/**
 * Small files as a tar archive (POSIX.1-1988, "ustar"): all of them root's, mode 0644 and dated
 * 1970, so that equal files give equal bytes. Nothing else that tar can say is needed here.
 */
public final class Tar {
  private static final int BLOCK = 512;
  private static final int NAME = 100;
  private static final int PREFIX = 155;
  private static final int CHECKSUM = 148;

  private Tar() {}

  /**
   * An archive.
   *
   * @param files by their path, which begins with no slash
   * @throws IllegalArgumentException when a path is too long for the format
   */
  public static byte[] of(SortedMap<String, byte[]> files) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    files.forEach(
        (path, bytes) -> {
          out.writeBytes(header(path, bytes.length));
          out.writeBytes(bytes);
          out.writeBytes(new byte[(BLOCK - bytes.length % BLOCK) % BLOCK]);
        });
    out.writeBytes(new byte[2 * BLOCK]);
    return out.toByteArray();
  }

  private static byte[] header(String path, int size) {
    String name = path;
    String prefix = "";
    if (path.getBytes(UTF_8).length > NAME) {
      int slash = path.indexOf('/', Math.max(0, path.length() - NAME - 1));
      prefix = slash < 0 ? "" : path.substring(0, slash);
      name = path.substring(slash + 1);
    }
    if (path.isEmpty()
        || path.startsWith("/")
        || name.getBytes(UTF_8).length > NAME
        || prefix.getBytes(UTF_8).length > PREFIX) {
      throw new IllegalArgumentException("no path for a tar archive: " + path);
    }
    byte[] header = new byte[BLOCK];
    put(header, 0, name);
    put(header, 100, "0000644");
    put(header, 108, "0000000");
    put(header, 116, "0000000");
    put(header, 124, String.format(Locale.ROOT, "%011o", size));
    put(header, 136, "00000000000");
    put(header, 156, "0");
    put(header, 257, "ustar");
    put(header, 263, "00");
    put(header, 265, "root");
    put(header, 297, "root");
    put(header, 345, prefix);
    Arrays.fill(header, CHECKSUM, CHECKSUM + 8, (byte) ' ');
    int sum = 0;
    for (byte b : header) {
      sum += b & 0xff;
    }
    put(header, CHECKSUM, String.format(Locale.ROOT, "%06o", sum));
    header[CHECKSUM + 6] = 0;
    return header;
  }

  private static void put(byte[] header, int at, String text) {
    byte[] bytes = text.getBytes(text.chars().allMatch(c -> c < 0x80) ? US_ASCII : UTF_8);
    System.arraycopy(bytes, 0, header, at, bytes.length);
  }
}
