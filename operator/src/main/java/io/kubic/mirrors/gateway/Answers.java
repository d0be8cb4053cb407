package io.kubic.mirrors.gateway;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;

/** Answers that the gateway gives itself. */
final class Answers {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** How long a client may go on sending what nobody wants before the connection is closed. */
  private static final long LINGER_SECONDS = 2;

  private Answers() {}

  /** The error document of the distribution-spec ("Error Codes"). */
  static boolean error(
      Request request,
      Response response,
      Callback callback,
      int status,
      String code,
      String message) {
    return send(
        request,
        response,
        callback,
        status,
        Map.of("errors", List.of(Map.of("code", code, "message", message))));
  }

  /**
   * The registry did not answer, or broke off: said as the specification wants it where nothing has
   * been said yet, else by closing the connection, so that nobody takes a part for the whole.
   */
  static void backendFailed(Exchange exchange, Throwable failure) {
    Response response = exchange.response();
    if (response.isCommitted()) {
      exchange.callback().failed(failure);
      return;
    }
    response.reset();
    boolean late = failure instanceof TimeoutException;
    var _ =
        error(
            exchange.request(),
            response,
            exchange.callback(),
            late ? 504 : 502,
            "UNAVAILABLE",
            late ? "the registry takes too long" : "the registry does not answer");
  }

  /** A JSON document. */
  static boolean send(
      Request request, Response response, Callback callback, int status, Object body) {
    byte[] bytes;
    try {
      bytes = JSON.writeValueAsBytes(body);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
    response.setStatus(status);
    HttpFields.Mutable headers = response.getHeaders();
    headers.put(HttpHeader.CONTENT_TYPE, "application/json");
    headers.put(HttpHeader.CONTENT_LENGTH, bytes.length);
    headers.put("Docker-Distribution-Api-Version", "registry/2.0");
    ByteBuffer content =
        "HEAD".equals(request.getMethod()) ? ByteBuffer.allocate(0) : ByteBuffer.wrap(bytes);
    boolean unread =
        request.getLength() != 0
            && !"GET".equals(request.getMethod())
            && !"HEAD".equals(request.getMethod())
            && !request.getHeaders().contains(HttpHeader.EXPECT, "100-continue");
    if (!unread) {
      response.write(true, content, callback);
      return true;
    }
    // A body that nobody reads: closing at once would reset the connection before the client has
    // read the answer. So the answer goes out, and what still comes is thrown away for a moment.
    headers.put(HttpHeader.CONNECTION, "close");
    response.write(
        true,
        content,
        Callback.from(
            () -> {
              AtomicBoolean done = new AtomicBoolean();
              Runnable end =
                  () -> {
                    if (done.compareAndSet(false, true)) {
                      callback.succeeded();
                    }
                  };
              request
                  .getComponents()
                  .getScheduler()
                  .schedule(end, LINGER_SECONDS, TimeUnit.SECONDS);
              Content.Source.consumeAll(request, Callback.from(end, failure -> end.run()));
            },
            callback::failed));
    return true;
  }
}
