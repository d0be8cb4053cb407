package io.kubic.mirrors.bundle;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageSource;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.sync.Copier;
import io.kubic.mirrors.sync.InUse;
import io.kubic.mirrors.sync.Outcome;
import io.kubic.mirrors.sync.Planner;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BiPredicate;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.LongConsumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Takes a bundle into a registry. Nothing is tagged before every byte of the bundle was hashed and
 * every image is whole; an import that was interrupted is simply run again.
 */
public final class Import {
  private static final int NAMED = 20;

  private final BundleDirectory directory;
  private final ImageStore target;
  private final BiPredicate<String, Digest> holds;
  private final Rules rules;
  private final ExecutorService executor;
  private final Clock clock;

  /**
   * What is allowed.
   *
   * @param allowReplay whether an older bundle than the last one is taken
   * @param allowPartial whether images whose closure verifies are taken without the others
   * @param prune whether the bundle's deletions are carried out
   * @param inUse digests that are not removed all the same
   * @param key that signs the receipt; null for none
   */
  public record Rules(
      boolean allowReplay,
      boolean allowPartial,
      boolean prune,
      Set<Digest> inUse,
      @Nullable SigningKey key) {
    public Rules {
      inUse = Set.copyOf(inUse);
    }
  }

  /**
   * What became of it.
   *
   * @param receipt null when no tag was moved
   * @param problems files that are damaged, if such a bundle was taken
   * @param inUse images that the bundle lists as deleted, and that stay because they are in use
   */
  public record Result(
      List<Outcome> outcomes,
      ReceiptStore.@Nullable Kept receipt,
      List<String> problems,
      List<String> inUse) {
    public Result {
      inUse = List.copyOf(inUse);
      outcomes = List.copyOf(outcomes);
      problems = List.copyOf(problems);
    }
  }

  /**
   * @param holds whether a repository of the target has a blob
   */
  public Import(
      BundleDirectory directory,
      ImageStore target,
      BiPredicate<String, Digest> holds,
      Rules rules,
      ExecutorService executor,
      Clock clock) {
    this.directory = directory;
    this.target = target;
    this.holds = holds;
    this.rules = rules;
    this.executor = executor;
    this.clock = clock;
  }

  /**
   * Runs.
   *
   * @param watcher told about every image when its tag has moved, and of the bytes that were
   *     hashed, on their way or in place
   * @throws RefusedException when the bundle is not taken; no tag was moved
   * @throws RegistryException when the registry does not answer
   */
  public Result run(Watcher watcher) {
    Bundle bundle = directory.bundle();
    MirrorListSpec spec = spec(bundle.list().spec());
    requireOwnNames(bundle, spec);
    ReceiptStore receipts = new ReceiptStore(target);
    Optional<Receipt> last =
        receipts
            .find(bundle.series())
            .map(kept -> Receipt.parse(kept.bytes(), target.name() + ": receipt"));
    requireOrder(bundle, last);
    Map<Digest, String> homes = homes(bundle, spec);
    requireExpected(bundle, homes);

    AtomicLong hashed = new AtomicLong();
    watcher.begin(null, bundle.images().size(), directory.bytes(), hashed::get);
    StagedTarget staged = new StagedTarget(target, homes::get);
    List<Outcome> outcomes = stage(bundle, spec, staged, hashed::addAndGet);
    requireWhole(outcomes);
    List<String> damaged = directory.verify(staged.read(), hashed::addAndGet);
    if (!damaged.isEmpty() && !rules.allowPartial()) {
      throw new RefusedException(
          Reason.DigestMismatch,
          damaged.getFirst(),
          "is damaged"
              + (damaged.size() > 1 ? ", and so are " + (damaged.size() - 1) + " more files" : "")
              + "; no tag was moved");
    }
    List<Outcome> done = publish(bundle, spec, staged, outcomes, watcher::image);
    List<String> inUse = new ArrayList<>();
    if (rules.prune()) {
      done.addAll(prune(bundle, spec, inUse));
    }
    ReceiptStore.Kept receipt = receipt(bundle, spec, last, staged, done);
    receipts.put(bundle.series(), receipt);
    return new Result(done, receipt, damaged, inUse);
  }

  private List<Outcome> stage(
      Bundle bundle, MirrorListSpec spec, StagedTarget staged, LongConsumer count) {
    Map<String, BundleSource> sources = new ConcurrentHashMap<>();
    Function<MirrorListSpec.Source, ImageSource> source =
        s ->
            sources.computeIfAbsent(s.registry(), name -> new BundleSource(directory, name, count));
    // What is attached by its subject alone is found from its subject, and attached there again.
    List<BundleImage> named =
        bundle.images().stream().filter(i -> i.tag() != null || !i.referrer()).toList();
    List<Outcome> outcomes = new ArrayList<>();
    Copier copier = new Copier(staged, spec, executor);
    Planner.Result planned = plan(spec, source, staged, named);
    outcomes.addAll(planned.settled());
    outcomes.addAll(copier.copy(planned.work(), o -> {}));
    Set<Digest> seen =
        outcomes.stream()
            .map(Outcome::digest)
            .filter(java.util.Objects::nonNull)
            .collect(Collectors.toSet());
    List<BundleImage> others =
        bundle.images().stream()
            .filter(i -> i.tag() == null && i.referrer() && !seen.contains(i.digest()))
            .toList();
    if (!others.isEmpty()) {
      planned = plan(spec, source, staged, others);
      outcomes.addAll(planned.settled());
      outcomes.addAll(copier.copy(planned.work(), o -> {}));
    }
    return outcomes;
  }

  private Planner.Result plan(
      MirrorListSpec spec,
      Function<MirrorListSpec.Source, ImageSource> source,
      StagedTarget staged,
      List<BundleImage> images) {
    return new Planner(spec, source, staged, Planner.Depth.COPIES, executor)
        .plan(
            new Selection(
                images.stream().map(BundleImage::selected).sorted().toList(),
                List.of(),
                List.of(),
                true));
  }

  /** A tag that moves is looked at when it moves. */
  private static MirrorListSpec spec(MirrorListSpec of) {
    JsonNode tree = Json.tree(of);
    ((ObjectNode) tree).put("tagPolicy", MirrorListSpec.TagPolicy.Follow.name());
    return Json.value(tree, MirrorListSpec.class);
  }

  private static String place(MirrorListSpec spec, String repository) {
    return Planner.targetRepository(spec.layout(), BundleImage.parse(repository));
  }

  private static void requireOwnNames(Bundle bundle, MirrorListSpec spec) {
    for (BundleImage image : bundle.images()) {
      if (place(spec, image.repository()).startsWith(ReceiptStore.HOME + "/")) {
        throw new RefusedException(
            Reason.Conflict, image.name(), "claims the place where receipts are kept");
      }
    }
  }

  private void requireOrder(Bundle bundle, Optional<Receipt> last) {
    String object = "bundle " + bundle.id().brief() + " of " + bundle.series();
    if (last.isPresent() && last.get().bundle().equals(bundle.id())) {
      return; // The same again: an import that was interrupted, or somebody who makes sure.
    }
    if (last.isPresent() && bundle.sequence() <= last.get().sequence() && !rules.allowReplay()) {
      throw new RefusedException(
          Reason.Conflict,
          object,
          "is older than what "
              + target.name()
              + " took last (sequence "
              + bundle.sequence()
              + ", there "
              + last.get().sequence()
              + "); --allow-replay takes it all the same");
    }
    Bundle.Base base = bundle.base();
    if (base == null) {
      return;
    }
    if (last.isEmpty()) {
      throw new RefusedException(
          Reason.BaseMismatch,
          object,
          "continues sequence "
              + base.sequence()
              + ", and "
              + target.name()
              + " has taken no bundle of this series; export one without --base");
    }
    if (!last.get().state().equals(base.state())) {
      throw new RefusedException(
          Reason.BaseMismatch,
          object,
          "continues what was held after sequence "
              + base.sequence()
              + ", and "
              + target.name()
              + " holds what sequence "
              + last.get().sequence()
              + " left"
              + lacking(bundle, homes(bundle, spec(bundle.list().spec())))
              + "; export with --base and the receipt of "
              + target.name());
    }
  }

  private static Map<Digest, String> homes(Bundle bundle, MirrorListSpec spec) {
    Map<Digest, String> homes = new HashMap<>();
    for (Bundle.Expected expected : bundle.expects()) {
      homes.put(expected.digest(), place(spec, expected.repository()));
    }
    return homes;
  }

  private String lacking(Bundle bundle, Map<Digest, String> homes) {
    List<String> missing = new ArrayList<>();
    for (Bundle.Expected expected : bundle.expects()) {
      String home = homes.get(expected.digest());
      if (home != null
          && !directory.has(expected.digest())
          && !holds.test(home, expected.digest())) {
        missing.add(home + "@" + expected.digest());
      }
    }
    if (missing.isEmpty()) {
      return "";
    }
    return ", which lacks "
        + String.join(", ", missing.subList(0, Math.min(NAMED, missing.size())))
        + (missing.size() > NAMED ? " and " + (missing.size() - NAMED) + " more" : "");
  }

  private void requireExpected(Bundle bundle, Map<Digest, String> homes) {
    String lacking = lacking(bundle, homes);
    if (!lacking.isEmpty() && !rules.allowPartial()) {
      throw new RefusedException(
          Reason.BaseMismatch,
          "bundle " + bundle.id().brief(),
          "builds on " + target.name() + lacking + "; export one without --base");
    }
  }

  /** Before the first tag: everything is there, or the run ends here. */
  private void requireWhole(List<Outcome> outcomes) {
    List<Outcome> failed =
        outcomes.stream().filter(o -> o.result() == Outcome.Result.Failed).toList();
    if (failed.isEmpty()) {
      return;
    }
    Outcome first = failed.getFirst();
    Reason reason = first.reason() == null ? Reason.Internal : first.reason();
    boolean rotten = failed.stream().allMatch(o -> isOfBundle(o.reason()));
    if (rotten && rules.allowPartial()) {
      return;
    }
    String problem =
        first.message()
            + (failed.size() > 1 ? "; " + (failed.size() - 1) + " more images failed" : "")
            + "; no tag was moved";
    if (rotten) {
      throw new RefusedException(reason, first.source(), problem);
    }
    Outcome other = failed.stream().filter(o -> !isOfBundle(o.reason())).findFirst().orElse(first);
    throw new RegistryException(
        other.reason() == null ? Reason.Internal : other.reason(),
        other.target(),
        other.message() + "; no tag was moved, run it again to go on");
  }

  private static boolean isOfBundle(@Nullable Reason reason) {
    return reason == Reason.DigestMismatch
        || reason == Reason.NotFound
        || reason == Reason.MalformedResponse
        || reason == Reason.UnsupportedMediaType
        || reason == Reason.TooLarge;
  }

  private List<Outcome> publish(
      Bundle bundle,
      MirrorListSpec spec,
      StagedTarget staged,
      List<Outcome> outcomes,
      Consumer<Outcome> listener) {
    boolean immutable = bundle.list().spec().tagPolicy() == MirrorListSpec.TagPolicy.Immutable;
    Map<String, Outcome> moved = new HashMap<>();
    staged
        .waiting()
        .forEach(
            (name, manifest) -> {
              int colon = name.lastIndexOf(':');
              String repository = name.substring(0, colon);
              String tag = name.substring(colon + 1);
              Optional<Descriptor> there = target.resolve(repository, tag);
              String full = target.name() + "/" + name;
              if (there.isPresent() && there.get().digest().equals(manifest.digest())) {
                moved.put(full, outcome(full, manifest, Outcome.Result.Skipped, null));
              } else if (there.isPresent() && immutable) {
                moved.put(
                    full,
                    outcome(
                        full,
                        manifest,
                        Outcome.Result.Drifted,
                        "stays " + there.get().digest() + ", since tagPolicy is Immutable"));
              } else {
                staged.publish(repository, tag, manifest);
              }
            });
    List<Outcome> done = new ArrayList<>();
    for (Outcome outcome : outcomes) {
      Outcome other = moved.get(outcome.target());
      Outcome said =
          other == null || outcome.result() == Outcome.Result.Failed
              ? outcome
              : new Outcome(
                  outcome.source(),
                  outcome.target(),
                  outcome.digest(),
                  other.result(),
                  null,
                  other.message(),
                  outcome.bytes(),
                  outcome.attempts(),
                  outcome.referrer());
      done.add(said);
      listener.accept(said);
    }
    return done;
  }

  private static Outcome outcome(
      String name, Manifest manifest, Outcome.Result result, @Nullable String message) {
    return new Outcome(name, name, manifest.digest(), result, null, message, 0, 1);
  }

  private List<Outcome> prune(Bundle bundle, MirrorListSpec spec, List<String> inUse) {
    List<Outcome> pruned = new ArrayList<>();
    for (Bundle.Named image : bundle.deletions()) {
      String repository = place(spec, image.repository());
      String tag = image.tag();
      if (tag == null) {
        continue; // Other names may lead to the same digest: the garbage collection decides.
      }
      Optional<Descriptor> there = target.resolve(repository, tag);
      if (there.isEmpty() || !there.get().digest().equals(image.digest())) {
        continue;
      }
      if (InUse.is(target, repository, there.get(), rules.inUse())) {
        inUse.add(image.name());
      } else if (target.delete(repository, tag)) {
        pruned.add(
            new Outcome(
                image.name(),
                target.name() + "/" + repository + ":" + tag,
                image.digest(),
                Outcome.Result.Pruned,
                null,
                null,
                0,
                1));
      }
    }
    return pruned;
  }

  private ReceiptStore.Kept receipt(
      Bundle bundle,
      MirrorListSpec spec,
      Optional<Receipt> last,
      StagedTarget staged,
      List<Outcome> outcomes) {
    Map<String, BundleImage> names = new TreeMap<>();
    Map<BundleImage, Collection<Digest>> images = new HashMap<>();
    if (last.isPresent()) {
      for (Receipt.Held held : last.get().images()) {
        names.put(held.name(), held.image());
        images.put(held.image(), last.get().holds(held));
      }
    }
    for (Outcome outcome : outcomes) {
      if (outcome.result() == Outcome.Result.Pruned) {
        BundleImage gone = names.remove(outcome.source());
        if (gone != null) {
          images.remove(gone);
        }
      }
    }
    boolean complete = true;
    Set<String> drifted =
        outcomes.stream()
            .filter(o -> o.result() == Outcome.Result.Drifted)
            .map(Outcome::target)
            .collect(Collectors.toSet());
    for (BundleImage image : bundle.images()) {
      String repository = place(spec, image.repository());
      Optional<Manifest> top = staged.staged(repository, image.tag(), image.digest());
      String full = target.name() + "/" + BundleImage.name(repository, image.tag(), image.digest());
      if (top.isEmpty() || drifted.contains(full)) {
        complete &= top.isPresent();
        continue;
      }
      BundleImage before = names.put(image.name(), image);
      if (before != null) {
        images.remove(before);
      }
      images.put(image, staged.holds(repository, top.get()));
    }
    Instant now = Instant.ofEpochSecond(clock.instant().getEpochSecond());
    byte[] bytes =
        Receipt.of(
                bundle.series(),
                bundle.sequence(),
                bundle.id(),
                directory.checksum(),
                target.name(),
                now.toString(),
                complete && bundle.failures().isEmpty(),
                images)
            .toJson();
    SigningKey key = rules.key();
    return new ReceiptStore.Kept(bytes, key == null ? null : key.sign(bytes));
  }
}
