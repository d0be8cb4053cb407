package io.kubic.mirrors.oci.registry;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketAddress;
import java.net.SocketException;
import java.net.SocketImpl;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.SocketChannel;
import org.jspecify.annotations.Nullable;

/**
 * A socket that asks the kernel for much at a time, into memory that is not the heap's. Okio moves
 * segments of 8 KiB, each with a system call of its own, and the JDK's sockets copy each byte once
 * more on its way; for gigabytes the former is more work than hashing them.
 */
class WideSocket extends Socket {
  private static final int WIDTH = 64 << 10;

  /**
   * Enough for nearly all requests and answers without a blob: an idle connection costs no more.
   */
  private static final int NARROW = 4 << 10;

  private final Impl impl;

  /**
   * @param frames told of all that is read
   */
  WideSocket(Frames frames) throws SocketException {
    this(new Impl(frames));
  }

  private WideSocket(Impl impl) throws SocketException {
    super(impl);
    this.impl = impl;
  }

  // A plain Socket hands out streams around these, which do not flush.

  @Override
  public InputStream getInputStream() throws IOException {
    return impl.getInputStream();
  }

  @Override
  public OutputStream getOutputStream() throws IOException {
    return impl.getOutputStream();
  }

  private static final class Impl extends SocketImpl {
    private final Frames frames;
    private @Nullable SocketChannel channel;
    private @Nullable In in;
    private @Nullable Out out;
    private volatile int timeout;

    Impl(Frames frames) {
      this.frames = frames;
    }

    @Override
    protected void create(boolean stream) throws IOException {
      channel = SocketChannel.open();
    }

    private SocketChannel channel() throws SocketException {
      SocketChannel known = channel;
      if (known == null) {
        throw new SocketException("Socket is not created");
      }
      return known;
    }

    /** The same channel as a socket, for what it knows of time and of options. */
    private Socket plain() throws SocketException {
      return channel().socket();
    }

    @Override
    protected void connect(SocketAddress to, int patience) throws IOException {
      if (!(to instanceof InetSocketAddress inet)) {
        throw new IllegalArgumentException("not an address of the internet: " + to);
      }
      if (inet.isUnresolved()) {
        throw new UnknownHostException(inet.getHostName());
      }
      plain().connect(inet, patience);
      address = inet.getAddress();
      port = inet.getPort();
      localport = plain().getLocalPort();
    }

    @Override
    protected void connect(String host, int port) throws IOException {
      connect(new InetSocketAddress(host, port), 0);
    }

    @Override
    protected void connect(InetAddress address, int port) throws IOException {
      connect(new InetSocketAddress(address, port), 0);
    }

    @Override
    protected void bind(InetAddress host, int port) throws IOException {
      plain().bind(new InetSocketAddress(host, port));
      localport = plain().getLocalPort();
    }

    @Override
    protected void listen(int backlog) throws IOException {
      throw new SocketException("a socket of a client");
    }

    @Override
    protected void accept(SocketImpl other) throws IOException {
      throw new SocketException("a socket of a client");
    }

    @Override
    protected synchronized InputStream getInputStream() throws IOException {
      In known = in;
      if (known == null) {
        known = new In();
        in = known;
      }
      return known;
    }

    @Override
    protected synchronized OutputStream getOutputStream() throws IOException {
      Out known = out;
      if (known == null) {
        known = new Out(channel());
        out = known;
      }
      return known;
    }

    @Override
    protected int available() throws IOException {
      return getInputStream().available();
    }

    @Override
    protected void close() throws IOException {
      SocketChannel open = channel;
      if (open != null) {
        open.close();
      }
    }

    @Override
    protected void shutdownInput() throws IOException {
      channel().shutdownInput();
    }

    @Override
    protected void shutdownOutput() throws IOException {
      channel().shutdownOutput();
    }

    @Override
    protected void sendUrgentData(int data) throws IOException {
      throw new SocketException("no urgent data");
    }

    @Override
    public void setOption(int name, Object value) throws SocketException {
      switch (name) {
        case SO_TIMEOUT -> timeout = (Integer) value;
        case TCP_NODELAY -> plain().setTcpNoDelay((Boolean) value);
        case SO_KEEPALIVE -> plain().setKeepAlive((Boolean) value);
        case SO_REUSEADDR -> plain().setReuseAddress((Boolean) value);
        case SO_RCVBUF -> plain().setReceiveBufferSize((Integer) value);
        case SO_SNDBUF -> plain().setSendBufferSize((Integer) value);
        case IP_TOS -> plain().setTrafficClass((Integer) value);
        // False, or seconds.
        case SO_LINGER ->
            plain().setSoLinger(value instanceof Integer, value instanceof Integer s ? s : 0);
        default -> throw new SocketException("no option " + name);
      }
    }

    @Override
    public Object getOption(int name) throws SocketException {
      return switch (name) {
        case SO_TIMEOUT -> timeout;
        case TCP_NODELAY -> plain().getTcpNoDelay();
        case SO_KEEPALIVE -> plain().getKeepAlive();
        case SO_REUSEADDR -> plain().getReuseAddress();
        case SO_RCVBUF -> plain().getReceiveBufferSize();
        case SO_SNDBUF -> plain().getSendBufferSize();
        case IP_TOS -> plain().getTrafficClass();
        case SO_LINGER -> plain().getSoLinger();
        case SO_BINDADDR -> plain().getLocalAddress();
        default -> throw new SocketException("no option " + name);
      };
    }

    /** One reader; what is there is given without asking for more. */
    private final class In extends InputStream {
      private final SocketChannel from = channel();
      private ByteBuffer buffer = ByteBuffer.allocate(0);

      In() throws SocketException {}

      private boolean fill() throws IOException {
        int size = buffer.capacity();
        if (size < WIDTH && buffer.limit() == size) {
          buffer = ByteBuffer.allocateDirect(size == 0 ? NARROW : WIDTH);
        }
        buffer.clear();
        try {
          int count = timeout == 0 ? from.read(buffer) : fillInTime();
          buffer.flip();
          frames.read(count);
          return count > 0;
        } catch (IOException e) {
          buffer.limit(0);
          throw ofSocket(e);
        }
      }

      /** A channel knows no time; for a look whether a connection is still there. */
      private int fillInTime() throws IOException {
        Socket socket = plain();
        socket.setSoTimeout(timeout);
        byte[] some = new byte[512];
        int count = socket.getInputStream().read(some);
        buffer.put(some, 0, Math.max(0, count));
        return count;
      }

      @Override
      public int read() throws IOException {
        return buffer.hasRemaining() || fill() ? buffer.get() & 0xff : -1;
      }

      @Override
      public int read(byte[] to, int offset, int length) throws IOException {
        if (length == 0) {
          return 0;
        }
        if (!buffer.hasRemaining() && !fill()) {
          return -1;
        }
        int count = Math.min(length, buffer.remaining());
        buffer.get(to, offset, count);
        return count;
      }

      @Override
      public int available() throws IOException {
        return buffer.remaining() + plain().getInputStream().available();
      }
    }
  }

  /** What who uses sockets knows. */
  private static IOException ofSocket(IOException e) {
    return e instanceof ClosedChannelException
        ? (IOException) new SocketException("Socket closed").initCause(e)
        : e;
  }

  /** One writer; what is not flushed waits for more. */
  private static final class Out extends OutputStream {
    private final SocketChannel to;
    private ByteBuffer buffer = ByteBuffer.allocateDirect(NARROW);

    Out(SocketChannel to) {
      this.to = to;
    }

    @Override
    public void write(int value) throws IOException {
      write(new byte[] {(byte) value}, 0, 1);
    }

    @Override
    public void write(byte[] from, int offset, int length) throws IOException {
      if (length > buffer.remaining() && buffer.capacity() < WIDTH) {
        buffer = ByteBuffer.allocateDirect(WIDTH).put(buffer.flip());
      }
      int at = offset;
      for (int left = length; left > 0; ) {
        if (!buffer.hasRemaining()) {
          send();
        }
        int count = Math.min(left, buffer.remaining());
        buffer.put(from, at, count);
        at += count;
        left -= count;
      }
    }

    private void send() throws IOException {
      buffer.flip();
      try {
        while (buffer.hasRemaining()) {
          to.write(buffer);
        }
      } catch (IOException e) {
        throw ofSocket(e);
      } finally {
        buffer.clear();
      }
    }

    @Override
    public void flush() throws IOException {
      send();
    }
  }
}
