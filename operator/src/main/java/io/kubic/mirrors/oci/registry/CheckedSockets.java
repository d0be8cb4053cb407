package io.kubic.mirrors.oci.registry;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketAddress;
import javax.net.SocketFactory;

/** Sockets whose address is looked at when they connect, after names were resolved. */
final class CheckedSockets extends SocketFactory {
  private final Network network;
  private final Frames frames;
  private final Check check;

  /** Refuses addresses. */
  @FunctionalInterface
  interface Check {
    void check(InetSocketAddress address) throws IOException;
  }

  CheckedSockets(Network network, Frames frames, Check check) {
    this.network = network;
    this.frames = frames;
    this.check = check;
  }

  @Override
  public Socket createSocket() throws IOException {
    return new WideSocket(frames) {
      @Override
      public void connect(SocketAddress endpoint, int timeout) throws IOException {
        if (endpoint instanceof InetSocketAddress inet && inet.getAddress() != null) {
          check.check(inet);
        }
        super.connect(network.route(endpoint), timeout);
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
