package io.kubic.mirrors.bundle;

import com.fasterxml.jackson.annotation.JsonInclude;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.Repository;
import io.kubic.mirrors.oci.Tag;
import io.kubic.mirrors.oci.layout.LayoutIndex;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * What a bundle is: the file {@code bundle.json}.
 *
 * @param id equal for equal content
 * @param series name of the list; one series has one history
 * @param sequence grows within a series
 * @param created RFC 3339, UTC
 * @param base of a delta; null for a bundle that needs nothing at the far side
 * @param images new or changed, sorted
 * @param expects blobs that the far side has
 * @param deletions what the far side holds and nobody selects any more
 * @param failures what could not be had
 * @param volumes at least 1
 * @param parts blobs that are split: into how many parts
 */
@JsonInclude(JsonInclude.Include.NON_EMPTY)
public record Bundle(
    String schema,
    Digest id,
    String series,
    long sequence,
    String created,
    @Nullable Base base,
    ListCopy list,
    List<BundleImage> images,
    List<Expected> expects,
    List<Named> deletions,
    List<Failure> failures,
    int volumes,
    Map<Digest, Integer> parts,
    Counts counts) {
  /** The only one there is. */
  public static final String SCHEMA = "mirrors.kubic.io/bundle/v1";

  /** A list of a hundred thousand images has a bundle.json of some 30 MiB. */
  static final long MAX_BYTES = 256L << 20;

  private static final int MAX_VOLUMES = 9999;

  public Bundle {
    if (!SCHEMA.equals(schema)) {
      throw new IllegalArgumentException(
          "schema " + schema + " is not known here, only " + SCHEMA + "; use a newer version");
    }
    if (id == null || created == null || list == null || counts == null) {
      throw new IllegalArgumentException("id, created, list or counts is missing");
    }
    requireSeries(series);
    images = images == null ? List.of() : images.stream().sorted().toList();
    expects = expects == null ? List.of() : expects.stream().sorted().toList();
    deletions = deletions == null ? List.of() : deletions.stream().sorted().toList();
    failures = failures == null ? List.of() : List.copyOf(failures);
    parts = parts == null ? Map.of() : new TreeMap<>(parts);
    if (volumes < 1 || volumes > MAX_VOLUMES || sequence < 1) {
      throw new IllegalArgumentException("volumes or sequence is out of range");
    }
    if (images.stream().map(BundleImage::name).distinct().count() != images.size()) {
      throw new IllegalArgumentException("an image is named twice");
    }
  }

  /**
   * What a delta starts from.
   *
   * @param receipt its sha256
   * @param state what the far side holds; {@link Receipt#state}
   */
  public record Base(Digest receipt, long sequence, Digest state) {
    public Base {
      if (receipt == null || state == null) {
        throw new IllegalArgumentException("base lacks receipt or state");
      }
    }
  }

  /** The list that was exported. */
  public record ListCopy(String name, MirrorListSpec spec) {
    public ListCopy {
      if (name == null || spec == null) {
        throw new IllegalArgumentException("list lacks name or spec");
      }
    }
  }

  /**
   * A blob that is not in the bundle.
   *
   * @param size in bytes
   * @param repository where the far side has it, as named at the source
   */
  public record Expected(Digest digest, long size, String repository)
      implements Comparable<Expected> {
    public Expected {
      if (digest == null || repository == null) {
        throw new IllegalArgumentException("expects lacks digest or repository");
      }
      BundleImage.parse(repository);
    }

    @Override
    public int compareTo(Expected other) {
      return digest.compareTo(other.digest);
    }
  }

  /**
   * An image that the far side holds.
   *
   * @param repository with its registry
   */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Named(String repository, @Nullable String tag, Digest digest)
      implements Comparable<Named> {
    public Named {
      if (repository == null || digest == null) {
        throw new IllegalArgumentException("an image lacks repository or digest");
      }
      BundleImage.parse(repository);
      if (tag != null) {
        Tag.require(tag);
      }
    }

    /** As in {@code registry.example/app:1}. */
    public String name() {
      return BundleImage.name(repository, tag, digest);
    }

    Repository parsed() {
      return BundleImage.parse(repository);
    }

    @Override
    public int compareTo(Named other) {
      return name().compareTo(other.name());
    }
  }

  /** Something that was selected and could not be had. */
  public record Failure(String image, Reason reason, String message) {}

  /**
   * Sums.
   *
   * @param unchanged images that the far side holds already
   * @param bytes of the blobs that are carried
   */
  public record Counts(int images, int unchanged, int blobs, long bytes) {}

  /** The text itself, when it can name a series: a Kubernetes object's name. */
  static String requireSeries(@Nullable String text) {
    if (text == null || text.length() > 200 || !Repository.isPath(text) || text.contains("/")) {
      throw new IllegalArgumentException("no name of a series: a MirrorList's name is wanted");
    }
    return text;
  }

  static Digest id(
      String series,
      long sequence,
      @Nullable Base base,
      Collection<BundleImage> images,
      Collection<Named> deletions,
      Collection<Digest> blobs) {
    StringBuilder text =
        new StringBuilder("series " + series + "\nsequence " + sequence + "\n")
            .append("base " + (base == null ? "" : base.receipt()) + "\n");
    images.stream().sorted().forEach(i -> text.append(i.name() + " " + i.digest() + "\n"));
    deletions.stream().sorted().forEach(d -> text.append("- " + d.name() + "\n"));
    new TreeSet<>(blobs).forEach(b -> text.append(b + "\n"));
    return Digest.of(text.toString().getBytes(StandardCharsets.UTF_8));
  }

  byte[] toJson() {
    return Json.bytes(this);
  }

  /** The index.json that belongs to it. */
  LayoutIndex index() {
    return new LayoutIndex(
        images.stream().map(i -> new LayoutIndex.Entry(i.name(), i.descriptor())).toList());
  }

  Bundle inVolumes(int number, Map<Digest, Integer> split) {
    return new Bundle(
        schema, id, series, sequence, created, base, list, images, expects, deletions, failures,
        number, split, counts);
  }
}
