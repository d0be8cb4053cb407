package io.kubic.mirrors.oci.registry;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import org.jspecify.annotations.Nullable;

/**
 * A socket that asks the kernel for much at a time. Okio moves segments of 8 KiB, each with a
 * system call of its own; for gigabytes that is more work than hashing them.
 */
class WideSocket extends Socket {
  private static final int WIDTH = 64 << 10;

  private @Nullable InputStream in;
  private @Nullable OutputStream out;

  @Override
  public synchronized InputStream getInputStream() throws IOException {
    InputStream known = in;
    if (known == null) {
      known = new In(super.getInputStream());
      in = known;
    }
    return known;
  }

  @Override
  public synchronized OutputStream getOutputStream() throws IOException {
    OutputStream known = out;
    if (known == null) {
      known = new Out(super.getOutputStream());
      out = known;
    }
    return known;
  }

  /** One reader; what is there is given without asking for more. */
  private static final class In extends InputStream {
    private final InputStream from;
    private byte[] buffer = new byte[0];
    private int start;
    private int end;

    In(InputStream from) {
      this.from = from;
    }

    private boolean fill() throws IOException {
      if (buffer.length == 0) {
        buffer = new byte[WIDTH];
      }
      start = 0;
      end = 0;
      end = Math.max(0, from.read(buffer, 0, buffer.length));
      return end > 0;
    }

    @Override
    public int read() throws IOException {
      return start < end || fill() ? buffer[start++] & 0xff : -1;
    }

    @Override
    public int read(byte[] to, int offset, int length) throws IOException {
      if (length == 0) {
        return 0;
      }
      if (start == end) {
        if (length >= WIDTH) {
          return from.read(to, offset, length);
        }
        if (!fill()) {
          return -1;
        }
      }
      int count = Math.min(length, end - start);
      System.arraycopy(buffer, start, to, offset, count);
      start += count;
      return count;
    }

    @Override
    public int available() throws IOException {
      return end - start + from.available();
    }

    @Override
    public void close() throws IOException {
      from.close();
    }
  }

  /** One writer; what is not flushed waits for more. */
  private static final class Out extends OutputStream {
    private final OutputStream to;
    private byte[] buffer = new byte[512];
    private int used;

    Out(OutputStream to) {
      this.to = to;
    }

    @Override
    public void write(int value) throws IOException {
      write(new byte[] {(byte) value}, 0, 1);
    }

    @Override
    public void write(byte[] from, int offset, int length) throws IOException {
      if (used + length > WIDTH) {
        send();
      }
      if (length >= WIDTH) {
        to.write(from, offset, length);
        return;
      }
      if (used + length > buffer.length) {
        byte[] wider = new byte[buffer.length == 512 && used + length <= 8192 ? 8192 : WIDTH];
        System.arraycopy(buffer, 0, wider, 0, used);
        buffer = wider;
      }
      System.arraycopy(from, offset, buffer, used, length);
      used += length;
    }

    private void send() throws IOException {
      int count = used;
      used = 0;
      if (count > 0) {
        to.write(buffer, 0, count);
      }
    }

    @Override
    public void flush() throws IOException {
      send();
      to.flush();
    }

    @Override
    public void close() throws IOException {
      to.close();
    }
  }
}
