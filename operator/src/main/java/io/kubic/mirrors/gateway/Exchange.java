package io.kubic.mirrors.gateway;

import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;

/** An accepted request on its way, and what is done when it ends, once, however it does. */
final class Exchange {
  /** What is told of an exchange that has ended. */
  interface End {
    /**
     * @param bytes of the body that reached the client's connection
     */
    void ended(int status, long bytes, double seconds);
  }

  private final Route.Accepted route;
  private final String account;
  private final InetAddress address;
  private final Forwarded request;
  private final Counted response;
  private final Callback callback;
  private final AtomicLong bytes = new AtomicLong();

  Exchange(
      Route.Accepted route,
      String account,
      InetAddress address,
      BodyGuard.Body request,
      Response response,
      Callback callback,
      End end) {
    this.route = route;
    this.account = account;
    this.address = address;
    this.request = new Forwarded(request, route.kind());
    this.response = new Counted(this.request, response);
    AtomicBoolean done = new AtomicBoolean();
    this.callback =
        new Callback.Nested(callback) {
          @Override
          public void succeeded() {
            tell();
            super.succeeded();
          }

          @Override
          public void failed(Throwable x) {
            tell();
            super.failed(x);
          }

          private void tell() {
            if (done.compareAndSet(false, true)) {
              end.ended(
                  response.getStatus(),
                  bytes.get(),
                  (System.nanoTime() - request.getBeginNanoTime()) / 1e9);
            }
          }
        };
  }

  Route.Accepted route() {
    return route;
  }

  /** The empty string for nobody in particular. */
  String account() {
    return account;
  }

  InetAddress address() {
    return address;
  }

  /** The request as the registry shall see it. */
  Forwarded request() {
    return request;
  }

  Response response() {
    return response;
  }

  Callback callback() {
    return callback;
  }

  /**
   * Without {@code Expect: 100-continue} Jetty says 100 itself when the body is first read, and an
   * early answer of the registry cannot leave both sides waiting.
   */
  static final class Forwarded extends Request.Wrapper {
    private final HttpFields headers;
    private final BodyGuard.Body body;

    private Forwarded(BodyGuard.Body wrapped, Route.Kind kind) {
      super(wrapped);
      body = wrapped;
      HttpFields.Mutable fields = HttpFields.build();
      for (HttpField field : wrapped.getHeaders()) {
        if (passes(field, kind)) {
          fields.add(field);
        }
      }
      headers = fields.asImmutable();
    }

    @Override
    public HttpFields getHeaders() {
      return headers;
    }

    /** Whether the body's next bytes are waited for. */
    boolean waitsForClient() {
      return body.waits();
    }

    private static boolean passes(HttpField field, Route.Kind kind) {
      String name = field.getLowerCaseName();
      return switch (name) {
        // The registry also reads the parameters of a mount from a form in the body; those that
        // were judged are in the query.
        case "content-type" -> kind != Route.Kind.UPLOAD_START;
        case "expect", "authorization", "cookie", "forwarded", "x-real-ip" -> false;
        default -> !name.startsWith("x-forwarded-");
      };
    }
  }

  /** Counts what is written, not what a header promised. */
  private final class Counted extends Response.Wrapper {
    Counted(Request request, Response wrapped) {
      super(request, wrapped);
    }

    @Override
    public void write(boolean last, ByteBuffer content, Callback written) {
      int length = content == null ? 0 : content.remaining();
      if (length == 0) {
        super.write(last, content, written);
        return;
      }
      super.write(
          last,
          content,
          new Callback.Nested(written) {
            @Override
            public void succeeded() {
              bytes.addAndGet(length);
              super.succeeded();
            }
          });
    }
  }
}
