package io.kubic.mirrors.oci.registry;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.io.InputStream;
import java.io.OutputStream;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.net.UnknownHostException;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class WideSocketTest {
  @Test
  void whatIsWrittenInPiecesOfAnySizeComesBackInOrder() throws Exception {
    long seed = System.nanoTime();
    Random random = new Random(seed);
    byte[] content = new byte[3 << 20];
    random.nextBytes(content);
    try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        WideSocket socket = new WideSocket(new Frames())) {
      Thread echo = Thread.ofVirtual().start(() -> echo(server));
      socket.connect(server.getLocalSocketAddress());
      Thread writer = Thread.ofVirtual().start(() -> write(socket, content, new Random(seed)));
      byte[] back = new byte[content.length];
      InputStream in = socket.getInputStream();
      for (int at = 0; at < back.length; ) {
        if (random.nextInt(50) == 0) {
          back[at++] = (byte) in.read();
        } else {
          int count = in.read(back, at, Math.min(back.length - at, 1 + random.nextInt(100_000)));
          assertThat(count).as("seed %d at %d", seed, at).isPositive();
          at += count;
        }
      }
      assertThat(back).as("seed %d", seed).isEqualTo(content);
      assertThat(in.read()).as("the end").isEqualTo(-1);
      assertThat(in.read(back, 0, 10)).as("still the end").isEqualTo(-1);
      writer.join();
      echo.join();
    }
  }

  @Test
  void aReadInTimeLosesNothing() throws Exception {
    try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        WideSocket socket = new WideSocket(new Frames())) {
      socket.connect(server.getLocalSocketAddress(), 5000);
      try (Socket peer = server.accept()) {
        InputStream in = socket.getInputStream();
        socket.setSoTimeout(1);
        assertThatThrownBy(in::read).isInstanceOf(SocketTimeoutException.class);
        peer.getOutputStream().write(new byte[] {1, 2, 3});
        socket.setSoTimeout(30_000);
        assertThat(in.read()).isEqualTo(1);
        socket.setSoTimeout(0);
        assertThat(in.readNBytes(2)).containsExactly(2, 3);
        peer.getOutputStream().write(4);
        assertThat(in.read()).isEqualTo(4);
      }
    }
  }

  @Test
  void closingEndsAReadOfAnyThread() throws Exception {
    for (Thread.Builder kind : List.of(Thread.ofPlatform(), Thread.ofVirtual())) {
      try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
        WideSocket socket = new WideSocket(new Frames());
        socket.connect(server.getLocalSocketAddress(), 5000);
        try (Socket _ = server.accept()) {
          CompletableFuture<Throwable> end = new CompletableFuture<>();
          Thread reader =
              kind.start(
                  () ->
                      end.complete(
                          catchThrowable(
                              () -> {
                                var _ = socket.getInputStream().read();
                              })));
          Thread.sleep(50); // Before it reads it would find the same.
          socket.close();
          assertThat(end.get(30, TimeUnit.SECONDS)).isInstanceOf(SocketException.class);
          reader.join();
        }
        assertThat(socket.isClosed()).isTrue();
      }
    }
  }

  @Test
  void nobodyThereAndNoSuchNameAreToldAsEverywhere() throws Exception {
    int port;
    try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = server.getLocalPort();
    }
    try (WideSocket socket = new WideSocket(new Frames())) {
      assertThatThrownBy(
              () ->
                  socket.connect(
                      new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 5000))
          .isInstanceOf(ConnectException.class);
    }
    try (WideSocket socket = new WideSocket(new Frames())) {
      assertThatThrownBy(
              () -> socket.connect(InetSocketAddress.createUnresolved("none.test", port), 5000))
          .isInstanceOf(UnknownHostException.class);
    }
  }

  @Test
  void optionsAreThoseOfTheConnection() throws Exception {
    try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        WideSocket socket = new WideSocket(new Frames())) {
      socket.setTcpNoDelay(true);
      socket.setKeepAlive(true);
      socket.setSoLinger(true, 3);
      socket.connect(server.getLocalSocketAddress(), 5000);
      assertThat(socket.getTcpNoDelay()).isTrue();
      assertThat(socket.getKeepAlive()).isTrue();
      assertThat(socket.getSoLinger()).isEqualTo(3);
      socket.setSoLinger(false, 0);
      assertThat(socket.getSoLinger()).isEqualTo(-1);
      assertThat(socket.getPort()).isEqualTo(server.getLocalPort());
      assertThat(socket.getInetAddress()).isEqualTo(InetAddress.getLoopbackAddress());
      try (Socket peer = server.accept()) {
        assertThat(socket.getLocalPort()).isEqualTo(peer.getPort());
        assertThat(socket.getLocalAddress()).isEqualTo(peer.getInetAddress());
      }
    }
  }

  private static void write(Socket socket, byte[] content, Random random) {
    try {
      OutputStream out = socket.getOutputStream();
      for (int at = 0; at < content.length; ) {
        int count = Math.min(content.length - at, 1 + random.nextInt(100_000));
        out.write(content, at, count);
        at += count;
        if (random.nextInt(3) == 0) {
          out.flush();
        }
      }
      out.flush();
      socket.shutdownOutput();
    } catch (java.io.IOException e) {
      throw new AssertionError(e);
    }
  }

  private static void echo(ServerSocket server) {
    try (Socket socket = server.accept()) {
      socket.getInputStream().transferTo(socket.getOutputStream());
    } catch (java.io.IOException e) {
      throw new AssertionError(e);
    }
  }
}
