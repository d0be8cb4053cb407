package io.kubic.mirrors.oci.registry;

import java.io.IOException;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.SocketAddress;
import java.net.URI;
import java.util.List;

/** Chooses the proxy for each URL, as OkHttp asks for it. */
final class ProxyChoice extends ProxySelector {
  private final Proxies proxies;

  ProxyChoice(Proxies proxies) {
    this.proxies = proxies;
  }

  @Override
  public List<Proxy> select(URI uri) {
    boolean tls = "https".equals(uri.getScheme());
    int port = uri.getPort() < 0 ? (tls ? 443 : 80) : uri.getPort();
    String host = uri.getHost() == null ? "" : uri.getHost();
    return List.of(proxies.to(tls, host, port).map(Proxies.Server::toProxy).orElse(Proxy.NO_PROXY));
  }

  @Override
  public void connectFailed(URI uri, SocketAddress address, IOException e) {
    // The call fails with the same exception.
  }
}
