package io.kubic.mirrors.oci;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Optional;

/**
 * A content address, {@code algorithm:hex}. Only the registered algorithms of the OCI image
 * specification (descriptor.md, "Registered Algorithms") exist, so a digest is always safe in a
 * path or URL.
 *
 * @param hex lower case, as long as the algorithm demands
 */
public record Digest(Algorithm algorithm, String hex) implements Comparable<Digest> {

  /** A registered digest algorithm. */
  public enum Algorithm {
    SHA256("sha256", "SHA-256", 64),
    SHA512("sha512", "SHA-512", 128);

    private final String id;
    private final String java;
    private final int length;

    Algorithm(String id, String java, int length) {
      this.id = id;
      this.java = java;
      this.length = length;
    }

    /** As written before the colon. */
    public String id() {
      return id;
    }

    private static Optional<Algorithm> named(String id) {
      for (Algorithm algorithm : values()) {
        if (algorithm.id.equals(id)) {
          return Optional.of(algorithm);
        }
      }
      return Optional.empty();
    }

    private boolean fits(String hex) {
      return hex.length() == length && isHex(hex);
    }

    /** A fresh hash of this algorithm. */
    public MessageDigest start() {
      try {
        return MessageDigest.getInstance(java);
      } catch (NoSuchAlgorithmException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  public Digest {
    if (!algorithm.fits(hex)) {
      throw new IllegalArgumentException("no " + algorithm.id + " digest: " + Shown.of(hex));
    }
  }

  /**
   * @throws IllegalArgumentException when the text is no digest of a registered algorithm
   */
  @JsonCreator
  public static Digest parse(String text) {
    return algorithm(text)
        .map(algorithm -> new Digest(algorithm, hex(text)))
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "no digest: '"
                        + Shown.of(text)
                        + "'; expected sha256: or sha512: and lower case hex"));
  }

  /** The digest in a text, if it is one; most texts that are asked for are tags. */
  public static Optional<Digest> tryParse(String text) {
    return algorithm(text)
        .filter(algorithm -> algorithm.fits(hex(text)))
        .map(algorithm -> new Digest(algorithm, hex(text)));
  }

  private static Optional<Algorithm> algorithm(String text) {
    return Algorithm.named(text.substring(0, Math.max(0, text.indexOf(':'))));
  }

  private static String hex(String text) {
    return text.substring(text.indexOf(':') + 1);
  }

  /** The sha256 digest of some bytes. */
  public static Digest of(byte[] bytes) {
    return finish(Algorithm.SHA256, update(Algorithm.SHA256.start(), bytes));
  }

  /** The digest of the same algorithm of some bytes. */
  public Digest same(byte[] bytes) {
    return finish(algorithm, update(algorithm.start(), bytes));
  }

  /** The digest that a finished hash stands for. */
  public static Digest finish(Algorithm algorithm, MessageDigest hash) {
    return new Digest(algorithm, HexFormat.of().formatHex(hash.digest()));
  }

  @Override
  public int compareTo(Digest other) {
    return toString().compareTo(other.toString());
  }

  /** Twelve hexadecimal digits, for a person. */
  public String brief() {
    return hex.substring(0, 12);
  }

  @JsonValue
  @Override
  public String toString() {
    return algorithm.id + ":" + hex;
  }

  private static MessageDigest update(MessageDigest hash, byte[] bytes) {
    hash.update(bytes);
    return hash;
  }

  private static boolean isHex(String text) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (!(c >= '0' && c <= '9' || c >= 'a' && c <= 'f')) {
        return false;
      }
    }
    return true;
  }
}
