package io.kubic.mirrors.oci.registry;

import okhttp3.Authenticator;
import okhttp3.Request;
import okhttp3.Response;
import okhttp3.Route;
import org.jspecify.annotations.Nullable;

/** Shows the proxy its own credentials, once. */
final class ProxyLogin implements Authenticator {
  private final Proxies proxies;

  ProxyLogin(Proxies proxies) {
    this.proxies = proxies;
  }

  @Override
  public @Nullable Request authenticate(@Nullable Route route, Response response) {
    var url = response.request().url();
    // Behind a tunnel it is the registry that asks.
    boolean proxyAsks = !url.isHttps() || response.request().method().equals("CONNECT");
    var login =
        proxies.to(url.isHttps(), url.host(), url.port()).map(Proxies.Server::login).orElse(null);
    boolean tried = response.request().header("Proxy-Authorization") != null;
    if (!proxyAsks || login == null || tried) {
      return null;
    }
    return response
        .request()
        .newBuilder()
        .header("Proxy-Authorization", login.basic().reveal())
        .build();
  }
}
