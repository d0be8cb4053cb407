package io.kubic.mirrors.bundle;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.list.SelectedImage;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageSource;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.Reference;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Repository;
import io.kubic.mirrors.oci.layout.BlobDirectory;
import io.kubic.mirrors.oci.layout.Blobs;
import io.kubic.mirrors.oci.layout.Checkpoint;
import io.kubic.mirrors.oci.layout.DirectoryLock;
import io.kubic.mirrors.oci.layout.Disk;
import io.kubic.mirrors.oci.layout.LayoutStore;
import io.kubic.mirrors.oci.layout.PlainFile;
import io.kubic.mirrors.sync.Copier;
import io.kubic.mirrors.sync.Outcome;
import io.kubic.mirrors.sync.Plan;
import io.kubic.mirrors.sync.Planner;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * Fills a directory with what a list selects. May be interrupted anywhere, and run again: it goes
 * on with what is verified, and ends with the same bytes.
 */
public final class Export {
  private static final String STATE = "state.json";
  private static final String SEALED = "sealed.json";
  private static final String LOCK = "lock";
  private static final String NEW = "state.new";

  private final String series;
  private final MirrorListSpec spec;
  private final Order order;
  private final Function<MirrorListSpec.Source, ? extends ImageSource> sources;
  private final ExecutorService executor;
  private final Clock clock;
  private final ToLongFunction<Path> space;
  private final Disk disk;
  private final Path partial;

  /**
   * What is wanted besides the list.
   *
   * @param directory that becomes the bundle; with a bucket only for what is small meanwhile, and
   *     empty
   * @param bucket that becomes the bundle instead; null for the directory
   * @param base what the far side has; null for a bundle that needs nothing there
   * @param baseDigest of the receipt's bytes; null without a base
   * @param key that signs; null for no signature
   * @param volumeSize in bytes; 0 for no volumes
   * @param allowPartial whether the bundle is completed without what could not be had
   * @param extras what travels along with the images
   */
  public record Order(
      Path directory,
      @Nullable Bucket bucket,
      @Nullable Receipt base,
      @Nullable Digest baseDigest,
      @Nullable SigningKey key,
      long volumeSize,
      boolean allowPartial,
      Extras extras) {
    public Order {
      if (bucket != null && volumeSize != 0) {
        throw new RefusedException(
            Reason.TargetRejected,
            bucket.name(),
            "takes objects of any size: leave out --volume-size");
      }
    }

    /** Where it goes, in messages. */
    String name() {
      return bucket == null ? directory.toString() : bucket.name();
    }
  }

  /**
   * What became of it.
   *
   * @param bundle null when it could not be completed
   * @param checksum of its SHA256SUMS; null when it could not be completed
   * @param plan null when all had been copied by an earlier run
   * @param outcomes of the images that were looked at
   */
  public record Result(
      @Nullable Bundle bundle,
      @Nullable Digest checksum,
      @Nullable Plan plan,
      List<Outcome> outcomes,
      boolean complete) {
    public Result {
      outcomes = List.copyOf(outcomes);
    }
  }

  /** What an interrupted export was about. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  record State(Digest list, @Nullable Digest base, long sequence, String created) {}

  /**
   * @param series name of the list
   * @param sources the store to read each source from
   * @param clock says the sequence
   * @param space bytes free where a path lies; {@link #usableSpace}
   */
  public Export(
      String series,
      MirrorListSpec spec,
      Order order,
      Function<MirrorListSpec.Source, ? extends ImageSource> sources,
      ExecutorService executor,
      Clock clock,
      ToLongFunction<Path> space,
      Checkpoint checkpoint) {
    this.series = Bundle.requireSeries(series);
    this.spec = scoped(spec);
    this.order = order;
    this.sources = sources;
    this.executor = executor;
    this.clock = clock;
    this.space = space;
    this.disk = new Disk(checkpoint);
    this.partial = order.directory().resolve(BundleDirectory.PARTIAL);
  }

  /**
   * A list with some images more. They come from where the list's own images of their registry come
   * from: by the first source that has this registry, or by one of their own.
   *
   * @param images with tag or digest
   */
  public static MirrorListSpec including(MirrorListSpec spec, List<Reference> images) {
    if (images.isEmpty()) {
      return spec;
    }
    ObjectNode tree = (ObjectNode) Json.tree(spec);
    for (Reference image : images) {
      String registry = image.repository().registry();
      String name = image.toString().substring(registry.length() + 1);
      ArrayNode named = imagesOf(tree.withArray("sources"), registry);
      boolean known = false;
      for (JsonNode there : named) {
        known |= there.asText().equals(name);
      }
      if (!known) {
        named.add(name);
      }
    }
    return Json.value(tree, MirrorListSpec.class);
  }

  private static ArrayNode imagesOf(ArrayNode sources, String registry) {
    for (JsonNode source : sources) {
      if (source.path("registry").asText().equals(registry)) {
        return ((ObjectNode) source).withArray("images");
      }
    }
    return sources
        .addObject()
        .put("registry", registry)
        .put("name", "included")
        .withArray("images");
  }

  /** The names in a bundle are those of the source, whatever the target calls them. */
  private static MirrorListSpec scoped(MirrorListSpec spec) {
    JsonNode tree = Json.tree(spec);
    ((ObjectNode) tree).put("layout", MirrorListSpec.Layout.Scoped.name());
    return Json.value(tree, MirrorListSpec.class);
  }

  /**
   * Runs.
   *
   * @param selection asked only when something may be missing
   * @param watcher told how far it is, if anything is to be copied
   * @throws RefusedException when the directory, the base or the space does not fit
   */
  public Result run(Supplier<Selection> selection, Watcher watcher) {
    BucketTarget remote = order.bucket() == null ? null : new BucketTarget(order.bucket());
    BlobDirectory near = new BlobDirectory(order.directory(), partial, disk);
    Blobs blobs = remote == null ? near : remote.blobs(near);
    BundleWriter writer = new BundleWriter(order.directory(), blobs, order, disk);
    Optional<BundleWriter.Done> done = remote == null ? writer.committed() : remote.committed();
    if (done.isPresent()) {
      return same(done.get());
    }
    if (!PlainFile.isDirectory(partial)) {
      requireEmpty();
    }
    disk.directory(partial);
    try (DirectoryLock _ =
        DirectoryLock.tryLock(partial.resolve(LOCK))
            .orElseThrow(
                () ->
                    new RefusedException(
                        Reason.Conflict, order.name(), "is being written by another export"))) {
      if (remote == null) {
        return begun(state(), writer, blobs, selection, watcher);
      }
      Optional<byte[]> earlier = remote.state();
      earlier.ifPresent(state -> disk.write(partial.resolve(STATE), state, partial.resolve(NEW)));
      State state = state();
      if (earlier.isEmpty()) {
        remote.begin(Json.bytes(state));
      }
      Result result = begun(state, writer, blobs, selection, watcher);
      if (result.bundle() != null) {
        remote.publish(order.directory());
      }
      return result;
    }
  }

  private Result begun(
      State state,
      BundleWriter writer,
      Blobs blobs,
      Supplier<Selection> selection,
      Watcher watcher) {
    Path sealed = partial.resolve(SEALED);
    if (Files.exists(sealed)) {
      Bundle bundle =
          Json.read(PlainFile.of(sealed).read(Bundle.MAX_BYTES), Bundle.class, sealed.toString());
      BundleWriter.Done finished = writer.finish(bundle);
      return new Result(finished.bundle(), finished.checksum(), null, List.of(), true);
    }
    return fill(state, writer, blobs, selection.get(), watcher);
  }

  /** A completed export that is run again is a success if it would be the same one. */
  private Result same(BundleWriter.Done done) {
    Bundle there = done.bundle();
    Digest base = there.base() == null ? null : there.base().receipt();
    if (!there.series().equals(series)
        || !java.util.Objects.equals(base, order.baseDigest())
        || !Json.tree(there.list().spec()).equals(Json.tree(spec))) {
      throw new RefusedException(
          Reason.Conflict,
          order.name(),
          "holds the bundle "
              + there.id().brief()
              + " of "
              + there.series()
              + "; a new bundle wants a new directory");
    }
    return new Result(there, done.checksum(), null, List.of(), true);
  }

  /** Begins, or finds out what an interrupted export was about. */
  private State state() {
    Digest list = Digest.of(Json.bytes(new Bundle.ListCopy(series, spec)));
    Path file = partial.resolve(STATE);
    if (Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
      State state = Json.read(PlainFile.of(file).read(1 << 16), State.class, file.toString());
      if (!state.list().equals(list)
          || !java.util.Objects.equals(state.base(), order.baseDigest())) {
        throw new RefusedException(
            Reason.Conflict,
            order.name(),
            "holds an unfinished export of another list or base; finish that, or name another"
                + " directory");
      }
      return state;
    }
    Instant now = clock.instant();
    long sequence = Math.max(1, now.getEpochSecond());
    if (order.base() != null) {
      sequence = Math.max(sequence, order.base().sequence() + 1);
    }
    State state =
        new State(
            list,
            order.baseDigest(),
            sequence,
            Instant.ofEpochSecond(now.getEpochSecond()).toString());
    disk.write(file, Json.bytes(state), partial.resolve(NEW));
    return state;
  }

  private void requireEmpty() {
    Path directory = order.directory();
    if (!Files.exists(directory, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(directory)) {
      for (Path entry : entries) {
        if (!entry.equals(partial)) {
          throw new RefusedException(
              Reason.Conflict,
              directory.toString(),
              "is not empty; a bundle wants a directory of its own");
        }
      }
    } catch (IOException e) {
      throw new RefusedException(
          Reason.TargetRejected, directory.toString(), "is no directory that can be read");
    }
  }

  private Result fill(
      State state, BundleWriter writer, Blobs blobs, Selection selection, Watcher watcher) {
    LayoutStore layout =
        new LayoutStore(
            order.bucket() == null
                ? String.valueOf(order.directory().getFileName())
                : order.bucket().name(),
            blobs,
            partial,
            disk);
    ExportStore store = new ExportStore(layout, order.base(), this::registry);
    Planner.Result planned =
        new Planner(spec, sources, store, Planner.Depth.COPIES, executor).plan(selection);
    requireSpace(planned, layout, store);
    Copier copier = new Copier(store, spec, executor);
    watcher.begin(
        planned.plan(),
        planned.work().size(),
        planned.plan().totals().bytesToTransfer(),
        copier::settledBytes);
    List<Outcome> outcomes = new ArrayList<>(planned.settled());
    outcomes.addAll(copier.copy(planned.work(), watcher::image));
    List<Bundle.Failure> failures = failures(outcomes, selection);
    if (!failures.isEmpty() && !order.allowPartial()) {
      return new Result(null, null, planned.plan(), outcomes, selection.complete());
    }
    Bundle bundle = seal(state, layout, store, planned, selection, failures);
    disk.write(partial.resolve(SEALED), bundle.toJson(), partial.resolve(NEW));
    BundleWriter.Done finished = writer.finish(bundle);
    return new Result(
        finished.bundle(), finished.checksum(), planned.plan(), outcomes, selection.complete());
  }

  private ImageSource registry(String registry) {
    for (MirrorListSpec.Source source : spec.sources()) {
      if (source.registry().equals(registry)) {
        return sources.apply(source);
      }
    }
    throw new RegistryException(Reason.NotFound, registry, "the list has no such source any more");
  }

  /** Before the first byte: what has to come, against what is free. */
  private void requireSpace(Planner.Result planned, LayoutStore layout, ExportStore store) {
    Map<Digest, Long> missing = new HashMap<>();
    for (Copier.Work work : planned.work()) {
      for (Descriptor blob : work.blobs()) {
        if (store.home(blob.digest()) == null && !layout.blobs().has(blob)) {
          missing.put(blob.digest(), blob.size());
        }
      }
    }
    long needed = missing.values().stream().mapToLong(Long::longValue).sum();
    // Parts of blobs that are split lie beside the blob for a while, one blob after the other.
    long largest =
        order.volumeSize() == 0
            ? 0
            : missing.values().stream()
                .mapToLong(Long::longValue)
                .filter(size -> size > order.volumeSize())
                .sum();
    long free = order.bucket() == null ? space.applyAsLong(order.directory()) : Long.MAX_VALUE;
    if (needed + largest > free) {
      throw new RefusedException(
          Reason.TargetFull,
          order.directory().toString(),
          "has " + free + " bytes free, and " + (needed + largest) + " are to come");
    }
  }

  /** Bytes that may be written where a path lies. */
  public static long usableSpace(Path path) {
    try {
      return Files.getFileStore(path).getUsableSpace();
    } catch (IOException e) {
      return Long.MAX_VALUE;
    }
  }

  private static List<Bundle.Failure> failures(List<Outcome> outcomes, Selection selection) {
    List<Bundle.Failure> failures = new ArrayList<>();
    for (Outcome outcome : outcomes) {
      if (outcome.reason() != null) {
        failures.add(
            new Bundle.Failure(
                outcome.source(), outcome.reason(), String.valueOf(outcome.message())));
      }
    }
    for (Selection.Problem problem : selection.unseen()) {
      failures.add(new Bundle.Failure(problem.object(), problem.reason(), problem.message()));
    }
    return failures;
  }

  /** Says what the bundle is, and removes what does not belong to it. */
  private Bundle seal(
      State state,
      LayoutStore layout,
      ExportStore store,
      Planner.Result planned,
      Selection selection,
      List<Bundle.Failure> failures) {
    Map<String, String> sourceNames = new HashMap<>();
    for (SelectedImage image : selection.images()) {
      sourceNames.putIfAbsent(image.reference().toString(), image.source());
    }
    Map<String, Descriptor> entries = layout.entries();
    Map<String, BundleImage> images = new TreeMap<>();
    Set<String> wanted = new HashSet<>();
    int unchanged = 0;
    for (Plan.Item item : planned.plan().images()) {
      Reference reference = Reference.parse(item.source());
      Repository repository = reference.repository();
      Digest digest = item.digest();
      if (digest == null) {
        continue;
      }
      String key = ExportStore.key(ExportStore.place(repository), reference.tag(), digest);
      wanted.add(key);
      Descriptor carried = entries.get(key);
      if (carried != null && carried.digest().equals(digest)) {
        BundleImage image =
            new BundleImage(
                sourceNames.getOrDefault(item.source(), firstSource(repository.registry())),
                repository.toString(),
                reference.tag(),
                digest,
                carried.mediaType(),
                carried.size(),
                item.referrer());
        images.put(image.name(), image);
      } else if (store.isHeld(repository, reference.tag(), digest)) {
        unchanged++;
      }
    }
    if (order.base() != null) {
      carryAgain(order.base(), layout, images);
    }
    Contents contents = new Contents(layout, store);
    images.values().forEach(image -> contents.add(image.digest()));
    for (Digest digest : layout.blobs().list()) {
      if (!contents.carried.containsKey(digest)) {
        layout.blobs().remove(digest);
      }
    }
    List<Bundle.Named> deletions =
        failures.isEmpty() && order.base() != null
            ? deletions(order.base(), wanted, planned)
            : List.of();
    Bundle.@Nullable Base base =
        order.base() == null || order.baseDigest() == null
            ? null
            : new Bundle.Base(order.baseDigest(), order.base().sequence(), order.base().state());
    return new Bundle(
        Bundle.SCHEMA,
        Bundle.id(
            series, state.sequence(), base, images.values(), deletions, contents.carried.keySet()),
        series,
        state.sequence(),
        state.created(),
        base,
        new Bundle.ListCopy(series, spec),
        List.copyOf(images.values()),
        List.copyOf(contents.expected.values()),
        deletions,
        failures,
        1,
        Map.of(),
        new Bundle.Counts(
            images.size(),
            unchanged,
            contents.carried.size(),
            contents.carried.values().stream().mapToLong(Long::longValue).sum()));
  }

  /**
   * What is newly attached to an image that the far side has wants that image beside it: only then
   * the import sees what belongs to what, and can tell registries that have to be told.
   */
  private void carryAgain(Receipt base, LayoutStore layout, Map<String, BundleImage> images) {
    Set<Digest> subjects = new HashSet<>();
    for (BundleImage image : images.values()) {
      if (image.referrer() && image.tag() == null) {
        layout
            .manifest("contents", image.digest().toString())
            .subject()
            .ifPresent(subject -> subjects.add(subject.digest()));
      }
    }
    for (Receipt.Held held : base.images()) {
      BundleImage image = held.image();
      if (!images.containsKey(image.name())
          && base.holds(held).stream().anyMatch(subjects::contains)) {
        carry(layout, base, image.parsed(), image.digest());
        images.put(image.name(), image);
      }
    }
  }

  private void carry(LayoutStore layout, Receipt base, Repository repository, Digest digest) {
    Manifest manifest =
        registry(repository.registry()).manifest(repository.path(), digest.toString());
    for (Descriptor child : manifest.children()) {
      if (child.isManifest() && base.blobs().contains(child.digest())) {
        carry(layout, base, repository, child.digest());
      }
    }
    layout.putManifest(ExportStore.place(repository), manifest, null);
  }

  private String firstSource(String registry) {
    return spec.sources().stream()
        .filter(source -> source.registry().equals(registry))
        .map(MirrorListSpec.Source::name)
        .findFirst()
        .orElseThrow();
  }

  private static List<Bundle.Named> deletions(
      Receipt base, Set<String> wanted, Planner.Result planned) {
    List<Bundle.Named> deletions = new ArrayList<>();
    for (Receipt.Held image : base.images()) {
      String place = ExportStore.place(image.image().parsed());
      if (!wanted.contains(ExportStore.key(place, image.tag(), image.digest()))
          && !planned.doubts().cover(place, image.tag())) {
        deletions.add(new Bundle.Named(image.repository(), image.tag(), image.digest()));
      }
    }
    return deletions;
  }

  /** What the images of a bundle consist of: what it carries, and what it expects. */
  private static final class Contents {
    private final Map<Digest, Long> carried = new TreeMap<>();
    private final Map<Digest, Bundle.Expected> expected = new TreeMap<>();
    private final LayoutStore layout;
    private final ExportStore store;

    Contents(LayoutStore layout, ExportStore store) {
      this.layout = layout;
      this.store = store;
    }

    void add(Digest top) {
      if (carried.containsKey(top)) {
        return;
      }
      Manifest manifest = layout.manifest("contents", top.toString());
      carried.put(top, (long) manifest.size());
      manifest.blobs().forEach(this::addBlob);
      for (Descriptor child : manifest.children()) {
        if (!child.isManifest()) {
          addBlob(child);
        } else if (layout.blobs().has(child)) {
          add(child.digest());
        }
      }
    }

    private void addBlob(Descriptor blob) {
      if (layout.blobs().has(blob)) {
        carried.put(blob.digest(), blob.size());
        return;
      }
      String home = store.home(blob.digest());
      if (home == null) {
        throw new RegistryException(
            Reason.Internal,
            blob.digest().toString(),
            "was copied and is not there; please report it");
      }
      expected.put(blob.digest(), new Bundle.Expected(blob.digest(), blob.size(), home));
    }
  }
}
