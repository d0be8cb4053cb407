package io.kubic.mirrors.sync;

import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Manifest;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * The manifests of a run between planning and copying, each once: in memory as long as they are
 * few, in an unnamed file beyond that. So a manifest is fetched once, and a run with very many
 * images needs little memory. Safe for threads.
 */
final class Spool {
  /** 32 MiB: some ten thousand manifests. */
  private static final long IN_MEMORY = 32L << 20;

  private final long limit;
  private final Map<Digest, Kept> kept = new ConcurrentHashMap<>();
  private long memory;
  private long end;
  private @Nullable FileChannel file;

  /** Where a manifest is; bytes are null when it is in the file. */
  private record Kept(String mediaType, byte @Nullable [] bytes, long offset, int length) {}

  Spool() {
    this(IN_MEMORY);
  }

  Spool(long limit) {
    this.limit = limit;
  }

  void keep(Manifest manifest) {
    if (!kept.containsKey(manifest.digest())) {
      kept.putIfAbsent(manifest.digest(), store(manifest));
    }
  }

  Optional<Manifest> find(Digest digest) {
    Kept one = kept.get(digest);
    return one == null
        ? Optional.empty()
        : Optional.of(
            Manifest.parse(
                one.bytes() == null ? read(one) : one.bytes(),
                one.mediaType(),
                digest.toString(),
                digest));
  }

  private synchronized Kept store(Manifest manifest) {
    byte[] bytes = manifest.bytes();
    if (memory + bytes.length <= limit) {
      memory += bytes.length;
      return new Kept(manifest.mediaType(), bytes, 0, bytes.length);
    }
    try {
      FileChannel channel = file();
      ByteBuffer buffer = ByteBuffer.wrap(bytes);
      long offset = end;
      while (buffer.hasRemaining()) {
        end += channel.write(buffer, end);
      }
      return new Kept(manifest.mediaType(), null, offset, bytes.length);
    } catch (IOException e) {
      throw new UncheckedIOException("the scratch directory cannot be written", e);
    }
  }

  /** Has no name any more once it is open, so that it goes with the process whatever happens. */
  private synchronized FileChannel file() throws IOException {
    FileChannel open = file;
    if (open == null) {
      Path path = Files.createTempFile("mirror-manifests-", "");
      open =
          FileChannel.open(
              path,
              StandardOpenOption.READ,
              StandardOpenOption.WRITE,
              StandardOpenOption.DELETE_ON_CLOSE);
      file = open;
    }
    return open;
  }

  private byte[] read(Kept one) {
    try {
      ByteBuffer buffer = ByteBuffer.allocate(one.length());
      FileChannel channel = file();
      while (buffer.hasRemaining()) {
        if (channel.read(buffer, one.offset() + buffer.position()) < 0) {
          throw new IOException("it ends early");
        }
      }
      return buffer.array();
    } catch (IOException e) {
      throw new UncheckedIOException("the scratch directory cannot be read", e);
    }
  }
}
