package io.kubic.mirrors.upkeep;

import io.kubic.mirrors.oci.Digest;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.security.MessageDigest;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * Hashes everything that a registry keeps in files, and sets aside what is not what its digest
 * says. Distribution never looks at content again, and takes an upload of what it has for done: so
 * a corrupt blob stays until its file is gone. Once it is, the registry says that it does not have
 * it, a puller turns to another place, and the next upload brings it back. Reads and writes go on
 * meanwhile: a blob's file is put in its place by one rename, and never changed.
 */
public final class Scrub {
  /** Below the storage's root; distribution looks into {@code docker/} only. */
  static final Path QUARANTINE = Path.of("mirror-quarantine");

  private static final Path BLOBS = Path.of("docker", "registry", "v2", "blobs");

  /** Distribution 2 writes small files in place: what is younger may not be whole yet. */
  private static final Duration FRESH = Duration.ofMinutes(1);

  private static final Duration KEPT = Duration.ofDays(30);
  private static final int EXAMPLES = 20;
  private static final int READS = 2;
  private static final int BUFFER = 1 << 18;

  private final Path storage;
  private final boolean dryRun;
  private final Clock clock;
  private final Consumer<String> progress;
  private final byte[] buffer = new byte[BUFFER];

  private long blobs;
  private long bytes;
  private long corrupt;
  private long fresh;
  private final List<String> examples = new ArrayList<>();

  /**
   * @param storage root of the registry's filesystem storage
   * @param dryRun only tell
   */
  public Scrub(Path storage, boolean dryRun, Clock clock, Consumer<String> progress) {
    this.storage = storage;
    this.dryRun = dryRun;
    this.clock = clock;
    this.progress = progress;
  }

  /**
   * Hashes all blobs once.
   *
   * @throws UpkeepException when the storage cannot be looked through
   */
  public ScrubReport run() {
    Path root = storage.resolve(BLOBS);
    if (!Files.isDirectory(storage)) {
      throw new UpkeepException(storage + " is no directory");
    }
    if (Files.isDirectory(root)) {
      for (Path algorithm : entries(root)) {
        for (Path prefix : entries(algorithm)) {
          for (Path blob : entries(prefix)) {
            Digest.tryParse(algorithm.getFileName() + ":" + blob.getFileName())
                .ifPresent(digest -> look(digest, blob.resolve("data")));
          }
        }
      }
    }
    forget();
    progress.accept(
        "%d blobs, %d bytes, %d of them not what their digests say"
            .formatted(blobs, bytes, corrupt));
    return new ScrubReport(blobs, bytes, corrupt, fresh, dryRun, examples);
  }

  private static List<Path> entries(Path directory) {
    List<Path> entries = new ArrayList<>();
    try (DirectoryStream<Path> stream = Files.newDirectoryStream(directory)) {
      stream.forEach(entries::add);
    } catch (IOException e) {
      throw new UpkeepException("cannot look through " + directory + ": " + e.getMessage(), e);
    }
    entries.sort(null);
    return entries;
  }

  private void look(Digest digest, Path data) {
    Optional<Instant> written = written(data);
    if (written.isEmpty()) {
      return; // It was deleted, or never there.
    }
    blobs++;
    boolean good = false;
    // A read that failed once is no proof.
    for (int i = 0; i < READS && !good; i++) {
      good = matches(digest, data);
    }
    if (good || written(data).isEmpty()) {
      return;
    }
    if (written.get().isAfter(clock.instant().minus(FRESH))) {
      fresh++;
      return;
    }
    corrupt++;
    if (examples.size() < EXAMPLES) {
      examples.add(digest.toString());
    }
    progress.accept(digest + " is not what its digest says");
    if (!dryRun) {
      setAside(digest, data);
    }
  }

  private static Optional<Instant> written(Path data) {
    try {
      return Optional.of(Files.getLastModifiedTime(data).toInstant());
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  private boolean matches(Digest digest, Path data) {
    MessageDigest hash = digest.algorithm().start();
    long read = 0;
    try (InputStream in = Files.newInputStream(data)) {
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        hash.update(buffer, 0, n);
        read += n;
      }
    } catch (NoSuchFileException e) {
      return true;
    } catch (IOException e) {
      progress.accept(digest + " cannot be read: " + e.getMessage());
      return false;
    }
    bytes += read;
    return Digest.finish(digest.algorithm(), hash).equals(digest);
  }

  private void setAside(Digest digest, Path data) {
    try {
      Path place = Files.createDirectories(storage.resolve(QUARANTINE));
      Path aside = place.resolve(digest.algorithm().id() + "-" + digest.hex());
      Files.move(data, aside, StandardCopyOption.ATOMIC_MOVE);
      date(aside);
    } catch (NoSuchFileException e) {
      // Somebody deleted it meanwhile.
    } catch (IOException e) {
      // A volume that is full has no room for a directory: the content is of no use to anybody.
      try {
        Files.deleteIfExists(data);
      } catch (IOException again) {
        throw new UpkeepException("cannot set " + digest + " aside: " + again.getMessage(), again);
      }
    }
  }

  /** How long it is kept counts from now on, not from when it was pushed. */
  private void date(Path aside) {
    try {
      Files.setLastModifiedTime(aside, FileTime.from(clock.instant()));
    } catch (IOException e) {
      progress.accept("cannot date " + aside + ": " + e.getMessage());
    }
  }

  /** What was set aside long ago goes. */
  private void forget() {
    Path place = storage.resolve(QUARANTINE);
    if (dryRun || !Files.isDirectory(place)) {
      return;
    }
    for (Path file : entries(place)) {
      try {
        if (Files.getLastModifiedTime(file).toInstant().isBefore(clock.instant().minus(KEPT))) {
          Files.deleteIfExists(file);
        }
      } catch (IOException e) {
        progress.accept("cannot delete " + file + ": " + e.getMessage());
      }
    }
  }
}
