package io.kubic.mirrors.node.agent;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.Closeable;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;

/**
 * {@code /readyz}: 200 when the node is as configured, else 503, with the {@link NodeState} as the
 * body. {@code /livez}: 200 while rounds go on.
 */
public final class AgentServer implements Closeable {
  /** Longer than any round: looks and writes have time limits of their own. */
  private static final Duration STALLED = Duration.ofMinutes(10);

  private final HttpServer server;

  /**
   * @param address where to listen; port 0 takes any
   */
  public AgentServer(InetSocketAddress address, Agent agent, Clock clock) throws IOException {
    server = HttpServer.create(address, 16);
    server.createContext(
        "/readyz",
        exchange -> {
          NodeState state = agent.state();
          answer(exchange, state.ready() ? 200 : 503, state.toJson());
        });
    server.createContext(
        "/livez",
        exchange -> {
          boolean alive =
              Duration.between(agent.lastRound(), clock.instant()).compareTo(STALLED) < 0;
          answer(exchange, alive ? 200 : 503, alive ? "ok" : "no round has ended for 10 minutes");
        });
    server.start();
  }

  public int port() {
    return server.getAddress().getPort();
  }

  private static void answer(HttpExchange exchange, int status, String body) throws IOException {
    try (exchange) {
      byte[] bytes = (body + "\n").getBytes(StandardCharsets.UTF_8);
      exchange.getResponseHeaders().set("Cache-Control", "no-store");
      exchange.sendResponseHeaders(status, bytes.length);
      exchange.getResponseBody().write(bytes);
    }
  }

  @Override
  public void close() {
    server.stop(0);
  }
}
