package io.kubic.mirrors.oci.registry;

import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Shown;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.OptionalLong;
import okio.Buffer;
import okio.BufferedSource;
import org.jspecify.annotations.Nullable;

/**
 * A blob as a stream that survives broken and stalled connections: it asks again from where it was.
 * Ends at the descriptor's size; more bytes than that are a failure.
 */
final class BlobStream extends InputStream {
  /** What Okio gives at once of a transfer that does not wait. */
  private static final int SEGMENT = 8 << 10;

  /** Bytes from one failure to the next that make up for it. */
  static final long PROGRESS = 64 << 10;

  private final Wire wire;
  private final String repository;
  private final Descriptor blob;
  private final String object;
  private long position;
  private @Nullable Open open;
  private int failures;
  private long lastFailedAt;

  /** Found after bytes had come that are to be handed out first. */
  private @Nullable RegistryException late;

  /** A transfer under way. */
  private record Open(Answer answer, BufferedSource in, StallWatch stall) {
    int take(Taker taker, int taken, int most) throws IOException {
      int count = 0;
      stall.enter();
      try {
        count = taker.take(in, taken, most);
        return count;
      } finally {
        stall.exit(count);
      }
    }

    void close() {
      stall.close();
      answer.close();
    }
  }

  BlobStream(Wire wire, String repository, Descriptor blob, long offset) {
    this.wire = wire;
    this.repository = repository;
    this.blob = blob;
    this.object = wire.name() + "/" + repository + "@" + blob.digest();
    this.position = offset;
    this.lastFailedAt = offset;
  }

  @Override
  public int read() {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
  }

  @Override
  public int read(byte[] buffer, int offset, int length) {
    return length == 0
        ? 0
        : read((in, taken, most) -> in.read(buffer, offset + taken, most), length);
  }

  /**
   * Moves bytes to the end of a buffer as they are in memory, without a copy.
   *
   * @param most more than none
   * @return how many; negative at the end
   */
  int moveTo(Buffer buffer, int most) {
    return read((in, taken, left) -> (int) in.read(buffer, left), most);
  }

  /** Takes what is there, up to a number of bytes. */
  @FunctionalInterface
  private interface Taker {
    /**
     * @param taken so many came before in the same read
     * @return how many it were; negative at the end
     */
    int take(BufferedSource in, int taken, int most) throws IOException;
  }

  private int read(Taker taker, int length) {
    while (true) {
      if (position == blob.size()) {
        return -1;
      }
      try {
        RegistryException found = late;
        if (found != null) {
          late = null;
          throw found;
        }
        Open now = open();
        int count = fill(now, taker, (int) Math.min(length, blob.size() - position));
        if (count < 0) {
          throw new RegistryException(
              Reason.ConnectionFailed,
              object,
              "the transfer ended after " + position + " of " + blob.size() + " bytes");
        }
        position += count;
        if (position == blob.size()) {
          end(now);
        }
        return count;
      } catch (IOException e) {
        recover(broken(e));
      } catch (RegistryException e) {
        recover(e);
      }
    }
  }

  /** One read, and more of them as long as whole segments come: fewer steps for each byte. */
  private int fill(Open now, Taker taker, int length) throws IOException {
    int count = now.take(taker, 0, length);
    for (int last = count; last == SEGMENT && count < length; count += Math.max(0, last)) {
      try {
        last = now.take(taker, count, Math.min(SEGMENT, length - count));
      } catch (IOException e) {
        late = broken(e);
        break;
      }
    }
    return count;
  }

  private RegistryException broken(IOException e) {
    if (Thread.currentThread().isInterrupted()) {
      return Gate.cancelled(object);
    }
    Open now = open;
    if (now == null) {
      return new RegistryException(Reason.ConnectionFailed, object, "the transfer broke", e);
    }
    OptionalLong stalled = now.stall().stalled();
    return stalled.isPresent()
        ? new RegistryException(
            Reason.Stalled,
            object,
            "moved "
                + stalled.getAsLong()
                + " bytes in "
                + wire.connection().retry().stallTimeout().toSeconds()
                + " s",
            e)
        : Failures.of(e, now.answer().url(), object);
  }

  private Open open() throws IOException {
    Open known = open;
    if (known != null) {
      return known;
    }
    Answer answer = ask(position);
    StallWatch stall =
        new StallWatch(wire.transport(), wire.connection().retry().stallTimeout(), answer::cancel);
    stall.start();
    Open fresh = new Open(answer, answer.response().body().source(), stall);
    open = fresh;
    if (answer.status() == 200 && position > 0) {
      // The registry does not know ranges: what is known already passes by again.
      skip(fresh, position);
    }
    return fresh;
  }

  private void skip(Open now, long count) throws IOException {
    Buffer passed = new Buffer();
    for (long left = count; left > 0; ) {
      int read =
          now.take(
              (in, taken, most) -> (int) in.read(passed, most), 0, (int) Math.min(SEGMENT, left));
      passed.clear();
      if (read < 0) {
        throw new RegistryException(
            Reason.ConnectionFailed, object, "the transfer ended before it got to what is missing");
      }
      left -= read;
    }
  }

  /** One attempt. */
  private Answer ask(long offset) {
    Ask request =
        new Ask("GET", Wire.path(repository, "blobs/" + blob.digest()), object)
            .scope(repository, wire.scope(repository))
            .bulk();
    if (offset > 0) {
      request.header("Range", "bytes=" + offset + "-");
    }
    Answer answer = wire.send(request);
    try {
      if (answer.status() == 416) {
        throw new RegistryException(
            Reason.MalformedResponse, object, "the registry has fewer bytes than promised");
      }
      wire.expect(answer, object, false, 200, 206);
      if (answer.status() == 206) {
        String range = answer.header("Content-Range").orElse("");
        if (!range.startsWith("bytes " + offset + "-")) {
          throw new RegistryException(
              Reason.MalformedResponse,
              object,
              "asked for bytes from " + offset + " on, got '" + Shown.of(range) + "'");
        }
      }
      long expected = blob.size() - (answer.status() == 206 ? offset : 0);
      OptionalLong length = Wire.number(answer.header("Content-Length"));
      if (length.isPresent() && length.getAsLong() != expected) {
        throw new RegistryException(
            Reason.DigestMismatch,
            object,
            "the registry announces "
                + length.getAsLong()
                + " bytes, the manifest says "
                + expected);
      }
      answer.endDeadline();
      return answer;
    } catch (RuntimeException e) {
      answer.close();
      throw e;
    }
  }

  /** The last byte is here: nothing may follow. */
  private void end(Open now) {
    int more;
    try {
      more = now.take((in, taken, most) -> in.exhausted() ? -1 : most, 0, 1);
    } catch (IOException e) {
      more = -1; // All that was promised is here.
    }
    close();
    if (more >= 0) {
      throw new RegistryException(
              Reason.DigestMismatch,
              object,
              "is longer than the " + blob.size() + " bytes promised")
          .asFinal();
    }
  }

  private void recover(RegistryException e) {
    close();
    failures = position - lastFailedAt >= PROGRESS ? 1 : failures + 1;
    boolean progress = position > lastFailedAt;
    lastFailedAt = position;
    if (!wire.mayRetry(e, failures)) {
      throw e.withAttempts(failures);
    }
    Duration pause = wire.backoff(e, failures);
    // Most breaks are those of one connection: the first is mended at once.
    if (!progress || e.reason() != Reason.ConnectionFailed || e.retryAfter().isPresent()) {
      wire.rest(pause, object);
    }
  }

  @Override
  public void close() {
    Open now = open;
    open = null;
    if (now != null) {
      now.close();
    }
  }
}
