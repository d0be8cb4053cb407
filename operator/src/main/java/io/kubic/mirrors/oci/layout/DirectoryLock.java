package io.kubic.mirrors.oci.layout;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;

/**
 * One process at a time works in a directory. The lock ends with the process, whatever ends that;
 * the file stays. Where the file system knows no locks, nobody is kept out.
 */
public final class DirectoryLock implements AutoCloseable {
  private final FileChannel channel;

  private DirectoryLock(FileChannel channel) {
    this.channel = channel;
  }

  /**
   * Tries to be the one.
   *
   * @param file in an existing directory; made if it is not there
   * @return empty when another process, or thread, holds it
   */
  public static Optional<DirectoryLock> tryLock(Path file) {
    FileChannel channel;
    try {
      channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    } catch (IOException e) {
      throw Disk.failure(file, e);
    }
    boolean free;
    try {
      free = channel.tryLock() != null;
    } catch (OverlappingFileLockException e) {
      free = false;
    } catch (IOException e) {
      free = true; // No locks here.
    }
    DirectoryLock lock = new DirectoryLock(channel);
    if (!free) {
      lock.close();
      return Optional.empty();
    }
    return Optional.of(lock);
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      // It ends with the process.
    }
  }
}
