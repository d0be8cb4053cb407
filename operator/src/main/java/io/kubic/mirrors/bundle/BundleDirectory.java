package io.kubic.mirrors.bundle;

import com.fasterxml.jackson.annotation.JsonInclude;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.layout.BlobDirectory;
import io.kubic.mirrors.oci.layout.LayoutIndex;
import io.kubic.mirrors.oci.layout.PlainFile;
import java.io.IOException;
import java.io.InputStream;
import java.io.SequenceInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * A bundle as it lies on a medium, opened: its signature is verified, its files are exactly those
 * that its checksums name, and its small files are hashed. Blobs are hashed by who reads them.
 */
public final class BundleDirectory {
  static final String BUNDLE = "bundle.json";
  static final String INDEX = "index.json";
  static final String LAYOUT = "oci-layout";
  static final String VOLUME = "volume.json";
  static final String EXTRAS = "extras/";
  static final String PARTIAL = ".partial";
  static final String VOLUME_PREFIX = "volume-";
  static final String PART = ".part-";

  private static final long MAX_SMALL = 64L << 10;

  private final Bundle bundle;
  private final Digest checksum;
  private final Signed signed;
  private final List<Volume> volumes;
  private final Map<Digest, List<PlainFile>> blobs;

  /** Whether there is a signature, and whose. */
  public enum Signed {
    /** By the key that was given. */
    Verified,
    /** There is one, and no key to verify it with. */
    Unverified,
    /** There is none. */
    No
  }

  /** The file volume.json. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  record Position(Digest bundle, int volume, int of) {
    Position {
      if (bundle == null) {
        throw new IllegalArgumentException("bundle is missing");
      }
    }
  }

  private record Volume(Path root, Checksums sums, Digest checksum, boolean signature) {}

  private BundleDirectory(
      Bundle bundle,
      Digest checksum,
      Signed signed,
      List<Volume> volumes,
      Map<Digest, List<PlainFile>> blobs) {
    this.bundle = bundle;
    this.checksum = checksum;
    this.signed = signed;
    this.volumes = volumes;
    this.blobs = blobs;
  }

  /**
   * Opens a bundle.
   *
   * @param roots its directory, the directory that holds its volumes, or the volumes
   * @param key that must have signed it; null when nobody asks
   * @param partial whether blobs may be missing or have a wrong size
   * @throws RefusedException SignatureInvalid, MalformedResponse, NotFound or DigestMismatch
   */
  public static BundleDirectory open(
      List<Path> roots, @Nullable VerifyingKey key, boolean partial) {
    try {
      return opened(roots, key, partial);
    } catch (RegistryException e) {
      throw new RefusedException(e);
    }
  }

  private static BundleDirectory opened(
      List<Path> roots, @Nullable VerifyingKey key, boolean partial) {
    List<Volume> volumes = new ArrayList<>();
    for (Path root : expand(roots)) {
      volumes.add(volume(root, key, partial));
    }
    byte[] json = small(volumes.getFirst(), BUNDLE, Bundle.MAX_BYTES);
    for (Volume volume : volumes) {
      if (!Arrays.equals(json, small(volume, BUNDLE, Bundle.MAX_BYTES))) {
        throw new RefusedException(
            Reason.Conflict, volume.root().toString(), "is a volume of another bundle");
      }
    }
    Bundle bundle = Json.read(json, Bundle.class, volumes.getFirst().root().resolve(BUNDLE) + "");
    volumes = ordered(volumes, bundle);
    byte[] index = bundle.index().toJson();
    for (Volume volume : volumes) {
      if (!Arrays.equals(index, small(volume, INDEX, Bundle.MAX_BYTES))
          || !Arrays.equals(
              LayoutIndex.LAYOUT.getBytes(StandardCharsets.US_ASCII),
              small(volume, LAYOUT, MAX_SMALL))) {
        throw new RefusedException(
            Reason.MalformedResponse,
            volume.root().toString(),
            "index.json or oci-layout is not that of bundle.json");
      }
    }
    boolean all = volumes.stream().allMatch(Volume::signature);
    return new BundleDirectory(
        bundle,
        volumes.getFirst().checksum(),
        !all ? Signed.No : key == null ? Signed.Unverified : Signed.Verified,
        List.copyOf(volumes),
        blobs(volumes, bundle, partial));
  }

  /** Whether a directory is a bundle, or holds the volumes of one. */
  public static boolean isBundle(Path root) {
    return Files.exists(root.resolve(Checksums.FILE), java.nio.file.LinkOption.NOFOLLOW_LINKS)
        || Files.exists(root.resolve(BUNDLE), java.nio.file.LinkOption.NOFOLLOW_LINKS)
        || PlainFile.isDirectory(root.resolve(PARTIAL))
        || PlainFile.isDirectory(root.resolve(volumeName(1)));
  }

  static String volumeName(int number) {
    return VOLUME_PREFIX + padded(number);
  }

  static String padded(int number) {
    String digits = String.valueOf(number);
    return "0".repeat(4 - digits.length()) + digits;
  }

  private static List<Path> expand(List<Path> roots) {
    if (roots.size() != 1) {
      return roots;
    }
    Path root = roots.getFirst();
    if (!PlainFile.isDirectory(root)) {
      throw new RefusedException(Reason.NotFound, root.toString(), "is no directory");
    }
    if (PlainFile.isDirectory(root.resolve(PARTIAL))) {
      throw new RefusedException(
          Reason.NotFound,
          root.toString(),
          "holds an export that was interrupted; run the export again to complete it");
    }
    if (Files.exists(root.resolve(Checksums.FILE), java.nio.file.LinkOption.NOFOLLOW_LINKS)) {
      return roots;
    }
    List<Path> found = new ArrayList<>();
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(root)) {
      for (Path entry : entries) {
        String name = String.valueOf(entry.getFileName());
        if (!name.startsWith(VOLUME_PREFIX) || !PlainFile.isDirectory(entry)) {
          throw new RefusedException(
              Reason.NotFound,
              root.toString(),
              "is no complete bundle: it has no " + Checksums.FILE);
        }
        found.add(entry);
      }
    } catch (IOException e) {
      throw unreadable(root, e);
    }
    if (found.isEmpty()) {
      throw new RefusedException(Reason.NotFound, root.toString(), "holds no bundle");
    }
    Collections.sort(found);
    return found;
  }

  private static Volume volume(Path root, @Nullable VerifyingKey key, boolean partial) {
    if (!PlainFile.isDirectory(root)) {
      throw new RefusedException(Reason.NotFound, root.toString(), "is no directory");
    }
    Path file = root.resolve(Checksums.FILE);
    byte[] bytes = PlainFile.of(file).read(Checksums.MAX_BYTES);
    Path signature = root.resolve(Checksums.SIGNATURE);
    boolean signed = Files.exists(signature, java.nio.file.LinkOption.NOFOLLOW_LINKS);
    if (key != null) {
      if (!signed) {
        throw new RefusedException(
            Reason.SignatureInvalid, root.toString(), "is not signed, and a signature is required");
      }
      byte[] line = PlainFile.of(signature).read(VerifyingKey.MAX_SIGNATURE);
      if (line.length == 0 || line[line.length - 1] != '\n' || line[0] <= ' ') {
        throw new RefusedException(
            Reason.SignatureInvalid, signature.toString(), "is not one line of base64");
      }
      key.verify(bytes, line, file.toString());
    }
    Checksums sums = Checksums.parse(bytes, file.toString());
    Set<String> expected = new HashSet<>(sums.files().keySet());
    expected.add(Checksums.FILE);
    if (signed) {
      expected.add(Checksums.SIGNATURE);
    }
    Set<String> found = new TreeSet<>();
    walk(root, "", expected, found);
    Set<String> missing = new TreeSet<>(expected);
    missing.removeAll(found);
    if (partial) {
      missing.removeIf(name -> name.startsWith("blobs/"));
    }
    if (!missing.isEmpty()) {
      throw new RefusedException(
          Reason.NotFound, root.toString(), "lacks " + some(missing) + " that SHA256SUMS names");
    }
    return new Volume(root, sums, Digest.of(bytes), signed);
  }

  private static void walk(Path directory, String prefix, Set<String> expected, Set<String> found) {
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(directory)) {
      for (Path entry : entries) {
        String name = prefix + entry.getFileName();
        if (PlainFile.isDirectory(entry)) {
          String below = name + "/";
          if (expected.stream().noneMatch(e -> e.startsWith(below))) {
            throw surplus(entry);
          }
          walk(entry, below, expected, found);
          continue;
        }
        PlainFile.of(entry);
        if (!expected.contains(name)) {
          throw surplus(entry);
        }
        found.add(name);
      }
    } catch (IOException | java.nio.file.DirectoryIteratorException e) {
      throw unreadable(directory, e);
    }
  }

  private static RefusedException surplus(Path entry) {
    return new RefusedException(
        Reason.MalformedResponse,
        io.kubic.mirrors.oci.Shown.of(entry.toString()),
        "does not belong to the bundle; put nothing else into its directory");
  }

  private static RefusedException unreadable(Path path, Exception e) {
    return new RefusedException(
        Reason.ServerError, path.toString(), "cannot be read: " + e.getClass().getSimpleName());
  }

  private static byte[] small(Volume volume, String name, long limit) {
    Path path = volume.root().resolve(name);
    Digest expected = volume.sums().files().get(name);
    if (expected == null) {
      throw new RefusedException(Reason.NotFound, path.toString(), "is not in SHA256SUMS");
    }
    byte[] bytes = PlainFile.of(path).read(limit);
    if (!Digest.of(bytes).equals(expected)) {
      throw mismatch(path);
    }
    return bytes;
  }

  private static RefusedException mismatch(Path path) {
    return new RefusedException(
        Reason.DigestMismatch, path.toString(), "is not what SHA256SUMS says");
  }

  private static List<Volume> ordered(List<Volume> volumes, Bundle bundle) {
    if (bundle.volumes() == 1) {
      if (volumes.size() != 1 || volumes.getFirst().sums().files().containsKey(VOLUME)) {
        throw new RefusedException(
            Reason.Conflict, volumes.getFirst().root().toString(), "is a bundle of one volume");
      }
      return volumes;
    }
    TreeMap<Integer, Volume> byNumber = new TreeMap<>();
    for (Volume volume : volumes) {
      Path path = volume.root().resolve(VOLUME);
      Position position =
          Json.read(small(volume, VOLUME, MAX_SMALL), Position.class, path.toString());
      if (!position.bundle().equals(bundle.id())
          || position.of() != bundle.volumes()
          || position.volume() < 1
          || position.volume() > bundle.volumes()
          || byNumber.put(position.volume(), volume) != null) {
        throw new RefusedException(
            Reason.Conflict, path.toString(), "is no volume of this bundle, or is there twice");
      }
    }
    Set<String> missing = new TreeSet<>();
    for (int i = 1; i <= bundle.volumes(); i++) {
      if (!byNumber.containsKey(i)) {
        missing.add(volumeName(i));
      }
    }
    if (!missing.isEmpty()) {
      throw new RefusedException(
          Reason.NotFound,
          "bundle " + bundle.id().brief(),
          "has " + bundle.volumes() + " volumes, and lacks here " + some(missing));
    }
    return List.copyOf(byNumber.values());
  }

  private static Map<Digest, List<PlainFile>> blobs(
      List<Volume> volumes, Bundle bundle, boolean partial) {
    Map<Digest, TreeMap<Integer, PlainFile>> found = new HashMap<>();
    for (Volume volume : volumes) {
      for (String name : volume.sums().files().keySet()) {
        if (!name.startsWith("blobs/")) {
          continue;
        }
        int dot = name.indexOf(PART);
        int part = dot < 0 ? 0 : number(name.substring(dot + PART.length()));
        String whole = dot < 0 ? name : name.substring(0, dot);
        Optional<Digest> digest =
            Digest.tryParse(whole.substring("blobs/".length()).replace('/', ':'));
        if (digest.isEmpty() || part < 0 || dot >= 0 && part == 0) {
          throw new RefusedException(
              Reason.MalformedResponse, name, "is not the name of a blob or of a part of one");
        }
        Path path = volume.root().resolve(name);
        PlainFile file;
        try {
          file = PlainFile.of(path);
        } catch (RegistryException e) {
          if (partial && e.reason() == Reason.NotFound) {
            continue;
          }
          throw e;
        }
        if (found.computeIfAbsent(digest.get(), d -> new TreeMap<>()).put(part, file) != null) {
          throw new RefusedException(Reason.Conflict, name, "is in two volumes");
        }
      }
    }
    Map<Digest, List<PlainFile>> blobs = new HashMap<>();
    found.forEach(
        (digest, files) -> {
          Integer parts = bundle.parts().get(digest);
          boolean whole =
              parts == null
                  ? files.size() == 1 && files.firstKey() == 0
                  : files.size() == parts && files.firstKey() == 1 && files.lastKey().equals(parts);
          if (whole) {
            blobs.put(digest, List.copyOf(files.values()));
          } else if (!partial) {
            throw new RefusedException(
                Reason.NotFound, digest.toString(), "is split, and not all of its parts are here");
          }
        });
    return blobs;
  }

  private static int number(String digits) {
    if (digits.length() != 4 || !digits.chars().allMatch(c -> c >= '0' && c <= '9')) {
      return -1;
    }
    return Integer.parseInt(digits);
  }

  private static String some(Set<String> names) {
    int shown = 5;
    return String.join(", ", names.stream().limit(shown).toList())
        + (names.size() > shown ? " and " + (names.size() - shown) + " more" : "");
  }

  public Bundle bundle() {
    return bundle;
  }

  /** The sha256 of SHA256SUMS, of the first volume: one value for all that is in it. */
  public Digest checksum() {
    return checksum;
  }

  public Signed signed() {
    return signed;
  }

  /** Bytes of all files that SHA256SUMS names. */
  public long bytes() {
    long sum = 0;
    for (Volume volume : volumes) {
      for (String name : volume.sums().files().keySet()) {
        try {
          sum += PlainFile.of(volume.root().resolve(name)).size();
        } catch (RegistryException e) {
          // Missing: it has no bytes.
        }
      }
    }
    return sum;
  }

  Set<Digest> blobs() {
    return Collections.unmodifiableSet(blobs.keySet());
  }

  boolean has(Digest digest) {
    return blobs.containsKey(digest);
  }

  /**
   * The bytes of a blob from an offset on, not hashed.
   *
   * @throws RegistryException NotFound, or DigestMismatch when the size is wrong
   */
  InputStream open(Descriptor blob, long offset) {
    List<PlainFile> files = files(blob.digest());
    long size = files.stream().mapToLong(PlainFile::size).sum();
    if (size != blob.size()) {
      throw new RegistryException(
          Reason.DigestMismatch,
          files.getFirst().path().toString(),
          "has " + size + " bytes, expected " + blob.size());
    }
    List<InputStream> streams = new ArrayList<>();
    long skip = offset;
    for (PlainFile file : files) {
      if (skip < file.size()) {
        streams.add(file.open(skip));
        skip = 0;
      } else {
        skip -= file.size();
      }
    }
    return streams.size() == 1
        ? streams.getFirst()
        : new SequenceInputStream(Collections.enumeration(streams));
  }

  /** A blob as a whole, hashed. */
  byte[] read(Digest digest, long limit) {
    List<PlainFile> files = files(digest);
    byte[] all = new byte[0];
    for (PlainFile file : files) {
      byte[] part = file.read(limit - all.length);
      byte[] longer = Arrays.copyOf(all, all.length + part.length);
      System.arraycopy(part, 0, longer, all.length, part.length);
      all = longer;
    }
    if (!digest.same(all).equals(digest)) {
      throw new RegistryException(
          Reason.DigestMismatch,
          files.getFirst().path().toString(),
          "the content is not what its name says");
    }
    return all;
  }

  private List<PlainFile> files(Digest digest) {
    List<PlainFile> files = blobs.get(digest);
    if (files == null) {
      throw new RegistryException(
          Reason.NotFound, digest.toString(), "is neither in the bundle nor at the far side");
    }
    return files;
  }

  /**
   * Hashes files that nobody has read.
   *
   * @param read blobs that were hashed already
   * @param progress told the bytes of each file
   * @return what is not as SHA256SUMS or the name says, sorted
   */
  List<String> verify(Set<Digest> read, java.util.function.LongConsumer progress) {
    Set<String> wrong = new TreeSet<>();
    for (Volume volume : volumes) {
      volume
          .sums()
          .files()
          .forEach(
              (name, expected) -> {
                Path path = volume.root().resolve(name);
                Optional<Digest> blob =
                    name.startsWith("blobs/")
                        ? Digest.tryParse(name.substring("blobs/".length()).replace('/', ':'))
                        : Optional.empty();
                if (blob.isPresent() && read.contains(blob.get())) {
                  return;
                }
                try {
                  PlainFile file = PlainFile.of(path);
                  java.security.MessageDigest hash = Digest.Algorithm.SHA256.start();
                  file.hash(hash);
                  Digest is = Digest.finish(Digest.Algorithm.SHA256, hash);
                  boolean named =
                      blob.isEmpty()
                          || blob.get().algorithm() != Digest.Algorithm.SHA256
                          || blob.get().equals(is);
                  if (!is.equals(expected) || !named) {
                    wrong.add(path.toString());
                  }
                  progress.accept(file.size());
                } catch (RegistryException e) {
                  wrong.add(e.getMessage());
                }
              });
    }
    for (Map.Entry<Digest, List<PlainFile>> blob : blobs.entrySet()) {
      // Only whole files have their digest as name; what is joined is hashed as a whole.
      if (!read.contains(blob.getKey())
          && (blob.getValue().size() > 1 || blob.getKey().algorithm() != Digest.Algorithm.SHA256)) {
        java.security.MessageDigest hash = blob.getKey().algorithm().start();
        blob.getValue().forEach(file -> file.hash(hash));
        if (!Digest.finish(blob.getKey().algorithm(), hash).equals(blob.getKey())) {
          wrong.add(blob.getKey().toString());
        }
      }
    }
    return List.copyOf(wrong);
  }

  /** Where a blob lies in an image layout. */
  static String nameOf(Digest digest) {
    return BlobDirectory.nameOf(digest);
  }
}
