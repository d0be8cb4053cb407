package io.kubic.mirrors.sync;

import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.list.SelectedImage;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageSource;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.Listing;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.oci.Platform;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Repository;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Compares a selection with the target, image by image, and says what is to be copied. Asks the
 * target first: what is missing there costs one request at the source, what is there costs one
 * HEAD, which counts against no quota.
 */
public final class Planner {
  /** A signature of a bill of material of an image, and one more. */
  private static final int MAX_REFERRER_DEPTH = 4;

  private final MirrorListSpec spec;
  private final Function<MirrorListSpec.Source, ? extends ImageSource> sources;
  private final ImageStore target;
  private final ExecutorService executor;
  private final Map<List<String>, MirrorListSpec.Source> byName = new HashMap<>();
  private final Companions companions;
  private final Attachments attachments;
  private final Spool spool = new Spool();

  /** Everything that is to be copied, with its size, each once. */
  private final Map<Digest, Long> transfer = new ConcurrentHashMap<>();

  private final Set<Selection.Problem> unforeseen = ConcurrentHashMap.newKeySet();

  /**
   * @param sources the store to read each source from
   * @param executor one task per image; the stores bound what runs at once
   */
  public Planner(
      MirrorListSpec spec,
      Function<MirrorListSpec.Source, ? extends ImageSource> sources,
      ImageStore target,
      ExecutorService executor) {
    this.spec = spec;
    this.sources = sources;
    this.target = target;
    this.executor = executor;
    this.companions = new Companions(sources);
    this.attachments = new Attachments(target);
    spec.sources().forEach(s -> byName.put(List.of(s.registry(), s.name()), s));
  }

  /**
   * A plan, and what it takes to carry it out.
   *
   * @param work the images to copy, in the plan's order
   * @param settled what became of the others
   */
  public record Result(Plan plan, List<Copier.Work> work, List<Outcome> settled) {
    public Result {
      work = List.copyOf(work);
      settled = List.copyOf(settled);
    }
  }

  /** Tells of a repository that was listed for the selection, so that it is listed only once. */
  public void listed(Repository repository, Listing listing) {
    companions.listed(repository, listing);
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

  /**
   * Something to look at.
   *
   * @param subject what it is attached to by the referrers API; null for everything else
   */
  private record Wanted(SelectedImage image, boolean referrer, @Nullable Digest subject) {}

  /**
   * What was found out about one image.
   *
   * @param digest what is to be there; when that cannot be found out, what is there
   * @param subjects what others may be attached to
   */
  private record Found(
      Wanted wanted,
      String source,
      String target,
      @Nullable Digest digest,
      Plan.@Nullable Item item,
      Copier.@Nullable Work work,
      @Nullable Outcome outcome,
      Set<Digest> subjects) {
    SelectedImage image() {
      return wanted.image();
    }

    boolean referrer() {
      return wanted.referrer();
    }
  }

  /**
   * Plans; one image that cannot be planned is an outcome of its own and stops nobody.
   *
   * @throws RegistryException Cancelled
   */
  public Result plan(Selection selection) {
    Set<Key> known = new HashSet<>();
    List<Wanted> wanted =
        selection.images().stream().map(image -> new Wanted(image, false, null)).toList();
    wanted.forEach(one -> known.add(Key.of(one.image())));
    List<Found> all = new ArrayList<>();
    for (int depth = 0; depth < MAX_REFERRER_DEPTH && !wanted.isEmpty(); depth++) {
      List<Found> found = each(wanted, this::look);
      all.addAll(found);
      wanted =
          each(found, this::attached).stream()
              .flatMap(List::stream)
              .filter(one -> known.add(Key.of(one.image())))
              .toList();
    }
    return conclude(all, selection.problems());
  }

  private <T, R> List<R> each(Collection<T> all, Function<T, R> question) {
    List<Future<R>> running = new ArrayList<>(all.size());
    try {
      for (T one : all) {
        running.add(executor.submit(() -> question.apply(one)));
      }
      List<R> answers = new ArrayList<>(all.size());
      for (Future<R> future : running) {
        answers.add(future.get());
      }
      return answers;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new RegistryException(Reason.Cancelled, target.name(), "the planning was stopped");
    } catch (ExecutionException e) {
      throw e.getCause() instanceof RuntimeException known
          ? known
          : new IllegalStateException(e.getCause());
    } finally {
      running.forEach(future -> future.cancel(true));
    }
  }

  private Found look(Wanted wanted) {
    SelectedImage image = wanted.image();
    String place = targetRepository(spec.layout(), image.repository());
    String sourceName = image.reference().toString();
    String targetName =
        Plan.name(target.name(), place, image.tag(), String.valueOf(image.digest()));
    Digest[] known = {image.digest()};
    try {
      return look(wanted, place, sourceName, targetName, known);
    } catch (RegistryException e) {
      if (e.reason() == Reason.Cancelled) {
        throw e;
      }
      return failed(wanted, sourceName, targetName, known[0], e);
    } catch (RuntimeException e) {
      // A defect of ours in one image is no reason to leave the others out.
      return failed(
          wanted,
          sourceName,
          targetName,
          known[0],
          new RegistryException(Reason.Internal, sourceName, "a defect, please report it: " + e));
    }
  }

  private static Found failed(
      Wanted wanted, String source, String target, @Nullable Digest known, RegistryException e) {
    Outcome outcome = failure(source, target, e).asReferrer(wanted.referrer());
    return new Found(wanted, source, target, known, null, null, outcome, Set.of());
  }

  /**
   * @param known is told the digest that stands for the image should the rest fail
   */
  private Found look(
      Wanted wanted, String place, String sourceName, String targetName, Digest[] known) {
    SelectedImage image = wanted.image();
    String repository = image.repository().path();
    MirrorListSpec.Source source = source(image);
    ImageSource store = sources.apply(source);
    List<Platform> platforms = source.platforms().stream().map(Platform::parse).toList();
    String identifier = image.reference().identifier().orElseThrow();
    Optional<Descriptor> there =
        target.resolve(place, image.tag() == null ? identifier : image.tag());
    Manifest top;
    if (there.isPresent()) {
      if (known[0] == null) {
        known[0] = there.get().digest();
      }
      Digest now =
          image.digest() != null
              ? image.digest()
              : store
                  .resolve(repository, identifier)
                  .orElseThrow(
                      () ->
                          new RegistryException(
                              Reason.NotFound, sourceName, "the source does not have it"))
                  .digest();
      boolean same = now.equals(there.get().digest());
      if (same && isWhole(place, there.get(), platforms) && isListed(place, wanted, now)) {
        return skipped(wanted, sourceName, targetName, place, there.get(), source);
      }
      // What travels with an image is added to by its owners: that is no drift.
      if (!same && !wanted.referrer() && spec.tagPolicy() == MirrorListSpec.TagPolicy.Immutable) {
        Outcome drifted =
            new Outcome(
                sourceName,
                targetName,
                now,
                Outcome.Result.Drifted,
                null,
                "the tag moved at the source; the target keeps " + there.get().digest(),
                0,
                1);
        return new Found(
            wanted,
            sourceName,
            targetName,
            there.get().digest(),
            null,
            null,
            drifted,
            Set.of(there.get().digest()));
      }
      known[0] = now;
      top = manifest(store, repository, now.toString());
    } else {
      top = manifest(store, repository, identifier);
      known[0] = top.digest();
    }
    Closure closure =
        Closure.load(
            store.name() + "/" + repository,
            digest -> manifest(store, repository, digest.toString()),
            top,
            platforms);
    Plan.Item item =
        new Plan.Item(
            sourceName,
            targetName,
            top.digest(),
            top.mediaType(),
            closure.platforms(platforms),
            closure.bytes(),
            Plan.Action.Copy,
            wanted.referrer());
    Set<Digest> subjects = new LinkedHashSet<>();
    subjects.add(top.digest());
    closure.below().forEach(child -> subjects.add(child.digest()));
    if (transfer.putIfAbsent(top.digest(), (long) top.size()) == null) {
      closure.blobs().forEach(blob -> transfer.put(blob.digest(), blob.size()));
      closure.below().forEach(m -> transfer.put(m.digest(), (long) m.size()));
    }
    Copier.Work work =
        new Copier.Work(item, store, repository, place, image.tag(), platforms, spool);
    return new Found(wanted, sourceName, targetName, top.digest(), item, work, null, subjects);
  }

  /** A manifest of a source; what is pinned by digest is fetched once per run. */
  private Manifest manifest(ImageSource store, String repository, String identifier) {
    Optional<Manifest> kept = Digest.tryParse(identifier).flatMap(spool::find);
    if (kept.isPresent()) {
      return kept.get();
    }
    Manifest fetched = store.manifest(repository, identifier);
    spool.keep(fetched);
    return fetched;
  }

  /** Whether a referrer that is there is also found from its subject. */
  private boolean isListed(String place, Wanted wanted, Digest digest) {
    return wanted.subject() == null || attachments.isListed(place, wanted.subject(), digest);
  }

  /** Whether the children that are wanted of an index are there; without a filter they are. */
  private boolean isWhole(String place, Descriptor top, List<Platform> platforms) {
    if (platforms.isEmpty() || !MediaTypes.isIndex(top.mediaType())) {
      return true;
    }
    return target.manifest(place, top.digest().toString()).children().stream()
        .filter(child -> child.isManifest() && Closure.isWanted(child, platforms))
        .allMatch(child -> target.resolve(place, child.digest().toString()).isPresent());
  }

  private Found skipped(
      Wanted wanted,
      String sourceName,
      String targetName,
      String place,
      Descriptor there,
      MirrorListSpec.Source source) {
    Set<Digest> subjects = new LinkedHashSet<>();
    subjects.add(there.digest());
    if (MediaTypes.isIndex(there.mediaType())
        && companions.arePossible(source, wanted.image().repository(), there.digest())) {
      List<Platform> platforms = source.platforms().stream().map(Platform::parse).toList();
      target.manifest(place, there.digest().toString()).children().stream()
          .filter(child -> child.isManifest() && Closure.isWanted(child, platforms))
          .forEach(child -> subjects.add(child.digest()));
    }
    return new Found(
        wanted,
        sourceName,
        targetName,
        there.digest(),
        new Plan.Item(
            sourceName,
            targetName,
            there.digest(),
            there.mediaType(),
            List.of(),
            there.size(),
            Plan.Action.Skip,
            wanted.referrer()),
        null,
        new Outcome(
            sourceName,
            targetName,
            there.digest(),
            Outcome.Result.Skipped,
            null,
            null,
            0,
            1,
            wanted.referrer()),
        subjects);
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

  private MirrorListSpec.Source source(SelectedImage image) {
    MirrorListSpec.Source source = byName.get(List.of(image.registry(), image.source()));
    if (source == null) {
      throw new IllegalStateException("no source " + image.source() + " of " + image.registry());
    }
    return source;
  }

  /** Signatures, attestations and bills of material that travel with what was found. */
  private List<Wanted> attached(Found found) {
    if (found.subjects().isEmpty()) {
      return List.of();
    }
    try {
      MirrorListSpec.Source source = source(found.image());
      List<Wanted> all = new ArrayList<>();
      for (Digest subject : found.subjects()) {
        for (Companions.Companion one :
            companions.of(source, found.image().repository(), subject)) {
          all.add(new Wanted(one.image(), true, one.subject().orElse(null)));
        }
      }
      return all;
    } catch (RegistryException e) {
      throw e;
    } catch (RuntimeException e) {
      unforeseen.add(
          new Selection.Problem(
              found.source(),
              Reason.Internal,
              "signatures cannot be looked for; a defect, please report it: " + e));
      return List.of();
    }
  }

  /** What makes two selected images the same. */
  private record Key(Repository repository, @Nullable String tag, @Nullable Digest digest) {
    static Key of(SelectedImage image) {
      return new Key(image.repository(), image.tag(), image.tag() == null ? image.digest() : null);
    }
  }

  private Result conclude(List<Found> found, List<Selection.Problem> unseen) {
    Map<String, Found> owners = new TreeMap<>();
    List<Outcome> settled = new ArrayList<>();
    List<Selection.Problem> problems = new ArrayList<>(unseen);
    problems.addAll(companions.problems());
    problems.addAll(unforeseen);
    found.sort((a, b) -> a.image().compareTo(b.image()));
    for (Found one : found) {
      Found owner = owners.putIfAbsent(one.target(), one);
      if (owner != null && owner.digest() != null && owner.digest().equals(one.digest())) {
        continue; // Two sources that agree are one image.
      }
      if (owner != null) {
        settled.add(
            failure(
                    one.source(),
                    one.target(),
                    new RegistryException(
                        Reason.Conflict,
                        one.source(),
                        one.target() + " is already taken by " + owner.source()))
                .asReferrer(one.referrer()));
      } else if (one.outcome() != null) {
        settled.add(one.outcome());
      }
    }
    List<Plan.Item> items = new ArrayList<>();
    List<Copier.Work> work = new ArrayList<>();
    List<String> lines = new ArrayList<>();
    Set<String> repositories = new HashSet<>();
    for (Found one : owners.values()) {
      if (!one.referrer()) {
        lines.add(one.target() + " " + (one.digest() == null ? "unknown" : one.digest()));
      }
      if (one.item() != null) {
        items.add(one.item());
        repositories.add(targetRepository(spec.layout(), one.image().repository()));
      }
      if (one.work() != null) {
        work.add(one.work());
      }
    }
    for (Outcome outcome : settled) {
      if (outcome.reason() != null) {
        problems.add(
            new Selection.Problem(
                outcome.source(), outcome.reason(), String.valueOf(outcome.message())));
      }
    }
    Plan plan =
        new Plan(
            Plan.hash(lines),
            items,
            problems.stream().sorted().toList(),
            new Plan.Totals(
                repositories.size(),
                lines.size(),
                items.stream().mapToLong(Plan.Item::bytes).sum(),
                transfer.values().stream().mapToLong(Long::longValue).sum(),
                0));
    return new Result(plan, work, settled);
  }
}
