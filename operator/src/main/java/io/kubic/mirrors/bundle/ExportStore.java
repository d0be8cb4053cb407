package io.kubic.mirrors.bundle;

import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageSource;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.Listing;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.Repository;
import io.kubic.mirrors.oci.layout.LayoutStore;
import io.kubic.mirrors.sync.Planner;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The target of an export: the layout that is being filled, and behind it what a receipt says that
 * the far side has. Blobs that are there are not carried; manifests are, since they are small and
 * tell what an image needs.
 */
final class ExportStore implements ImageStore {
  private final LayoutStore layout;
  private final Function<String, ImageSource> registries;
  private final Map<Digest, String> held;
  private final Map<String, Receipt.Held> images = new HashMap<>();
  private final Map<String, Repository> places = new HashMap<>();
  private final Map<String, List<Receipt.Held>> referrers = new HashMap<>();

  /**
   * @param base what the far side has; null for nothing
   * @param registries the source of a registry, for manifests that only the far side has
   */
  ExportStore(
      LayoutStore layout, @Nullable Receipt base, Function<String, ImageSource> registries) {
    this.layout = layout;
    this.registries = registries;
    this.held = base == null ? Map.of() : base.homes();
    if (base != null) {
      for (Receipt.Held image : base.images()) {
        Repository repository = image.image().parsed();
        String place = place(repository);
        places.put(place, repository);
        images.put(key(place, image.tag(), image.digest()), image);
        if (image.tag() == null) {
          referrers.computeIfAbsent(place, p -> new ArrayList<>()).add(image);
        }
      }
    }
  }

  /** Where a repository lies in the bundle while it is filled. */
  static String place(Repository repository) {
    return Planner.targetRepository(MirrorListSpec.Layout.Scoped, repository);
  }

  static String key(String place, @Nullable String tag, Digest digest) {
    return BundleImage.name(place, tag, digest);
  }

  /** A repository at the far side, as named at the source, that has a blob; null for none. */
  @Nullable String home(Digest digest) {
    return held.get(digest);
  }

  /** Whether an image is at the far side already, under the same name. */
  boolean isHeld(Repository repository, @Nullable String tag, Digest digest) {
    Receipt.Held image = images.get(key(place(repository), tag, digest));
    return image != null && image.digest().equals(digest);
  }

  private Receipt.@Nullable Held find(String repository, String identifier) {
    boolean digest = Digest.tryParse(identifier).isPresent();
    return images.get(repository + (digest ? "@" : ":") + identifier);
  }

  @Override
  public String name() {
    return layout.name();
  }

  @Override
  public Optional<Descriptor> resolve(String repository, String identifier) {
    Optional<Descriptor> carried = layout.resolve(repository, identifier);
    if (carried.isPresent()) {
      return carried;
    }
    Receipt.Held image = find(repository, identifier);
    if (image != null) {
      return Optional.of(image.image().descriptor());
    }
    Repository at = places.get(repository);
    Optional<Digest> digest = Digest.tryParse(identifier).filter(held::containsKey);
    return at == null || digest.isEmpty()
        ? Optional.empty()
        : registries.apply(at.registry()).resolve(at.path(), identifier);
  }

  @Override
  public Manifest manifest(String repository, String identifier) {
    Repository at = places.get(repository);
    Receipt.Held image = find(repository, identifier);
    if (at == null || layout.resolve(repository, identifier).isPresent()) {
      return layout.manifest(repository, identifier);
    }
    return registries
        .apply(at.registry())
        .manifest(at.path(), image == null ? identifier : image.digest().toString());
  }

  @Override
  public InputStream blob(String repository, Descriptor blob, long offset) {
    return layout.blob(repository, blob, offset);
  }

  @Override
  public Listing tags(String repository) {
    return layout.tags(repository);
  }

  /**
   * Of what only the far side has, nobody knows here what it is attached to; that it is there, and
   * was attached by the import, is enough.
   */
  @Override
  public Optional<List<Descriptor>> referrers(String repository, Digest subject) {
    List<Descriptor> all = new ArrayList<>(layout.referrers(repository, subject).orElse(List.of()));
    for (Receipt.Held image : referrers.getOrDefault(repository, List.of())) {
      all.add(image.image().descriptor());
    }
    return Optional.of(all);
  }

  @Override
  public BlobWrite putBlob(
      String repository, Descriptor blob, @Nullable String mountFrom, BlobContent content) {
    return held.containsKey(blob.digest())
        ? BlobWrite.PRESENT
        : layout.putBlob(repository, blob, mountFrom, content);
  }

  @Override
  public void putManifest(String repository, Manifest manifest, @Nullable String tag) {
    layout.putManifest(repository, manifest, tag);
  }

  @Override
  public boolean delete(String repository, String identifier) {
    return layout.delete(repository, identifier);
  }
}
