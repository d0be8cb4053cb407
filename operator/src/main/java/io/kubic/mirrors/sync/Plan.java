package io.kubic.mirrors.sync;

import com.fasterxml.jackson.annotation.JsonInclude;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.oci.Digest;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What a run will do, pinned by digest; its JSON form is a contract. Nothing in it depends on when
 * it was made, so that two plans can be compared as text.
 *
 * @param hash of what is to be in the target once the plan is carried out: the same digests under
 *     the same names have the same hash, whatever of it is there already and whatever the target is
 *     called. An image whose digest could not be found out stays in it as unknown, and what is
 *     pruned is part of it. What travels with an image is not: a signature that comes late is no
 *     other selection.
 * @param target that it was made for; null when it was compared with none
 * @param images sorted by target
 * @param problems what could not be listed, planned or understood, sorted by object
 * @param complete whether everything that the list means could be seen
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record Plan(
    String hash,
    @Nullable String target,
    List<Item> images,
    List<Selection.Problem> problems,
    boolean complete,
    Totals totals) {

  public Plan {
    images = List.copyOf(images);
    problems = List.copyOf(problems);
  }

  /**
   * @param target as in the record
   * @param images in any order, one for each name in the target
   * @param problems in any order
   * @param complete as in the record
   */
  static Plan of(
      @Nullable String target,
      List<Item> images,
      List<Selection.Problem> problems,
      boolean complete) {
    List<Item> sorted = images.stream().sorted(Comparator.comparing(Item::target)).toList();
    return new Plan(
        hash(target, sorted),
        target,
        sorted,
        problems.stream().distinct().sorted().toList(),
        complete,
        Totals.of(sorted));
  }

  /** What happens to an image. */
  public enum Action {
    /** It is copied: the target has none of that name, or another, or not all of it. */
    Copy,
    /** It is there. */
    Skip,
    /** The tag moved at the source, and the list says that tags of the target do not. */
    Drift,
    /** It is selected, but cannot be planned; the problems say why. */
    Fail,
    /** It is there, and removed. */
    Prune
  }

  /**
   * One image.
   *
   * @param source its reference at the source; of an image that is pruned, where it came from
   * @param target its reference in the target; without the target's name when there is none
   * @param digest it will have there; null when it could not be found out
   * @param mediaType null when it could not be found out
   * @param platforms of an index, as far as they are copied; empty for a single image, and when the
   *     manifest was not read
   * @param bytes of manifests and blobs; of an image whose manifest was not read, of the manifest
   * @param bytesToTransfer at most, without the blobs that come with images before it, or are known
   *     to be in the target
   * @param referrer whether it is a signature or the like that travels with an image
   */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Item(
      String source,
      String target,
      @Nullable Digest digest,
      @Nullable String mediaType,
      List<String> platforms,
      long bytes,
      long bytesToTransfer,
      Action action,
      @JsonInclude(JsonInclude.Include.NON_DEFAULT) boolean referrer) {
    public Item {
      platforms = List.copyOf(platforms);
    }

    Item transferring(long some) {
      return new Item(source, target, digest, mediaType, platforms, bytes, some, action, referrer);
    }

    /** The digest of an image that is to be copied. */
    Digest pinned() {
      return Objects.requireNonNull(digest);
    }

    /** Of the same image when it cannot be carried out. */
    Item failing() {
      return new Item(
          source,
          target,
          digest,
          mediaType,
          platforms,
          bytes,
          bytesToTransfer,
          Action.Fail,
          referrer);
    }

    Item withBytes(long size) {
      return new Item(
          source, target, digest, mediaType, platforms, size, bytesToTransfer, action, referrer);
    }
  }

  /**
   * Sums.
   *
   * @param repositories of the target that the images lie in
   * @param images that are selected, also those that cannot be planned
   * @param digests different ones among them
   * @param referrers signatures and the like that travel with them; counted in no other number but
   *     the bytes
   * @param bytes of all images, shared blobs counted once for each
   * @param bytesToTransfer at most, every blob counted once
   */
  public record Totals(
      int repositories,
      int images,
      int digests,
      int copy,
      int skip,
      int drift,
      int fail,
      int referrers,
      long bytes,
      long bytesToTransfer,
      int pruneCandidates) {

    private static Totals of(List<Item> items) {
      List<Item> there = items.stream().filter(item -> item.action() != Action.Prune).toList();
      List<Item> images = there.stream().filter(item -> !item.referrer()).toList();
      return new Totals(
          (int) images.stream().map(item -> repository(item.target())).distinct().count(),
          images.size(),
          (int) images.stream().map(Item::digest).filter(Objects::nonNull).distinct().count(),
          count(images, Action.Copy),
          count(images, Action.Skip),
          count(images, Action.Drift),
          count(images, Action.Fail),
          there.size() - images.size(),
          there.stream().mapToLong(Item::bytes).sum(),
          there.stream().mapToLong(Item::bytesToTransfer).sum(),
          count(items, Action.Prune));
    }

    private static int count(List<Item> items, Action action) {
      return (int) items.stream().filter(item -> item.action() == action).count();
    }
  }

  /**
   * The same plan with what would be removed from the target.
   *
   * @param candidates with action {@link Action#Prune}, none under a name that the plan keeps
   */
  public Plan withPruned(List<Item> candidates) {
    List<Item> all = new ArrayList<>(images);
    for (Item candidate : candidates) {
      if (candidate.action() != Action.Prune) {
        throw new IllegalArgumentException(candidate.target() + " is not to be pruned");
      }
      all.add(candidate);
    }
    return of(target, all, problems, complete);
  }

  private static String hash(@Nullable String target, List<Item> items) {
    String registry = target == null ? "" : target + "/";
    StringBuilder text = new StringBuilder();
    for (Item item : items) {
      if (item.referrer() && item.action() != Action.Prune) {
        continue;
      }
      text.append(item.action() == Action.Prune ? "- " : "")
          .append(
              item.target().startsWith(registry)
                  ? item.target().substring(registry.length())
                  : item.target())
          .append(' ')
          .append(item.digest() == null ? "unknown" : item.digest())
          .append('\n');
    }
    return Digest.of(text.toString().getBytes(StandardCharsets.UTF_8)).hex();
  }

  /**
   * The plan with what the ledgers know.
   *
   * @param sizes of images that are there already, by target
   * @param taken failures of images whose tags other lists have; their bytes stay in the sum, since
   *     images after them may need the same blobs
   * @param prune what is not selected any more
   */
  Plan completed(
      Map<String, Long> sizes,
      List<Outcome> taken,
      List<Item> prune,
      List<Selection.Problem> more) {
    List<Selection.Problem> told = new ArrayList<>(problems);
    told.addAll(more);
    Set<String> lost = new HashSet<>();
    for (Outcome outcome : taken) {
      lost.add(outcome.target());
      told.add(
          new Selection.Problem(
              outcome.source(),
              Objects.requireNonNull(outcome.reason()),
              String.valueOf(outcome.message())));
    }
    List<Item> all = new ArrayList<>();
    for (Item item : images) {
      Item known = item.withBytes(sizes.getOrDefault(item.target(), item.bytes()));
      all.add(lost.contains(item.target()) ? known.failing() : known);
    }
    return of(target, all, told, complete && taken.isEmpty()).withPruned(prune);
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

  /** The repository of a reference, with its registry. */
  private static String repository(String reference) {
    int digest = reference.indexOf('@');
    String name = digest < 0 ? reference : reference.substring(0, digest);
    int colon = name.lastIndexOf(':');
    return colon > name.lastIndexOf('/') ? name.substring(0, colon) : name;
  }

  /** The place of an image in reports, without what may be missing. */
  static String name(
      @Nullable String registry, String repository, @Nullable String tag, String digest) {
    return (registry == null ? "" : registry + "/")
        + repository
        + (tag == null ? "@" + digest : ":" + tag);
  }
}
