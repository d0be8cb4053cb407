package io.kubic.mirrors.bundle;

import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.Listing;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.RegistryException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A registry whose tags do not move yet: blobs and manifests go there by digest, tags are kept back
 * until {@link #publish}. It also notes which bytes were hashed on their way, and what each
 * repository holds. Safe for threads, except for publishing.
 */
final class StagedTarget implements ImageStore {
  private final ImageStore target;
  private final Function<Digest, @Nullable String> homes;
  private final Map<String, Manifest> tags = new TreeMap<>();
  private final Map<String, Map<Digest, Manifest>> manifests = new ConcurrentHashMap<>();
  private final Set<Digest> read = ConcurrentHashMap.newKeySet();

  /**
   * @param homes a repository of the target that has a blob which the source may not have; null for
   *     none
   */
  StagedTarget(ImageStore target, Function<Digest, @Nullable String> homes) {
    this.target = target;
    this.homes = homes;
  }

  /** Blobs and manifests whose bytes were hashed in this run. */
  Set<Digest> read() {
    return read;
  }

  /** What a tag or digest would name if the tags moved now. */
  Optional<Manifest> staged(String repository, @Nullable String tag, Digest digest) {
    if (tag == null) {
      return Optional.ofNullable(manifests.getOrDefault(repository, Map.of()).get(digest));
    }
    synchronized (tags) {
      return Optional.ofNullable(tags.get(repository + ":" + tag));
    }
  }

  /** Everything that an image of this run consists of, as it now lies in the repository. */
  Set<Digest> holds(String repository, Manifest top) {
    Set<Digest> all = new HashSet<>();
    List<Manifest> open = new ArrayList<>(List.of(top));
    while (!open.isEmpty()) {
      Manifest manifest = open.removeLast();
      if (!all.add(manifest.digest())) {
        continue;
      }
      manifest.blobs().forEach(blob -> all.add(blob.digest()));
      for (Descriptor child : manifest.children()) {
        Manifest below = manifests.getOrDefault(repository, Map.of()).get(child.digest());
        if (below != null) {
          open.add(below);
        } else if (!child.isManifest()) {
          all.add(child.digest());
        }
      }
    }
    return all;
  }

  /** The tags that wait, as {@code repository:tag}. */
  Map<String, Manifest> waiting() {
    synchronized (tags) {
      return new LinkedHashMap<>(tags);
    }
  }

  /** Moves one tag. */
  void publish(String repository, String tag, Manifest manifest) {
    target.putManifest(repository, manifest, tag);
  }

  @Override
  public String name() {
    return target.name();
  }

  /** A tag that does not wait is said not to be there, so that its image is looked at whole. */
  @Override
  public Optional<Descriptor> resolve(String repository, String identifier) {
    synchronized (tags) {
      Manifest waiting = tags.get(repository + ":" + identifier);
      if (waiting != null) {
        return Optional.of(waiting.descriptor());
      }
    }
    Map<Digest, Manifest> known = manifests.getOrDefault(repository, Map.of());
    return Digest.tryParse(identifier)
        .flatMap(digest -> Optional.ofNullable(known.get(digest)))
        .map(Manifest::descriptor);
  }

  @Override
  public Manifest manifest(String repository, String identifier) {
    synchronized (tags) {
      Manifest waiting = tags.get(repository + ":" + identifier);
      if (waiting != null) {
        return waiting;
      }
    }
    return target.manifest(repository, identifier);
  }

  @Override
  public InputStream blob(String repository, Descriptor blob, long offset) {
    return target.blob(repository, blob, offset);
  }

  @Override
  public Listing tags(String repository) {
    return target.tags(repository);
  }

  @Override
  public Optional<List<Descriptor>> referrers(String repository, Digest subject) {
    return target.referrers(repository, subject);
  }

  @Override
  public BlobWrite putBlob(
      String repository, Descriptor blob, @Nullable String mountFrom, BlobContent content) {
    String home = homes.apply(blob.digest());
    if (home != null) {
      // Not in the bundle: where the registry does not mount, it is copied within it.
      String from = mountFrom == null ? home : mountFrom;
      return from.equals(repository)
          ? target.putBlob(repository, blob, null, content)
          : target.putBlob(repository, blob, from, offset -> target.blob(from, blob, offset));
    }
    BlobWrite done = target.putBlob(repository, blob, mountFrom, content);
    if (done == BlobWrite.WRITTEN && mountFrom == null) {
      read.add(blob.digest());
    }
    return done;
  }

  @Override
  public void putManifest(String repository, Manifest manifest, @Nullable String tag) {
    target.putManifest(repository, manifest, null);
    read.add(manifest.digest());
    manifests
        .computeIfAbsent(repository, r -> new ConcurrentHashMap<>())
        .put(manifest.digest(), manifest);
    if (tag != null) {
      synchronized (tags) {
        tags.put(repository + ":" + tag, manifest);
      }
    }
  }

  /**
   * Nothing is deleted before the tags move.
   *
   * @throws RegistryException never
   */
  @Override
  public boolean delete(String repository, String identifier) {
    throw new UnsupportedOperationException("nothing is deleted while images are staged");
  }
}
