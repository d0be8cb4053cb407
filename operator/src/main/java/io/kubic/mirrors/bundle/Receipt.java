package io.kubic.mirrors.bundle;

import com.fasterxml.jackson.annotation.JsonInclude;
import io.kubic.mirrors.oci.Digest;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * What a registry holds of a series, after an import.
 *
 * @param sequence of the last bundle
 * @param bundle id of the last bundle
 * @param checksum sha256 of its SHA256SUMS; of the first volume
 * @param target the registry's name
 * @param imported RFC 3339, UTC
 * @param complete whether every image of the bundle was taken
 * @param blobs that the images hold, manifests too; sorted
 * @param images sorted by name
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record Receipt(
    String schema,
    String series,
    long sequence,
    Digest bundle,
    Digest checksum,
    String target,
    String imported,
    boolean complete,
    List<Digest> blobs,
    List<Held> images) {
  /** The only one there is. */
  public static final String SCHEMA = "mirrors.kubic.io/receipt/v1";

  /** The most bytes of one. */
  public static final long MAX_BYTES = 256L << 20;

  public Receipt {
    if (!SCHEMA.equals(schema)) {
      throw new IllegalArgumentException(
          "schema " + schema + " is not known here, only " + SCHEMA + "; use a newer version");
    }
    Bundle.requireSeries(series);
    blobs = blobs == null ? List.of() : List.copyOf(blobs);
    images = images == null ? List.of() : images.stream().sorted().toList();
    int known = blobs.size();
    if (images.stream().anyMatch(i -> i.holds().stream().anyMatch(n -> n < 0 || n >= known))) {
      throw new IllegalArgumentException("an image holds a blob that is not listed");
    }
  }

  /**
   * One image.
   *
   * @param source of the list
   * @param repository with its registry, as named at the source
   * @param tag null when only the digest names it
   * @param size of the manifest in bytes
   * @param referrer whether it travels with another image
   * @param holds positions in the receipt's blobs
   */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Held(
      String source,
      String repository,
      @Nullable String tag,
      Digest digest,
      String mediaType,
      long size,
      @JsonInclude(JsonInclude.Include.NON_DEFAULT) boolean referrer,
      List<Integer> holds)
      implements Comparable<Held> {
    public Held {
      holds = holds == null ? List.of() : List.copyOf(holds);
      var _ = new BundleImage(source, repository, tag, digest, mediaType, size, referrer);
    }

    BundleImage image() {
      return new BundleImage(source, repository, tag, digest, mediaType, size, referrer);
    }

    /** As in {@code registry.example/app:1}. */
    public String name() {
      return BundleImage.name(repository, tag, digest);
    }

    @Override
    public int compareTo(Held other) {
      return name().compareTo(other.name());
    }
  }

  /**
   * @param images with everything that each one holds
   */
  static Receipt of(
      String series,
      long sequence,
      Digest bundle,
      Digest checksum,
      String target,
      String imported,
      boolean complete,
      Map<BundleImage, ? extends Collection<Digest>> images) {
    TreeSet<Digest> all = new TreeSet<>();
    images.values().forEach(all::addAll);
    List<Digest> blobs = List.copyOf(all);
    Map<Digest, Integer> positions = new HashMap<>();
    for (int i = 0; i < blobs.size(); i++) {
      positions.put(blobs.get(i), i);
    }
    List<Held> held = new ArrayList<>();
    images.forEach(
        (image, holds) ->
            held.add(
                new Held(
                    image.source(),
                    image.repository(),
                    image.tag(),
                    image.digest(),
                    image.mediaType(),
                    image.size(),
                    image.referrer(),
                    holds.stream().map(positions::get).sorted().toList())));
    return new Receipt(
        SCHEMA, series, sequence, bundle, checksum, target, imported, complete, blobs, held);
  }

  /** What is held, as one value: two receipts with the same images have the same. */
  Digest state() {
    StringBuilder text = new StringBuilder();
    images.forEach(i -> text.append(i.name() + " " + i.digest() + "\n"));
    return Digest.of(text.toString().getBytes(StandardCharsets.UTF_8));
  }

  /** Every blob with a repository, named as at the source, that has it. */
  Map<Digest, String> homes() {
    Map<Digest, String> homes = new HashMap<>();
    for (Held image : images) {
      image.holds().forEach(i -> homes.putIfAbsent(blobs.get(i), image.repository()));
    }
    return homes;
  }

  /** What an image holds. */
  List<Digest> holds(Held image) {
    return image.holds().stream().map(blobs::get).toList();
  }

  /** The file. */
  public byte[] toJson() {
    return Json.bytes(this);
  }

  /**
   * Reads a receipt.
   *
   * @param name what the file is called in messages
   * @throws RefusedException MalformedResponse
   */
  public static Receipt parse(byte[] bytes, String name) {
    return Json.read(bytes, Receipt.class, name);
  }

  /**
   * Reads a receipt that must be signed.
   *
   * @throws RefusedException SignatureInvalid, or MalformedResponse
   */
  public static Receipt parse(byte[] bytes, String name, VerifyingKey key, byte[] signature) {
    key.verify(bytes, signature, name);
    return parse(bytes, name);
  }

  /** What names a receipt: the sha256 of its bytes. */
  public static Digest digest(byte[] bytes) {
    return Digest.of(bytes);
  }
}
