package io.kubic.mirrors.gateway;

import java.time.Duration;
import org.eclipse.jetty.client.HttpClient;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.HttpURI;
import org.eclipse.jetty.io.ArrayByteBufferPool;
import org.eclipse.jetty.proxy.ProxyHandler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.thread.Invocable;

/** Sends accepted requests to the registry on loopback, without the client's credentials. */
final class BackendProxy extends ProxyHandler.Reverse {
  private static final int CONNECTIONS = 1024;

  /** Fills records to the last byte: else each read would end in a record of its own. */
  private static final int BUFFER = BatchedTls.RECORDS * BatchedTls.RECORD;

  /** What is kept of buffers that are free. */
  private static final long KEPT_BUFFERS = 8L * 1024 * 1024;

  /** A registry on S3 may take minutes over the last request of a large upload. */
  private static final Duration LONGEST_SILENCE = Duration.ofMinutes(10);

  private static final String EXCHANGE = Exchange.class.getName();
  private final HttpURI backend;

  BackendProxy(HttpURI backend) {
    super(request -> uri(backend, exchange(request).route()));
    this.backend = backend;
  }

  /** Sends an exchange on; its callback tells the end. */
  void send(Exchange exchange) {
    Exchange.Forwarded request = exchange.request();
    request.setAttribute(EXCHANGE, exchange);
    // The registry may think for as long as it likes; the client may not.
    request.addIdleTimeoutListener(timeout -> request.waitsForClient());
    try {
      var _ = handle(request, exchange.response(), exchange.callback());
    } catch (RuntimeException e) {
      Answers.backendFailed(exchange, e);
    }
  }

  /** Serves a blob in turns. */
  void relay(Exchange exchange, FairGate gate, Duration patience, Runnable refuse) {
    new BlobRelay(getHttpClient(), uri(backend, exchange.route()), exchange, gate, refuse)
        .start(patience);
  }

  private static HttpURI uri(HttpURI backend, Route.Accepted route) {
    return HttpURI.build(backend).path(route.path()).query(route.query()).asImmutable();
  }

  private static Exchange exchange(Request request) {
    return (Exchange) request.getAttribute(EXCHANGE);
  }

  @Override
  protected void configureHttpClient(HttpClient client) {
    client.setByteBufferPool(
        new ArrayByteBufferPool(
            0, BatchedTls.RECORD, BUFFER, CONNECTIONS, KEPT_BUFFERS / 4, KEPT_BUFFERS));
    // Nothing blocks on the way back either.
    client.getHttpClientTransport().setInvocationType(Invocable.InvocationType.NON_BLOCKING);
    client.setMaxConnectionsPerDestination(CONNECTIONS);
    client.setMaxRequestsQueuedPerDestination(CONNECTIONS);
    client.setResponseBufferSize(BUFFER);
    client.setFollowRedirects(false);
    client.setUserAgentField(null);
    client.setIdleTimeout(LONGEST_SILENCE.toMillis());
  }

  @Override
  protected void addProxyHeaders(
      Request clientToProxy, org.eclipse.jetty.client.Request proxyToServer) {
    proxyToServer.headers(
        headers -> {
          headers.remove(HttpHeader.AUTHORIZATION);
          // The registry writes absolute URLs from these.
          String host = clientToProxy.getHeaders().get(HttpHeader.HOST);
          if (host != null) {
            headers.put(HttpHeader.HOST, host);
          }
          headers.put(HttpHeader.X_FORWARDED_PROTO, "https");
        });
  }

  @Override
  protected void onServerToProxyResponseFailure(
      Request clientToProxy,
      org.eclipse.jetty.client.Request proxyToServer,
      org.eclipse.jetty.client.Response serverToProxy,
      Response proxyToClient,
      Callback callback,
      Throwable failure) {
    Answers.backendFailed(exchange(clientToProxy), failure);
  }
}
