package io.kubic.mirrors.oci.registry;

import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.BlobVerifier;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.Objects;
import java.util.OptionalLong;
import okhttp3.MediaType;
import okhttp3.RequestBody;
import okio.Buffer;
import okio.BufferedSink;
import org.jspecify.annotations.Nullable;

/** A blob on its way from its source; reads, checks and writes in one thread. */
final class UploadBody extends RequestBody {
  private static final MediaType OCTETS = MediaType.get("application/octet-stream");
  private static final int WIDTH = 64 << 10;

  private final Descriptor blob;
  private final long offset;
  private final BlobContent content;
  private final BlobVerifier verifier;
  private long position;
  private @Nullable RegistryException failure;
  private @Nullable StallWatch stall;
  private Runnable begun = () -> {};
  private Runnable sent = () -> {};

  UploadBody(Descriptor blob, long offset, BlobContent content, BlobVerifier verifier) {
    this.blob = blob;
    this.offset = offset;
    this.content = content;
    this.verifier = verifier;
    this.position = offset;
  }

  @Override
  public MediaType contentType() {
    return OCTETS;
  }

  @Override
  public long contentLength() {
    return blob.size() - offset;
  }

  @Override
  public boolean isOneShot() {
    return true;
  }

  /**
   * What holds for one attempt.
   *
   * @param begun happens before the first byte
   * @param sent happens when the last byte is on its way, or the first that the target does not
   *     take
   */
  void under(StallWatch watch, Runnable begun, Runnable sent) {
    this.stall = watch;
    this.begun = begun;
    this.sent = sent;
  }

  /** How few bytes the target took, if that is why the watch has ended the call. */
  OptionalLong stalled() {
    StallWatch watch = stall;
    return watch == null ? OptionalLong.empty() : watch.stalled();
  }

  /** What went wrong at the source, as opposed to the target. */
  @Nullable RegistryException failure() {
    return failure;
  }

  @Override
  public void writeTo(BufferedSink sink) throws IOException {
    begun.run();
    try (StallWatch watch = Objects.requireNonNull(stall);
        InputStream in = open()) {
      Buffer passing = new Buffer();
      OutputStream verifying = new Verifying();
      Step step = in instanceof BlobStream from ? from::moveTo : copying(in);
      watch.start();
      while (position < blob.size()) {
        int count = read(step, passing, verifying);
        watch.enter();
        sink.write(passing, count);
        watch.exit(count);
        position += count;
        content.passed(count);
      }
      watch.enter();
      sink.flush();
      watch.exit(0);
    } finally {
      // OkHttp waits for an answer also where a target would not take the rest.
      sent.run();
    }
  }

  private InputStream open() {
    try {
      return content.open(offset);
    } catch (RegistryException e) {
      failure = e;
      throw e;
    }
  }

  /** Brings bytes from the source to a buffer. */
  @FunctionalInterface
  private interface Step {
    int take(Buffer passing, int most) throws IOException;
  }

  private Step copying(InputStream in) {
    byte[] bytes = new byte[Math.clamp(blob.size() - offset, 1, WIDTH)];
    return (passing, most) -> {
      int count = in.read(bytes, 0, most);
      if (count > 0) {
        passing.write(bytes, 0, count);
      }
      return count;
    };
  }

  private int read(Step step, Buffer passing, OutputStream verifying) {
    try {
      int count = step.take(passing, (int) Math.min(WIDTH, blob.size() - position));
      if (count < 0) {
        throw new RegistryException(
            Reason.DigestMismatch, blob.digest().toString(), "the content ends early");
      }
      passing.copyTo(verifying, 0, count);
      return count;
    } catch (RegistryException e) {
      failure = e;
      throw e;
    } catch (IOException e) {
      failure =
          new RegistryException(
              Reason.ConnectionFailed,
              blob.digest().toString(),
              "the source cannot be read: " + e.getMessage(),
              e);
      throw failure;
    }
  }

  /** Sees the bytes where Okio has them in memory. */
  private final class Verifying extends OutputStream {
    private long at = offset;

    @Override
    public void write(byte[] bytes, int start, int length) {
      verifier.update(at, bytes, start, length);
      at += length;
    }

    @Override
    public void write(int value) {
      write(new byte[] {(byte) value}, 0, 1);
    }
  }
}
