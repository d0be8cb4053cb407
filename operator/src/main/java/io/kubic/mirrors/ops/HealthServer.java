package io.kubic.mirrors.ops;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.function.Supplier;

/** Answers probes and scrapes over plain HTTP inside the pod network. */
public final class HealthServer implements AutoCloseable {
  private final HttpServer server;

  /** What a path answers. */
  public record Answer(int status, String contentType, String body) {
    public static Answer ok(String body) {
      return new Answer(200, "text/plain; charset=utf-8", body + "\n");
    }

    public static Answer unavailable(String why) {
      return new Answer(503, "text/plain; charset=utf-8", why + "\n");
    }
  }

  /**
   * Starts listening.
   *
   * @param paths what each path answers, computed at each request
   * @throws IOException when the port is taken
   */
  public HealthServer(int port, Map<String, Supplier<Answer>> paths) throws IOException {
    server = HttpServer.create(new InetSocketAddress(port), 16);
    paths.forEach(
        (path, answer) ->
            server.createContext(
                path,
                exchange -> {
                  try (exchange) {
                    Answer a =
                        exchange.getRequestURI().getPath().equals(path)
                            ? answer.get()
                            : new Answer(404, "text/plain", "not found\n");
                    byte[] body = a.body().getBytes(StandardCharsets.UTF_8);
                    exchange.getResponseHeaders().set("Content-Type", a.contentType());
                    exchange.sendResponseHeaders(a.status(), body.length);
                    exchange.getResponseBody().write(body);
                  }
                }));
    server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    server.start();
  }

  /** The port that is listened on; useful where 0 was asked for. */
  public int port() {
    return server.getAddress().getPort();
  }

  @Override
  public void close() {
    server.stop(0);
  }
}
