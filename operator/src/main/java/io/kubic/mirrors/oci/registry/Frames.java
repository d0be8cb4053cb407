package io.kubic.mirrors.oci.registry;

import java.io.IOException;
import java.net.ProtocolException;
import okhttp3.Response;
import okhttp3.ResponseBody;
import okio.Buffer;
import okio.ForwardingSource;
import okio.Okio;

/**
 * Ends a body in chunks (RFC 9112, section 7.1) whose frames have no end: OkHttp reads the line
 * with a chunk's size and extensions into memory however long it is. Counts what a thread has its
 * socket read until it gets some of the body. Safe for threads.
 */
final class Frames {
  /** Bytes: the segment that was asked for, what is read ahead, and the lines around it. */
  private static final int LIMIT = 1 << 20;

  /** What this thread may still read, where it waits for a body in chunks. */
  private final ThreadLocal<int[]> left = new ThreadLocal<>();

  /**
   * A socket has read.
   *
   * @throws ProtocolException when that is too much
   */
  void read(int bytes) throws ProtocolException {
    int[] most = left.get();
    if (most != null && (most[0] -= bytes) < 0) {
      throw new ProtocolException("a chunk without end");
    }
  }

  /** The same answer, whose body is watched if it comes in chunks. */
  Response watched(Response response) {
    if (response.header("Transfer-Encoding") == null) {
      return response;
    }
    ResponseBody body = response.body();
    var source =
        new ForwardingSource(body.source()) {
          @Override
          public long read(Buffer sink, long most) throws IOException {
            left.set(new int[] {LIMIT});
            try {
              return super.read(sink, most);
            } finally {
              left.remove();
            }
          }

          @Override
          public void close() throws IOException {
            // OkHttp reads on, in case that little is left.
            left.set(new int[] {LIMIT});
            try {
              super.close();
            } finally {
              left.remove();
            }
          }
        };
    return response
        .newBuilder()
        .body(ResponseBody.create(Okio.buffer(source), body.contentType(), body.contentLength()))
        .build();
  }
}
