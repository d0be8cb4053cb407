package io.kubic.mirrors.oci.registry;

import java.net.InetAddress;
import java.net.SocketAddress;
import java.net.UnknownHostException;
import java.util.List;

/** Names and ways of the network; a seam, so that tests have hosts of their own. */
interface Network {
  /** The addresses of a host, in the order they are to be tried. */
  List<InetAddress> lookup(String host) throws UnknownHostException;

  /** Where a connection to an address really goes. */
  SocketAddress route(SocketAddress address);

  /** The system's. */
  static Network system() {
    return new Network() {
      @Override
      public List<InetAddress> lookup(String host) throws UnknownHostException {
        return List.of(InetAddress.getAllByName(host));
      }

      @Override
      public SocketAddress route(SocketAddress address) {
        return address;
      }
    };
  }
}
