package io.kubic.mirrors.gateway;

import org.eclipse.jetty.client.HttpClient;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.HttpURI;
import org.eclipse.jetty.proxy.ProxyHandler;
import org.eclipse.jetty.server.Request;

/** Sends accepted requests to the registry on loopback, without the client's credentials. */
final class BackendProxy extends ProxyHandler.Reverse {
  private static final int CONNECTIONS = 1024;
  private static final int BUFFER = 64 * 1024;

  BackendProxy(HttpURI backend) {
    super(
        request -> {
          Route.Accepted route = (Route.Accepted) request.getAttribute(FrontHandler.ROUTE);
          return HttpURI.build(backend).path(route.path()).query(route.query()).asImmutable();
        });
  }

  @Override
  protected void configureHttpClient(HttpClient client) {
    client.setMaxConnectionsPerDestination(CONNECTIONS);
    client.setMaxRequestsQueuedPerDestination(CONNECTIONS);
    client.setResponseBufferSize(BUFFER);
    client.setFollowRedirects(false);
    client.setUserAgentField(null);
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
}
