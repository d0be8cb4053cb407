package io.kubic.mirrors.sync;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.zip.CRC32;

/**
 * One of several equal parts of a list. Repositories of the target are dealt out, so no image and
 * no tag is in two parts, and what is attached to an image is where the image is.
 *
 * @param index from 0 on
 * @param count at least 1
 */
public record Shard(int index, int count) {
  public Shard {
    if (count < 1 || count > 64 || index < 0 || index >= count) {
      throw new IllegalArgumentException(
          "no shard: " + index + "/" + count + "; INDEX/COUNT with INDEX from 0, COUNT at most 64");
    }
  }

  /** The whole list. */
  public static Shard whole() {
    return new Shard(0, 1);
  }

  /**
   * @param text as in {@code 2/8}: the third of eight
   * @throws IllegalArgumentException when it is anything else
   */
  public static Shard parse(String text) {
    int slash = text.indexOf('/');
    try {
      return new Shard(
          Integer.parseInt(text.substring(0, Math.max(0, slash))),
          Integer.parseInt(text.substring(slash + 1)));
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException("no shard: write INDEX/COUNT, as in 2/8");
    }
  }

  public boolean isWhole() {
    return count == 1;
  }

  /** Whether a repository of the target belongs to this part. */
  public boolean owns(String place) {
    CRC32 hash = new CRC32();
    hash.update(place.getBytes(UTF_8));
    return Math.floorMod(hash.getValue(), count) == index;
  }

  /** What tells this part's documents from those of the others. */
  String suffix() {
    return isWhole() ? "" : "--" + index + "." + count;
  }

  /** The part whose documents have such a tag; the whole for one without {@link #suffix}. */
  static Shard ofTag(String tag) {
    int dashes = tag.lastIndexOf("--");
    if (dashes < 0) {
      return whole();
    }
    try {
      return parse(tag.substring(dashes + 2).replace('.', '/'));
    } catch (IllegalArgumentException e) {
      return whole(); // The name of a list may have dashes too.
    }
  }

  @Override
  public String toString() {
    return index + "/" + count;
  }
}
