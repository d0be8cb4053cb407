package io.kubic.mirrors.gateway;

import java.io.IOException;
import java.nio.ByteBuffer;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLEngineResult;
import javax.net.ssl.SSLException;
import org.eclipse.jetty.io.ByteBufferPool;
import org.eclipse.jetty.io.EndPoint;
import org.eclipse.jetty.io.RetainableByteBuffer;
import org.eclipse.jetty.io.ssl.SslConnection;
import org.eclipse.jetty.server.Connector;
import org.eclipse.jetty.server.SslConnectionFactory;
import org.eclipse.jetty.util.ssl.SslContextFactory;

/**
 * TLS that hands the kernel several records at a time. Jetty writes each record of 16 KiB by
 * itself, and each write wakes the client; of a blob there is always more.
 */
final class BatchedTls extends SslConnectionFactory {
  /** What is read from the registry at once fills as many. */
  static final int RECORDS = 4;

  /**
   * What the JDK puts into a record of TLS 1.3: 2^14 bytes (RFC 8446, 5.1) less the type of the
   * content and 16 bytes of padding.
   */
  static final int RECORD = 16 * 1024 - 17;

  private final SslContextFactory.Server tls;

  BatchedTls(SslContextFactory.Server tls, String next) {
    super(tls, next);
    this.tls = tls;
  }

  @Override
  protected SslConnection newSslConnection(
      Connector connector, EndPoint endPoint, SSLEngine engine) {
    Room room = new Room(connector.getByteBufferPool(), engine.getSession().getPacketBufferSize());
    return new Batching(room, connector, tls, endPoint, engine);
  }

  /** Gives room for several records while a connection writes. */
  private static final class Room extends ByteBufferPool.Wrapper {
    private final int record;
    private volatile boolean writing;

    Room(ByteBufferPool pool, int record) {
      super(pool);
      this.record = record;
    }

    @Override
    public RetainableByteBuffer.Mutable acquire(int size, boolean direct) {
      return super.acquire(writing && size == record ? RECORDS * record : size, direct);
    }
  }

  private static final class Batching extends SslConnection {
    private final Room room;

    Batching(
        Room room,
        Connector connector,
        SslContextFactory.Server tls,
        EndPoint endPoint,
        SSLEngine engine) {
      super(room, connector.getExecutor(), tls, endPoint, engine, false, false);
      this.room = room;
    }

    @Override
    protected SslEndPoint newSslEndPoint() {
      return new SslEndPoint() {
        @Override
        public boolean flush(ByteBuffer... content) throws IOException {
          long bytes = 0;
          for (ByteBuffer one : content) {
            bytes += one.remaining();
          }
          Batching.this.room.writing = bytes > RECORD;
          try {
            return super.flush(content);
          } finally {
            Batching.this.room.writing = false;
          }
        }
      };
    }

    @Override
    protected SSLEngineResult wrap(SSLEngine engine, ByteBuffer[] input, ByteBuffer output)
        throws SSLException {
      SSLEngineResult result = super.wrap(engine, input, output);
      int consumed = result.bytesConsumed();
      int produced = result.bytesProduced();
      SSLEngineResult last = result;
      while (isMoving(last) && output.remaining() >= room.record && hasMore(input)) {
        last = super.wrap(engine, input, output);
        consumed += last.bytesConsumed();
        produced += last.bytesProduced();
      }
      // What came last tells itself again if nothing came of it.
      return last == result
          ? result
          : new SSLEngineResult(
              result.getStatus(),
              isMoving(last) ? result.getHandshakeStatus() : last.getHandshakeStatus(),
              consumed,
              produced);
    }

    private static boolean isMoving(SSLEngineResult result) {
      return result.getStatus() == SSLEngineResult.Status.OK
          && result.getHandshakeStatus() == SSLEngineResult.HandshakeStatus.NOT_HANDSHAKING
          && result.bytesConsumed() > 0;
    }

    private static boolean hasMore(ByteBuffer[] input) {
      for (ByteBuffer one : input) {
        if (one.hasRemaining()) {
          return true;
        }
      }
      return false;
    }
  }
}
