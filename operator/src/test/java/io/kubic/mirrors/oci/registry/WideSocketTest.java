package io.kubic.mirrors.oci.registry;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Random;
import org.junit.jupiter.api.Test;

class WideSocketTest {
  @Test
  void whatIsWrittenInPiecesOfAnySizeComesBackInOrder() throws Exception {
    long seed = System.nanoTime();
    Random random = new Random(seed);
    byte[] content = new byte[3 << 20];
    random.nextBytes(content);
    try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        WideSocket socket = new WideSocket()) {
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
