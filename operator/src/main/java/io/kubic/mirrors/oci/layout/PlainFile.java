package io.kubic.mirrors.oci.layout;

import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Set;

/**
 * A file from a directory that somebody else filled: regular, and with one name only. A symbolic or
 * hard link could lead to a file of ours, and a device or pipe to no end.
 *
 * @param size bytes
 */
public record PlainFile(Path path, long size) implements StoredFile {
  private static final Set<java.nio.file.OpenOption> READ =
      Set.of(StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS);

  /**
   * Looks at a file without opening it.
   *
   * @throws RegistryException NotFound when there is none; MalformedResponse when it is anything
   *     else than a regular file with one name
   */
  public static PlainFile of(Path path) {
    try {
      BasicFileAttributes attributes =
          Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
      if (attributes.isSymbolicLink()) {
        throw refused(path, "is a symbolic link");
      }
      if (!attributes.isRegularFile()) {
        throw refused(path, attributes.isDirectory() ? "is a directory" : "is a device or pipe");
      }
      if (path.getFileSystem().supportedFileAttributeViews().contains("unix")
          && Files.getAttribute(path, "unix:nlink", LinkOption.NOFOLLOW_LINKS)
              instanceof Integer links
          && links > 1) {
        throw refused(path, "is a hard link, " + links + " names lead to it");
      }
      return new PlainFile(path, attributes.size());
    } catch (NoSuchFileException e) {
      throw new RegistryException(Reason.NotFound, path.toString(), "is missing", e);
    } catch (IOException e) {
      throw new PlainFile(path, 0).unreadable(e);
    }
  }

  /** Whether it is a directory itself, not a link to one. */
  public static boolean isDirectory(Path path) {
    return Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS);
  }

  /** Whether it is a file itself, not a link to one. */
  public static boolean isFile(Path path) {
    return Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS);
  }

  @Override
  public String name() {
    return path.toString();
  }

  @Override
  public InputStream open(long offset) {
    try {
      SeekableByteChannel channel = Files.newByteChannel(path, READ);
      channel.position(offset);
      return Channels.newInputStream(channel);
    } catch (NoSuchFileException e) {
      throw new RegistryException(Reason.NotFound, path.toString(), "is missing", e);
    } catch (IOException e) {
      throw unreadable(e);
    }
  }

  @Override
  public void hash(java.security.MessageDigest hash) {
    byte[] buffer = new byte[1 << 18];
    try (SeekableByteChannel channel = Files.newByteChannel(path, READ)) {
      ByteBuffer view = ByteBuffer.wrap(buffer);
      while (channel.read(view) >= 0) {
        hash.update(buffer, 0, view.position());
        view.clear();
      }
    } catch (IOException e) {
      throw unreadable(e);
    }
  }

  private static RegistryException refused(Path path, String what) {
    return new RegistryException(Reason.MalformedResponse, path.toString(), what);
  }
}
