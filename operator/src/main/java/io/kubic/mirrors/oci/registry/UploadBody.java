package io.kubic.mirrors.oci.registry;

import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.BlobVerifier;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.io.IOException;
import java.io.InputStream;
import okhttp3.MediaType;
import okhttp3.RequestBody;
import okio.BufferedSink;
import org.jspecify.annotations.Nullable;

/** A blob on its way from its source; reads, checks and writes in one thread. */
final class UploadBody extends RequestBody {
  private static final MediaType OCTETS = MediaType.get("application/octet-stream");
  private static final int BUFFER = 64 << 10;
  private final Descriptor blob;
  private final long offset;
  private final BlobContent content;
  private final BlobVerifier verifier;
  private long position;
  private @Nullable RegistryException failure;
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

  /** What is to happen when the last byte is on its way. */
  void onSent(Runnable action) {
    sent = action;
  }

  long position() {
    return position;
  }

  long furthest() {
    return blob.size();
  }

  /** What went wrong at the source, as opposed to the target. */
  @Nullable RegistryException failure() {
    return failure;
  }

  @Override
  public void writeTo(BufferedSink sink) throws IOException {
    byte[] buffer = new byte[(int) Math.max(1, Math.min(BUFFER, blob.size() - offset))];
    try (InputStream in = open();
        QuietTimer timer = new QuietTimer()) {
      while (position < blob.size()) {
        int count = read(in, buffer);
        sink.write(buffer, 0, count);
        position += count;
        timer.moved(count);
      }
    }
    sink.flush();
    sent.run();
  }

  private InputStream open() {
    try {
      return content.open(offset);
    } catch (RegistryException e) {
      failure = e;
      throw e;
    }
  }

  private int read(InputStream in, byte[] buffer) {
    try {
      int count = in.read(buffer, 0, (int) Math.min(buffer.length, blob.size() - position));
      if (count < 0) {
        throw new RegistryException(
            Reason.DigestMismatch, blob.digest().toString(), "the content ends early");
      }
      verifier.update(position, buffer, 0, count);
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
}
