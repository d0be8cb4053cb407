package io.kubic.mirrors.bundle;

import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.Shown;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * The file {@code SHA256SUMS}: the form of sha256sum(1), one line per file, sorted by name.
 *
 * @param files name with slashes to sha256
 */
record Checksums(SortedMap<String, Digest> files) {
  static final String FILE = "SHA256SUMS";
  static final String SIGNATURE = "SHA256SUMS.sig";
  static final long MAX_BYTES = 256L << 20;

  private static final Set<String> DEVICES = Set.of("con", "prn", "aux", "nul");
  private static final int HEX = 64;
  private static final int MAX_NAME = 255;

  Checksums {
    files = new TreeMap<>(files);
  }

  static Checksums of(Map<String, Digest> files) {
    return new Checksums(new TreeMap<>(files));
  }

  byte[] toBytes() {
    StringBuilder text = new StringBuilder();
    files.forEach((name, digest) -> text.append(digest.hex() + "  " + name + "\n"));
    return text.toString().getBytes(StandardCharsets.US_ASCII);
  }

  /**
   * Reads it; nothing but the exact form is taken.
   *
   * @throws RefusedException MalformedResponse
   */
  static Checksums parse(byte[] bytes, String object) {
    String text = new String(bytes, StandardCharsets.ISO_8859_1);
    SortedMap<String, Digest> files = new TreeMap<>();
    String last = "";
    int start = 0;
    while (start < text.length()) {
      int end = text.indexOf('\n', start);
      if (end < 0) {
        throw malformed(object, "its last line is cut off");
      }
      String line = text.substring(start, end);
      start = end + 1;
      Optional<Digest> digest =
          line.length() > HEX + 2
              ? Digest.tryParse("sha256:" + line.substring(0, HEX))
              : Optional.empty();
      if (digest.isEmpty() || !line.startsWith("  ", HEX)) {
        throw malformed(object, "no checksum line: " + Shown.of(line));
      }
      String name = line.substring(HEX + 2);
      if (!isName(name)) {
        throw malformed(object, "no name of a bundle's file: " + Shown.of(name));
      }
      if (name.compareTo(last) <= 0) {
        throw malformed(object, "is not sorted, or has a name twice: " + name);
      }
      last = name;
      files.put(name, digest.get());
    }
    return new Checksums(files);
  }

  /**
   * Whether a file of a bundle may be called so: lower case words of letters, digits, dots and
   * dashes, parted by slashes. No two such names are one on any file system, and none leads out or
   * is a device to Windows (learn.microsoft.com, "Naming Files, Paths, and Namespaces").
   */
  static boolean isName(String name) {
    if (name.isEmpty() || name.length() > MAX_NAME || isDevice(name)) {
      return false;
    }
    boolean first = true;
    for (int i = 0; i < name.length(); i++) {
      char c = name.charAt(i);
      if (c == '/') {
        if (first || name.charAt(i - 1) == '.') {
          return false;
        }
        first = true;
        continue;
      }
      boolean word = c >= 'a' && c <= 'z' || c >= '0' && c <= '9';
      if (!word && (first || c != '.' && c != '-' && c != '_')) {
        return false;
      }
      first = false;
    }
    return !first && !name.endsWith(".");
  }

  private static boolean isDevice(String name) {
    for (String word : name.split("/", -1)) {
      int dot = word.indexOf('.');
      String stem = dot < 0 ? word : word.substring(0, dot);
      if (DEVICES.contains(stem)
          || stem.length() == 4
              && (stem.startsWith("com") || stem.startsWith("lpt"))
              && Character.isDigit(stem.charAt(3))) {
        return true;
      }
    }
    return false;
  }

  private static RefusedException malformed(String object, String what) {
    return new RefusedException(Reason.MalformedResponse, object, what);
  }
}
