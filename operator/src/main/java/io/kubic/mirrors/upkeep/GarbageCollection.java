package io.kubic.mirrors.upkeep;

import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.EmptyJson;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.AbstractMap.SimpleImmutableEntry;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * One collection: freeze all writes, see what is there, decide, delete manifests through the API,
 * sweep, thaw. Killed anywhere it leaves a registry that serves all that is needed, and freezes
 * that end by themselves.
 */
public final class GarbageCollection {
  /**
   * What a collection is told.
   *
   * @param gateways admin ports of all gateways; none: nobody writes, says the caller
   * @param running digests that are kept whatever names them
   * @param most percentage of the manifests above which nothing is deleted
   * @param grace manifests that are younger stay, where the storage can be looked at: a push may be
   *     under way that names them last
   * @param storage root of a filesystem storage; null where it is none
   * @param patience how long writes that began before may take
   */
  public record Options(
      List<URI> gateways,
      String freezeSecret,
      Set<Digest> running,
      int most,
      Duration grace,
      @Nullable Path storage,
      Duration patience,
      boolean dryRun) {
    public Options {
      gateways = List.copyOf(gateways);
      running = Set.copyOf(running);
    }

    @Override
    public String toString() {
      return "%d gateways, %d running, at most %d %%, dry run %s"
          .formatted(gateways.size(), running.size(), most, dryRun);
    }
  }

  /** A manifest of a repository that nothing needs. */
  private record Unneeded(String repository, Digest digest) {
    @Override
    public String toString() {
      return repository + "@" + digest;
    }
  }

  /** What was seen and decided. */
  private record Judgement(
      Inventory inventory,
      List<Unneeded> unneeded,
      List<Unneeded> young,
      long estimate,
      CollectionReport.Left now,
      CollectionReport.Left then) {}

  private static final int EXAMPLES = 10;

  /** Each costs a look at the whole registry. */
  private static final int MOST_WITHOUT_LAYERS = 100;

  private static final int MIN_GUARDED = 20;

  private final ImageStore registry;
  private final RegistryProgram program;
  private final Options options;
  private final Supplier<Set<Digest>> selected;
  private final Clock clock;
  private final Consumer<String> progress;

  /**
   * @param registry reached with a login that may pull and delete everything
   * @param selected digests that are kept without a tag; asked when nobody writes any more
   */
  public GarbageCollection(
      ImageStore registry,
      RegistryProgram program,
      Options options,
      Supplier<Set<Digest>> selected,
      Clock clock,
      Consumer<String> progress) {
    this.registry = registry;
    this.program = program;
    this.options = options;
    this.selected = selected;
    this.clock = clock;
    this.progress = progress;
  }

  /** More would be deleted than is believed. */
  public static final class TooMuch extends RuntimeException {
    private static final long serialVersionUID = 1L;

    TooMuch(String message) {
      super(message);
    }

    @Override
    public String getMessage() {
      return String.valueOf(super.getMessage());
    }
  }

  /**
   * Collects.
   *
   * @throws UpkeepException when it had to stop
   * @throws RegistryException when the registry does not answer
   * @throws TooMuch when the guard refuses; nothing was deleted
   */
  public CollectionReport run(HttpClient http, ScheduledExecutorService scheduler)
      throws InterruptedException {
    Set<String> given = new HashSet<>();
    while (true) {
      try {
        return collect(http, scheduler);
      } catch (NoLayersException e) {
        // Nothing was deleted yet, and nothing is frozen any more.
        if (given.size() == MOST_WITHOUT_LAYERS || !given.add(e.repository())) {
          throw e;
        }
        progress.accept("giving " + e.repository() + " an empty layer: it has none at all");
        // Where no manifest names it, the sweep takes it away again.
        var _ = registry.putBlob(e.repository(), EmptyJson.DESCRIPTOR, null, EmptyJson.CONTENT);
      }
    }
  }

  private CollectionReport collect(HttpClient http, ScheduledExecutorService scheduler)
      throws InterruptedException {
    if (options.dryRun) {
      // Nothing is deleted, so nobody need be held up; what changes meanwhile is not seen.
      Judgement judgement = judge(() -> {});
      return report(judgement, 0, judgement.inventory.sweepable().size(), judgement.estimate, true);
    }
    try (FreezeHold freeze =
        new FreezeHold(http, options.gateways, options.freezeSecret, scheduler)) {
      settle(freeze, scheduler);
      Judgement judgement = judge(freeze::check);
      guard(judgement);
      freeze.hold(FreezeHold.Scope.UPLOADS);
      int deleted = 0;
      for (Unneeded one : judgement.unneeded) {
        freeze.check();
        if (registry.delete(one.repository, one.digest.toString())) {
          deleted++;
        }
      }
      progress.accept("deleted " + deleted + " manifests");
      freeze.hold(FreezeHold.Scope.WRITES);
      settle(freeze, scheduler);
      Optional<Long> before = used();
      int swept = program.sweep(freeze::check);
      // An object store does not tell what it holds.
      long freed =
          before.map(was -> Math.max(0, was - used().orElse(0L))).orElse(judgement.estimate);
      progress.accept("swept " + swept + " blobs");
      return report(judgement, deleted, swept, freed, false);
    }
  }

  private CollectionReport report(
      Judgement judgement, int deleted, int swept, long freed, boolean dryRun) {
    return new CollectionReport(
        judgement.inventory.manifests().size(),
        judgement.inventory.size(),
        judgement.unneeded.size() + judgement.young.size(),
        judgement.young.size(),
        deleted,
        swept,
        freed,
        dryRun ? judgement.now : judgement.then,
        dryRun,
        judgement.unneeded.stream().limit(EXAMPLES).map(Unneeded::toString).toList());
  }

  /** Waits for writes that began before the freeze. */
  private void settle(FreezeHold freeze, ScheduledExecutorService scheduler)
      throws InterruptedException {
    Instant end = clock.instant().plus(options.patience);
    while (freeze.inFlight() > 0) {
      freeze.check();
      if (clock.instant().isAfter(end)) {
        throw new UpkeepException(
            "writes that began before the freeze do not end; nothing is deleted");
      }
      // A gateway answers at once; this only keeps from asking in a tight loop.
      try {
        scheduler.schedule(() -> {}, 200, TimeUnit.MILLISECONDS).get();
      } catch (ExecutionException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  private Judgement judge(Runnable check) {
    Inventory inventory = program.inventory(check);
    Map<Digest, Reachability.Node> nodes = new HashMap<>();
    Map<Digest, Map<Digest, Long>> weights = new HashMap<>();
    List<Map.Entry<String, Digest>> tags = new ArrayList<>();
    TreeMap<String, SortedSet<Digest>> present = new TreeMap<>();
    for (Map.Entry<String, SortedSet<Digest>> entry : inventory.manifests().entrySet()) {
      String repository = entry.getKey();
      for (Digest digest : entry.getValue()) {
        check.run();
        if (nodes.containsKey(digest) || read(repository, digest, nodes, weights)) {
          present.computeIfAbsent(repository, r -> new TreeSet<>()).add(digest);
        }
      }
      for (String tag : tags(repository)) {
        check.run();
        Optional<Digest> target = registry.resolve(repository, tag).map(Descriptor::digest);
        target.ifPresent(digest -> tags.add(new SimpleImmutableEntry<>(tag, digest)));
        if (target.isPresent() && !nodes.containsKey(target.get())) {
          throw new UpkeepException(
              "the registry's inventory lacks what %s:%s names; nothing is deleted"
                  .formatted(repository, tag));
        }
      }
    }
    Set<Digest> kept = new HashSet<>(options.running);
    kept.addAll(selected.get());
    Set<Digest> needed = Reachability.needed(nodes, tags, kept);
    List<Unneeded> unneeded = new ArrayList<>();
    List<Unneeded> young = new ArrayList<>();
    present.forEach(
        (repository, digests) ->
            digests.stream()
                .filter(digest -> !needed.contains(digest))
                .map(digest -> new Unneeded(repository, digest))
                .forEach(one -> (isYoung(one) ? young : unneeded).add(one)));
    progress.accept(
        "%d manifests in %d repositories, %d needed by nothing, %d of them too young"
            .formatted(
                inventory.size(),
                inventory.manifests().size(),
                unneeded.size() + young.size(),
                young.size()));
    CollectionReport.Left now = left(present, tags.size(), weights);
    for (Unneeded one : unneeded) {
      present.computeIfPresent(
          one.repository,
          (repository, digests) -> {
            digests.remove(one.digest);
            return digests.isEmpty() ? null : digests;
          });
    }
    return new Judgement(
        inventory,
        unneeded,
        young,
        estimate(unneeded, weights),
        now,
        left(present, tags.size(), weights));
  }

  private static CollectionReport.Left left(
      Map<String, SortedSet<Digest>> present, int tags, Map<Digest, Map<Digest, Long>> weights) {
    Map<Digest, Long> blobs = new HashMap<>();
    present.values().stream()
        .flatMap(SortedSet::stream)
        .forEach(digest -> blobs.putAll(weights.getOrDefault(digest, Map.of())));
    return new CollectionReport.Left(
        present.size(), tags, blobs.values().stream().mapToLong(Long::longValue).sum());
  }

  /** Whether the manifest is there; one whose bytes are lost leads nowhere and is left alone. */
  private boolean read(
      String repository,
      Digest digest,
      Map<Digest, Reachability.Node> nodes,
      Map<Digest, Map<Digest, Long>> weights) {
    Manifest manifest = registry.findManifest(repository, digest.toString()).orElse(null);
    if (manifest == null) {
      return false;
    }
    nodes.put(
        digest,
        new Reachability.Node(
            manifest.children().stream().map(Descriptor::digest).toList(),
            manifest.subject().map(Descriptor::digest)));
    Map<Digest, Long> weight = new HashMap<>();
    weight.put(digest, (long) manifest.size());
    manifest.blobs().forEach(blob -> weight.put(blob.digest(), blob.size()));
    weights.put(digest, weight);
    return true;
  }

  private List<String> tags(String repository) {
    try {
      return registry.tags(repository).names();
    } catch (RegistryException e) {
      if (e.reason() == Reason.NotFound) {
        return List.of();
      }
      throw e;
    }
  }

  private void guard(Judgement judgement) {
    int all = judgement.inventory.size();
    int gone = judgement.unneeded.size();
    if (all >= MIN_GUARDED && gone * 100L > (long) options.most * all) {
      throw new TooMuch(
          "%d of %d manifests are needed by nothing, more than %d %%; look at them with --dry-run"
              .formatted(gone, all, options.most));
    }
  }

  /** What only the unneeded hold: bytes that a sweep frees once they are deleted. */
  private static long estimate(List<Unneeded> unneeded, Map<Digest, Map<Digest, Long>> weights) {
    Set<Digest> gone = unneeded.stream().map(Unneeded::digest).collect(Collectors.toSet());
    Map<Digest, Long> only = new HashMap<>();
    gone.forEach(digest -> only.putAll(weights.getOrDefault(digest, Map.of())));
    weights.forEach(
        (digest, weight) -> {
          if (!gone.contains(digest)) {
            only.keySet().removeAll(weight.keySet());
          }
        });
    return only.values().stream().mapToLong(Long::longValue).sum();
  }

  private boolean isYoung(Unneeded one) {
    Path root = options.storage;
    if (root == null || options.grace.isZero()) {
      return false;
    }
    Path link =
        root.resolve("docker/registry/v2/repositories")
            .resolve(one.repository)
            .resolve("_manifests/revisions")
            .resolve(one.digest.algorithm().id())
            .resolve(one.digest.hex())
            .resolve("link");
    try {
      Instant written = Files.getLastModifiedTime(link).toInstant();
      return written.isAfter(clock.instant().minus(options.grace));
    } catch (IOException e) {
      // What cannot be judged stays.
      return true;
    }
  }

  /** Bytes in use on the storage's filesystem; others may write there too. */
  private Optional<Long> used() {
    Path root = options.storage;
    if (root == null) {
      return Optional.empty();
    }
    try {
      var store = Files.getFileStore(root);
      return Optional.of(store.getTotalSpace() - store.getUnallocatedSpace());
    } catch (IOException e) {
      return Optional.empty();
    }
  }
}
