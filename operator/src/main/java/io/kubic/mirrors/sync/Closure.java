package io.kubic.mirrors.sync;

import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageSource;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.oci.Platform;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.util.HashMap;
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
  private static final String ATTESTED = "vnd.docker.reference.digest";

  /** How deep indexes may be nested. */
  static final int MAX_DEPTH = 8;

  /** How many manifests there may be below the top. */
  static final int MAX_MANIFESTS = 2000;

  /** How many bytes these may have together, 32 MiB: they are in memory while they are copied. */
  private static final long MAX_BYTES = 32L << 20;

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

  /**
   * The children of an index that are wanted, in its order: those of a wanted platform, those that
   * say none, and an attestation exactly when its image is wanted. BuildKit writes attestations as
   * children of platform {@code unknown/unknown} and names their image in an annotation.
   */
  static List<Descriptor> wanted(Manifest index, List<Platform> platforms) {
    List<Descriptor> children = index.children();
    if (platforms.isEmpty()) {
      return children;
    }
    Map<String, Boolean> images = new HashMap<>();
    for (Descriptor child : children) {
      Platform platform = child.platform();
      if (platform != null && !isAttestation(child)) {
        // One manifest may stand there for several platforms.
        images.merge(
            child.digest().toString(),
            platforms.stream().anyMatch(platform::satisfies),
            Boolean::logicalOr);
      }
    }
    return children.stream()
        .filter(
            child ->
                isAttestation(child)
                    ? images.getOrDefault(child.annotations().get(ATTESTED), true)
                    : images.getOrDefault(child.digest().toString(), true))
        .toList();
  }

  private static boolean isAttestation(Descriptor child) {
    return child.annotations().containsKey(ATTESTED)
        && (child.platform() == null || child.platform().os().equals("unknown"));
  }

  /** Every manifest and blob with its size. */
  Map<Digest, Long> parts() {
    Map<Digest, Long> parts = new HashMap<>();
    blobs.forEach(blob -> parts.put(blob.digest(), blob.size()));
    below.forEach(manifest -> parts.put(manifest.digest(), (long) manifest.size()));
    parts.put(top.digest(), (long) top.size());
    return parts;
  }

  long bytes() {
    return top.size()
        + below.stream().mapToLong(Manifest::size).sum()
        + blobs.stream().mapToLong(Descriptor::size).sum();
  }

  /** The platforms that are copied, sorted; empty when the top is a single image. */
  List<String> platforms(List<Platform> wanted) {
    TreeSet<String> names = new TreeSet<>();
    for (Descriptor child : wanted(top, wanted)) {
      if (child.platform() != null && !child.platform().os().equals("unknown")) {
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

    /** Of the manifests below those that were read, as these say. */
    private long bytes;

    Reader(String name, Function<Digest, Manifest> fetch, List<Platform> platforms) {
      this.name = name;
      this.fetch = fetch;
      this.platforms = platforms;
    }

    void descend(Manifest manifest, int depth) {
      List<Descriptor> wanted = wanted(manifest, platforms);
      // Before the first of them is asked for: a lie of some MiB must not become many requests.
      if (depth > MAX_DEPTH || manifests.size() + wanted.size() > MAX_MANIFESTS) {
        throw new RegistryException(
            Reason.TooLarge,
            name + "@" + manifest.digest(),
            "indexes are nested deeper than "
                + MAX_DEPTH
                + ", or have more than "
                + MAX_MANIFESTS
                + " manifests");
      }
      for (Descriptor child : wanted) {
        bytes += child.isManifest() ? Math.min(child.size(), MAX_BYTES + 1) : 0;
      }
      if (bytes > MAX_BYTES) {
        throw new RegistryException(
            Reason.TooLarge,
            name + "@" + manifest.digest(),
            "the manifests of the index have more than 32 MiB");
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
      sparse |= wanted.size() < manifest.children().size();
      for (Descriptor child : wanted) {
        if (MediaTypes.isDockerSchema1(child.mediaType())) {
          throw new RegistryException(
              Reason.UnsupportedMediaType,
              name + "@" + child.digest(),
              "is in Docker's schema 1 format, which current registries refuse; the list "
                  + manifest.digest()
                  + " names it");
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
