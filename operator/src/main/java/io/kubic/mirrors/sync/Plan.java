package io.kubic.mirrors.sync;

import com.fasterxml.jackson.annotation.JsonInclude;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.oci.Digest;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a run will do, pinned by digest; its JSON form is a contract.
 *
 * @param hash of the images that are to be in the target; equal as long as the same digests are
 *     selected, also when one of them cannot be looked at now. What travels with an image does not
 *     count: a signature that comes late is no other selection
 * @param images sorted by target
 * @param problems what was selected but cannot be planned, sorted by object
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record Plan(
    String hash, List<Item> images, List<Selection.Problem> problems, Totals totals) {

  public Plan {
    images = List.copyOf(images);
    problems = List.copyOf(problems);
  }

  /** What happens to an image. */
  public enum Action {
    Copy,
    Skip,
    Prune
  }

  /**
   * One image.
   *
   * @param source its reference at the source
   * @param target its reference in the target
   * @param platforms of an index, as far as they are copied; empty for a single image
   * @param bytes of manifests and blobs; of an image that is skipped, of its manifest
   * @param referrer whether it is a signature or the like that travels with an image
   */
  public record Item(
      String source,
      String target,
      Digest digest,
      String mediaType,
      List<String> platforms,
      long bytes,
      Action action,
      @JsonInclude(JsonInclude.Include.NON_DEFAULT) boolean referrer) {
    public Item {
      platforms = List.copyOf(platforms);
    }
  }

  /**
   * Sums.
   *
   * @param images that are selected, also those that cannot be planned
   * @param bytes of all images, shared blobs counted once for each
   * @param bytesToTransfer at most, every blob counted once
   */
  public record Totals(
      int repositories, int images, long bytes, long bytesToTransfer, int pruneCandidates) {}

  /** The hash of lines, in their order. */
  static String hash(List<String> lines) {
    return Digest.of(String.join("\n", lines).getBytes(StandardCharsets.UTF_8)).hex();
  }

  /** The plan in its short form, for the termination message. */
  public Termination.Planned planned() {
    return new Termination.Planned(
        totals.repositories(),
        totals.images(),
        totals.bytes(),
        totals.bytesToTransfer(),
        totals.pruneCandidates());
  }

  /** The place of an image in reports, without what may be missing. */
  static String name(String registry, String repository, @Nullable String tag, String digest) {
    return registry + "/" + repository + (tag == null ? "@" + digest : ":" + tag);
  }
}
