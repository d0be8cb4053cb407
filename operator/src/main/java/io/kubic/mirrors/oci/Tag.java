package io.kubic.mirrors.oci;

/** The grammar of tags: OCI distribution specification, "Pulling manifests". */
public final class Tag {
  private static final int MAX_LENGTH = 128;

  private Tag() {}

  /** Whether a text is a tag: {@code [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}}. */
  public static boolean isValid(String text) {
    if (text.isEmpty() || text.length() > MAX_LENGTH) {
      return false;
    }
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      boolean word =
          c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_';
      if (!word && (i == 0 || c != '.' && c != '-')) {
        return false;
      }
    }
    return true;
  }

  /**
   * The text itself.
   *
   * @throws IllegalArgumentException when it is no tag
   */
  public static String require(String text) {
    if (!isValid(text)) {
      throw new IllegalArgumentException(
          "no tag: '" + Shown.of(text) + "'; letters, digits, '_', '.', '-', at most 128");
    }
    return text;
  }
}
