package io.kubic.mirrors.oci;

import java.security.MessageDigest;

/**
 * Checks a blob while it passes by. Parts that pass a second time, because a transfer was resumed,
 * are not counted twice. Gives way to other virtual threads every few milliseconds: one whose bytes
 * are always there would otherwise not, and what waits for a thread to carry it would seem to have
 * stalled. Not safe for threads.
 */
public final class BlobVerifier {
  /** Bytes after which it is another thread's turn. */
  private static final long TURN = 8 << 20;

  private final Descriptor blob;
  private final String object;
  private final MessageDigest hash;
  private long hashed;

  /**
   * @param object what the blob is called in messages
   */
  public BlobVerifier(Descriptor blob, String object) {
    this.blob = blob;
    this.object = object;
    this.hash = blob.digest().algorithm().start();
    if (blob.size() == 0) {
      conclude();
    }
  }

  /**
   * Takes bytes that lie at a position of the blob. The call that completes the blob also compares
   * the digest, so that the caller can keep the last bytes back.
   *
   * @param position of the first byte; not beyond what has passed so far
   * @throws RegistryException DigestMismatch when the blob is longer than its descriptor says, or
   *     another than its digest says
   */
  public void update(long position, byte[] buffer, int offset, int length) {
    if (position > hashed) {
      throw new IllegalStateException("a gap in " + blob.digest());
    }
    long end = position + length;
    if (end > blob.size()) {
      throw new RegistryException(
          Reason.DigestMismatch, object, "is longer than the " + blob.size() + " bytes promised");
    }
    if (end <= hashed) {
      return;
    }
    int known = (int) (hashed - position);
    hash.update(buffer, offset + known, length - known);
    boolean turn = hashed / TURN != end / TURN;
    hashed = end;
    if (hashed == blob.size()) {
      conclude();
    } else if (turn) {
      Thread.yield();
    }
  }

  /** How many bytes have passed, from the first one on. */
  public long passed() {
    return hashed;
  }

  /** Whether every byte has passed, and the digest was right. */
  public boolean isComplete() {
    return hashed == blob.size();
  }

  private void conclude() {
    Digest found = Digest.finish(blob.digest().algorithm(), hash);
    if (!found.equals(blob.digest())) {
      throw new RegistryException(
          Reason.DigestMismatch, object, "the content is " + found + ", expected " + blob.digest());
    }
  }
}
