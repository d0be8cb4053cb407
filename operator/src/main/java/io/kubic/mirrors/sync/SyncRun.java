package io.kubic.mirrors.sync;

import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.list.SelectedImage;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Repository;
import java.time.Clock;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * One run of a list into a registry: what the ledgers know joins the plan, everything is copied,
 * what failed in passing is tried again, what nobody selects any more is pruned, and ledger and
 * report are left in the registry. For one run.
 */
public final class SyncRun {
  private static final int SIZES_AT_ONCE = 256;

  private final Settings settings;
  private final ImageStore target;
  private final Planner planner;
  private final Copier copier;
  private final ExecutorService executor;
  private final Clock clock;
  private final RandomGenerator random;
  private final Ledgers ledgers;
  private final Workers workers;

  /**
   * Whose run it is.
   *
   * @param list {@code namespace.name} of the list; {@code _.name} when it has no namespace
   * @param shard the part of the list that this run is about
   * @param run what the parts of one run have in common; null when that is not known
   * @param inUse digests that pods run; empty when nobody knows
   */
  public record Settings(
      String list,
      MirrorListSpec spec,
      Shard shard,
      @Nullable String run,
      Optional<Set<Digest>> inUse) {
    /** A run by itself. */
    public Settings(String list, MirrorListSpec spec, Shard shard, Optional<Set<Digest>> inUse) {
      this(list, spec, shard, null, inUse);
    }
  }

  /**
   * @param planner for the same list and target, not used before
   * @param copier for the same list and target, not used before
   * @param random chooses tags, nothing that has to stay secret
   */
  public SyncRun(
      Settings settings,
      ImageStore target,
      Planner planner,
      Copier copier,
      ExecutorService executor,
      Clock clock,
      RandomGenerator random) {
    this.settings = settings;
    this.target = target;
    this.planner = planner;
    this.copier = copier;
    this.executor = executor;
    this.clock = clock;
    this.random = random;
    this.ledgers = new Ledgers(target, settings.list(), settings.shard());
    this.workers = new Workers(executor, SIZES_AT_ONCE, "the run");
  }

  /**
   * What a run will do.
   *
   * @param selection the part of it that this run is about
   * @param result the planner's, with what the ledgers know
   */
  public record Planned(Selection selection, Ledgers.View view, Planner.Result result) {
    public Plan plan() {
      return result.plan();
    }

    public List<Copier.Work> work() {
      return result.work();
    }

    /** What became of the images that are not copied. */
    public List<Outcome> settled() {
      return result.settled();
    }
  }

  /**
   * What a run did.
   *
   * @param reportRef where the whole report is; null when it could not be stored
   * @param lockRef where the digests of the whole run are; null when not everything is there, or a
   *     part of the run is not done
   * @param problems that hinder nobody, for a person
   */
  public record Done(
      Report report,
      @Nullable String reportRef,
      @Nullable String lockRef,
      List<Selection.Problem> problems) {
    public Done {
      problems = List.copyOf(problems);
    }
  }

  /** Plans; writes nothing. */
  public Planned plan(Selection whole) {
    Selection selection = part(whole);
    Future<Ledgers.View> known = executor.submit(ledgers::load);
    Planner.Result result;
    Ledgers.View view;
    try {
      // The ledger is read while tags are looked at, and waited for where it matters.
      result = planner.plan(selection, () -> workers.await(known, target.name()), random);
      view = workers.await(known, target.name());
    } finally {
      known.cancel(true);
    }
    List<Copier.Work> work = new ArrayList<>();
    List<Outcome> taken = new ArrayList<>();
    disentangle(result.work(), view, work, taken);
    List<Outcome> settled = new ArrayList<>(result.settled());
    settled.addAll(taken);
    Set<String> selected = selected(result.plan(), settled, work);
    selected.addAll(attached(view.own(), result.doubts()));
    Prune prune =
        decide(
            view.own().conclude(List.of(), List.of(), selected, selection.complete(), now()),
            view,
            selection);
    List<Plan.Item> candidates =
        prune.candidates().stream()
            .map(
                entry ->
                    new Plan.Item(
                        entry.source(),
                        target.name() + "/" + entry.place(),
                        entry.digest(),
                        null,
                        List.of(),
                        entry.bytes(),
                        0,
                        Plan.Action.Prune,
                        false))
            .toList();
    return new Planned(
        selection,
        view,
        new Planner.Result(
            result.plan().completed(sizes(result.plan(), view), taken, candidates, view.problems()),
            work,
            settled,
            result.images(),
            result.again(),
            result.doubts()));
  }

  private Selection part(Selection whole) {
    if (settings.shard().isWhole()) {
      return whole;
    }
    List<SelectedImage> ours =
        whole.images().stream()
            .filter(
                image ->
                    settings
                        .shard()
                        .owns(
                            Planner.targetRepository(settings.spec().layout(), image.repository())))
            .toList();
    return new Selection(
        ours,
        whole.sources().stream().map(source -> recounted(source, ours)).toList(),
        whole.problems(),
        whole.complete(),
        whole.companions());
  }

  private static Selection.SourceCount recounted(
      Selection.SourceCount source, List<SelectedImage> ours) {
    long selected =
        ours.stream()
            .filter(image -> image.registry().equals(source.registry()))
            .filter(image -> image.source().equals(source.name()))
            .count();
    return new Selection.SourceCount(
        source.registry(),
        source.name(),
        source.repositories(),
        source.matched(),
        source.tags(),
        (int) selected);
  }

  /**
   * Two lists that put different images under one tag: the tag belongs to the list whose name comes
   * first, whoever came first. Two lists that follow the same tag of the same source do not differ,
   * they only looked at different times.
   */
  private void disentangle(
      List<Copier.Work> all, Ledgers.View view, List<Copier.Work> work, List<Outcome> settled) {
    Map<String, Ledger.Entry> theirs = new HashMap<>();
    Map<String, String> owners = new HashMap<>();
    view.others().stream()
        .filter(ledger -> ledger.list().compareTo(settings.list()) < 0)
        .forEach(
            ledger ->
                ledger.entries().values().stream()
                    .filter(Ledger.Entry::isSelected)
                    .forEach(
                        entry -> {
                          theirs.put(entry.place(), entry);
                          owners.put(entry.place(), ledger.list());
                        }));
    for (Copier.Work one : all) {
      Ledger.Entry other = one.tag() == null ? null : theirs.get(one.place() + ":" + one.tag());
      if (other == null
          || other.digests().contains(one.item().pinned())
          || other.source().equals(one.item().source())) {
        work.add(one);
        continue;
      }
      String owner = Objects.requireNonNull(owners.get(other.place()));
      RegistryException conflict =
          new RegistryException(
              Reason.Conflict,
              one.item().source(),
              one.item().target()
                  + " belongs to the list "
                  + owner
                  + ", which puts "
                  + other.source()
                  + " there; "
                  + Ledgers.remedy(owner));
      settled.add(
          Planner.failure(one.item().source(), one.item().target(), conflict)
              .asReferrer(one.item().referrer()));
    }
  }

  private Set<String> selected(Plan plan, List<Outcome> settled, List<Copier.Work> work) {
    Set<String> places = new HashSet<>();
    plan.images().stream()
        .filter(item -> item.action() != Plan.Action.Prune)
        .forEach(item -> place(item.target()).ifPresent(places::add));
    settled.forEach(outcome -> place(outcome.target()).ifPresent(places::add));
    work.stream()
        .filter(one -> one.tag() != null)
        .forEach(one -> places.add(one.place() + ":" + one.tag()));
    planner.attachments().ifPresent(known -> places.addAll(known.kept().keySet()));
    places.addAll(copier.attachments().kept().keySet());
    return places;
  }

  /**
   * What an earlier run attached to images. Where nobody knows whether it still is, nothing of it
   * is missing.
   */
  private static List<String> attached(Ledger ledger, Doubts doubts) {
    return ledger.entries().values().stream()
        .filter(entry -> doubts.cover(entry.repository(), entry.tag()))
        .map(Ledger.Entry::place)
        .toList();
  }

  /** What is selected by its digest alone. */
  private Set<Ledger.Pin> pins(Plan plan) {
    String start = target.name() + "/";
    Set<Ledger.Pin> pins = new HashSet<>();
    for (Plan.Item item : plan.images()) {
      boolean named = item.action() != Plan.Action.Prune && !item.referrer();
      if (named && item.target().startsWith(start) && item.target().indexOf('@') > 0) {
        String pin = item.target().substring(start.length());
        // Of a name that no repository can have there is nothing to keep.
        if (Repository.isPath(pin.substring(0, pin.indexOf('@')))) {
          pins.add(Ledger.Pin.parse(pin));
        }
      }
    }
    return pins;
  }

  /** {@code repository:tag} of a reference in the target; empty when it has no tag. */
  private Optional<String> place(String reference) {
    String start = target.name() + "/";
    return reference.startsWith(start) && reference.indexOf('@') < 0
        ? Optional.of(reference.substring(start.length()))
        : Optional.empty();
  }

  private Prune decide(Ledger ledger, Ledgers.View view, Selection selection) {
    return Prune.decide(
        settings.spec().prune(),
        ledger,
        view.others(),
        selection.complete() && view.problems().isEmpty(),
        settings.inUse(),
        now());
  }

  /** What is there already costs one HEAD, which tells no size; the ledger remembers it. */
  private Map<String, Long> sizes(Plan plan, Ledgers.View view) {
    if (planner.measures()) {
      return Map.of();
    }
    Map<String, Long> sizes = new HashMap<>();
    List<Plan.Item> unknown = new ArrayList<>();
    for (Plan.Item item : plan.images()) {
      Optional<String> place = place(item.target());
      if (item.action() != Plan.Action.Skip || place.isEmpty()) {
        continue;
      }
      Ledger.Entry entry = view.own().entries().get(place.get());
      if (entry != null && entry.bytes() > 0 && entry.digest().equals(item.pinned())) {
        sizes.put(item.target(), entry.bytes());
      } else if (view.writable()) {
        unknown.add(item);
      }
    }
    // Some at a time: a thread for each of very many images would be memory that only waits.
    List<Long> asked = workers.each(target.name(), unknown, item -> "", this::size);
    for (int i = 0; i < asked.size(); i++) {
      if (asked.get(i) > 0) {
        sizes.put(unknown.get(i).target(), asked.get(i));
      }
    }
    return sizes;
  }

  private long size(Plan.Item item) {
    String place = place(item.target()).orElseThrow();
    String repository = place.substring(0, place.lastIndexOf(':'));
    try {
      Manifest top = target.manifest(repository, item.pinned().toString());
      return Closure.load(target, repository, top, List.of()).bytes();
    } catch (RegistryException e) {
      return 0; // Of a sparse index, for example; it is for a person only.
    }
  }

  /**
   * Carries the plan out.
   *
   * @param listener told about every image's outcome, from several threads
   * @param requests how many requests were sent, asked at the end
   */
  public Done run(Planned planned, Consumer<Outcome> listener, LongSupplier requests) {
    Ledgers.View view = planned.view();
    List<Selection.Problem> problems = new ArrayList<>();
    List<Ledger.Tagged> intended = new ArrayList<>();
    planned.work().forEach(one -> tagged(one).ifPresent(intended::add));
    Map<Digest, String> known = homes(view);
    // Where a blob is counts for more than where it will be.
    Map<Digest, String> large = large(planned.work());
    large.keySet().removeAll(known.keySet());
    copier.remember(known, large);
    Set<Ledger.Pin> pins = pins(planned.plan());
    Ledger ledger =
        view.own()
            .selecting(inPlace(planned.plan()))
            .intend(intended, now())
            .pinning(pins, false)
            .housing(large);
    Ledger written = view.own();
    if (view.writable() && !ledger.equals(written)) {
      Selection.Problem unwritten = ledgers.save(ledger, clock.instant());
      tell(problems, unwritten);
      written = unwritten == null ? ledger : written;
    }
    Ledger before = written;
    List<Outcome> outcomes = new ArrayList<>(planned.settled());
    if (outcomes.stream().anyMatch(outcome -> outcome.result() == Outcome.Result.Failed)) {
      copier.failedBefore();
    }
    outcomes.addAll(copier.copy(planned.work(), listener));
    Map<String, Plan.Item> items = new HashMap<>();
    planned.plan().images().forEach(item -> items.put(item.target(), item));
    Ledger secondly = again(planned, ledger, outcomes, items, listener);

    Set<String> selected = selected(planned.plan(), outcomes, planned.work());
    selected.addAll(attached(secondly, planned.result().doubts()));
    Set<String> filtered = filtered(planned.selection().images());
    List<Ledger.Tagged> copied = tagged(outcomes, items, filtered, Outcome.Result.Copied);
    copied.addAll(copier.attachments().written());
    List<Ledger.Tagged> found = tagged(outcomes, items, filtered, Outcome.Result.Skipped);
    found.addAll(fallbacks(copied));
    Ledger after =
        prune(
            secondly
                .conclude(copied, found, selected, planned.selection().complete(), now())
                .housing(copier.housed())
                .pinning(pins, planned.selection().complete()),
            planned,
            outcomes,
            problems,
            listener);
    Report report = Report.of(outcomes, requests.getAsLong(), planned.selection());
    List<Kept> kept =
        workers.all(
            target.name(),
            List.of(
                () -> view.writable() && !after.equals(before) ? keep(after) : Kept.NOTHING,
                () ->
                    view.writable() && report.isSuccessful() ? lock(outcomes, items) : Kept.NOTHING,
                () -> store(report, planned.plan())));
    kept.forEach(one -> tell(problems, one.problem()));
    return new Done(
        report,
        kept.get(2).reference(),
        kept.get(1).reference(),
        problems.stream().distinct().toList());
  }

  /**
   * Tags that are selected and that the target has, whether or not they are what they should be.
   */
  private List<Ledger.Tagged> inPlace(Plan plan) {
    List<Ledger.Tagged> all = new ArrayList<>();
    for (Plan.Item item : plan.images()) {
      Optional<String> place = place(item.target());
      boolean there = item.action() == Plan.Action.Skip || item.action() == Plan.Action.Drift;
      if (there && place.isPresent()) {
        all.add(tagged(place.get(), item.pinned(), item.source(), 0, false));
      }
    }
    return all;
  }

  /** Fallback tags that were needed and found in place, without those that were written. */
  private List<Ledger.Tagged> fallbacks(List<Ledger.Tagged> copied) {
    Map<String, Ledger.Tagged> all = new TreeMap<>();
    planner.attachments().stream()
        .flatMap(known -> known.found().stream())
        .forEach(one -> all.put(one.place(), one));
    copier.attachments().found().forEach(one -> all.put(one.place(), one));
    copied.forEach(one -> all.remove(one.place()));
    return List.copyOf(all.values());
  }

  /** What became of a document of this run: what names it in the target, or why it is not there. */
  private record Kept(@Nullable String reference, Selection.@Nullable Problem problem) {
    static final Kept NOTHING = new Kept(null, null);
  }

  private Kept keep(Ledger ledger) {
    return new Kept(null, ledgers.save(ledger, clock.instant()));
  }

  /** The digests that are in the target now, to be had again. */
  private Kept lock(List<Outcome> outcomes, Map<String, Plan.Item> items) {
    SortedMap<String, Digest> digests = new TreeMap<>();
    for (Outcome outcome : outcomes) {
      // Of a tag that moved the target keeps what it has, which is what the plan says.
      Plan.Item item = items.get(outcome.target());
      Digest digest =
          outcome.result() == Outcome.Result.Drifted && item != null
              ? item.digest()
              : outcome.digest();
      if (digest != null && outcome.result() != Outcome.Result.Pruned && !outcome.referrer()) {
        digests.put(outcome.source(), digest);
      }
    }
    return kept(
        Locks.REPOSITORY,
        "lock",
        () -> new Locks(target, settings.list(), settings.shard(), settings.run()).save(digests));
  }

  /**
   * Writes a document, or tells why it cannot be written.
   *
   * @param what it is called
   */
  private Kept kept(String repository, String what, Supplier<@Nullable String> save) {
    try {
      return new Kept(save.get(), null);
    } catch (RegistryException e) {
      if (e.reason() == Reason.Cancelled) {
        throw e;
      }
      return new Kept(
          null,
          new Selection.Problem(
              target.name() + "/" + repository,
              e.reason(),
              "the " + what + " cannot be stored: " + e.problem()));
    }
  }

  /** Where blobs are, as all ledgers of the target know. */
  private static Map<Digest, String> homes(Ledgers.View view) {
    Map<Digest, String> all = new HashMap<>();
    view.others().forEach(other -> all.putAll(other.homes()));
    all.putAll(view.own().homes());
    return all;
  }

  /**
   * Where large blobs will be: in the first repository that needs them, in the plan's order. That
   * is where a run that is killed has brought them, whichever image came first.
   */
  private static Map<Digest, String> large(List<Copier.Work> work) {
    Map<Digest, String> all = new TreeMap<>();
    for (Copier.Work one : work) {
      for (Descriptor blob : one.closure().blobs()) {
        if (blob.size() >= Ledger.LARGE) {
          all.putIfAbsent(blob.digest(), one.place());
        }
      }
    }
    return all;
  }

  /**
   * What could not be planned for a reason that may have passed is planned and copied once more,
   * with what travels with it.
   */
  private Ledger again(
      Planned planned,
      Ledger ledger,
      List<Outcome> outcomes,
      Map<String, Plan.Item> items,
      Consumer<Outcome> listener) {
    if (settings.spec().failurePolicy() == MirrorListSpec.FailurePolicy.Abort) {
      return ledger;
    }
    if (planned.result().again().isEmpty()) {
      return ledger;
    }
    List<SelectedImage> images = planned.result().again().stream().sorted().toList();
    Planner.Result result =
        planner.plan(
            new Selection(images, List.of(), List.of(), true, Map.of()), planned::view, random);
    List<Copier.Work> work = new ArrayList<>();
    List<Outcome> settled = new ArrayList<>(result.settled());
    List<Copier.Work> may =
        result.work().stream()
            .filter(one -> isApproved(one.item(), items.get(one.item().target())))
            .toList();
    disentangle(may, planned.view(), work, settled);
    result.plan().images().stream()
        .filter(item -> isApproved(item, items.get(item.target())))
        .forEach(item -> items.merge(item.target(), item, SyncRun::later));
    List<Ledger.Tagged> intended = new ArrayList<>();
    work.forEach(one -> tagged(one).ifPresent(intended::add));
    Ledger next = ledger.intend(intended, now());
    if (planned.view().writable() && !intended.isEmpty()) {
      tell(new ArrayList<>(), ledgers.save(next, clock.instant()));
    }
    settled.addAll(copier.copy(work, listener));
    merge(outcomes, settled, images);
    return next;
  }

  /**
   * Whether an image may be copied by a second plan, which nobody has seen: with {@code approval:
   * Manual} the first one said so too. What travels with an image is no part of what is approved.
   */
  private boolean isApproved(Plan.Item second, Plan.@Nullable Item first) {
    return settings.spec().approval() == MirrorListSpec.Approval.Automatic
        || second.referrer()
        || second.action() != Plan.Action.Copy
        || first != null
            && first.action() != Plan.Action.Fail
            && second.pinned().equals(first.digest());
  }

  /** What is known of an image that was planned twice: what is found in place tells no size. */
  private static Plan.Item later(Plan.Item first, Plan.Item second) {
    if (second.action() != Plan.Action.Skip) {
      return second;
    }
    return first.action() == Plan.Action.Fail ? second.withBytes(0) : first;
  }

  /** What an outcome is about: two sources may want one place. */
  private record Way(String source, String target) {
    static Way of(Outcome outcome) {
      return new Way(outcome.source(), outcome.target());
    }
  }

  /** What a second attempt changes of the first one's outcomes. */
  private void merge(List<Outcome> outcomes, List<Outcome> second, List<SelectedImage> images) {
    Set<Way> replaced = new HashSet<>();
    for (SelectedImage image : images) {
      String place = Planner.targetRepository(settings.spec().layout(), image.repository());
      replaced.add(new Way(image.repository().toString(), planner.inTarget(place)));
    }
    Set<Way> done = new HashSet<>();
    outcomes.stream()
        .filter(outcome -> outcome.result() != Outcome.Result.Failed)
        .forEach(outcome -> done.add(Way.of(outcome)));
    for (Outcome outcome : second) {
      Way way = Way.of(outcome);
      if (!done.contains(way)) {
        replaced.add(way);
        continue;
      }
      switch (outcome.result()) {
        // It was brought in the first attempt, and is found in the second.
        case Skipped -> {}
        // It is there; only what travels with it could not be looked for once more.
        case Failed ->
            replaced.removeIf(
                other ->
                    way.target().startsWith(other.target() + ":")
                        || way.target().startsWith(other.target() + "@"));
        case Copied, Drifted, Pruned -> {
          done.remove(way);
          replaced.add(way);
        }
      }
    }
    outcomes.removeIf(outcome -> replaced.contains(Way.of(outcome)));
    second.stream().filter(outcome -> !done.contains(Way.of(outcome))).forEach(outcomes::add);
  }

  private Ledger prune(
      Ledger ledger,
      Planned planned,
      List<Outcome> outcomes,
      List<Selection.Problem> problems,
      Consumer<Outcome> listener) {
    Prune prune = decide(ledger, planned.view(), planned.selection());
    boolean deletes = settings.spec().prune().mode() == MirrorListSpec.PruneMode.Delete;
    if (deletes && prune.refusal() == null && !prune.due().isEmpty()) {
      // Other lists may have come to need it since this run was planned.
      Selection.Problem unwritten =
          planned.view().writable() ? ledgers.save(ledger, clock.instant()) : null;
      tell(problems, unwritten);
      if (unwritten != null || !planned.view().writable()) {
        return ledger;
      }
      prune = decide(ledger, ledgers.load(), planned.selection());
    }
    String refusal = prune.refusal();
    for (Prune.Kept kept : prune.kept()) {
      problems.add(stays(kept.entry(), kept.why()));
    }
    if (refusal != null && deletes) {
      outcomes.add(
          new Outcome(
              "prune",
              target.name(),
              null,
              Outcome.Result.Failed,
              Reason.GuardExceeded,
              "nothing is pruned: " + refusal,
              0,
              1));
    } else if (refusal != null) {
      problems.add(
          new Selection.Problem(
              target.name(), Reason.GuardExceeded, "nothing would be pruned: " + refusal));
    }
    if (refusal != null || !deletes) {
      return ledger;
    }
    Set<String> forgotten = new HashSet<>();
    for (Ledger.Entry entry : prune.due()) {
      Set<Digest> inUse =
          settings.spec().prune().protectInUse() ? settings.inUse().orElse(Set.of()) : Set.of();
      switch (Prune.delete(target, entry, inUse)) {
        case Prune.Result.Gone(Ledger.Entry gone, Digest digest) -> {
          forgotten.add(gone.place());
          Outcome outcome =
              new Outcome(
                  gone.source(),
                  target.name() + "/" + gone.place(),
                  digest,
                  Outcome.Result.Pruned,
                  null,
                  "not selected since " + gone.missingSince(),
                  0,
                  1);
          outcomes.add(outcome);
          listener.accept(outcome);
        }
        case Prune.Result.Foreign(Ledger.Entry foreign) -> forgotten.add(foreign.place());
        case Prune.Result.Stays(Ledger.Entry stays, String why) -> problems.add(stays(stays, why));
        case Prune.Result.Failed(Ledger.Entry failed, RegistryException why) ->
            outcomes.add(
                Planner.failure(failed.source(), target.name() + "/" + failed.place(), why));
      }
    }
    return ledger.without(forgotten);
  }

  private Selection.Problem stays(Ledger.Entry entry, String why) {
    return new Selection.Problem(
        target.name() + "/" + entry.place(), Reason.Conflict, "is not pruned: " + why);
  }

  /** The images of which only some platforms are wanted, as outcomes call them. */
  private Set<String> filtered(List<SelectedImage> images) {
    return images.stream()
        .filter(planner::isFiltered)
        .map(image -> image.reference().toString())
        .collect(Collectors.toSet());
  }

  private static Optional<Ledger.Tagged> tagged(Copier.Work work) {
    return work.tag() == null
        ? Optional.empty()
        : Optional.of(
            new Ledger.Tagged(
                work.place(),
                work.tag(),
                work.item().pinned(),
                work.item().source(),
                work.item().bytes(),
                !work.platforms().isEmpty()));
  }

  /** What is known of {@code repository:tag}. */
  private static Ledger.Tagged tagged(
      String place, Digest digest, String source, long bytes, boolean part) {
    int colon = place.lastIndexOf(':');
    return new Ledger.Tagged(
        place.substring(0, colon), place.substring(colon + 1), digest, source, bytes, part);
  }

  private List<Ledger.Tagged> tagged(
      List<Outcome> outcomes,
      Map<String, Plan.Item> items,
      Set<String> filtered,
      Outcome.Result result) {
    List<Ledger.Tagged> all = new ArrayList<>();
    for (Outcome outcome : outcomes) {
      Plan.Item item = items.get(outcome.target());
      Optional<String> place = place(outcome.target());
      Digest digest = outcome.digest();
      if (outcome.result() == result && digest != null && item != null && place.isPresent()) {
        boolean part = filtered.contains(outcome.source());
        all.add(tagged(place.get(), digest, outcome.source(), item.bytes(), part));
      }
    }
    return all;
  }

  /** The whole report, which a status or a termination message has no room for. */
  private Kept store(Report report, Plan plan) {
    return kept(
        Reports.REPOSITORY,
        "report",
        () ->
            new Reports(target, settings.list(), settings.shard())
                .save(report, plan.hash(), now()));
  }

  private static void tell(List<Selection.Problem> problems, Selection.@Nullable Problem problem) {
    if (problem != null) {
      problems.add(problem);
    }
  }

  private Instant now() {
    return clock.instant().truncatedTo(ChronoUnit.SECONDS);
  }
}
