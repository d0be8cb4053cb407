package io.kubic.mirrors.oci.registry;

import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.io.IOException;
import java.util.Optional;
import okhttp3.HttpUrl;
import okhttp3.Response;

/** An answer under way: its headers are here, its body perhaps not. Closing ends the request. */
final class Answer implements AutoCloseable {
  private final Response response;
  private final Gate.Permit permit;
  private final Transport.Alarm deadline;
  private final String object;

  Answer(Response response, Gate.Permit permit, Transport.Alarm deadline, String object) {
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
        throw new RegistryException(
            Reason.TooLarge, object, what + " is larger than " + (limit >> 20) + " MiB");
      }
      return source.readByteArray();
    } catch (IOException e) {
      throw Failures.of(e, url(), object);
    }
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
