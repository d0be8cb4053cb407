package io.kubic.mirrors.sync;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.random.RandomGenerator;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The ledgers of all lists that fill one registry: one tag for each list (and part of it), so that
 * nobody writes what another writes.
 */
final class Ledgers {
  static final String REPOSITORY = "mirror-operator/ledger";

  private static final String UNREADABLE = "the ledger cannot be read, so nothing is deleted: ";

  private static final String LOST = "is listed, but not there";

  /** Some 200,000 tags. */
  private static final int MAX_BYTES = 64 << 20;

  /** Of so many tags that could be believed, one is looked at nevertheless. */
  static final int LOOKED_AT = 8;

  private final ImageStore target;
  private final String list;
  private final Shard shard;

  /** The latest time of a ledger of this list that was read. */
  private volatile Instant latest = Instant.EPOCH;

  /**
   * What is known.
   *
   * @param own empty when there is none, or none that can be used
   * @param others by the other lists' names
   * @param problems what could not be read; then nothing may be pruned
   * @param writable whether what we write can only make things better
   */
  record View(Ledger own, List<Ledger> others, List<Selection.Problem> problems, boolean writable) {
    View {
      others = List.copyOf(others);
      problems = List.copyOf(problems);
    }

    /**
     * The tags of which the target need not be asked as long as it lists them, by repository: what
     * a run of this list saw there whole, if all ledgers are known and none of the others has it.
     * One of {@value #LOOKED_AT} is left out, another one each time, so that what somebody else put
     * over a tag is found some day.
     *
     * @param random chooses those
     */
    Map<String, Map<String, Digest>> believable(RandomGenerator random) {
      Map<String, Map<String, Digest>> tags = new HashMap<>();
      if (!problems.isEmpty()) {
        return tags;
      }
      own.entries()
          .forEach(
              (place, entry) -> {
                if (entry.seen() == Ledger.Seen.Whole
                    && random.nextInt(LOOKED_AT) != 0
                    && others.stream().noneMatch(other -> other.entries().containsKey(place))) {
                  tags.computeIfAbsent(entry.repository(), any -> new HashMap<>())
                      .put(entry.tag(), entry.digest());
                }
              });
      return tags;
    }

    /** Whether the last run of this list saw a tag in the target with this digest, and a filter. */
    boolean isFiltered(String repository, String tag, Digest digest) {
      Ledger.Entry mine = own.entries().get(repository + ":" + tag);
      return mine != null
          && mine.isSelected()
          && mine.seen() == Ledger.Seen.Part
          && mine.digest().equals(digest);
    }

    /**
     * Whether a filter of platforms may have left out children of an index that is in the target:
     * one of this list, of which a run without it may not be done, or one of the list that put the
     * index there. What no run has touched is as whole as who put it there says.
     */
    boolean mayBePart(String repository, String tag, Digest digest) {
      String place = repository + ":" + tag;
      Ledger.Entry mine = own.entries().get(place);
      if (mine != null && mine.seen() != Ledger.Seen.Whole) {
        return true;
      }
      boolean sawIt = mine != null && mine.digest().equals(digest);
      return !sawIt
          && others.stream()
              .flatMap(other -> Stream.ofNullable(other.entries().get(place)))
              .anyMatch(
                  theirs ->
                      theirs.seen() != Ledger.Seen.Whole && theirs.digests().contains(digest));
    }
  }

  Ledgers(ImageStore target, String list, Shard shard) {
    this.target = target;
    this.list = list;
    this.shard = shard;
  }

  /** What to do about a list that is no more, and still has its say. */
  static String remedy(String list) {
    return "if that list is no more, remove its ledger: "
        + REPOSITORY
        + ":"
        + tag(list, Shard.whole())
        + " (with shards, those of its parts)";
  }

  /** The tag of a list's documents. */
  static String tag(String list, Shard shard) {
    String tag = list + shard.suffix();
    if (tag.length() <= 128) {
      return tag;
    }
    String hash = Digest.of(list.getBytes(UTF_8)).hex().substring(0, 32);
    return tag.substring(0, 60) + "." + hash + shard.suffix();
  }

  View load() {
    Map<String, List<Ledger.Stored>> all = new TreeMap<>();
    List<Selection.Problem> problems = new ArrayList<>();
    boolean writable = true;
    List<String> tags;
    try {
      tags = target.tags(REPOSITORY).names();
    } catch (RegistryException e) {
      if (e.reason() == Reason.NotFound) {
        return new View(Ledger.empty(list), List.of(), List.of(), true);
      }
      return new View(Ledger.empty(list), List.of(), List.of(problem(REPOSITORY, e)), false);
    }
    for (String tag : tags) {
      try {
        Ledger.Stored stored =
            Artifacts.read(target, REPOSITORY, tag, Ledger.TYPE, MAX_BYTES)
                .map(Ledger::parse)
                .orElseThrow(() -> new RegistryException(Reason.NotFound, tag, LOST));
        all.computeIfAbsent(stored.ledger().list(), any -> new ArrayList<>()).add(stored);
      } catch (RegistryException e) {
        problems.add(problem(REPOSITORY + ":" + tag, e));
        // What is there but cannot be had now must not be written over, nor outdone by a later one.
        writable &= !isOwn(tag) || isDamage(e.reason());
      } catch (IllegalArgumentException e) {
        problems.add(
            new Selection.Problem(
                target.name() + "/" + REPOSITORY + ":" + tag,
                Reason.MalformedResponse,
                UNREADABLE + e.getMessage()));
      }
    }
    List<Ledger> others = new ArrayList<>();
    all.forEach(
        (name, stored) -> {
          if (!name.equals(list)) {
            others.add(Ledger.merged(name, stored));
          }
        });
    List<Ledger.Stored> parts = all.getOrDefault(list, List.of());
    parts.forEach(stored -> latest = stored.time().isAfter(latest) ? stored.time() : latest);
    Ledger own = Ledger.merged(list, parts).of(shard);
    return new View(own, others, problems, writable);
  }

  /** Whether a tag is that of a ledger of this list, or of any part of it. */
  private boolean isOwn(String tag) {
    return tag.equals(tag(list, Shard.whole())) || tag.equals(tag(list, Shard.ofTag(tag)));
  }

  /** Whether it is the ledger itself that is bad, so that nobody will ever read it. */
  static boolean isDamage(Reason reason) {
    return switch (reason) {
      case NotFound, MalformedResponse, DigestMismatch, TooLarge, UnsupportedMediaType -> true;
      default -> false;
    };
  }

  private Selection.Problem problem(String object, RegistryException e) {
    return new Selection.Problem(
        target.name() + "/" + object, e.reason(), UNREADABLE + e.problem());
  }

  /**
   * Writes it; what could not be done is told. Its time is after those of all ledgers of the list
   * that were read, whatever the clock says: the latest counts when the list is cut into other
   * parts.
   */
  Selection.@Nullable Problem save(Ledger ledger, Instant now) {
    Instant time = now.isAfter(latest) ? now : latest.plusMillis(1);
    try {
      Artifacts.write(
          target, REPOSITORY, tag(list, shard), Ledger.TYPE, ledger.toJson(shard, time));
      return null;
    } catch (RegistryException e) {
      if (e.reason() == Reason.Cancelled) {
        throw e;
      }
      return new Selection.Problem(
          target.name() + "/" + REPOSITORY,
          e.reason(),
          "what was put into the mirror cannot be written down: " + e.problem());
    }
  }
}
