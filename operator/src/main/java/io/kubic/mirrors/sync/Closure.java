package io.kubic.mirrors.sync;

import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageSource;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.Platform;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.Function;

/**
 * Everything that an image consists of.
 *
 * @param top what the tag names
 * @param below the manifests below it, children before their parents, each once
 * @param blobs of all these, each once
 * @param sparse whether the platform filter left children of an index out
 */
record Closure(Manifest top, List<Manifest> below, List<Descriptor> blobs, boolean sparse) {
  private static final int MAX_DEPTH = 8;
  private static final int MAX_MANIFESTS = 2000;

  Closure {
    below = List.copyOf(below);
    blobs = List.copyOf(blobs);
  }

  /**
   * Reads it, by digest from the top on.
   *
   * @param platforms what is wanted of an index; empty for all
   */
  static Closure load(
      ImageSource source, String repository, Manifest top, List<Platform> platforms) {
    return load(
        source.name() + "/" + repository,
        digest -> source.manifest(repository, digest.toString()),
        top,
        platforms);
  }

  /**
   * @param name what the repository is called in messages
   * @param manifests gives a manifest below the top
   */
  static Closure load(
      String name, Function<Digest, Manifest> manifests, Manifest top, List<Platform> platforms) {
    Reader reader = new Reader(name, manifests, platforms);
    reader.descend(top, 0);
    return new Closure(
        top,
        List.copyOf(reader.manifests.values()),
        List.copyOf(reader.blobs.values()),
        reader.sparse);
  }

  /** Whether a child of an index is wanted. Children without a platform always are. */
  static boolean isWanted(Descriptor child, List<Platform> platforms) {
    Platform platform = child.platform();
    return platforms.isEmpty()
        || platform == null
        || platform.os().equals("unknown")
        || platforms.stream().anyMatch(platform::satisfies);
  }

  long bytes() {
    return top.size()
        + below.stream().mapToLong(Manifest::size).sum()
        + blobs.stream().mapToLong(Descriptor::size).sum();
  }

  /** The platforms that are copied, sorted; empty when the top is a single image. */
  List<String> platforms(List<Platform> wanted) {
    TreeSet<String> names = new TreeSet<>();
    for (Descriptor child : top.children()) {
      if (child.platform() != null && isWanted(child, wanted)) {
        names.add(child.platform().toString());
      }
    }
    return List.copyOf(names);
  }

  private static final class Reader {
    private final String name;
    private final Function<Digest, Manifest> fetch;
    private final List<Platform> platforms;
    private final Map<Digest, Manifest> manifests = new LinkedHashMap<>();
    private final Map<Digest, Descriptor> blobs = new LinkedHashMap<>();
    private boolean sparse;

    Reader(String name, Function<Digest, Manifest> fetch, List<Platform> platforms) {
      this.name = name;
      this.fetch = fetch;
      this.platforms = platforms;
    }

    void descend(Manifest manifest, int depth) {
      if (depth > MAX_DEPTH || manifests.size() > MAX_MANIFESTS) {
        throw new RegistryException(
            Reason.TooLarge,
            name + "@" + manifest.digest(),
            "indexes are nested deeper than " + MAX_DEPTH + ", or have too many manifests");
      }
      for (Descriptor blob : manifest.blobs()) {
        Descriptor known = blobs.putIfAbsent(blob.digest(), blob);
        if (known != null && known.size() != blob.size()) {
          throw new RegistryException(
              Reason.MalformedResponse,
              name + "@" + blob.digest(),
              "one blob is said to have two sizes");
        }
      }
      for (Descriptor child : manifest.children()) {
        if (!isWanted(child, platforms)) {
          sparse = true;
          continue;
        }
        if (child.isManifest() && !manifests.containsKey(child.digest())) {
          Manifest below = fetch.apply(child.digest());
          if (below.size() != child.size()) {
            throw new RegistryException(
                Reason.DigestMismatch,
                name + "@" + child.digest(),
                "has " + below.size() + " bytes, the index says " + child.size());
          }
          descend(below, depth + 1);
          manifests.put(below.digest(), below);
        } else if (!child.isManifest()) {
          // An index may list blobs that are no manifests.
          blobs.putIfAbsent(child.digest(), child);
        }
      }
    }
  }
}
