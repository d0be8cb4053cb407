package io.kubic.mirrors.gateway;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;

/** One blob, with ranges, and a record of what was asked. */
final class FakeRegistry implements AutoCloseable {
  final byte[] blob = new byte[12 * 1024 * 1024];
  final List<String> asked = new CopyOnWriteArrayList<>();
  private final HttpServer server;

  FakeRegistry() throws IOException {
    new Random(7).nextBytes(blob);
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    server.createContext("/", this::answer);
    server.start();
  }

  int port() {
    return server.getAddress().getPort();
  }

  private void answer(HttpExchange exchange) throws IOException {
    String range = exchange.getRequestHeaders().getFirst("Range");
    asked.add(
        exchange.getRequestMethod()
            + " "
            + exchange.getRequestURI()
            + (range == null ? "" : " " + range)
            + (exchange.getRequestHeaders().containsKey("Authorization") ? " SECRET" : ""));
    try (exchange) {
      if (exchange.getRequestMethod().equals("PATCH")) {
        exchange.getRequestBody().readAllBytes();
        exchange.sendResponseHeaders(202, -1);
        return;
      }
      if (!exchange.getRequestURI().getPath().contains("/blobs/")) {
        exchange.sendResponseHeaders(200, -1);
        return;
      }
      exchange.getResponseHeaders().add("ETag", "\"blob\"");
      if ("\"blob\"".equals(exchange.getRequestHeaders().getFirst("If-None-Match"))) {
        exchange.sendResponseHeaders(304, -1);
        return;
      }
      int from = 0;
      int to = blob.length;
      if (range != null) {
        String[] ends = range.substring("bytes=".length()).split("-", -1);
        from = Integer.parseInt(ends[0]);
        to = ends[1].isEmpty() ? blob.length : Integer.parseInt(ends[1]) + 1;
        exchange
            .getResponseHeaders()
            .add("Content-Range", "bytes " + from + "-" + (to - 1) + "/" + blob.length);
      }
      if (exchange.getRequestMethod().equals("HEAD")) {
        exchange.getResponseHeaders().add("Content-Length", String.valueOf(to - from));
        exchange.sendResponseHeaders(200, -1);
        return;
      }
      exchange.sendResponseHeaders(range == null ? 200 : 206, to - from);
      try (OutputStream out = exchange.getResponseBody()) {
        out.write(blob, from, to - from);
      }
    }
  }

  @Override
  public void close() {
    server.stop(0);
  }
}
