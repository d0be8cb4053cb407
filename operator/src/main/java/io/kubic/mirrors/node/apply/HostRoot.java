package io.kubic.mirrors.node.apply;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** The directories of a host, mounted below one directory. Paths are those of the host. */
public final class HostRoot {
  private static final int MAX_FILE = 4 * 1024 * 1024;
  private static final int MAX_LINKS = 16;

  private final Path root;

  public HostRoot(Path root) {
    this.root = root.toAbsolutePath().normalize();
  }

  /** Where a path of the host is for us; it stays below the root. */
  public Path path(String host) {
    Path path = root.resolve(host.substring(host.startsWith("/") ? 1 : 0)).normalize();
    if (!path.startsWith(root)) {
      throw new IllegalArgumentException(host + " leaves the host's root");
    }
    return path;
  }

  /**
   * A text file, links followed as the host would.
   *
   * @return empty when there is none
   * @throws IOException when it cannot be read, is larger than 4 MiB or no UTF-8
   */
  public Optional<String> read(String host) throws IOException {
    Path path = follow(path(host));
    try {
      if (Files.size(path) > MAX_FILE) {
        throw new IOException(host + " is larger than 4 MiB");
      }
      if (!Files.isRegularFile(path)) {
        throw new IOException(host + " is no regular file");
      }
      return Optional.of(
          StandardCharsets.UTF_8
              .newDecoder()
              .decode(ByteBuffer.wrap(Files.readAllBytes(path)))
              .toString());
    } catch (NoSuchFileException | NotDirectoryException e) {
      return Optional.empty();
    } catch (CharacterCodingException e) {
      throw new IOException(host + " is no UTF-8");
    }
  }

  /** Names in a directory, sorted; empty when there is none. */
  public List<String> list(String host) throws IOException {
    try (Stream<Path> entries = Files.list(follow(path(host)))) {
      return entries.map(entry -> entry.getFileName().toString()).sorted().toList();
    } catch (NoSuchFileException | NotDirectoryException e) {
      return List.of();
    }
  }

  /**
   * Whether there is anything, a dangling link included.
   *
   * @throws UncheckedIOException when the host does not tell: no answer is not "no", or a foreign
   *     file would be taken for none
   */
  public boolean exists(String host) {
    return attributes(path(host)).isPresent();
  }

  /**
   * Whether there is a directory, links followed.
   *
   * @throws UncheckedIOException when the host does not tell
   */
  public boolean isDirectory(String host) {
    try {
      return attributes(follow(path(host))).map(BasicFileAttributes::isDirectory).orElse(false);
    } catch (IOException e) {
      return false; // a link that leads nowhere
    }
  }

  private static Optional<BasicFileAttributes> attributes(Path path) {
    try {
      return Optional.of(
          Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (FileSystemException e) {
      if ("Not a directory".equals(e.getReason())) {
        return Optional.empty();
      }
      throw new UncheckedIOException(e);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** An absolute link means a path of the host, not of the container. */
  private Path follow(Path path) throws IOException {
    Path current = path;
    for (int links = 0; Files.isSymbolicLink(current); links++) {
      if (links == MAX_LINKS) {
        throw new IOException("too many links at /" + root.relativize(path));
      }
      Path target = Files.readSymbolicLink(current);
      Path parent = current.getParent();
      current =
          target.isAbsolute() || parent == null
              ? path(target.toString())
              : parent.resolve(target).normalize();
      if (!current.startsWith(root)) {
        throw new IOException("/" + root.relativize(path) + " leaves the mounted directories");
      }
    }
    return current;
  }

  Path root() {
    return root;
  }
}
