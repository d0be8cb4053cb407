package io.kubic.mirrors.bundle;

import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.layout.BlobDirectory;
import io.kubic.mirrors.oci.layout.Blobs;
import io.kubic.mirrors.oci.layout.Disk;
import io.kubic.mirrors.oci.layout.LayoutIndex;
import io.kubic.mirrors.oci.layout.PlainFile;
import io.kubic.mirrors.oci.layout.StoredFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Supplier;

/**
 * Completes a bundle whose blobs are all there. Every step may be the last one of a run, and is
 * done again by the next: the checksums get their name after everything else, and with them the
 * directory becomes a bundle.
 */
final class BundleWriter {
  /** The checksums before they count. */
  private static final String UNCOMMITTED = "SHA256SUMS.new";

  /** What a small file may cost besides its content, in bytes: its line in the checksums. */
  private static final long PER_FILE = 512;

  private static final int PER_VOLUME = 8;

  private final Path root;
  private final Path partial;
  private final Path done;
  private final Blobs blobs;
  private final Export.Order order;
  private final Disk disk;

  /**
   * @param blobs of the bundle; in the same directory if it is to have volumes
   */
  BundleWriter(Path root, Blobs blobs, Export.Order order, Disk disk) {
    this.root = root;
    this.blobs = blobs;
    this.partial = root.resolve(BundleDirectory.PARTIAL);
    this.done = root.resolve(".done");
    this.order = order;
    this.disk = disk;
  }

  /** A bundle that is complete. */
  record Done(Bundle bundle, Digest checksum) {}

  /** The bundle that is there, if it is complete but for its last steps, which are then done. */
  Optional<Done> committed() {
    if (PlainFile.isDirectory(partial)) {
      return Optional.empty();
    }
    List<Path> volumes = volumes();
    if (volumes.isEmpty()) {
      return Optional.empty();
    }
    return Optional.of(commit(volumes));
  }

  private List<Path> volumes() {
    if (exists(root.resolve(Checksums.FILE)) || exists(root.resolve(UNCOMMITTED))) {
      return List.of(root);
    }
    List<Path> volumes = new ArrayList<>();
    for (int i = 1; PlainFile.isDirectory(root.resolve(BundleDirectory.volumeName(i))); i++) {
      volumes.add(root.resolve(BundleDirectory.volumeName(i)));
    }
    return volumes;
  }

  private static boolean exists(Path path) {
    return Files.exists(path, LinkOption.NOFOLLOW_LINKS);
  }

  /** Gives the checksums their name; the first volume comes last. */
  private Done commit(List<Path> volumes) {
    disk.removeAll(done);
    for (Path volume : volumes.reversed()) {
      Path file = volume.resolve(UNCOMMITTED);
      if (exists(file)) {
        disk.rename(file, volume.resolve(Checksums.FILE));
        disk.syncNames(volume);
      }
    }
    try {
      Path first = volumes.getFirst();
      Path json = first.resolve(BundleDirectory.BUNDLE);
      return new Done(
          Json.read(PlainFile.of(json).read(Bundle.MAX_BYTES), Bundle.class, json.toString()),
          Digest.of(PlainFile.of(first.resolve(Checksums.FILE)).read(Checksums.MAX_BYTES)));
    } catch (RegistryException e) {
      throw new RefusedException(e);
    }
  }

  /**
   * Writes what makes the directory a bundle.
   *
   * @return what it has become
   */
  Done finish(Bundle sealed) {
    List<Path> volumes = order.volumeSize() == 0 ? List.of(whole(sealed)) : split(sealed);
    // From here on nothing is begun again: what is left is to give the checksums their name.
    disk.rename(partial, done);
    disk.syncNames(root);
    return commit(volumes);
  }

  private Path whole(Bundle sealed) {
    Map<String, Digest> sums = new TreeMap<>();
    for (Digest digest : blobs.list()) {
      sums.put(BlobDirectory.nameOf(digest), checksum(digest, () -> blobs.file(digest)));
    }
    extras(root, sums);
    load(sealed, sums);
    describe(root, sealed, sums);
    return root;
  }

  private List<Path> split(Bundle sealed) {
    Volumes packed = packed(sealed);
    int count = packed.volumes().size();
    Bundle bundle = sealed.inVolumes(count, packed.parts());
    List<Path> roots = new ArrayList<>();
    for (int i = 1; i <= count; i++) {
      Path volume = root.resolve(BundleDirectory.volumeName(i));
      disk.directory(volume);
      Map<String, Digest> sums = new TreeMap<>();
      for (Volumes.Piece piece : packed.volumes().get(i - 1)) {
        sums.put(piece.name(), place(piece, volume));
      }
      if (count > 1) {
        small(
            volume,
            BundleDirectory.VOLUME,
            Json.bytes(new BundleDirectory.Position(bundle.id(), i, count)),
            sums);
      }
      if (i == 1) {
        extras(volume, sums);
      }
      describe(volume, bundle, sums);
      roots.add(volume);
    }
    disk.removeAll(root.resolve("blobs"));
    return roots;
  }

  /** What goes where is decided once, while all blobs still lie together. */
  private Volumes packed(Bundle sealed) {
    Path file = partial.resolve("volumes.json");
    if (exists(file)) {
      return Json.read(PlainFile.of(file).read(Bundle.MAX_BYTES), Volumes.class, file.toString());
    }
    Map<Digest, Long> sizes = new TreeMap<>();
    for (Digest digest : blobs.list()) {
      sizes.put(digest, blobs.size(digest).orElseThrow());
    }
    long extras = 0;
    for (Path extra : order.extras().files().values()) {
      extras += PlainFile.of(extra).size() + PER_FILE;
    }
    for (byte[] extra : order.extras().made().values()) {
      extras += extra.length + PER_FILE;
    }
    long large = sizes.values().stream().filter(size -> size > order.volumeSize() / 2).count();
    Volumes packed =
        Volumes.pack(
            sizes,
            order.volumeSize(),
            sealed.toJson().length
                + sealed.index().toJson().length
                + PER_FILE * (PER_VOLUME + large),
            extras);
    disk.write(file, Json.bytes(packed), partial.resolve("volumes.json.new"));
    return packed;
  }

  /** Moves a blob, or copies a part of one. */
  private Digest place(Volumes.Piece piece, Path volume) {
    Path from = root.resolve(BlobDirectory.nameOf(piece.digest()));
    Path to = volume.resolve(piece.name());
    Path parent = to.getParent();
    if (parent != null) {
      disk.directory(parent);
    }
    if (piece.part() == 0) {
      if (!exists(to)) {
        disk.rename(from, to);
      }
      return checksum(piece.digest(), () -> PlainFile.of(to));
    }
    if (exists(to)) {
      MessageDigest hash = Digest.Algorithm.SHA256.start();
      PlainFile.of(to).hash(hash);
      return Digest.finish(Digest.Algorithm.SHA256, hash);
    }
    return disk.copy(from, piece.offset(), piece.length(), to, partial.resolve("part"));
  }

  private void extras(Path volume, Map<String, Digest> sums) {
    order
        .extras()
        .files()
        .forEach(
            (name, from) -> {
              Path to = parented(volume, BundleDirectory.EXTRAS + name);
              long size = PlainFile.of(from).size();
              sums.put(
                  BundleDirectory.EXTRAS + name,
                  disk.copy(from, 0, size, to, partial.resolve("extra")));
            });
    order
        .extras()
        .made()
        .forEach((name, bytes) -> small(volume, BundleDirectory.EXTRAS + name, bytes, sums));
  }

  /** What a runtime's own tool needs to load some of the images, and no others. */
  private void load(Bundle bundle, Map<String, Digest> sums) {
    List<LayoutIndex.Entry> entries = new ArrayList<>();
    Set<String> files = new TreeSet<>(Set.of(BundleDirectory.LAYOUT));
    for (BundleImage image : bundle.images()) {
      boolean wanted =
          order.extras().loads().stream()
              .anyMatch(
                  load ->
                      load.repository().equals(image.parsed())
                          && (load.tag() != null
                              ? load.tag().equals(image.tag())
                              : image.digest().equals(load.digest())));
      if (wanted) {
        entries.add(new LayoutIndex.Entry(image.name(), image.descriptor()));
        closure(image.descriptor(), files);
      }
    }
    if (!entries.isEmpty()) {
      small(root, Extras.LOAD_INDEX, new LayoutIndex(entries).toJson(), sums);
      small(
          root,
          Extras.LOAD_FILES,
          (String.join("\n", files) + "\n").getBytes(StandardCharsets.US_ASCII),
          sums);
    }
  }

  private void closure(Descriptor top, Set<String> files) {
    if (!blobs.has(top) || !files.add(BlobDirectory.nameOf(top.digest())) || !top.isManifest()) {
      return;
    }
    Manifest manifest =
        Manifest.parse(
            blobs.file(top.digest()).read(Manifest.MAX_BYTES),
            top.mediaType(),
            top.digest().toString(),
            top.digest());
    manifest.blobs().forEach(blob -> closure(blob, files));
    manifest.children().forEach(child -> closure(child, files));
  }

  /** Everything of a volume but its blobs. */
  private void describe(Path volume, Bundle bundle, Map<String, Digest> blobs) {
    Map<String, Digest> sums = new HashMap<>(blobs);
    small(
        volume,
        BundleDirectory.LAYOUT,
        LayoutIndex.LAYOUT.getBytes(StandardCharsets.US_ASCII),
        sums);
    small(volume, BundleDirectory.INDEX, bundle.index().toJson(), sums);
    small(volume, BundleDirectory.BUNDLE, bundle.toJson(), sums);
    byte[] checksums = Checksums.of(sums).toBytes();
    if (order.key() != null) {
      disk.write(
          volume.resolve(Checksums.SIGNATURE),
          order.key().sign(checksums).getBytes(StandardCharsets.US_ASCII),
          partial.resolve(Checksums.SIGNATURE));
    }
    disk.write(volume.resolve(UNCOMMITTED), checksums, partial.resolve(UNCOMMITTED));
    for (Digest.Algorithm algorithm : Digest.Algorithm.values()) {
      Path names = volume.resolve("blobs").resolve(algorithm.id());
      if (PlainFile.isDirectory(names)) {
        disk.syncNames(names);
      }
    }
    disk.syncNames(volume);
  }

  private void small(Path volume, String name, byte[] bytes, Map<String, Digest> sums) {
    disk.write(parented(volume, name), bytes, partial.resolve("small"));
    sums.put(name, Digest.of(bytes));
  }

  private Path parented(Path volume, String name) {
    Path file = volume.resolve(name);
    Path parent = file.getParent();
    if (parent != null) {
      disk.directory(parent);
    }
    return file;
  }

  /** The sha256 of a blob: its name, mostly. */
  private static Digest checksum(Digest name, Supplier<StoredFile> file) {
    if (name.algorithm() == Digest.Algorithm.SHA256) {
      return name;
    }
    MessageDigest hash = Digest.Algorithm.SHA256.start();
    file.get().hash(hash);
    return Digest.finish(Digest.Algorithm.SHA256, hash);
  }
}
