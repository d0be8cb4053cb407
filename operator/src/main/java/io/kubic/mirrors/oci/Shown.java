package io.kubic.mirrors.oci;

/** Text from outside, made fit for one line of a message: no control characters, at most 200. */
public final class Shown {
  private static final int LIMIT = 200;

  private Shown() {}

  /** The text without control characters, cut with an ellipsis. */
  public static String of(String text) {
    StringBuilder shown = new StringBuilder(Math.min(text.length(), LIMIT));
    for (int i = 0; i < text.length(); i++) {
      if (shown.length() >= LIMIT) {
        return shown.append('…').toString();
      }
      char c = text.charAt(i);
      boolean bad = Character.isISOControl(c) || Character.getType(c) == Character.FORMAT;
      shown.append(bad ? ' ' : c);
    }
    return shown.toString().strip();
  }
}
