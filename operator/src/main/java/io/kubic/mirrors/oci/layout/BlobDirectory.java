package io.kubic.mirrors.oci.layout;

import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.BlobVerifier;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * The {@code blobs} directory of an OCI image layout. A file has its digest as its name only after
 * its bytes were hashed and synced: a name of the right size is proof, unless the medium rots. What
 * arrives lies in a staging directory meanwhile, and is continued there after an interruption. Safe
 * for threads.
 */
public final class BlobDirectory implements Blobs {
  private static final int CHUNK = 1 << 17;

  private static final String BLOBS = "blobs/";

  private final Path root;
  private final Path staging;
  private final Disk disk;
  private final BlobLocks busy = new BlobLocks();

  /**
   * @param root of the layout
   * @param staging on the same file system
   */
  public BlobDirectory(Path root, Path staging, Disk disk) {
    this.root = root;
    this.staging = staging;
    this.disk = disk;
  }

  /** The name of a blob within a layout, with slashes. */
  public static String nameOf(Digest digest) {
    return BLOBS + digest.algorithm().id() + "/" + digest.hex();
  }

  /** The digest that such a name stands for; empty when it is no name of a blob. */
  public static Optional<Digest> digestOf(String name) {
    return name.startsWith(BLOBS)
        ? Digest.tryParse(name.substring(BLOBS.length()).replace('/', ':'))
        : Optional.empty();
  }

  /** Where a blob lies, if it is there. */
  public Path path(Digest digest) {
    return root.resolve("blobs").resolve(digest.algorithm().id()).resolve(digest.hex());
  }

  @Override
  public OptionalLong size(Digest digest) {
    Path path = path(digest);
    try {
      return Files.isRegularFile(path, java.nio.file.LinkOption.NOFOLLOW_LINKS)
          ? OptionalLong.of(Files.size(path))
          : OptionalLong.empty();
    } catch (IOException e) {
      return OptionalLong.empty();
    }
  }

  @Override
  public PlainFile file(Digest digest) {
    return PlainFile.of(path(digest));
  }

  @Override
  public List<Digest> list() {
    List<Digest> found = new ArrayList<>();
    for (Digest.Algorithm algorithm : Digest.Algorithm.values()) {
      Path directory = root.resolve("blobs").resolve(algorithm.id());
      if (!PlainFile.isDirectory(directory)) {
        continue;
      }
      try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
        for (Path file : files) {
          Optional<Digest> digest = Digest.tryParse(algorithm.id() + ":" + file.getFileName());
          digest.ifPresent(found::add);
        }
      } catch (IOException e) {
        throw Disk.failure(directory, e);
      }
    }
    return found;
  }

  @Override
  public void remove(Digest digest) {
    disk.remove(path(digest));
  }

  @Override
  public boolean put(Descriptor blob, BlobContent content) {
    return busy.unlessThere(this, blob, () -> receive(blob, content));
  }

  private void receive(Descriptor blob, BlobContent content) {
    Path target = path(blob.digest());
    Path aside = staging.resolve(blob.digest().hex());
    disk.directory(staging);
    disk.directory(root.resolve("blobs").resolve(blob.digest().algorithm().id()));
    boolean continued = isBegun(aside);
    try {
      fill(blob, content, aside);
    } catch (RegistryException e) {
      if (e.reason() != Reason.DigestMismatch || !continued) {
        throw e;
      }
      // It may be what an interrupted run left, which nobody has checked.
      fill(blob, content, aside);
    }
    disk.rename(aside, target);
  }

  private static boolean isBegun(Path aside) {
    try {
      return Files.size(aside) > 0;
    } catch (IOException e) {
      return false;
    }
  }

  private void fill(Descriptor blob, BlobContent content, Path aside) {
    try (FileChannel out =
        FileChannel.open(
            aside, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      BlobVerifier verifier = new BlobVerifier(blob, blob.digest().toString());
      fill(blob, content, out, verifier, aside);
      disk.sync(out, aside);
    } catch (IOException e) {
      throw Disk.failure(aside, e);
    } catch (RegistryException e) {
      if (e.reason() == Reason.DigestMismatch) {
        // Whatever came first is worthless too: nobody knows which byte is wrong.
        disk.remove(aside);
      }
      throw e;
    }
  }

  private void fill(
      Descriptor blob, BlobContent content, FileChannel out, BlobVerifier verifier, Path aside)
      throws IOException {
    byte[] buffer = new byte[Math.clamp(blob.size(), 1, CHUNK)];
    long at = kept(blob, out, verifier, buffer);
    if (verifier.isComplete()) {
      return;
    }
    out.position(at);
    try (InputStream in = content.open(at)) {
      int read;
      while ((read = in.read(buffer)) >= 0) {
        verifier.update(at, buffer, 0, read);
        disk.write(out, buffer, read, aside);
        at += read;
        content.passed(read);
      }
    }
    if (!verifier.isComplete()) {
      throw new RegistryException(
          Reason.ConnectionFailed,
          blob.digest().toString(),
          "ends after " + at + " of " + blob.size() + " bytes");
    }
  }

  /** Hashes what an interrupted run left; how many bytes that are. */
  private static long kept(Descriptor blob, FileChannel out, BlobVerifier verifier, byte[] buffer)
      throws IOException {
    long length = out.size();
    if (length > blob.size()) {
      out.truncate(0);
      return 0;
    }
    long at = 0;
    ByteBuffer view = ByteBuffer.wrap(buffer);
    while (at < length) {
      view.clear();
      int read = out.read(view, at);
      if (read < 0) {
        break;
      }
      verifier.update(at, buffer, 0, read);
      at += read;
    }
    return at;
  }
}
