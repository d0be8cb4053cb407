package io.kubic.mirrors.oci;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.function.LongConsumer;

/** Tells how many bytes are read from a stream, as they are. */
public final class CountedStream extends FilterInputStream {
  private final LongConsumer count;

  /**
   * @param count told the bytes of each read
   */
  public CountedStream(InputStream in, LongConsumer count) {
    super(in);
    this.count = count;
  }

  @Override
  public int read() throws IOException {
    int one = super.read();
    count.accept(one < 0 ? 0 : 1);
    return one;
  }

  @Override
  public int read(byte[] buffer, int start, int length) throws IOException {
    int read = super.read(buffer, start, length);
    count.accept(Math.max(0, read));
    return read;
  }
}
