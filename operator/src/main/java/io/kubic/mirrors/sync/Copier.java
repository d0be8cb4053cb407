package io.kubic.mirrors.sync;

import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageSource;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.Platform;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Copies images between any two stores: blobs, then children, then the manifest with its tag, so
 * that a tag never names what is not there. A blob that several images share comes from its source
 * once per run and is mounted for the others. For one run; safe for threads.
 */
public final class Copier {
  private final ImageStore target;
  private final Attachments attachments;
  private final MirrorListSpec.IndexPolicy indexPolicy;
  private final MirrorListSpec.FailurePolicy failurePolicy;
  private final MirrorListSpec.Concurrency concurrency;
  private final ExecutorService executor;

  /** Blobs and manifests that are, or are about to be, in a repository of the target. */
  private final Map<Place, Placing> placed = new ConcurrentHashMap<>();

  /** The repository of the target that a blob was first brought to. */
  private final Map<Digest, CompletableFuture<String>> homes = new ConcurrentHashMap<>();

  /** The same of large blobs, for the ledger. */
  private final Map<Digest, String> housed = new ConcurrentHashMap<>();

  /** Repositories of the target that probably have a blob from an earlier run. */
  private volatile Map<Digest, String> known = Map.of();

  /** Repositories of the target where others will look for a blob if this run is killed. */
  private volatile Map<Digest, String> noted = Map.of();

  private final AtomicLong transferred = new AtomicLong();
  private final AtomicBoolean aborted = new AtomicBoolean();

  /** Bytes that need no more work: those of {@link #settled}, and what is on its way. */
  private final AtomicLong settledBytes = new AtomicLong();

  private final Set<Digest> settled = ConcurrentHashMap.newKeySet();

  private record Place(String repository, Digest digest) {}

  /**
   * @param from the repository of a source that it comes from
   */
  private record Placing(String from, CompletableFuture<Boolean> done) {}

  /**
   * @param written bytes that an earlier attempt wrote to the target
   */
  private record Attempt(Work work, long written) {}

  /**
   * One image to copy.
   *
   * @param repository at the source
   * @param place the repository in the target
   * @param tag null when only the digest names it
   * @param platforms that are copied of an index; empty for all
   * @param manifests all that it consists of
   */
  public record Work(
      Plan.Item item,
      ImageSource source,
      String repository,
      String place,
      @Nullable String tag,
      List<Platform> platforms,
      Spool manifests) {
    public Work {
      platforms = List.copyOf(platforms);
    }

    Work with(Plan.Item other) {
      return new Work(other, source, repository, place, tag, platforms, manifests);
    }

    /** Config and layers that the image needs, each once. */
    public List<Descriptor> blobs() {
      return closure().blobs();
    }

    Closure closure() {
      Function<Digest, Manifest> kept =
          digest ->
              manifests
                  .find(digest)
                  .orElseGet(() -> source.manifest(repository, digest.toString()));
      return Closure.load(
          source.name() + "/" + repository, kept, kept.apply(item.pinned()), platforms);
    }
  }

  /**
   * @param executor one task per image and blob
   */
  public Copier(ImageStore target, MirrorListSpec spec, ExecutorService executor) {
    this.target = target;
    this.attachments = new Attachments(target);
    this.indexPolicy = spec.indexPolicy();
    this.failurePolicy = spec.failurePolicy();
    this.concurrency = spec.concurrency();
    this.executor = executor;
  }

  /**
   * Tells where blobs may be mounted from; where one is not, it is fetched.
   *
   * @param first where others are brought to first, since it is written down so
   */
  void remember(Map<Digest, String> earlier, Map<Digest, String> first) {
    known = Map.copyOf(earlier);
    noted = Map.copyOf(first);
  }

  /** The repository of the target that a large blob was first brought to in this run. */
  Map<Digest, String> housed() {
    return new TreeMap<>(housed);
  }

  Attachments attachments() {
    return attachments;
  }

  /** An image failed before anything is copied: nothing is, where the list says so. */
  void failedBefore() {
    aborted.set(failurePolicy == MirrorListSpec.FailurePolicy.Abort);
  }

  /** Bytes of blobs and manifests written to the target so far. */
  public long transferred() {
    return transferred.get();
  }

  /** Bytes of distinct blobs that are in the target or on their way, for progress. */
  public long settledBytes() {
    return settledBytes.get();
  }

  /**
   * Copies everything; what failed for a reason that may have passed is tried once more at the end.
   *
   * @param listener told about every image's outcome, from several threads
   */
  public List<Outcome> copy(List<Work> work, Consumer<Outcome> listener) {
    List<Outcome> outcomes = new ArrayList<>();
    List<Attempt> again = new ArrayList<>();
    List<Outcome> first =
        run(
            work.stream().map(one -> new Attempt(one, 0)).toList(),
            outcome -> tell(outcome, listener));
    for (int i = 0; i < work.size(); i++) {
      if (mayPass(first.get(i))) {
        again.add(new Attempt(work.get(i), first.get(i).bytes()));
      } else {
        outcomes.add(first.get(i));
      }
    }
    outcomes.addAll(run(again, listener));
    return outcomes;
  }

  private void tell(Outcome outcome, Consumer<Outcome> listener) {
    if (!mayPass(outcome)) {
      listener.accept(outcome);
    }
  }

  private boolean mayPass(Outcome outcome) {
    Reason reason = outcome.reason();
    return reason != null
        && reason.isTransient()
        && failurePolicy == MirrorListSpec.FailurePolicy.Continue;
  }

  private List<Outcome> run(List<Attempt> attempts, Consumer<Outcome> listener) {
    return new Workers(executor, concurrency.images(), "the copying")
        .each(
            target.name(),
            attempts,
            one -> "",
            one -> {
              Outcome outcome = copy(one);
              listener.accept(outcome);
              return outcome;
            });
  }

  private Outcome copy(Attempt attempt) {
    Work work = attempt.work();
    AtomicLong written = new AtomicLong(attempt.written());
    String source = work.item().source();
    try {
      if (aborted.get()) {
        throw new RegistryException(
            Reason.Cancelled, source, "an earlier image failed and failurePolicy is Abort");
      }
      String message = copy(work, work.closure(), written);
      return new Outcome(
          source,
          work.item().target(),
          work.item().digest(),
          Outcome.Result.Copied,
          null,
          message,
          written.get(),
          1,
          work.item().referrer());
    } catch (RegistryException e) {
      return failed(work, e, written.get());
    } catch (RuntimeException e) {
      // A defect of ours in one image is no reason to leave the others out.
      return failed(
          work,
          new RegistryException(Reason.Internal, source, "a defect, please report it: " + e, e),
          written.get());
    }
  }

  private Outcome failed(Work work, RegistryException e, long written) {
    String source = work.item().source();
    if (failurePolicy == MirrorListSpec.FailurePolicy.Abort) {
      aborted.set(true);
    }
    return new Outcome(
        source,
        work.item().target(),
        work.item().digest(),
        Outcome.Result.Failed,
        e.reason(),
        e.object().equals(source) ? e.problem() : e.getMessage(),
        written,
        e.attempts(),
        work.item().referrer());
  }

  /** Tells what a person should know of it; null for nothing. */
  private @Nullable String copy(Work work, Closure closure, AtomicLong written) {
    blobs(work, closure, written);
    Manifest next = closure.top();
    try {
      for (Manifest child : closure.below()) {
        next = child;
        once(
            new Place(work.place(), child.digest()),
            "", // It is in hand: what fails is the target.
            () -> {
              target.putManifest(work.place(), child, null);
              add(written, child.size());
            });
      }
      next = closure.top();
      target.putManifest(work.place(), next, work.tag());
      add(written, next.size());
      if (work.item().referrer() && work.tag() == null) {
        attachments.attach(work.place(), next);
      }
      return null;
    } catch (RegistryException e) {
      boolean refused = e.reason() == Reason.TargetRejected || e.reason() == Reason.NotFound;
      // Of an image the target misses no platform: it has another reason to refuse it.
      if (!closure.sparse() || !next.isIndex() || !refused) {
        throw refused || e.reason() == Reason.ServerError ? withForeignLayers(next, e) : e;
      }
      if (indexPolicy == MirrorListSpec.IndexPolicy.Fail) {
        throw new RegistryException(
            Reason.SparseIndexRejected,
            work.item().target(),
            "the target insists on all platforms of the index; set indexPolicy: Preserve to copy"
                + " them all ("
                + e.problem()
                + ")");
      }
      copy(work, whole(work, closure.top(), e), written);
      return Outcome.ALL_PLATFORMS;
    }
  }

  /**
   * The same failure, and what may be the matter with an image whose layers stay with their vendor:
   * distribution answers 500 when it does not allow their URLs.
   */
  private static RegistryException withForeignLayers(Manifest manifest, RegistryException e) {
    boolean has =
        manifest.content() instanceof Manifest.Image image
            && image.layers().stream().anyMatch(Descriptor::isForeign);
    return has
        ? new RegistryException(
                e.reason(),
                e.object(),
                "it has layers that stay with their vendor, which a distribution registry takes with"
                    + " validation.manifests.urls.allow in its configuration only ("
                    + e.problem()
                    + ")",
                e)
            .withAttempts(e.attempts())
        : e;
  }

  /** All platforms of an index of which the target refused some. */
  private static Closure whole(Work work, Manifest top, RegistryException refusal) {
    try {
      return Closure.load(work.source(), work.repository(), top, List.of());
    } catch (RegistryException e) {
      // A bundle, or a mirror that is sparse itself, has no more than was wanted.
      throw e.reason() == Reason.NotFound ? refusal : e;
    }
  }

  private void blobs(Work work, Closure closure, AtomicLong written) {
    Semaphore slots = new Semaphore(concurrency.blobs());
    String from = work.source().name() + "/" + work.repository();
    List<Future<?>> running = new ArrayList<>();
    try {
      for (Descriptor blob : closure.blobs()) {
        slots.acquire();
        running.add(
            executor.submit(
                () -> {
                  try {
                    once(
                        new Place(work.place(), blob.digest()),
                        from,
                        () -> bring(work, blob, written));
                  } finally {
                    slots.release();
                  }
                }));
      }
      for (Future<?> future : running) {
        future.get();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new RegistryException(
          Reason.Cancelled, work.item().source(), "the copying was stopped");
    } catch (ExecutionException e) {
      throw e.getCause() instanceof RuntimeException known
          ? known
          : new IllegalStateException(e.getCause());
    } finally {
      running.forEach(future -> future.cancel(true));
    }
  }

  /** Brings a blob to a repository: from its source the first time, by a mount afterwards. */
  private void bring(Work work, Descriptor blob, AtomicLong written) {
    BlobContent upstream = offset -> work.source().blob(work.repository(), blob, offset);
    CompletableFuture<String> mine = new CompletableFuture<>();
    CompletableFuture<String> first = homes.putIfAbsent(blob.digest(), mine);
    String home = null;
    boolean failed = false;
    while (first != null && home == null && !failed) {
      try {
        home = first.join();
      } catch (CompletionException e) {
        // Whoever fetched it failed, perhaps for a reason of his own: try it ourselves.
        failed = !isOfAnother(e.getCause());
        if (!failed) {
          first = homes.putIfAbsent(blob.digest(), mine);
        }
      }
    }
    if (first == null) {
      try {
        home = fetch(work, blob, upstream, written);
        if (blob.size() >= Ledger.LARGE) {
          housed.put(blob.digest(), home);
        }
        mine.complete(home);
      } catch (Throwable e) {
        // Also what no signature tells: OkHttp is Kotlin. Whoever waits must not wait for ever.
        homes.remove(blob.digest(), mine);
        mine.completeExceptionally(e);
        throw e;
      }
      if (home.equals(work.place())) {
        return;
      }
    }
    if (home == null || home.equals(work.place())) {
      put(work.place(), blob, null, upstream, written);
      return;
    }
    String from = home;
    try {
      put(work.place(), blob, from, offset -> target.blob(from, blob, offset), written);
    } catch (RegistryException e) {
      switch (e.reason()) {
        // What the target has there is damaged, gone by now, or for others only, since another
        // list's ledger told of it.
        case DigestMismatch, NotFound, Unauthorized, Forbidden ->
            put(work.place(), blob, null, upstream, written);
        default -> throw e;
      }
    }
  }

  /**
   * Fetches a blob: to the repository that is noted for it, whoever needs it first, so that the
   * next run finds it there should this one be killed.
   *
   * @return where it is now
   */
  private String fetch(Work work, Descriptor blob, BlobContent upstream, AtomicLong written) {
    String other = noted.getOrDefault(blob.digest(), work.place());
    if (!other.equals(work.place())) {
      try {
        put(other, blob, null, upstream, written);
        return other;
      } catch (RegistryException e) {
        switch (e.reason()) {
          // Perhaps it is that repository alone that does not take it.
          case TargetRejected, Forbidden, Unauthorized, NotFound, TargetFull -> {}
          default -> throw e;
        }
      }
    }
    String before = known.get(blob.digest());
    put(work.place(), blob, work.place().equals(before) ? null : before, upstream, written);
    return work.place();
  }

  private void put(
      String place,
      Descriptor blob,
      @Nullable String from,
      BlobContent content,
      AtomicLong written) {
    AtomicLong moving = new AtomicLong();
    try {
      switch (target.putBlob(place, blob, from, counted(content, moving))) {
        case PRESENT, MOUNTED -> {}
        case WRITTEN -> add(written, blob.size());
      }
      if (settled.add(blob.digest())) {
        settledBytes.addAndGet(blob.size());
      }
    } finally {
      settledBytes.addAndGet(-moving.get());
    }
  }

  /** Counts what is read, for progress only. */
  private BlobContent counted(BlobContent content, AtomicLong moving) {
    return new BlobContent() {
      @Override
      public InputStream open(long offset) {
        return content.open(offset);
      }

      @Override
      public void passed(long bytes) {
        moving.addAndGet(bytes);
        settledBytes.addAndGet(bytes);
      }
    };
  }

  private void add(AtomicLong written, long bytes) {
    written.addAndGet(bytes);
    transferred.addAndGet(bytes);
  }

  /** Whether somebody else was stopped, as the blobs of an image are when one of them fails. */
  private static boolean isOfAnother(@Nullable Throwable failure) {
    return failure instanceof RegistryException known
        && known.reason() == Reason.Cancelled
        && !Thread.currentThread().isInterrupted();
  }

  /**
   * Does something for a place once per run; whoever comes while it is done waits for it, and tries
   * himself what did not come from elsewhere.
   *
   * @param from what fails for one fails for all who bring it from the same repository
   */
  private void once(Place place, String from, Runnable action) {
    CompletableFuture<Boolean> done = new CompletableFuture<>();
    Placing mine = new Placing(from, done);
    Placing first = placed.putIfAbsent(place, mine);
    while (first != null) {
      try {
        first.done().join();
        return;
      } catch (CompletionException e) {
        RuntimeException failure = e.getCause() instanceof RegistryException known ? known : e;
        if (first.from().equals(from) && !isOfAnother(failure)) {
          throw failure;
        }
        first = placed.putIfAbsent(place, mine);
      }
    }
    try {
      action.run();
      done.complete(true);
    } catch (Throwable e) {
      placed.remove(place, mine);
      done.completeExceptionally(e);
      throw e;
    }
  }
}
