package io.kubic.mirrors.oci.registry;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketAddress;
import java.net.UnknownHostException;
import java.util.List;
import java.util.Set;
import javax.net.SocketFactory;
import okhttp3.HttpUrl;

/**
 * Sockets that do not connect to loopback, link-local and metadata addresses, unless the registry
 * itself lives there. The check is made on the address that is connected to, so a name that
 * resolves differently the second time changes nothing.
 */
final class AddressGuard extends SocketFactory {
  /** Clouds' metadata services that are not link-local. */
  private static final Set<String> METADATA =
      Set.of("100.100.100.200", "168.63.129.16", "fd00:ec2:0:0:0:0:0:254");

  private final List<String> ownHosts;

  /**
   * @param ownHosts the registry's own hosts, as configured
   */
  AddressGuard(List<String> ownHosts) {
    this.ownHosts = List.copyOf(ownHosts);
  }

  /** A connection was refused by the guard. */
  static final class RefusedException extends IOException {
    private static final long serialVersionUID = 1L;

    RefusedException(String message) {
      super(message);
    }
  }

  /** Refuses an address literal before anything is connected, for hosts behind a proxy. */
  void check(HttpUrl url) throws RefusedException {
    String host = url.host();
    boolean literal = host.indexOf(':') >= 0 || Character.isDigit(host.charAt(host.length() - 1));
    if (literal || host.equals("localhost")) {
      try {
        check(InetAddress.getByName(host));
      } catch (UnknownHostException e) {
        // A name after all; it is checked when it is connected to.
      }
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
      try {
        for (InetAddress own : InetAddress.getAllByName(host)) {
          if (own.equals(address) || loopback && own.isLoopbackAddress()) {
            return true;
          }
        }
      } catch (UnknownHostException e) {
        // A host that does not resolve lives nowhere.
      }
    }
    return false;
  }

  @Override
  public Socket createSocket() {
    return new Socket() {
      @Override
      public void connect(SocketAddress endpoint, int timeout) throws IOException {
        if (endpoint instanceof InetSocketAddress inet && inet.getAddress() != null) {
          check(inet.getAddress());
        }
        super.connect(endpoint, timeout);
      }
    };
  }

  @Override
  public Socket createSocket(String host, int port) throws IOException {
    return connected(new InetSocketAddress(host, port));
  }

  @Override
  public Socket createSocket(String host, int port, InetAddress local, int localPort)
      throws IOException {
    return connected(new InetSocketAddress(host, port));
  }

  @Override
  public Socket createSocket(InetAddress host, int port) throws IOException {
    return connected(new InetSocketAddress(host, port));
  }

  @Override
  public Socket createSocket(InetAddress host, int port, InetAddress local, int localPort)
      throws IOException {
    return connected(new InetSocketAddress(host, port));
  }

  private Socket connected(InetSocketAddress address) throws IOException {
    Socket socket = createSocket();
    socket.connect(address, 0);
    return socket;
  }
}
