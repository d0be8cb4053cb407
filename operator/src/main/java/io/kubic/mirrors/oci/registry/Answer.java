package io.kubic.mirrors.oci.registry;

import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.io.IOException;
import java.io.InputStream;
import java.util.Optional;
import okhttp3.HttpUrl;
import okhttp3.Response;

/** An answer under way: its headers are here, its body perhaps not. Closing ends the request. */
final class Answer implements AutoCloseable {
  private final Response response;
  private final Gate.Permit permit;
  private final Deadline deadline;
  private final String object;

  Answer(Response response, Gate.Permit permit, Deadline deadline, String object) {
    this.response = response;
    this.permit = permit;
    this.deadline = deadline;
    this.object = object;
  }

  Response response() {
    return response;
  }

  int status() {
    return response.code();
  }

  HttpUrl url() {
    return response.request().url();
  }

  Optional<String> header(String name) {
    return Optional.ofNullable(response.header(name));
  }

  /**
   * The whole body.
   *
   * @param limit in bytes; more is a failure, not a cut
   */
  byte[] bytes(int limit, String what) {
    try {
      var source = response.body().source();
      if (source.request(limit + 1L)) {
        throw tooLarge(limit, what);
      }
      return source.readByteArray();
    } catch (IOException e) {
      throw broken(e);
    }
  }

  /** The body as a stream that fails beyond a limit in bytes. */
  InputStream stream(int limit, String what) {
    InputStream in = response.body().byteStream();
    return new InputStream() {
      private long count;

      @Override
      public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
      }

      @Override
      public int read(byte[] buffer, int offset, int length) throws IOException {
        int read = in.read(buffer, offset, length);
        count += Math.max(0, read);
        if (count > limit) {
          throw tooLarge(limit, what);
        }
        return read;
      }
    };
  }

  private RegistryException tooLarge(int limit, String what) {
    return new RegistryException(
        Reason.TooLarge, object, what + " is larger than " + (limit >> 20) + " MiB");
  }

  /** Why the body could not be read to its end. */
  RegistryException broken(IOException e) {
    if (deadline.isOver() && !Thread.currentThread().isInterrupted()) {
      return new RegistryException(
          Reason.Timeout,
          object,
          "the answer of " + Failures.origin(url()) + " did not end in time",
          e);
    }
    return Failures.of(e, url(), object);
  }

  /** Ends the request from any thread; whoever reads its body fails. */
  void cancel() {
    deadline.cancel();
  }

  /** The headers are here and only the body is missing: other rules hold for that one. */
  void endDeadline() {
    deadline.callOff();
  }

  @Override
  public void close() {
    deadline.callOff();
    response.close();
    permit.close();
  }
}
