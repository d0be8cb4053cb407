package io.kubic.mirrors.bundle;

import com.fasterxml.jackson.annotation.JsonInclude;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.layout.BlobDirectory;
import io.kubic.mirrors.oci.layout.LayoutIndex;
import io.kubic.mirrors.oci.layout.StoredFile;
import java.io.InputStream;
import java.io.SequenceInputStream;
import java.nio.charset.StandardCharsets;
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
 * A bundle as it lies on its medium, opened: its signature is verified, its files are exactly those
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
  private final Map<Digest, List<StoredFile>> blobs;

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

  private record Volume(Medium root, Checksums sums, Digest checksum, boolean signature) {}

  private BundleDirectory(
      Bundle bundle,
      Digest checksum,
      Signed signed,
      List<Volume> volumes,
      Map<Digest, List<StoredFile>> blobs) {
    this.bundle = bundle;
    this.checksum = checksum;
    this.signed = signed;
    this.volumes = volumes;
    this.blobs = blobs;
  }

  /**
   * Opens a bundle.
   *
   * @param roots where it lies, or what holds its volumes, or the volumes
   * @param key that must have signed it; null when nobody asks
   * @param partial whether blobs may be missing or have a wrong size
   * @throws RefusedException SignatureInvalid, MalformedResponse, NotFound or DigestMismatch
   */
  public static BundleDirectory open(
      List<Medium> roots, @Nullable VerifyingKey key, boolean partial) {
    try {
      return opened(roots, key, partial);
    } catch (RegistryException e) {
      throw new RefusedException(e);
    }
  }

  private static BundleDirectory opened(
      List<Medium> roots, @Nullable VerifyingKey key, boolean partial) {
    List<Volume> volumes = new ArrayList<>();
    for (Medium root : expand(roots)) {
      volumes.add(volume(root, key, partial));
    }
    byte[] json = small(volumes.getFirst(), BUNDLE, Bundle.MAX_BYTES);
    for (Volume volume : volumes) {
      if (!Arrays.equals(json, small(volume, BUNDLE, Bundle.MAX_BYTES))) {
        throw new RefusedException(
            Reason.Conflict, volume.root().name(), "is a volume of another bundle");
      }
    }
    Bundle bundle = Json.read(json, Bundle.class, volumes.getFirst().root().nameOf(BUNDLE));
    volumes = ordered(volumes, bundle);
    byte[] index = bundle.index().toJson();
    for (Volume volume : volumes) {
      if (!Arrays.equals(index, small(volume, INDEX, Bundle.MAX_BYTES))
          || !Arrays.equals(
              LayoutIndex.LAYOUT.getBytes(StandardCharsets.US_ASCII),
              small(volume, LAYOUT, MAX_SMALL))) {
        throw new RefusedException(
            Reason.MalformedResponse,
            volume.root().name(),
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

  /** Whether there is a bundle, whole or not, or the volumes of one. */
  public static boolean isBundle(Medium root) {
    if (!root.exists()) {
      return false;
    }
    Set<String> entries = root.entries();
    return entries.contains(Checksums.FILE)
        || entries.contains(BUNDLE)
        || entries.contains(PARTIAL + "/")
        || entries.contains(volumeName(1) + "/");
  }

  static String volumeName(int number) {
    return VOLUME_PREFIX + padded(number);
  }

  static String padded(int number) {
    String digits = String.valueOf(number);
    return "0".repeat(4 - digits.length()) + digits;
  }

  private static List<Medium> expand(List<Medium> roots) {
    if (roots.size() != 1) {
      return roots;
    }
    Medium root = roots.getFirst();
    if (!root.exists()) {
      throw root.absent();
    }
    Set<String> entries = root.entries();
    if (entries.contains(PARTIAL + "/")) {
      throw new RefusedException(
          Reason.NotFound,
          root.name(),
          "holds an export that was interrupted; run the export again to complete it");
    }
    if (entries.contains(Checksums.FILE)) {
      return roots;
    }
    List<Medium> found = new ArrayList<>();
    for (String entry : entries) {
      if (!entry.startsWith(VOLUME_PREFIX) || !entry.endsWith("/")) {
        throw new RefusedException(
            Reason.NotFound, root.name(), "is no complete bundle: it has no " + Checksums.FILE);
      }
      found.add(root.below(entry.substring(0, entry.length() - 1)));
    }
    if (found.isEmpty()) {
      throw new RefusedException(Reason.NotFound, root.name(), "holds no bundle");
    }
    return found;
  }

  private static Volume volume(Medium root, @Nullable VerifyingKey key, boolean partial) {
    if (!root.exists()) {
      throw root.absent();
    }
    byte[] bytes = root.file(Checksums.FILE).read(Checksums.MAX_BYTES);
    boolean signed = root.entries().contains(Checksums.SIGNATURE);
    if (key != null) {
      if (!signed) {
        throw new RefusedException(
            Reason.SignatureInvalid, root.name(), "is not signed, and a signature is required");
      }
      byte[] line = root.file(Checksums.SIGNATURE).read(VerifyingKey.MAX_SIGNATURE);
      if (line.length == 0 || line[line.length - 1] != '\n' || line[0] <= ' ') {
        throw new RefusedException(
            Reason.SignatureInvalid, root.nameOf(Checksums.SIGNATURE), "is not one line of base64");
      }
      key.verify(bytes, line, root.nameOf(Checksums.FILE));
    }
    Checksums sums = Checksums.parse(bytes, root.nameOf(Checksums.FILE));
    Set<String> expected = new HashSet<>(sums.files().keySet());
    expected.add(Checksums.FILE);
    if (signed) {
      expected.add(Checksums.SIGNATURE);
    }
    Set<String> missing = new TreeSet<>(expected);
    missing.removeAll(root.files(expected));
    if (partial) {
      missing.removeIf(name -> name.startsWith("blobs/"));
    }
    if (!missing.isEmpty()) {
      throw new RefusedException(
          Reason.NotFound, root.name(), "lacks " + some(missing) + " that SHA256SUMS names");
    }
    return new Volume(root, sums, Digest.of(bytes), signed);
  }

  private static byte[] small(Volume volume, String name, long limit) {
    String object = volume.root().nameOf(name);
    Digest expected = volume.sums().files().get(name);
    if (expected == null) {
      throw new RefusedException(Reason.NotFound, object, "is not in SHA256SUMS");
    }
    byte[] bytes = volume.root().file(name).read(limit);
    if (!Digest.of(bytes).equals(expected)) {
      throw new RefusedException(Reason.DigestMismatch, object, "is not what SHA256SUMS says");
    }
    return bytes;
  }

  private static List<Volume> ordered(List<Volume> volumes, Bundle bundle) {
    if (bundle.volumes() == 1) {
      if (volumes.size() != 1 || volumes.getFirst().sums().files().containsKey(VOLUME)) {
        throw new RefusedException(
            Reason.Conflict, volumes.getFirst().root().name(), "is a bundle of one volume");
      }
      return volumes;
    }
    TreeMap<Integer, Volume> byNumber = new TreeMap<>();
    for (Volume volume : volumes) {
      String object = volume.root().nameOf(VOLUME);
      Position position = Json.read(small(volume, VOLUME, MAX_SMALL), Position.class, object);
      if (!position.bundle().equals(bundle.id())
          || position.of() != bundle.volumes()
          || position.volume() < 1
          || position.volume() > bundle.volumes()
          || byNumber.put(position.volume(), volume) != null) {
        throw new RefusedException(
            Reason.Conflict, object, "is no volume of this bundle, or is there twice");
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

  private static Map<Digest, List<StoredFile>> blobs(
      List<Volume> volumes, Bundle bundle, boolean partial) {
    Map<Digest, TreeMap<Integer, StoredFile>> found = new HashMap<>();
    for (Volume volume : volumes) {
      for (String name : volume.sums().files().keySet()) {
        if (!name.startsWith("blobs/")) {
          continue;
        }
        int dot = name.indexOf(PART);
        int part = dot < 0 ? 0 : number(name.substring(dot + PART.length()));
        String whole = dot < 0 ? name : name.substring(0, dot);
        Optional<Digest> digest = BlobDirectory.digestOf(whole);
        if (digest.isEmpty() || part < 0 || dot >= 0 && part == 0) {
          throw new RefusedException(
              Reason.MalformedResponse, name, "is not the name of a blob or of a part of one");
        }
        StoredFile file;
        try {
          file = volume.root().file(name);
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
    Map<Digest, List<StoredFile>> blobs = new HashMap<>();
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
          sum += volume.root().file(name).size();
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
    List<StoredFile> files = files(blob.digest());
    long size = files.stream().mapToLong(StoredFile::size).sum();
    if (size != blob.size()) {
      throw new RegistryException(
          Reason.DigestMismatch,
          files.getFirst().name(),
          "has " + size + " bytes, expected " + blob.size());
    }
    List<InputStream> streams = new ArrayList<>();
    long skip = offset;
    for (StoredFile file : files) {
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
    List<StoredFile> files = files(digest);
    byte[] all = new byte[0];
    for (StoredFile file : files) {
      byte[] part = file.read(limit - all.length);
      byte[] longer = Arrays.copyOf(all, all.length + part.length);
      System.arraycopy(part, 0, longer, all.length, part.length);
      all = longer;
    }
    if (!digest.same(all).equals(digest)) {
      throw new RegistryException(
          Reason.DigestMismatch, files.getFirst().name(), "the content is not what its name says");
    }
    return all;
  }

  private List<StoredFile> files(Digest digest) {
    List<StoredFile> files = blobs.get(digest);
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
                Optional<Digest> blob = BlobDirectory.digestOf(name);
                if (blob.isPresent()
                    && blob.get().algorithm() == Digest.Algorithm.SHA256
                    && read.contains(blob.get())) {
                  // Hashed, and found to be what its name says.
                  if (!expected.equals(blob.get())) {
                    wrong.add(volume.root().nameOf(name));
                  }
                  return;
                }
                try {
                  StoredFile file = volume.root().file(name);
                  java.security.MessageDigest hash = Digest.Algorithm.SHA256.start();
                  file.hash(hash);
                  Digest is = Digest.finish(Digest.Algorithm.SHA256, hash);
                  boolean named =
                      blob.isEmpty()
                          || blob.get().algorithm() != Digest.Algorithm.SHA256
                          || blob.get().equals(is);
                  if (!is.equals(expected) || !named) {
                    wrong.add(file.name());
                  }
                  progress.accept(file.size());
                } catch (RegistryException e) {
                  if (e.reason().isTransient() && volume.root() instanceof BucketMedium) {
                    throw e; // Nobody knows what the bytes are; a disk would fail again.
                  }
                  wrong.add(e.getMessage());
                }
              });
    }
    for (Map.Entry<Digest, List<StoredFile>> blob : blobs.entrySet()) {
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
