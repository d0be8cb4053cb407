package io.kubic.mirrors.oci.registry;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import javax.net.SocketFactory;
import okhttp3.HttpUrl;
import org.jspecify.annotations.Nullable;

/**
 * Refuses connections to loopback, link-local and metadata addresses, unless the registry itself
 * lives there. The check is made on the address that is connected to, so a name that resolves
 * differently the second time changes nothing. Through a proxy only literal addresses can be
 * checked: the proxy resolves the others.
 */
final class AddressGuard {
  /**
   * Clouds' services that tell a machine or a pod who it is, and are not link-local: Alibaba's,
   * Azure's and Oracle's; in IPv6 Amazon's, also the one that gives pods their credentials,
   * Google's, Oracle's and Scaleway's.
   */
  private static final Set<String> METADATA =
      Set.of(
          "100.100.100.200",
          "168.63.129.16",
          "192.0.0.192",
          "fd00:ec2:0:0:0:0:0:254",
          "fd00:ec2:0:0:0:0:0:23",
          "fd20:ce:0:0:0:0:0:254",
          "fd00:c1:0:0:0:0:a9fe:a9fe",
          "fd00:42:0:0:0:0:0:42");

  private final List<String> ownHosts;
  private final List<Proxies.Server> proxies;
  private final Network network;

  /**
   * @param ownHosts the registry's own hosts, as configured
   * @param proxies may live anywhere, as configured by the user
   */
  AddressGuard(List<String> ownHosts, Proxies proxies, Network network) {
    this.ownHosts = List.copyOf(ownHosts);
    this.network = network;
    List<Proxies.Server> servers = new ArrayList<>();
    add(servers, proxies.http());
    add(servers, proxies.https());
    this.proxies = List.copyOf(servers);
  }

  private static void add(List<Proxies.Server> servers, Proxies.@Nullable Server server) {
    if (server != null) {
      servers.add(server);
    }
  }

  /** A connection was refused by the guard. */
  static final class RefusedException extends IOException {
    private static final long serialVersionUID = 1L;

    RefusedException(String message) {
      super(message);
    }
  }

  /** Sockets that this guard watches over. */
  SocketFactory sockets(Frames frames) {
    return new CheckedSockets(network, frames, this::connecting);
  }

  /** Refuses an address literal before anything is connected, for hosts behind a proxy. */
  void check(HttpUrl url) throws RefusedException {
    String host = url.host();
    boolean literal = host.indexOf(':') >= 0 || Character.isDigit(host.charAt(host.length() - 1));
    if (literal || host.equals("localhost") || host.endsWith(".localhost")) {
      try {
        check(literal ? InetAddress.getByName(host) : InetAddress.getLoopbackAddress());
      } catch (UnknownHostException e) {
        // A name after all; it is checked when it is connected to.
      }
    }
  }

  private void connecting(InetSocketAddress address) throws RefusedException {
    if (!isProxy(address)) {
      check(address.getAddress());
    }
  }

  private void check(InetAddress address) throws RefusedException {
    boolean loopback = address.isLoopbackAddress() || address.isAnyLocalAddress();
    boolean inner =
        loopback
            || address.isLinkLocalAddress()
            || address.isMulticastAddress()
            || METADATA.contains(address.getHostAddress());
    if (inner && !livesThere(address, loopback)) {
      throw new RefusedException(
          "it leads to the inner address "
              + address.getHostAddress()
              + ", where the registry does not live");
    }
  }

  private boolean livesThere(InetAddress address, boolean loopback) {
    for (String host : ownHosts) {
      for (InetAddress own : addresses(host)) {
        if (own.equals(address) || loopback && own.isLoopbackAddress()) {
          return true;
        }
      }
    }
    return false;
  }

  private boolean isProxy(InetSocketAddress address) {
    for (Proxies.Server proxy : proxies) {
      if (proxy.port() == address.getPort()
          && addresses(proxy.host()).contains(address.getAddress())) {
        return true;
      }
    }
    return false;
  }

  /** A host that does not resolve lives nowhere. */
  private List<InetAddress> addresses(String host) {
    try {
      return network.lookup(host);
    } catch (UnknownHostException e) {
      return List.of();
    }
  }
}
