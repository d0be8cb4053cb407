package io.kubic.mirrors.gateway;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Request;

/**
 * Closes connections whose request body drips in: each byte restarts the server's idle timeout, and
 * an upload that never ends would hold back a freeze for ever. Only the time in which the client is
 * waited for counts, not that in which the registry is.
 */
final class BodyGuard {
  private final Limits limits;
  private final Set<Body> bodies = ConcurrentHashMap.newKeySet();

  BodyGuard(Limits limits) {
    this.limits = limits;
  }

  /** The request, with its body watched; to be wrapped or read instead of the other. */
  Body watch(Request request) {
    Body body = new Body(request);
    if (request.getLength() != 0) {
      bodies.add(body);
      Request.addCompletionListener(request, failure -> bodies.remove(body));
    }
    return body;
  }

  /** To be called every second or so. */
  void sweep(long nanoTime) {
    for (Body body : bodies) {
      if (body.late(nanoTime)) {
        bodies.remove(body);
        body.getConnectionMetaData().getConnection().getEndPoint().close();
      }
    }
  }

  /** A request that knows whether it waits for its client. */
  final class Body extends Request.Wrapper {
    private long waited;
    private long waitingSince;
    private boolean waiting;
    private long bytes;

    private Body(Request wrapped) {
      super(wrapped);
    }

    @Override
    public void demand(Runnable demandCallback) {
      synchronized (this) {
        waiting = true;
        waitingSince = System.nanoTime();
      }
      super.demand(demandCallback);
    }

    @Override
    public Content.Chunk read() {
      Content.Chunk chunk = super.read();
      if (chunk != null) {
        synchronized (this) {
          if (waiting) {
            waiting = false;
            waited += System.nanoTime() - waitingSince;
          }
          bytes += Content.Chunk.isFailure(chunk) ? 0 : chunk.remaining();
        }
      }
      return chunk;
    }

    /** Whether the next thing to happen is the client's. */
    synchronized boolean waits() {
      return waiting;
    }

    private synchronized boolean late(long nanoTime) {
      long time = waited + (waiting ? nanoTime - waitingSince : 0);
      double earned = (double) bytes / limits.bodyRate() * 1e9;
      return waiting && time - earned > limits.bodyGrace().toNanos();
    }
  }
}
