package io.kubic.mirrors.oci.layout;

import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.security.MessageDigest;
import java.util.Locale;

/**
 * Writes so that a file is either there whole or not at all: first aside, then synced, then
 * renamed. Failures are {@link RegistryException}s: TargetFull when there is no space left,
 * TargetRejected otherwise.
 */
public final class Disk {
  private final Checkpoint checkpoint;

  public Disk(Checkpoint checkpoint) {
    this.checkpoint = checkpoint;
  }

  /** A step of file handling. */
  @FunctionalInterface
  interface Work {
    void run() throws IOException;
  }

  /** Makes a directory and those above it. */
  public void directory(Path directory) {
    if (!PlainFile.isDirectory(directory)) {
      checkpoint.pass(Checkpoint.Step.CREATE, directory);
      doing(directory, () -> Files.createDirectories(directory));
    }
  }

  /**
   * Writes a small file whole.
   *
   * @param aside where it is written first; on the same file system
   */
  public void write(Path file, byte[] bytes, Path aside) {
    checkpoint.pass(Checkpoint.Step.CREATE, aside);
    doing(
        aside,
        () -> {
          try (FileChannel out =
              FileChannel.open(
                  aside,
                  StandardOpenOption.CREATE,
                  StandardOpenOption.TRUNCATE_EXISTING,
                  StandardOpenOption.WRITE)) {
            write(out, bytes, bytes.length, aside);
            sync(out, aside);
          }
        });
    rename(aside, file);
  }

  /**
   * Copies a part of a file.
   *
   * @param aside where it is written first; on the same file system as the target
   * @return the sha256 of the part
   */
  public Digest copy(Path from, long offset, long length, Path to, Path aside) {
    MessageDigest hash = Digest.Algorithm.SHA256.start();
    checkpoint.pass(Checkpoint.Step.CREATE, aside);
    doing(
        aside,
        () -> {
          try (InputStream in = PlainFile.of(from).open(offset);
              FileChannel out =
                  FileChannel.open(
                      aside,
                      StandardOpenOption.CREATE,
                      StandardOpenOption.TRUNCATE_EXISTING,
                      StandardOpenOption.WRITE)) {
            byte[] buffer = new byte[1 << 18];
            long left = length;
            while (left > 0) {
              int read = in.read(buffer, 0, (int) Math.min(buffer.length, left));
              if (read < 0) {
                throw new java.io.EOFException();
              }
              hash.update(buffer, 0, read);
              write(out, buffer, read, aside);
              left -= read;
            }
            sync(out, aside);
          }
        });
    rename(aside, to);
    return Digest.finish(Digest.Algorithm.SHA256, hash);
  }

  void write(FileChannel out, byte[] bytes, int length, Path file) throws IOException {
    checkpoint.pass(Checkpoint.Step.WRITE, file);
    ByteBuffer buffer = ByteBuffer.wrap(bytes, 0, length);
    while (buffer.hasRemaining()) {
      out.write(buffer);
    }
  }

  void sync(FileChannel out, Path file) throws IOException {
    checkpoint.pass(Checkpoint.Step.SYNC, file);
    out.force(true);
  }

  /** Adds to the end of a file, or begins it. */
  public void append(Path file, byte[] bytes) {
    checkpoint.pass(Checkpoint.Step.WRITE, file);
    doing(
        file, () -> Files.write(file, bytes, StandardOpenOption.CREATE, StandardOpenOption.APPEND));
  }

  /** Renames within a file system, over what may be there. */
  public void rename(Path from, Path to) {
    checkpoint.pass(Checkpoint.Step.RENAME, to);
    doing(
        to,
        () ->
            Files.move(
                from, to, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING));
  }

  /** Removes a file if it is there. */
  public void remove(Path file) {
    checkpoint.pass(Checkpoint.Step.REMOVE, file);
    doing(file, () -> Files.deleteIfExists(file));
  }

  /** Removes a directory with all that is in it, if it is there. */
  public void removeAll(Path directory) {
    if (!PlainFile.isDirectory(directory)) {
      return;
    }
    doing(
        directory,
        () ->
            Files.walkFileTree(
                directory,
                new SimpleFileVisitor<>() {
                  @Override
                  public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
                    remove(file);
                    return FileVisitResult.CONTINUE;
                  }

                  @Override
                  public FileVisitResult postVisitDirectory(Path dir, java.io.IOException e)
                      throws IOException {
                    if (e != null) {
                      throw e;
                    }
                    remove(dir);
                    return FileVisitResult.CONTINUE;
                  }
                }));
  }

  /** Makes the names in a directory survive a power failure, where the system can. */
  public void syncNames(Path directory) {
    checkpoint.pass(Checkpoint.Step.SYNC, directory);
    try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
      channel.force(true);
    } catch (IOException e) {
      // Not every system opens directories; the names are then as safe as it makes them.
    }
  }

  static void doing(Path file, Work work) {
    try {
      work.run();
    } catch (IOException e) {
      throw failure(file, e);
    }
  }

  static RegistryException failure(Path file, IOException e) {
    String text = String.valueOf(e.getMessage()).toLowerCase(Locale.ROOT);
    if (text.contains("no space left") || text.contains("quota exceeded")) {
      return new RegistryException(
          Reason.TargetFull, file.toString(), "no space is left; make room and run it again", e);
    }
    if (text.contains("file too large")) {
      return new RegistryException(
          Reason.TargetRejected,
          file.toString(),
          "the file system takes no file of this size; set --volume-size below its limit",
          e);
    }
    return new RegistryException(
        Reason.TargetRejected,
        file.toString(),
        "cannot be written: " + e.getClass().getSimpleName(),
        e);
  }
}
