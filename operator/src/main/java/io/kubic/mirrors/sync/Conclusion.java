package io.kubic.mirrors.sync;

import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.list.SelectedImage;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Repository;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * What follows from all that was found out about single images: who has a place of the target that
 * several want, what is tried again, what is doubtful, and the plan. Asks nobody. For one plan.
 */
final class Conclusion {
  private final MirrorListSpec.Layout layout;
  private final @Nullable String target;
  private final Companions companions;
  private final Predicate<SelectedImage> includesReferrers;

  /** What a place of the target is taken by. */
  private final Map<String, Found> owners = new TreeMap<>();

  private final List<Outcome> settled = new ArrayList<>();
  private final List<Selection.Problem> problems = new ArrayList<>();
  private final Set<SelectedImage> again = new HashSet<>();
  private final Set<String> doubtful = new HashSet<>();

  /**
   * @param target its name; null when the plan is compared with none
   * @param companions when they have been looked for
   * @param includesReferrers whether what is attached to an image is wanted
   */
  Conclusion(
      MirrorListSpec.Layout layout,
      @Nullable String target,
      Companions companions,
      Predicate<SelectedImage> includesReferrers) {
    this.layout = layout;
    this.target = target;
    this.companions = companions;
    this.includesReferrers = includesReferrers;
  }

  /**
   * @param all in any order
   * @param noted what there is to tell besides
   */
  Planner.Result of(List<Found> all, Selection selection, Collection<Selection.Problem> noted) {
    List<Found> found = all.stream().sorted((a, b) -> a.image().compareTo(b.image())).toList();
    problems.addAll(selection.problems());
    problems.addAll(noted);
    found.forEach(this::settle);
    doubt(found);
    boolean failed = tellFailures();
    List<Plan.Item> items = new ArrayList<>();
    List<Copier.Work> work = new ArrayList<>();
    List<SelectedImage> images = new ArrayList<>();
    Set<Digest> there = there();
    for (Found one : owners.values()) {
      Plan.Item item = Objects.requireNonNull(one.item());
      if (item.action() == Plan.Action.Copy) {
        item = item.transferring(notYet(one.parts(), there));
      }
      items.add(item);
      if (one.work() != null) {
        work.add(one.work().with(item));
      }
      if (item.action() != Plan.Action.Fail) {
        images.add(one.image());
      }
    }
    images.sort(null);
    return new Planner.Result(
        Plan.of(target, items, problems, selection.complete() && !failed),
        work,
        settled,
        images,
        again,
        new Doubts(doubtful));
  }

  /** The first who wants a place has it; another one who wants something else there is told. */
  private void settle(Found one) {
    Plan.Item item = one.item();
    if (item == null) {
      return;
    }
    Found owner = owners.putIfAbsent(item.target(), one);
    if (owner == null) {
      if (one.outcome() != null) {
        settled.add(one.outcome());
      }
      return;
    }
    Plan.Item owned = Objects.requireNonNull(owner.item());
    if (item.action() == Plan.Action.Fail) {
      settled.add(Objects.requireNonNull(one.outcome()));
      return;
    }
    Digest wanted = atSource(owner);
    if (wanted == null || !wanted.equals(atSource(one))) {
      // Two sources that agree would be one image.
      settled.add(
          Planner.failure(
                  item.source(),
                  item.target(),
                  new RegistryException(
                      Reason.Conflict,
                      item.source(),
                      item.target() + " is already taken by " + owned.source()))
              .asReferrer(one.referrer()));
    }
  }

  /** What is tried again, and where something may be attached that was not found. */
  private void doubt(List<Found> found) {
    Set<Repository> told = new HashSet<>();
    Set<SelectedImage> owning = new HashSet<>();
    owners.values().forEach(one -> owning.add(one.image()));
    for (Found one : found) {
      Plan.Item item = one.item();
      Outcome outcome = one.outcome();
      if (item == null) {
        continue;
      }
      // One that lost its place to another source would take it when it is planned alone.
      boolean mayComeAgain = owning.contains(one.wanted().root());
      if (mayComeAgain
          && outcome != null
          && outcome.reason() != null
          && outcome.reason().isTransient()) {
        again.add(one.wanted().root());
      }
      Repository repository = one.image().repository();
      Optional<RegistryException> unsearched = companions.failure(repository);
      String place = Planner.targetRepository(layout, repository);
      if (unsearched.isPresent()
          || item.action() == Plan.Action.Fail
          || item.action() == Plan.Action.Drift) {
        doubtful.add(place);
      }
      if (unsearched.isEmpty() || !includesReferrers.test(one.image())) {
        continue;
      }
      RegistryException why = unsearched(repository, unsearched.get());
      if (mayComeAgain && why.reason().isTransient()) {
        again.add(one.wanted().root());
      }
      if (!told.add(repository)) {
        continue;
      }
      if (why.reason().isTransient()) {
        settled.add(
            Planner.failure(why.object(), Planner.inTarget(target, place), why).asReferrer(true));
      } else {
        // As with a login that may pull and not list: the images themselves are not affected.
        problems.add(new Selection.Problem(why.object(), why.reason(), why.problem()));
      }
    }
  }

  private static RegistryException unsearched(Repository repository, RegistryException e) {
    return new RegistryException(
        e.reason(),
        repository.toString(),
        "signatures and attestations cannot be looked for: "
            + e.problem()
            + "; set includeReferrers: false if there are none");
  }

  /** Every failure is a problem of the plan; tells whether there is one. */
  private boolean tellFailures() {
    boolean failed = false;
    for (Outcome outcome : settled) {
      if (outcome.reason() != null) {
        failed = true;
        problems.add(
            new Selection.Problem(
                outcome.source(), outcome.reason(), String.valueOf(outcome.message())));
      }
    }
    return failed;
  }

  /** What an image is at its source now; null when that is not known. */
  private static @Nullable Digest atSource(Found found) {
    Plan.Item item = Objects.requireNonNull(found.item());
    return switch (item.action()) {
      case Fail -> null;
      case Drift -> Objects.requireNonNull(found.outcome()).digest();
      case Copy, Skip, Prune -> item.digest();
    };
  }

  /** The parts that are known to be in the target. */
  private Set<Digest> there() {
    Set<Digest> there = new HashSet<>();
    for (Found one : owners.values()) {
      if (Objects.requireNonNull(one.item()).action() == Plan.Action.Skip) {
        there.addAll(one.parts().keySet());
      }
    }
    return there;
  }

  /** The bytes of the parts that no image before has brought; they are there from now on. */
  private static long notYet(Map<Digest, Long> parts, Set<Digest> there) {
    long bytes = 0;
    for (Map.Entry<Digest, Long> part : parts.entrySet()) {
      bytes += there.add(part.getKey()) ? part.getValue() : 0;
    }
    return bytes;
  }
}
