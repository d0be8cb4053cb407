package io.kubic.mirrors.sync;

import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.list.SelectedImage;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageSource;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.Manifest;
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
  private static final List<String> COMPANIONS = List.of("", ".sig", ".att", ".sbom");

  private final MirrorListSpec spec;
  private final Function<MirrorListSpec.Source, ? extends ImageSource> sources;
  private final ImageStore target;
  private final ExecutorService executor;
  private final Map<List<String>, MirrorListSpec.Source> byName = new HashMap<>();
  private final Map<Repository, Set<String>> companionTags = new ConcurrentHashMap<>();
  private final Set<Selection.Problem> unlisted = ConcurrentHashMap.newKeySet();

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
    spec.sources().forEach(s -> byName.put(List.of(s.registry(), s.name()), s));
  }

  /**
   * A plan, and what it takes to carry it out.
   *
   * @param work the images to copy, in the plan's order
   * @param settled what became of the others
   * @param referrers signatures and the like among all of them
   */
  public record Result(Plan plan, List<Copier.Work> work, List<Outcome> settled, int referrers) {
    public Result {
      work = List.copyOf(work);
      settled = List.copyOf(settled);
    }
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

  /** What was found out about one image. */
  private record Found(
      SelectedImage image,
      String source,
      String target,
      @Nullable Digest digest,
      Plan.@Nullable Item item,
      Copier.@Nullable Work work,
      @Nullable Outcome outcome,
      Set<Digest> subjects) {}

  /**
   * Plans; one image that cannot be planned is an outcome of its own and stops nobody.
   *
   * @throws RegistryException Cancelled
   */
  public Result plan(Selection selection) {
    List<Found> found = new ArrayList<>(look(selection.images()));
    List<SelectedImage> companions = companions(found);
    found.addAll(look(companions));
    return conclude(found, selection.problems(), companions.size());
  }

  private List<Found> look(Collection<SelectedImage> images) {
    List<Future<Found>> running = new ArrayList<>(images.size());
    try {
      for (SelectedImage image : images) {
        running.add(executor.submit(() -> look(image)));
      }
      List<Found> all = new ArrayList<>(images.size());
      for (Future<Found> future : running) {
        all.add(future.get());
      }
      return all;
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

  private Found look(SelectedImage image) {
    String repository = image.repository().path();
    String place = targetRepository(spec.layout(), image.repository());
    String sourceName = image.reference().toString();
    String targetName =
        Plan.name(target.name(), place, image.tag(), String.valueOf(image.digest()));
    try {
      MirrorListSpec.Source source = source(image);
      ImageSource store = sources.apply(source);
      List<Platform> platforms = source.platforms().stream().map(Platform::parse).toList();
      String wanted = image.reference().identifier().orElseThrow();
      Optional<Descriptor> there =
          target.resolve(place, image.tag() == null ? wanted : image.tag());
      Manifest top;
      if (there.isPresent()) {
        Digest now =
            image.digest() != null
                ? image.digest()
                : store
                    .resolve(repository, wanted)
                    .orElseThrow(
                        () ->
                            new RegistryException(
                                Reason.NotFound, sourceName, "the source does not have it"))
                    .digest();
        boolean same = now.equals(there.get().digest());
        if (same && isWhole(place, there.get(), platforms)) {
          return skipped(image, sourceName, targetName, place, there.get(), source);
        }
        if (!same && spec.tagPolicy() == MirrorListSpec.TagPolicy.Immutable) {
          return settled(
              image,
              sourceName,
              targetName,
              new Outcome(
                  sourceName,
                  targetName,
                  now,
                  Outcome.Result.Drifted,
                  null,
                  "the tag moved at the source; the target keeps " + there.get().digest(),
                  0,
                  1));
        }
        top = store.manifest(repository, now.toString());
      } else {
        top = store.manifest(repository, wanted);
      }
      Closure closure = Closure.load(store, repository, top, platforms);
      Plan.Item item =
          new Plan.Item(
              sourceName,
              targetName,
              top.digest(),
              top.mediaType(),
              closure.platforms(platforms),
              closure.bytes(),
              Plan.Action.Copy);
      Set<Digest> subjects = new LinkedHashSet<>();
      subjects.add(top.digest());
      closure.below().forEach(child -> subjects.add(child.digest()));
      return new Found(
          image,
          sourceName,
          targetName,
          top.digest(),
          item,
          new Copier.Work(item, store, repository, place, image.tag(), closure),
          null,
          subjects);
    } catch (RegistryException e) {
      if (e.reason() == Reason.Cancelled) {
        throw e;
      }
      return settled(image, sourceName, targetName, failure(sourceName, targetName, e));
    }
  }

  /** Whether the children that are wanted of an index are there; without a filter they are. */
  private boolean isWhole(String place, Descriptor top, List<Platform> platforms) {
    if (platforms.isEmpty() || !io.kubic.mirrors.oci.MediaTypes.isIndex(top.mediaType())) {
      return true;
    }
    return target.manifest(place, top.digest().toString()).children().stream()
        .filter(child -> child.isManifest() && Closure.isWanted(child, platforms))
        .allMatch(child -> target.resolve(place, child.digest().toString()).isPresent());
  }

  private Found skipped(
      SelectedImage image,
      String sourceName,
      String targetName,
      String place,
      Descriptor there,
      MirrorListSpec.Source source) {
    Set<Digest> subjects = new LinkedHashSet<>();
    subjects.add(there.digest());
    if (source.includeReferrers()
        && io.kubic.mirrors.oci.MediaTypes.isIndex(there.mediaType())
        && !companionTags(image, source).isEmpty()) {
      target
          .manifest(place, there.digest().toString())
          .children()
          .forEach(child -> subjects.add(child.digest()));
    }
    return new Found(
        image,
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
            Plan.Action.Skip),
        null,
        new Outcome(
            sourceName, targetName, there.digest(), Outcome.Result.Skipped, null, null, 0, 1),
        subjects);
  }

  private static Found settled(SelectedImage image, String source, String target, Outcome outcome) {
    return new Found(image, source, target, outcome.digest(), null, null, outcome, Set.of());
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

  /** Signatures, attestations and bills of material that travel with what is selected. */
  private List<SelectedImage> companions(List<Found> found) {
    Set<Reference> selected = new HashSet<>();
    found.forEach(f -> selected.add(Reference.of(f.image())));
    List<SelectedImage> all = new ArrayList<>();
    for (Found one : found) {
      MirrorListSpec.Source source = source(one.image());
      if (!source.includeReferrers() || one.subjects().isEmpty()) {
        continue;
      }
      Set<String> tags = companionTags(one.image(), source);
      if (tags.isEmpty()) {
        continue;
      }
      for (Digest subject : one.subjects()) {
        for (String suffix : COMPANIONS) {
          String tag = subject.algorithm().id() + "-" + subject.hex() + suffix;
          SelectedImage companion =
              new SelectedImage(one.image().source(), one.image().repository(), tag, null);
          if (tags.contains(tag) && selected.add(Reference.of(companion))) {
            all.add(companion);
          }
        }
      }
    }
    return all;
  }

  private record Reference(Repository repository, @Nullable String tag, @Nullable Digest digest) {
    static Reference of(SelectedImage image) {
      return new Reference(
          image.repository(), image.tag(), image.tag() == null ? image.digest() : null);
    }
  }

  /** One listing per repository tells all the companions there are, whatever is selected. */
  private Set<String> companionTags(SelectedImage image, MirrorListSpec.Source source) {
    Set<String> known = companionTags.get(image.repository());
    if (known != null) {
      return known;
    }
    Set<String> tags = new HashSet<>();
    try {
      for (String tag : sources.apply(source).tags(image.repository().path()).names()) {
        if (tag.startsWith("sha256-") || tag.startsWith("sha512-")) {
          tags.add(tag);
        }
      }
    } catch (RegistryException e) {
      if (e.reason() == Reason.Cancelled) {
        throw e;
      }
      // Signatures of what is copied cannot be found; the images themselves are not affected.
      unlisted.add(
          new Selection.Problem(
              image.repository().toString(),
              e.reason(),
              "signatures and attestations cannot be looked for: "
                  + e.problem()
                  + "; set includeReferrers: false if there are none"));
    }
    companionTags.put(image.repository(), tags);
    return tags;
  }

  private Result conclude(List<Found> found, List<Selection.Problem> unseen, int referrers) {
    Map<String, Found> owners = new TreeMap<>();
    List<Outcome> settled = new ArrayList<>();
    List<Selection.Problem> problems = new ArrayList<>(unseen);
    problems.addAll(unlisted);
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
                    one.target() + " is already taken by " + owner.source())));
      } else if (one.outcome() != null) {
        settled.add(one.outcome());
      }
    }
    List<Plan.Item> items = new ArrayList<>();
    List<Copier.Work> work = new ArrayList<>();
    Set<String> repositories = new HashSet<>();
    Map<Digest, Long> transfer = new HashMap<>();
    for (Found one : owners.values()) {
      if (one.item() != null) {
        items.add(one.item());
        repositories.add(targetRepository(spec.layout(), one.image().repository()));
      }
      if (one.work() != null) {
        work.add(one.work());
        Closure closure = one.work().closure();
        closure.blobs().forEach(blob -> transfer.put(blob.digest(), blob.size()));
        closure.below().forEach(m -> transfer.put(m.digest(), (long) m.size()));
        transfer.put(closure.top().digest(), (long) closure.top().size());
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
            Plan.hash(items),
            items,
            problems.stream().sorted().toList(),
            new Plan.Totals(
                repositories.size(),
                items.size(),
                items.stream().mapToLong(Plan.Item::bytes).sum(),
                transfer.values().stream().mapToLong(Long::longValue).sum(),
                0));
    return new Result(plan, work, settled, referrers);
  }
}
