package io.kubic.mirrors.sync;

import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.oci.Platform;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * What a target has of the images that a plan is about, each question asked once. For one plan;
 * safe for threads.
 */
final class Holdings {
  private final ImageStore target;
  private final Planner.Depth depth;
  private final Attachments attachments;

  /** The tags of repositories, where they stand for what they name. */
  private final Map<String, Set<String>> listed = new ConcurrentHashMap<>();

  /** Whether a place was found to hold a blob. */
  private final Map<String, Boolean> held = new ConcurrentHashMap<>();

  /** What there is under an image's name; for one thread. */
  static final class There {
    private final Descriptor descriptor;
    private final @Nullable Closure closure;
    private @Nullable Manifest manifest;

    private There(Descriptor descriptor, @Nullable Closure closure, @Nullable Manifest manifest) {
      this.descriptor = descriptor;
      this.closure = closure;
      this.manifest = manifest;
    }

    /** Of which no more is known, or needed. */
    static There of(Descriptor descriptor) {
      return new There(descriptor, null, null);
    }

    Descriptor descriptor() {
      return descriptor;
    }

    /** What it consists of, if that was asked for and all is there. */
    @Nullable Closure closure() {
      return closure;
    }
  }

  /** Its manifest, which is read once. */
  Manifest manifest(String repository, There there) {
    Manifest known = there.manifest;
    if (known == null) {
      known = target.manifest(repository, there.descriptor.digest().toString());
      there.manifest = known;
    }
    return known;
  }

  ImageStore target() {
    return target;
  }

  /**
   * @param depth how much is looked at
   */
  Holdings(ImageStore target, Planner.Depth depth) {
    this.target = target;
    this.depth = depth;
    this.attachments = new Attachments(target);
  }

  Attachments attachments() {
    return attachments;
  }

  /** Whether a tag is among those that its repository lists; not if it cannot be listed. */
  boolean lists(String repository, String tag) {
    return listed.computeIfAbsent(repository, this::tags).contains(tag);
  }

  private Set<String> tags(String repository) {
    try {
      return Set.copyOf(target.tags(repository).names());
    } catch (RegistryException e) {
      if (e.reason() == Reason.Cancelled) {
        throw e;
      }
      return Set.of(); // Each tag is asked for, and tells what is the matter.
    }
  }

  /**
   * What there is under a name; null for nothing.
   *
   * @param platforms those of an index that matter; empty for all
   */
  @Nullable There find(String repository, String name, List<Platform> platforms) {
    if (depth != Planner.Depth.SIZES) {
      return target.resolve(repository, name).map(There::of).orElse(null);
    }
    Manifest top = target.findManifest(repository, name).orElse(null);
    if (top == null) {
      return null;
    }
    try {
      return new There(top.descriptor(), Closure.load(target, repository, top, platforms), top);
    } catch (RegistryException e) {
      if (e.reason() == Reason.NotFound) {
        return new There(top.descriptor(), null, top);
      }
      throw e;
    }
  }

  /**
   * Whether what is wanted of an index is there, at any depth. Without a filter it is, unless there
   * was one when it was put there.
   *
   * @param mayBePart whether there was; asked when it matters
   */
  boolean isWhole(
      String repository,
      String name,
      There there,
      List<Platform> platforms,
      BooleanSupplier mayBePart) {
    if (depth == Planner.Depth.SIZES) {
      return there.closure() != null;
    }
    if (depth == Planner.Depth.CONTENT) {
      return holdsAll(repository, name, platforms);
    }
    if (!MediaTypes.isIndex(there.descriptor().mediaType())
        || platforms.isEmpty() && !mayBePart.getAsBoolean()) {
      return true;
    }
    return holdsBelow(repository, manifest(repository, there), platforms, new HashSet<>(), 0);
  }

  /**
   * @param seen manifests that need not be looked at again
   */
  private boolean holdsBelow(
      String repository, Manifest index, List<Platform> platforms, Set<Digest> seen, int depth) {
    if (depth > Closure.MAX_DEPTH) {
      return false; // Whoever copies it says why that cannot be.
    }
    for (Descriptor child : Closure.wanted(index, platforms)) {
      if (!child.isManifest() || !seen.add(child.digest())) {
        continue;
      }
      if (seen.size() > Closure.MAX_MANIFESTS
          || !holds(repository, child, platforms, seen, depth + 1)) {
        return false;
      }
    }
    return true;
  }

  private boolean holds(
      String repository, Descriptor child, List<Platform> platforms, Set<Digest> seen, int depth) {
    String digest = child.digest().toString();
    if (!MediaTypes.isIndex(child.mediaType())) {
      return target.resolve(repository, digest).isPresent();
    }
    return target
        .findManifest(repository, digest)
        .filter(nested -> holdsBelow(repository, nested, platforms, seen, depth))
        .isPresent();
  }

  private boolean holdsAll(String repository, String name, List<Platform> platforms) {
    try {
      Manifest top = target.manifest(repository, name);
      return Closure.load(target, repository, top, platforms).blobs().stream()
          .allMatch(
              blob ->
                  held.computeIfAbsent(
                      repository + "@" + blob.digest(), key -> target.hasBlob(repository, blob)));
    } catch (RegistryException e) {
      if (e.reason() == Reason.NotFound) {
        return false;
      }
      throw e;
    }
  }

  /** Whether a referrer that is there is also found from its subject, if it has one. */
  boolean isAttached(String repository, @Nullable Digest subject, Digest digest) {
    return subject == null || attachments.isListed(repository, subject, digest);
  }
}
