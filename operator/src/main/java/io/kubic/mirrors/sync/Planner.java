package io.kubic.mirrors.sync;

import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.list.SelectedImage;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageSource;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.oci.Platform;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Repository;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * Compares a selection with the target, image by image, and says what is to be copied.
 *
 * <p>Thrifty with the sources: an image that is in the target costs one HEAD, which counts against
 * no quota; what is missing there costs one GET, which tells digest and size at once, and one more
 * for each wanted child of an index. At a source that meters its manifests the digest is asked for
 * first, and each manifest is read once however many tags name it.
 */
public final class Planner {
  /** A signature of a bill of material of an image, and one more. */
  private static final int MAX_REFERRER_DEPTH = 4;

  /** Repositories of the target that are no mirror of anything. */
  private static final Set<String> OWN =
      Set.of(Ledgers.REPOSITORY, Reports.REPOSITORY, Locks.REPOSITORY);

  private static final Set<String> IMAGE_CONFIGS =
      Set.of(
          "application/vnd.oci.image.config.v1+json",
          "application/vnd.docker.container.image.v1+json");

  /** How much a plan finds out. */
  public enum Depth {
    /**
     * Digests, with one HEAD for each image; sizes stay unknown. Where a source filters platforms,
     * manifests must be read nevertheless. Of what is attached to images only what has a tag is
     * found.
     */
    DIGESTS,
    /** What it takes to copy: sizes of what is copied. */
    COPIES,
    /**
     * The same, but an image counts as there only if every blob of it is: one request for each blob
     * of what is in the target.
     */
    CONTENT,
    /** Sizes and platforms of everything; of what is in the target as the target has it. */
    SIZES
  }

  /** Twice what goes to a registry at once: one half may be at the source, one at the target. */
  private static final int LEAST_AT_ONCE = 64;

  private final MirrorListSpec spec;
  private final Function<MirrorListSpec.Source, ? extends ImageSource> sources;
  private final @Nullable ImageStore target;
  private final @Nullable Holdings holdings;
  private final Depth depth;
  private final Workers workers;
  private final Map<List<String>, MirrorListSpec.Source> byName = new HashMap<>();
  private final Companions companions;
  private final Spool spool = new Spool();

  /** What single images say they are for, by the digests of their configurations. */
  private final Map<Digest, Optional<Platform>> platforms = new ConcurrentHashMap<>();

  /** Held while a manifest or configuration is read, so that tags that name one read it once. */
  private final Map<Digest, ReentrantLock> reading = new ConcurrentHashMap<>();

  private final Set<Selection.Problem> noted = ConcurrentHashMap.newKeySet();

  /**
   * @param sources the store to read each source from
   * @param target null to plan as for an empty one
   * @param executor runs the workers; the stores bound what is asked at once
   */
  public Planner(
      MirrorListSpec spec,
      Function<MirrorListSpec.Source, ? extends ImageSource> sources,
      @Nullable ImageStore target,
      Depth depth,
      ExecutorService executor) {
    this.spec = spec;
    this.sources = sources;
    this.target = target;
    this.holdings = target == null ? null : new Holdings(target, depth);
    this.depth = depth;
    this.workers =
        new Workers(
            executor,
            Math.max(
                LEAST_AT_ONCE,
                2
                    * spec.sources().stream()
                        .mapToInt(source -> source.limits().maxConcurrent())
                        .max()
                        .orElse(1)),
            "the planning");
    this.companions = new Companions(sources, depth != Depth.DIGESTS, noted::add);
    spec.sources().forEach(s -> byName.put(List.of(s.registry(), s.name()), s));
  }

  /**
   * A plan, and what it takes to carry it out.
   *
   * @param work the images to copy, in the plan's order
   * @param settled what became of the others
   * @param images that are to be in the target and can be, with what travels with them; sorted
   * @param again selected images that are not settled, or something that travels with them is not,
   *     for a reason that may pass
   * @param doubts where something may travel with an image that is not known
   */
  public record Result(
      Plan plan,
      List<Copier.Work> work,
      List<Outcome> settled,
      List<SelectedImage> images,
      Set<SelectedImage> again,
      Doubts doubts) {
    public Result {
      work = List.copyOf(work);
      settled = List.copyOf(settled);
      images = List.copyOf(images);
      again = Set.copyOf(again);
    }
  }

  /** Whether the sizes of what is there already are known too. */
  boolean measures() {
    return depth == Depth.SIZES;
  }

  Optional<Attachments> attachments() {
    return Optional.ofNullable(holdings).map(Holdings::attachments);
  }

  /** Where a repository lies in the target, as nodes look for it. */
  public static String targetRepository(MirrorListSpec.Layout layout, Repository repository) {
    return switch (layout) {
      case Flat -> repository.path();
      case Scoped ->
          repository.registry().toLowerCase(Locale.ROOT).replace(':', '_')
              + "/"
              + repository.path();
    };
  }

  /** One image, and where it comes from and goes. */
  private record Task(
      Found.Wanted wanted,
      MirrorListSpec.Source source,
      ImageSource store,
      List<Platform> platforms,
      String from,
      String place,
      String to) {
    String repository() {
      return wanted.image().repository().path();
    }

    String identifier() {
      return wanted.image().reference().identifier().orElseThrow();
    }

    /** What the target calls it. */
    String name() {
      String tag = wanted.image().tag();
      return tag == null ? identifier() : tag;
    }
  }

  /**
   * Plans; one image that cannot be planned is an outcome of its own and stops nobody.
   *
   * @throws RegistryException Cancelled
   */
  public Result plan(Selection selection) {
    return plan(
        selection,
        new Known(Map.of(), () -> new Ledgers.View(Ledger.empty(""), List.of(), List.of(), false)));
  }

  /**
   * The same for who has ledgers.
   *
   * @param ledgers asked when it matters, then by several threads
   * @param random chooses the tags that are looked at though a ledger knows them
   */
  Result plan(Selection selection, Supplier<Ledgers.View> ledgers, RandomGenerator random) {
    return plan(
        selection,
        new Known(
            spec.compare() == MirrorListSpec.Compare.Ledger && depth == Depth.COPIES
                ? ledgers.get().believable(random)
                : Map.of(),
            ledgers));
  }

  private Result plan(Selection selection, Known known) {
    selection.companions().forEach(companions::listed);
    companions.lookAgain();
    Set<Key> seen = new HashSet<>();
    List<Found.Wanted> wanted =
        selection.images().stream().map(image -> new Found.Wanted(image, image, null)).toList();
    wanted.forEach(one -> seen.add(Key.of(one.image())));
    List<Found> all = new ArrayList<>();
    for (int level = 0; level < MAX_REFERRER_DEPTH && !wanted.isEmpty(); level++) {
      List<Found> found =
          workers.each("plan", wanted, one -> one.image().registry(), one -> look(one, known));
      all.addAll(found);
      wanted =
          workers.each("plan", found, one -> one.image().registry(), this::attached).stream()
              .flatMap(List::stream)
              .filter(one -> seen.add(Key.of(one.image())))
              .toList();
    }
    return new Conclusion(
            spec.layout(),
            target == null ? null : target.name(),
            companions,
            image -> source(image).includeReferrers())
        .of(all, selection, noted);
  }

  /**
   * What need not be asked for, or not be trusted.
   *
   * @param believed by repository of the target and tag
   */
  private record Known(Map<String, Map<String, Digest>> believed, Supplier<Ledgers.View> ledgers) {}

  private Found look(Found.Wanted wanted, Known known) {
    SelectedImage image = wanted.image();
    MirrorListSpec.Source source = source(image);
    String place = targetRepository(spec.layout(), image.repository());
    Task task =
        new Task(
            wanted,
            source,
            sources.apply(source),
            // What travels with an image is for whoever gets the image.
            wanted.referrer()
                ? List.of()
                : source.platforms().stream().map(Platform::parse).toList(),
            image.reference().toString(),
            place,
            Plan.name(
                target == null ? null : target.name(),
                place,
                image.tag(),
                String.valueOf(image.digest())));
    Digest[] stands = {image.digest()};
    try {
      if (!Repository.isPath(place)) {
        throw new RegistryException(
            Reason.TargetRejected,
            task.from(),
            "the target can have no such repository: its name would be no lower case components"
                + " joined by '/' of at most 255 characters; layout: Flat leaves the registry out");
      }
      if (OWN.contains(place)) {
        throw new RegistryException(
            Reason.Conflict,
            task.from(),
            "claims the place where lists keep their ledgers, reports and locks; leave it out, or"
                + " use layout: Scoped");
      }
      return look(task, stands, known);
    } catch (RegistryException e) {
      if (e.reason() == Reason.Cancelled) {
        throw e;
      }
      return failed(task, stands[0], e);
    } catch (RuntimeException e) {
      // A defect of ours in one image is no reason to leave the others out.
      return failed(
          task,
          stands[0],
          new RegistryException(
              Reason.Internal, task.from(), "a defect, please report it: " + e, e));
    }
  }

  private static Found failed(Task task, @Nullable Digest known, RegistryException e) {
    return new Found(
        task.wanted(),
        new Plan.Item(
            task.from(),
            task.to(),
            known,
            null,
            List.of(),
            0,
            0,
            Plan.Action.Fail,
            task.wanted().referrer()),
        null,
        Map.of(),
        failure(task.from(), task.to(), e).asReferrer(task.wanted().referrer()),
        Set.of());
  }

  /** What the target is believed to have under an image's name; null when it is to be asked. */
  private @Nullable Digest believed(Task task, Known known) {
    Map<String, Digest> tags = known.believed().getOrDefault(task.place(), Map.of());
    Digest digest = tags.get(task.name());
    // A list of one tag is no cheaper than the tag.
    return digest != null
            && tags.size() > 1
            && !task.wanted().referrer()
            && task.platforms().isEmpty()
            && task.wanted().image().digest() == null
            && holdings != null
            && holdings.lists(task.place(), task.name())
        ? digest
        : null;
  }

  /**
   * @param stands is told the digest that stands for the image should the rest fail
   */
  private Found look(Task task, Digest[] stands, Known known) {
    Descriptor points = null;
    Digest believed = believed(task, known);
    if (believed != null) {
      stands[0] = believed;
      points = resolved(task);
      if (points.digest().equals(believed)) {
        try {
          return skipped(task, Holdings.There.of(points));
        } catch (RegistryException e) {
          if (e.reason() != Reason.NotFound) {
            throw e;
          }
          // The ledger is wrong: the target does not even have its index.
        }
      }
    }
    Holdings has = holdings;
    Holdings.There there =
        has == null ? null : has.find(task.place(), task.name(), task.platforms());
    if (has == null || there == null) {
      return missing(task, stands);
    }
    if (stands[0] == null) {
      stands[0] = there.descriptor().digest();
    }
    Digest pinned = task.wanted().image().digest();
    Digest now = pinned != null ? pinned : (points != null ? points : resolved(task)).digest();
    boolean same = now.equals(there.descriptor().digest());
    if (same
        && has.isWhole(
            task.place(),
            task.name(),
            there,
            task.platforms(),
            () -> known.ledgers().get().mayBePart(task.place(), task.name(), now))
        && has.isAttached(task.place(), task.wanted().subject(), now)) {
      try {
        List<String> other = unwanted(task, has, there, known);
        return other.isEmpty() ? skipped(task, there) : leftOut(task, other);
      } catch (RegistryException e) {
        if (e.reason() != Reason.NotFound) {
          throw e;
        }
        // The target lacks its configuration, say: it is brought again.
      }
    }
    // What travels with an image is added to by its owners: that is no drift.
    if (!same
        && !task.wanted().referrer()
        && spec.tagPolicy() == MirrorListSpec.TagPolicy.Immutable) {
      return drifted(task, there.descriptor(), now);
    }
    stands[0] = now;
    return copy(task, manifest(task, now.toString()));
  }

  private static Descriptor resolved(Task task) {
    return task.store()
        .resolve(task.repository(), task.identifier())
        .orElseThrow(
            () ->
                new RegistryException(Reason.NotFound, task.from(), "the source does not have it"));
  }

  /** An image that the target does not have, or that is compared with no target. */
  private Found missing(Task task, Digest[] stands) {
    if (depth == Depth.DIGESTS && task.platforms().isEmpty()) {
      Descriptor points = resolved(task);
      return new Found(
          task.wanted(),
          item(task, points, List.of(), points.size(), Plan.Action.Copy),
          null,
          Map.of(points.digest(), points.size()),
          null,
          subjects(task, points, task.store(), task.repository()));
    }
    String identifier = task.identifier();
    if (Digest.tryParse(identifier).isEmpty() && task.store().isMetered()) {
      identifier = resolved(task).digest().toString();
    }
    Manifest top = manifest(task, identifier);
    stands[0] = top.digest();
    return copy(task, top);
  }

  /** A manifest of a source; what is pinned by digest is fetched once per run. */
  private Manifest manifest(Task task, String identifier) {
    Optional<Digest> digest = Digest.tryParse(identifier);
    if (digest.isEmpty()) {
      return fetched(task, identifier);
    }
    ReentrantLock lock = reading.computeIfAbsent(digest.get(), any -> new ReentrantLock());
    lock.lock();
    try {
      return spool.find(digest.get()).orElseGet(() -> fetched(task, identifier));
    } finally {
      lock.unlock();
    }
  }

  private Manifest fetched(Task task, String identifier) {
    Manifest manifest = task.store().manifest(task.repository(), identifier);
    spool.keep(manifest);
    return manifest;
  }

  private Found copy(Task task, Manifest top) {
    List<String> other = unwanted(task, top, task.store(), task.repository());
    if (!other.isEmpty()) {
      return leftOut(task, other);
    }
    Closure closure =
        Closure.load(
            task.store().name() + "/" + task.repository(),
            digest -> manifest(task, digest.toString()),
            top,
            task.platforms());
    Plan.Item item =
        item(
            task,
            top.descriptor(),
            closure.platforms(task.platforms()),
            closure.bytes(),
            Plan.Action.Copy);
    Set<Digest> subjects = new LinkedHashSet<>();
    subjects.add(top.digest());
    closure.below().forEach(child -> subjects.add(child.digest()));
    Copier.Work work =
        target == null
            ? null
            : new Copier.Work(
                item,
                task.store(),
                task.repository(),
                task.place(),
                task.wanted().image().tag(),
                task.platforms(),
                spool);
    return new Found(task.wanted(), item, work, closure.parts(), null, subjects);
  }

  private Found leftOut(Task task, List<String> platforms) {
    noted.add(
        new Selection.Problem(
            task.from(),
            Reason.NotFound,
            "is left out: it is for "
                + String.join(", ", platforms)
                + ", and for none of the platforms that are wanted"));
    return new Found(task.wanted(), null, null, Map.of(), null, Set.of());
  }

  /**
   * The same of an image that the target has. A single image costs two requests to it, so what this
   * list had there with a filter before is not asked for again.
   */
  private List<String> unwanted(Task task, Holdings has, Holdings.There there, Known known) {
    if (task.platforms().isEmpty()
        || !MediaTypes.isIndex(there.descriptor().mediaType())
            && depth != Depth.SIZES
            && known
                .ledgers()
                .get()
                .isFiltered(task.place(), task.name(), there.descriptor().digest())) {
      return List.of();
    }
    Manifest top = has.manifest(task.place(), there);
    return unwanted(task, top, has.target(), task.place());
  }

  /** The platforms of an image that has none of those that are wanted; else empty. */
  private List<String> unwanted(Task task, Manifest top, ImageSource store, String repository) {
    if (task.platforms().isEmpty()) {
      return List.of();
    }
    return switch (top.content()) {
      case Manifest.Index index ->
          index.manifests().isEmpty() || !Closure.wanted(top, task.platforms()).isEmpty()
              ? List.of()
              : index.manifests().stream()
                  .map(child -> String.valueOf(child.platform()))
                  .distinct()
                  .sorted()
                  .limit(5)
                  .toList();
      case Manifest.Image image -> {
        if (!IMAGE_CONFIGS.contains(image.config().mediaType())) {
          yield List.of(); // An artifact is for every platform.
        }
        Optional<Platform> of = platform(store, repository, image.config());
        yield of.isEmpty() || task.platforms().stream().anyMatch(of.get()::satisfies)
            ? List.of()
            : List.of(of.get().toString());
      }
    };
  }

  private Optional<Platform> platform(ImageSource store, String repository, Descriptor config) {
    ReentrantLock lock = reading.computeIfAbsent(config.digest(), any -> new ReentrantLock());
    lock.lock();
    try {
      Optional<Platform> known = platforms.get(config.digest());
      if (known == null) {
        known = Optional.ofNullable(ImagePlatform.read(store, repository, config));
        platforms.put(config.digest(), known);
      }
      return known;
    } finally {
      lock.unlock();
    }
  }

  private Found skipped(Task task, Holdings.There there) {
    Closure closure = there.closure();
    Descriptor descriptor = there.descriptor();
    return new Found(
        task.wanted(),
        item(
            task,
            descriptor,
            closure == null ? List.of() : closure.platforms(task.platforms()),
            closure == null ? descriptor.size() : closure.bytes(),
            Plan.Action.Skip),
        null,
        closure == null ? Map.of() : closure.parts(),
        new Outcome(
            task.from(),
            task.to(),
            descriptor.digest(),
            Outcome.Result.Skipped,
            null,
            null,
            0,
            1,
            task.wanted().referrer()),
        subjects(task, descriptor, Objects.requireNonNull(target), task.place()));
  }

  private Found drifted(Task task, Descriptor there, Digest now) {
    noted.add(
        new Selection.Problem(
            task.from(),
            Reason.Conflict,
            "the tag moved to " + now + " at the source; the target keeps " + there.digest()));
    return new Found(
        task.wanted(),
        item(task, there, List.of(), there.size(), Plan.Action.Drift),
        null,
        Map.of(),
        new Outcome(
            task.from(),
            task.to(),
            now,
            Outcome.Result.Drifted,
            null,
            "the tag moved at the source; the target keeps " + there.digest(),
            0,
            1),
        Set.of(there.digest()));
  }

  private static Plan.Item item(
      Task task, Descriptor top, List<String> platforms, long bytes, Plan.Action action) {
    return new Plan.Item(
        task.from(),
        task.to(),
        top.digest(),
        top.mediaType(),
        platforms,
        bytes,
        0,
        action,
        task.wanted().referrer());
  }

  /** What others may be attached to; an index is only read where something is attached. */
  private Set<Digest> subjects(Task task, Descriptor top, ImageSource store, String repository) {
    Set<Digest> subjects = new LinkedHashSet<>();
    subjects.add(top.digest());
    if (MediaTypes.isIndex(top.mediaType())
        && companions.arePossible(
            task.source(), task.wanted().image().repository(), top.digest())) {
      Manifest index = store.manifest(repository, top.digest().toString());
      addChildren(task, index, store, repository, subjects, 0);
    }
    return subjects;
  }

  private static void addChildren(
      Task task,
      Manifest index,
      ImageSource store,
      String repository,
      Set<Digest> subjects,
      int depth) {
    for (Descriptor child : Closure.wanted(index, task.platforms())) {
      boolean fresh = child.isManifest() && subjects.add(child.digest());
      if (fresh
          && MediaTypes.isIndex(child.mediaType())
          && depth < Closure.MAX_DEPTH
          && subjects.size() < Closure.MAX_MANIFESTS) {
        // Empty where whoever put the index there left it out.
        store
            .findManifest(repository, child.digest().toString())
            .ifPresent(nested -> addChildren(task, nested, store, repository, subjects, depth + 1));
      }
    }
  }

  static Outcome failure(String source, String target, RegistryException e) {
    return new Outcome(
        source,
        target,
        null,
        Outcome.Result.Failed,
        e.reason(),
        e.object().equals(source) ? e.problem() : e.getMessage(),
        0,
        e.attempts());
  }

  /** Whether only some platforms are wanted of what its source has. */
  boolean isFiltered(SelectedImage image) {
    return !source(image).platforms().isEmpty();
  }

  private MirrorListSpec.Source source(SelectedImage image) {
    MirrorListSpec.Source source = byName.get(List.of(image.registry(), image.source()));
    if (source == null) {
      throw new IllegalStateException("no source " + image.source() + " of " + image.registry());
    }
    return source;
  }

  /** Signatures, attestations and bills of material that travel with what was found. */
  private List<Found.Wanted> attached(Found found) {
    if (found.subjects().isEmpty()) {
      return List.of();
    }
    try {
      MirrorListSpec.Source source = source(found.image());
      List<Found.Wanted> all = new ArrayList<>();
      for (Digest subject : found.subjects()) {
        for (Companions.Companion one :
            companions.of(source, found.image().repository(), subject)) {
          all.add(new Found.Wanted(one.image(), found.wanted().root(), one.subject().orElse(null)));
        }
      }
      return all;
    } catch (RegistryException e) {
      throw e;
    } catch (RuntimeException e) {
      companions.gaveUp(
          found.image().repository(),
          new RegistryException(
              Reason.Internal, found.image().toString(), "a defect, please report it: " + e, e));
      return List.of();
    }
  }

  /** What makes two selected images the same. */
  private record Key(Repository repository, @Nullable String tag, @Nullable Digest digest) {
    static Key of(SelectedImage image) {
      return new Key(image.repository(), image.tag(), image.tag() == null ? image.digest() : null);
    }
  }

  /** What outcomes call a repository of the target. */
  String inTarget(String place) {
    return inTarget(target == null ? null : target.name(), place);
  }

  static String inTarget(@Nullable String target, String place) {
    return target == null ? place : target + "/" + place;
  }
}
