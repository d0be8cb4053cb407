package io.kubic.mirrors.oci.layout;

import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.Listing;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Repository;
import io.kubic.mirrors.oci.Tag;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;
import org.jspecify.annotations.Nullable;

/**
 * An OCI image layout that is being filled. Its tags are kept in a journal, one line each, so that
 * an interrupted run goes on with what it had; {@code index.json} is the business of who completes
 * the layout. Safe for threads.
 */
public final class LayoutStore implements ImageStore {
  private static final String JOURNAL = "tags";

  private final String name;
  private final Path journal;
  private final Blobs blobs;
  private final Disk disk;
  private final Map<String, Descriptor> tags = new ConcurrentSkipListMap<>();

  /** What is attached to each {@code repository@digest}. */
  private final Map<String, Set<Descriptor>> attached = new ConcurrentHashMap<>();

  /**
   * Opens a layout in a directory, or begins one.
   *
   * @param name in messages
   * @param staging for what is not complete; on the same file system
   */
  public LayoutStore(String name, Path root, Path staging, Disk disk) {
    this(name, new BlobDirectory(root, staging, disk), staging, disk);
  }

  /**
   * Opens a layout, or begins one.
   *
   * @param name in messages
   * @param blobs where its blobs are stored
   * @param staging for the journal
   */
  public LayoutStore(String name, Blobs blobs, Path staging, Disk disk) {
    this.name = name;
    this.journal = staging.resolve(JOURNAL);
    this.disk = disk;
    this.blobs = blobs;
    disk.directory(staging);
    load();
  }

  public Blobs blobs() {
    return blobs;
  }

  /** What each {@code repository:tag}, and each {@code repository@digest} put as such, names. */
  public Map<String, Descriptor> entries() {
    return Map.copyOf(tags);
  }

  private void load() {
    String text;
    try {
      text = Files.readString(journal, StandardCharsets.ISO_8859_1);
    } catch (NoSuchFileException e) {
      return;
    } catch (IOException e) {
      throw Disk.failure(journal, e);
    }
    int start = 0;
    int end;
    // What stands behind the last line end was cut off, and is forgotten.
    while ((end = text.indexOf('\n', start)) >= 0) {
      String[] words = text.substring(start, end).split(" ", -1);
      start = end + 1;
      if (words.length == 4 && MediaTypes.isManifest(words[3])) {
        Optional<Digest> digest = Digest.tryParse(words[1]);
        if (digest.isPresent() && digits(words[2])) {
          Descriptor entry = new Descriptor(words[3], digest.get(), Long.parseLong(words[2]));
          if (blobs.has(entry)) {
            tags.put(words[0], entry);
            int at = words[0].indexOf('@');
            if (at > 0) {
              String repository = words[0].substring(0, at);
              attach(repository, read(repository, digest.get(), words[3]));
            }
          }
        }
      }
    }
    if (start < text.length()) {
      // A torn line would swallow the next one.
      append("");
    }
  }

  private static boolean digits(String text) {
    return !text.isEmpty()
        && text.length() < 10
        && text.chars().allMatch(c -> c >= '0' && c <= '9');
  }

  private synchronized void append(String line) {
    disk.append(journal, (line + "\n").getBytes(StandardCharsets.ISO_8859_1));
  }

  private void note(String entry, Descriptor manifest) {
    if (!manifest.equals(tags.put(entry, manifest))) {
      append(entry + " " + manifest.digest() + " " + manifest.size() + " " + manifest.mediaType());
    }
  }

  private String object(String repository, String identifier) {
    return name + "/" + key(repository, identifier);
  }

  private static String key(String repository, String identifier) {
    return repository + (Tag.isValid(identifier) ? ":" : "@") + identifier;
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public Optional<Descriptor> resolve(String repository, String identifier) {
    // That a blob is there tells nothing of the repository: all repositories share the blobs.
    return Optional.ofNullable(tags.get(key(repository, identifier)));
  }

  @Override
  public Manifest manifest(String repository, String identifier) {
    Descriptor entry = tags.get(key(repository, identifier));
    if (entry != null) {
      return read(repository, entry.digest(), entry.mediaType());
    }
    Digest digest =
        Digest.tryParse(identifier)
            .orElseThrow(
                () ->
                    new RegistryException(
                        Reason.NotFound, object(repository, identifier), "is not there"));
    return read(repository, digest, null);
  }

  private Manifest read(String repository, Digest digest, @Nullable String mediaType) {
    return Manifest.parse(
        blobs.file(digest).read(Manifest.MAX_BYTES),
        mediaType,
        object(repository, digest.toString()),
        digest);
  }

  @Override
  public InputStream blob(String repository, Descriptor blob, long offset) {
    return blobs.file(blob.digest()).open(offset);
  }

  @Override
  public Listing tags(String repository) {
    String prefix = Repository.requirePath(repository) + ":";
    return new Listing(
        tags.keySet().stream()
            .filter(key -> key.startsWith(prefix))
            .map(key -> key.substring(prefix.length()))
            .toList(),
        List.of());
  }

  @Override
  public Optional<List<Descriptor>> referrers(String repository, Digest subject) {
    return Optional.of(List.copyOf(attached.getOrDefault(repository + "@" + subject, Set.of())));
  }

  private void attach(String repository, Manifest manifest) {
    manifest
        .subject()
        .ifPresent(
            subject ->
                attached
                    .computeIfAbsent(
                        repository + "@" + subject.digest(), s -> ConcurrentHashMap.newKeySet())
                    .add(manifest.descriptor()));
  }

  @Override
  public BlobWrite putBlob(
      String repository, Descriptor blob, @Nullable String mountFrom, BlobContent content) {
    return blobs.put(blob, content) ? BlobWrite.WRITTEN : BlobWrite.PRESENT;
  }

  @Override
  public void putManifest(String repository, Manifest manifest, @Nullable String tag) {
    byte[] bytes = manifest.bytes();
    blobs.put(
        manifest.descriptor(),
        offset ->
            new java.io.ByteArrayInputStream(bytes, (int) offset, bytes.length - (int) offset));
    if (tag != null) {
      note(repository + ":" + tag, manifest.descriptor());
    } else {
      note(repository + "@" + manifest.digest(), manifest.descriptor());
      attach(repository, manifest);
    }
  }

  @Override
  public boolean delete(String repository, String identifier) {
    return tags.remove(key(repository, identifier)) != null;
  }
}
