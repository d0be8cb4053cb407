package io.kubic.mirrors.bundle;

import io.kubic.mirrors.oci.CountedStream;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageSource;
import io.kubic.mirrors.oci.Listing;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.io.InputStream;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.LongConsumer;

/** What a bundle has of one registry, as the registry would serve it. */
final class BundleSource implements ImageSource {
  private final BundleDirectory directory;
  private final String registry;
  private final LongConsumer count;
  private final Map<String, BundleImage> images = new TreeMap<>();

  /**
   * @param count told the bytes of blobs as they are read
   */
  BundleSource(BundleDirectory directory, String registry, LongConsumer count) {
    this.count = count;
    this.directory = directory;
    this.registry = registry;
    for (BundleImage image : directory.bundle().images()) {
      if (image.parsed().registry().equals(registry)) {
        images.put(image.name(), image);
      }
    }
  }

  @Override
  public String name() {
    return registry;
  }

  private String key(String repository, String identifier) {
    boolean digest = Digest.tryParse(identifier).isPresent();
    return registry + "/" + repository + (digest ? "@" : ":") + identifier;
  }

  @Override
  public Optional<Descriptor> resolve(String repository, String identifier) {
    BundleImage image = images.get(key(repository, identifier));
    if (image != null) {
      return Optional.of(image.descriptor());
    }
    return Digest.tryParse(identifier)
        .filter(directory::has)
        .map(digest -> manifest(repository, identifier).descriptor());
  }

  @Override
  public Manifest manifest(String repository, String identifier) {
    String object = key(repository, identifier);
    BundleImage image = images.get(object);
    Digest digest =
        image != null
            ? image.digest()
            : Digest.tryParse(identifier)
                .orElseThrow(
                    () -> new RegistryException(Reason.NotFound, object, "is not in the bundle"));
    return Manifest.parse(
        directory.read(digest, Manifest.MAX_BYTES),
        image == null ? null : image.mediaType(),
        object,
        digest);
  }

  @Override
  public InputStream blob(String repository, Descriptor blob, long offset) {
    return new CountedStream(directory.open(blob, offset), count);
  }

  @Override
  public Listing tags(String repository) {
    String prefix = registry + "/" + repository + ":";
    return new Listing(
        images.keySet().stream()
            .filter(name -> name.startsWith(prefix))
            .map(name -> name.substring(prefix.length()))
            .toList(),
        List.of());
  }

  @Override
  public Optional<List<Descriptor>> referrers(String repository, Digest subject) {
    String prefix = registry + "/" + repository + "@";
    return Optional.of(
        images.values().stream()
            .filter(image -> image.name().startsWith(prefix))
            .filter(
                image ->
                    manifest(repository, image.digest().toString())
                        .subject()
                        .filter(of -> of.digest().equals(subject))
                        .isPresent())
            .map(BundleImage::descriptor)
            .toList());
  }
}
