package io.kubic.mirrors.gateway;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.eclipse.jetty.io.Connection;
import org.eclipse.jetty.io.ssl.SslConnection;
import org.eclipse.jetty.server.Request;

/**
 * Closes connections whose request head drips in: each byte restarts the server's idle timeout, so
 * there has to be a total time. Idle connections and bodies are left alone.
 */
final class HeadGuard implements Connection.Listener {
  /** What was seen of a connection that has no request. */
  private static final class State {
    private boolean busy;
    private long bytes;
    private long growingSince = Long.MIN_VALUE;
  }

  private final Map<Connection, State> states = new ConcurrentHashMap<>();
  private final long longestNanos;

  HeadGuard(Limits limits) {
    longestNanos = limits.head().toNanos();
  }

  @Override
  public void onOpened(Connection connection) {
    if (!(connection instanceof SslConnection)) {
      states.put(connection, new State());
    }
  }

  @Override
  public void onClosed(Connection connection) {
    states.remove(connection);
  }

  /** A head has been read; until the request ends, time is somebody else's matter. */
  void begins(Request request) {
    Connection connection = request.getConnectionMetaData().getConnection();
    set(connection, true);
    Request.addCompletionListener(request, failure -> set(connection, false));
  }

  /** To be called every second or so. */
  void sweep(long nanoTime) {
    states.forEach(
        (connection, state) -> {
          boolean close = false;
          synchronized (state) {
            long bytes = connection.getBytesIn();
            if (state.busy) {
              return;
            }
            if (bytes > state.bytes) {
              state.bytes = bytes;
              if (state.growingSince == Long.MIN_VALUE) {
                state.growingSince = nanoTime;
              }
            }
            close =
                state.growingSince != Long.MIN_VALUE
                    && nanoTime - state.growingSince > longestNanos;
          }
          if (close) {
            states.remove(connection);
            connection.getEndPoint().close();
          }
        });
  }

  private void set(Connection connection, boolean busy) {
    State state = states.get(connection);
    if (state != null) {
      synchronized (state) {
        state.busy = busy;
        state.bytes = connection.getBytesIn();
        state.growingSince = Long.MIN_VALUE;
      }
    }
  }
}
