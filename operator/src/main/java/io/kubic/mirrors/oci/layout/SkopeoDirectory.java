package io.kubic.mirrors.oci.layout;

import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageSource;
import io.kubic.mirrors.oci.Listing;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Repository;
import io.kubic.mirrors.oci.Shown;
import io.kubic.mirrors.oci.Tag;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * What {@code skopeo sync --dest dir} wrote: below a root, one directory for each image, named
 * {@code [host/]path:tag} or {@code [host/]path@digest}, with {@code manifest.json}, {@code
 * <hex>.manifest.json} for each child of an index, and blobs named by the hex of their sha256
 * (containers/image, directory transport 1.1). Every image has blobs of its own.
 */
public final class SkopeoDirectory {
  /** The file that says which layout it is, and its content. */
  public static final String VERSION_FILE = "version";

  public static final String VERSION = "Directory Transport Version: 1.1\n";
  public static final String MANIFEST = "manifest.json";

  /** Stands for the registry where the directories do not name one. */
  public static final String UNSCOPED = "localhost";

  private static final int MAX_DEPTH = 64;

  private final List<Image> images;
  private final boolean scoped;

  /**
   * One image.
   *
   * @param tag null when only a digest names it
   * @param digest null when only a tag names it
   */
  public record Image(
      Repository repository, @Nullable String tag, @Nullable Digest digest, Path directory) {}

  private SkopeoDirectory(List<Image> images, boolean scoped) {
    this.images = List.copyOf(images);
    this.scoped = scoped;
  }

  /**
   * Looks for images.
   *
   * @throws RegistryException MalformedResponse when there are links, or names that are none;
   *     NotFound when there is no image
   */
  public static SkopeoDirectory open(Path root) {
    Map<String, Path> found = new TreeMap<>();
    walk(root, "", found, 0);
    if (found.isEmpty()) {
      throw new RegistryException(
          Reason.NotFound, root.toString(), "holds neither a bundle nor images of skopeo sync");
    }
    List<Image> scoped = new ArrayList<>();
    List<Image> others = new ArrayList<>();
    found.forEach(
        (name, directory) -> {
          int slash = name.indexOf('/');
          String first = slash < 0 ? "" : name.substring(0, slash);
          boolean host =
              (first.indexOf('.') >= 0 || first.indexOf(':') >= 0 || first.equals(UNSCOPED))
                  && Repository.isRegistry(first);
          try {
            (host ? scoped : others)
                .add(
                    host
                        ? image(first, name.substring(slash + 1), directory)
                        : image(UNSCOPED, name, directory));
          } catch (IllegalArgumentException e) {
            throw new RegistryException(
                Reason.MalformedResponse,
                Shown.of(directory.toString()),
                "is not named like an image: " + e.getMessage());
          }
        });
    if (!scoped.isEmpty() && !others.isEmpty()) {
      throw new RegistryException(
          Reason.MalformedResponse,
          root.toString(),
          "mixes images with and without a host in their names; take the one that skopeo's --dest"
              + " named");
    }
    return new SkopeoDirectory(scoped.isEmpty() ? others : scoped, !scoped.isEmpty());
  }

  private static Image image(String host, String name, Path directory) {
    int at = name.indexOf('@');
    if (at >= 0) {
      return new Image(
          new Repository(host, name.substring(0, at)),
          null,
          Digest.parse(name.substring(at + 1)),
          directory);
    }
    int colon = name.lastIndexOf(':');
    if (colon < name.lastIndexOf('/')) {
      throw new IllegalArgumentException("it has no tag");
    }
    return new Image(
        new Repository(host, name.substring(0, colon)),
        Tag.require(name.substring(colon + 1)),
        null,
        directory);
  }

  private static void walk(Path directory, String name, Map<String, Path> found, int depth) {
    if (depth > MAX_DEPTH) {
      throw new RegistryException(
          Reason.MalformedResponse, directory.toString(), "is nested too deep");
    }
    if (!PlainFile.isDirectory(directory)) {
      throw new RegistryException(
          Reason.MalformedResponse, Shown.of(directory.toString()), "is no directory of images");
    }
    if (!name.isEmpty() && Files.exists(directory.resolve(MANIFEST), LinkOption.NOFOLLOW_LINKS)) {
      found.put(name, directory);
      return;
    }
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(directory)) {
      for (Path entry : entries) {
        if (Files.isSymbolicLink(entry)) {
          throw new RegistryException(
              Reason.MalformedResponse, Shown.of(entry.toString()), "is a symbolic link");
        }
        if (PlainFile.isDirectory(entry)) {
          walk(entry, (name.isEmpty() ? "" : name + "/") + entry.getFileName(), found, depth + 1);
        }
      }
    } catch (IOException | DirectoryIteratorException e) {
      throw new RegistryException(
          Reason.ServerError, Shown.of(directory.toString()), "cannot be read", e);
    }
  }

  /** Sorted by name. */
  public List<Image> images() {
    return images;
  }

  /** Whether the names have their registry: skopeo's {@code --scoped}. */
  public boolean isScoped() {
    return scoped;
  }

  /** Repositories of a registry. */
  public Listing repositories(String registry) {
    TreeSet<String> names = new TreeSet<>();
    images.stream()
        .filter(image -> image.repository().registry().equals(registry))
        .forEach(image -> names.add(image.repository().path()));
    return new Listing(List.copyOf(names), List.of());
  }

  /** What there is of one registry, as the registry would serve it. */
  public ImageSource source(String registry) {
    return new Source(registry);
  }

  private final class Source implements ImageSource {
    private final String registry;

    Source(String registry) {
      this.registry = registry;
    }

    private List<Image> of(String repository) {
      Repository wanted = new Repository(registry, repository);
      return images.stream().filter(image -> image.repository().equals(wanted)).toList();
    }

    private String object(String repository, String identifier) {
      return registry + "/" + repository + (Tag.isValid(identifier) ? ":" : "@") + identifier;
    }

    @Override
    public String name() {
      return registry;
    }

    @Override
    public Optional<Descriptor> resolve(String repository, String identifier) {
      return find(repository, identifier).map(Manifest::descriptor);
    }

    @Override
    public Manifest manifest(String repository, String identifier) {
      return find(repository, identifier)
          .orElseThrow(
              () ->
                  new RegistryException(
                      Reason.NotFound, object(repository, identifier), "is not on the disk"));
    }

    private Optional<Manifest> find(String repository, String identifier) {
      String object = object(repository, identifier);
      Optional<Digest> digest = Digest.tryParse(identifier);
      for (Image image : of(repository)) {
        Path top = image.directory().resolve(MANIFEST);
        if (digest.isEmpty()) {
          if (identifier.equals(image.tag())) {
            return Optional.of(
                Manifest.parse(PlainFile.of(top).read(Manifest.MAX_BYTES), null, object));
          }
          continue;
        }
        Path child = image.directory().resolve(digest.get().hex() + "." + MANIFEST);
        for (Path candidate : List.of(top, child)) {
          if (Files.exists(candidate, LinkOption.NOFOLLOW_LINKS)) {
            byte[] bytes = PlainFile.of(candidate).read(Manifest.MAX_BYTES);
            if (digest.get().same(bytes).equals(digest.get())) {
              return Optional.of(Manifest.parse(bytes, null, object, digest.get()));
            }
          }
        }
      }
      return Optional.empty();
    }

    @Override
    public InputStream blob(String repository, Descriptor blob, long offset) {
      String name =
          blob.digest().algorithm() == Digest.Algorithm.SHA256
              ? blob.digest().hex()
              : blob.digest().algorithm().id() + "-" + blob.digest().hex();
      for (Image image : of(repository)) {
        Path file = image.directory().resolve(name);
        if (Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
          PlainFile plain = PlainFile.of(file);
          if (plain.size() != blob.size()) {
            throw new RegistryException(
                Reason.DigestMismatch,
                file.toString(),
                "has " + plain.size() + " bytes, expected " + blob.size());
          }
          return plain.open(offset);
        }
      }
      throw new RegistryException(
          Reason.NotFound, object(repository, blob.digest().toString()), "is not on the disk");
    }

    @Override
    public Listing tags(String repository) {
      List<String> tags = new ArrayList<>();
      for (Image image : of(repository)) {
        if (image.tag() != null) {
          tags.add(image.tag());
        }
      }
      return new Listing(tags, List.of());
    }

    @Override
    public Optional<List<Descriptor>> referrers(String repository, Digest subject) {
      return Optional.empty();
    }
  }
}
