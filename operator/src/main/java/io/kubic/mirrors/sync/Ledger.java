package io.kubic.mirrors.sync;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Repository;
import io.kubic.mirrors.oci.Shown;
import io.kubic.mirrors.oci.Tag;
import java.io.IOException;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * What a list put into its mirror, and what else it selects there: the only ground on which
 * anything is ever pruned. All changes are pure functions. It is written before the first byte of a
 * run is copied, so that a run that is killed leaves nothing that nobody remembers.
 *
 * @param list {@code namespace.name}
 * @param entries by place, {@code repository:tag}
 * @param homes a repository that probably has a large blob, so that it can be mounted from there; a
 *     hint that costs one request when it is wrong. What was found out last comes last
 * @param pins what is selected by digest alone: no tag keeps it
 */
record Ledger(String list, Map<String, Entry> entries, Map<Digest, String> homes, Set<Pin> pins) {
  static final String TYPE = "application/vnd.kubic.mirrors.ledger.v1+json";
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final int MAX_DIGESTS = 4;

  /** From here on a mount saves more than remembering costs. */
  static final long LARGE = 1 << 20;

  /** About 1 MiB of JSON; the oldest are forgotten. */
  private static final int MAX_HOMES = 10_000;

  Ledger {
    entries = Map.copyOf(entries);
    homes = Collections.unmodifiableMap(new LinkedHashMap<>(homes));
    pins = Set.copyOf(pins);
  }

  /** What a run knew of a tag when it was done. */
  enum Seen {
    /** Nothing: it was about to be written, or the ledger is older than this. */
    No,
    /** With that one digest, of which a filter of platforms may have left out children. */
    Part,
    /** With that one digest, and all that it names. */
    Whole
  }

  /**
   * One tag of the target.
   *
   * @param digests what it may name as far as it is up to us, newest last; several while a run is
   *     under way, or after one that was killed
   * @param source where it came from
   * @param bytes of all that the image consists of; 0 when never found out
   * @param put when we put it there; null when it was there before us: then it is not ours to take
   * @param missingSince since when it is not selected any more; null while it is
   * @param seen as what the last run that touched it left it or found it
   */
  record Entry(
      String repository,
      String tag,
      List<Digest> digests,
      String source,
      long bytes,
      @Nullable Instant put,
      @Nullable Instant missingSince,
      Seen seen) {
    Entry {
      Repository.requirePath(repository);
      Tag.require(tag);
      digests = List.copyOf(digests);
      if (digests.isEmpty() || digests.size() > MAX_DIGESTS) {
        throw new IllegalArgumentException(repository + ":" + tag + ": no digest, or too many");
      }
    }

    String place() {
      return repository + ":" + tag;
    }

    boolean isOurs() {
      return put != null;
    }

    boolean isSelected() {
      return missingSince == null;
    }

    /** What it was found or left as last. */
    Digest digest() {
      return digests.getLast();
    }

    Entry missing(@Nullable Instant since) {
      return new Entry(repository, tag, digests, source, bytes, put, since, seen);
    }
  }

  /** A digest of a repository of the target. */
  record Pin(String repository, Digest digest) {
    /**
     * @throws IllegalArgumentException when it is no {@code repository@digest}
     */
    static Pin parse(String text) {
      int at = text.indexOf('@');
      if (at < 0) {
        throw new IllegalArgumentException("'" + Shown.of(text) + "' is no repository@digest");
      }
      return new Pin(
          Repository.requirePath(text.substring(0, at)), Digest.parse(text.substring(at + 1)));
    }

    @Override
    public String toString() {
      return repository + "@" + digest;
    }
  }

  /**
   * A tag that a run copies or found in place.
   *
   * @param part whether a filter of platforms may leave out children of it
   */
  record Tagged(
      String repository, String tag, Digest digest, String source, long bytes, boolean part) {
    String place() {
      return repository + ":" + tag;
    }
  }

  static Ledger empty(String list) {
    return new Ledger(list, Map.of(), Map.of(), Set.of());
  }

  /** What may be there from now on: what was, and what is about to be put. */
  Ledger intend(List<Tagged> copies, Instant now) {
    Map<String, Entry> next = new TreeMap<>(entries);
    for (Tagged copy : copies) {
      Entry old = entries.get(copy.place());
      Set<Digest> digests = new LinkedHashSet<>();
      if (old != null && old.isOurs()) {
        digests.addAll(old.digests());
      }
      digests.remove(copy.digest());
      digests.add(copy.digest());
      List<Digest> all = List.copyOf(digests);
      next.put(
          copy.place(),
          new Entry(
              copy.repository(),
              copy.tag(),
              all.subList(Math.max(0, all.size() - MAX_DIGESTS), all.size()),
              copy.source(),
              copy.bytes(),
              old != null && old.put() != null ? old.put() : now,
              null,
              Seen.No));
    }
    return new Ledger(list, next, homes, pins);
  }

  /**
   * The same with what is selected and there already, so that no other list prunes it while the run
   * goes on.
   */
  Ledger selecting(List<Tagged> there) {
    Map<String, Entry> next = new TreeMap<>(entries);
    for (Tagged one : there) {
      Entry old = entries.get(one.place());
      next.put(
          one.place(),
          old != null
              ? old.missing(null)
              : new Entry(
                  one.repository(),
                  one.tag(),
                  List.of(one.digest()),
                  one.source(),
                  0,
                  null,
                  null,
                  Seen.No));
    }
    return new Ledger(list, next, homes, pins);
  }

  /**
   * What is there after a run.
   *
   * @param copied tags that were written
   * @param found tags that were as they should be
   * @param selected places of all that is selected, whatever became of it
   * @param complete whether the selection saw everything; if not, nothing counts as missing
   */
  Ledger conclude(
      List<Tagged> copied,
      List<Tagged> found,
      Set<String> selected,
      boolean complete,
      Instant now) {
    Map<String, Entry> next = new TreeMap<>();
    for (Entry old : entries.values()) {
      if (selected.contains(old.place())) {
        next.put(old.place(), old.missing(null));
      } else if (!complete) {
        next.put(old.place(), old);
      } else if (old.isOurs()) {
        next.put(old.place(), old.missing(old.isSelected() ? now : old.missingSince()));
      }
    }
    for (Tagged one : copied) {
      Entry old = entries.get(one.place());
      next.put(one.place(), settled(one, old, old != null && old.put() != null ? old.put() : now));
    }
    for (Tagged one : found) {
      Entry old = entries.get(one.place());
      boolean ours = old != null && old.digests().contains(one.digest());
      next.put(one.place(), settled(one, old, ours && old != null ? old.put() : null));
    }
    return new Ledger(list, next, homesBeside(next), pins);
  }

  private static Entry settled(Tagged one, @Nullable Entry old, @Nullable Instant put) {
    boolean same = old != null && old.digest().equals(one.digest());
    long bytes = one.bytes() == 0 && same && old != null ? old.bytes() : one.bytes();
    return new Entry(
        one.repository(),
        one.tag(),
        List.of(one.digest()),
        one.source(),
        bytes,
        put,
        null,
        one.part() ? Seen.Part : Seen.Whole);
  }

  Ledger without(Set<String> places) {
    Map<String, Entry> next = new TreeMap<>(entries);
    next.keySet().removeAll(places);
    return new Ledger(list, next, homesBeside(next), pins);
  }

  /**
   * The homes without those in a repository whose last entry goes: nothing says any more that it is
   * there. A repository that never had one has images that only their digests name.
   */
  private Map<Digest, String> homesBeside(Map<String, Entry> next) {
    Set<String> gone = repositories(entries);
    gone.removeAll(repositories(next));
    Map<Digest, String> left = new LinkedHashMap<>(homes);
    left.values().removeAll(gone);
    return left;
  }

  private static Set<String> repositories(Map<String, Entry> entries) {
    return entries.values().stream()
        .map(Entry::repository)
        .collect(Collectors.toCollection(HashSet::new));
  }

  /** The same with what is found out about large blobs; it wins over what was known. */
  Ledger housing(Map<Digest, String> more) {
    LinkedHashMap<Digest, String> next = new LinkedHashMap<>(homes);
    more.forEach(next::putLast);
    return new Ledger(list, entries, next, pins);
  }

  /**
   * The same with what is selected by digest.
   *
   * @param complete whether that is all of it
   */
  Ledger pinning(Set<Pin> selected, boolean complete) {
    Set<Pin> next = new HashSet<>(selected);
    if (!complete) {
      next.addAll(pins);
    }
    return new Ledger(list, entries, homes, next);
  }

  /** Whether one of some digests of a repository is selected by digest. */
  boolean isPinned(String repository, List<Digest> digests) {
    return digests.stream().anyMatch(digest -> pins.contains(new Pin(repository, digest)));
  }

  /** The entries of one part of the list. */
  Ledger of(Shard shard) {
    Map<String, Entry> next = new TreeMap<>(entries);
    next.values().removeIf(entry -> !shard.owns(entry.repository()));
    Set<Pin> pinned = new HashSet<>(pins);
    pinned.removeIf(pin -> !shard.owns(pin.repository()));
    return new Ledger(list, next, homes, pinned);
  }

  /**
   * A ledger as it was written.
   *
   * @param shard the part of the list that it is about; it knows all of it
   */
  record Stored(Ledger ledger, Shard shard, Instant time) {}

  /** One ledger of several that were written for one list, perhaps in other parts than now. */
  static Ledger merged(String list, List<Stored> all) {
    Map<String, Entry> entries = new TreeMap<>();
    LinkedHashMap<Digest, String> homes = new LinkedHashMap<>();
    Set<Pin> pins = new HashSet<>();
    all.stream()
        .sorted(Comparator.comparing(Stored::time))
        .forEach(
            stored -> {
              entries.values().removeIf(entry -> stored.shard().owns(entry.repository()));
              entries.putAll(stored.ledger().entries());
              homes.values().removeIf(stored.shard()::owns);
              stored.ledger().homes().forEach(homes::putLast);
              pins.removeIf(pin -> stored.shard().owns(pin.repository()));
              pins.addAll(stored.ledger().pins());
            });
    return new Ledger(list, entries, homes, pins);
  }

  byte[] toJson(Shard shard, Instant time) {
    ObjectNode root = JSON.createObjectNode().put("version", 1).put("list", list);
    root.put("shard", shard.toString()).put("time", time.toString());
    var array = root.putArray("entries");
    for (Entry entry : new TreeMap<>(entries).values()) {
      ObjectNode node =
          array
              .addObject()
              .put("repository", entry.repository())
              .put("tag", entry.tag())
              .put("source", entry.source())
              .put("bytes", entry.bytes());
      var digests = node.putArray("digests");
      entry.digests().forEach(digest -> digests.add(digest.toString()));
      if (entry.put() != null) {
        node.put("put", entry.put().toString());
      }
      if (entry.missingSince() != null) {
        node.put("missingSince", entry.missingSince().toString());
      }
      node.put("seen", entry.seen().name());
    }
    ObjectNode housed = root.putObject("homes");
    // Those of other parts are in their ledgers, and must not take the room of its own.
    List<Map.Entry<Digest, String>> own =
        homes.entrySet().stream().filter(home -> shard.owns(home.getValue())).toList();
    own.subList(Math.max(0, own.size() - MAX_HOMES), own.size())
        .forEach(home -> housed.put(home.getKey().toString(), home.getValue()));
    if (!pins.isEmpty()) {
      var pinned = root.putArray("pins");
      pins.stream().map(Pin::toString).sorted().forEach(pinned::add);
    }
    try {
      return JSON.writeValueAsBytes(root);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Reads what {@link #toJson} wrote.
   *
   * @throws IllegalArgumentException when it is anything else; a ledger in which one entry is wrong
   *     is wrong altogether
   */
  static Stored parse(byte[] json) {
    try {
      JsonNode root = JSON.readTree(json);
      if (root == null || root.path("version").asInt() != 1 || !root.path("list").isTextual()) {
        throw new IllegalArgumentException("it is no ledger of version 1");
      }
      Map<String, Entry> entries = new TreeMap<>();
      for (JsonNode node : root.path("entries")) {
        List<Digest> digests = new ArrayList<>();
        for (JsonNode digest : node.path("digests")) {
          digests.add(Digest.parse(digest.asText()));
        }
        Entry entry =
            new Entry(
                node.path("repository").asText(),
                node.path("tag").asText(),
                digests,
                node.path("source").asText(),
                Math.max(0, node.path("bytes").asLong()),
                instant(node.path("put")),
                instant(node.path("missingSince")),
                seen(node.path("seen").asText("")));
        if (entries.put(entry.place(), entry) != null) {
          throw new IllegalArgumentException(entry.place() + " is in it twice");
        }
      }
      Map<Digest, String> homes = new LinkedHashMap<>();
      root.path("homes")
          .properties()
          .forEach(
              home ->
                  homes.put(
                      Digest.parse(home.getKey()),
                      Repository.requirePath(home.getValue().asText())));
      Set<Pin> pins = new HashSet<>();
      for (JsonNode pin : root.path("pins")) {
        pins.add(Pin.parse(pin.asText()));
      }
      return new Stored(
          new Ledger(root.path("list").asText(), entries, homes, pins),
          Shard.parse(root.path("shard").asText()),
          Instant.parse(root.path("time").asText()));
    } catch (IOException e) {
      throw new IllegalArgumentException("it is no JSON", e);
    } catch (DateTimeException e) {
      throw new IllegalArgumentException("it holds a malformed time", e);
    }
  }

  private static Seen seen(String text) {
    for (Seen one : Seen.values()) {
      if (one.name().equals(text)) {
        return one;
      }
    }
    return Seen.No;
  }

  private static @Nullable Instant instant(JsonNode node) {
    return node.isTextual() ? Instant.parse(node.asText()) : null;
  }
}
