package io.kubic.mirrors.node.render;

import io.kubic.mirrors.node.NodeConfig;
import java.nio.charset.StandardCharsets;
import java.util.Comparator;

/**
 * One file of ours on a host. Sorted in the order in which files are put there: what is trusted
 * first, what makes a runtime use it last; they are taken away in the opposite order.
 *
 * @param path absolute, as the host sees it
 * @param content UTF-8
 * @param secret whether it holds a password: then only root may read it
 */
public record NodeFile(String path, Kind kind, String content, boolean secret)
    implements Comparable<NodeFile> {
  public NodeFile(String path, Kind kind, String content) {
    this(path, kind, content, false);
  }

  /** Every file of ours begins with this; a file without it is not ours. */
  public static final String MARKER = "# Managed by Mirror Operator";

  /** 0644: rootless users read the same files. */
  private static final String MODE = "rw-r--r--";

  /** 0600: for files with passwords. */
  public static final String SECRET_MODE = "rw-------";

  private static final Comparator<NodeFile> ORDER =
      Comparator.comparing(NodeFile::kind).thenComparing(NodeFile::path);

  /** In the order of being written. */
  public enum Kind {
    TRUST,
    /** The one file that is shared with others; see {@link AuthFile}. */
    AUTH,
    HOSTS,
    DROP_IN,
    /** For a person, not for a host: a patch of an operating system that only has an API. */
    PATCH
  }

  static String marker(NodeConfig config) {
    return MARKER.substring(2)
        + " for NodeRegistryConfig '"
        + config.name()
        + "' (mirrors.kubic.io); do not edit.";
  }

  /** As in {@code rw-r--r--}. */
  public String mode() {
    return secret ? SECRET_MODE : MODE;
  }

  @Override
  public String toString() {
    return path;
  }

  public byte[] bytes() {
    return content.getBytes(StandardCharsets.UTF_8);
  }

  /** Whether the beginning of a file on a host says that it is ours. */
  public static boolean isOurs(String content) {
    return content.startsWith(MARKER);
  }

  @Override
  public int compareTo(NodeFile other) {
    return ORDER.compare(this, other);
  }
}
