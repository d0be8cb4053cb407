package io.kubic.mirrors.sync;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import io.kubic.mirrors.list.SelectedImage;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageSource;
import io.kubic.mirrors.oci.Listing;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Repository;
import java.io.InputStream;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Blobs that fail while they are copied. */
class CopierRetryTest {
  private static final String AT = "r.example_5000/";
  private final MemoryStore store = new MemoryStore("r.example:5000");
  private final MemoryStore target = new MemoryStore("mirror.local");
  private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();

  /** What the next requests for a blob fail with, in turn. */
  private final Map<Digest, Queue<Reason>> troubles = new ConcurrentHashMap<>();

  private final List<Outcome> told = new CopyOnWriteArrayList<>();

  @AfterEach
  void stop() {
    executor.close();
  }

  /** The source, with its troubles. */
  private record Troubled(MemoryStore store, Map<Digest, Queue<Reason>> troubles)
      implements ImageSource {
    @Override
    public String name() {
      return store.name();
    }

    @Override
    public Optional<Descriptor> resolve(String repository, String identifier) {
      return store.resolve(repository, identifier);
    }

    @Override
    public Manifest manifest(String repository, String identifier) {
      return store.manifest(repository, identifier);
    }

    @Override
    public InputStream blob(String repository, Descriptor blob, long offset) {
      InputStream whole = store.blob(repository, blob, offset);
      Reason reason = troubles.getOrDefault(blob.digest(), new ConcurrentLinkedQueue<>()).poll();
      if (reason != null) {
        throw new RegistryException(reason, "" + blob.digest(), "trouble");
      }
      return whole;
    }

    @Override
    public Listing tags(String repository) {
      return store.tags(repository);
    }

    @Override
    public Optional<List<Descriptor>> referrers(String repository, Digest subject) {
      return store.referrers(repository, subject);
    }
  }

  /** Lets the layer of that text fail, once for each reason. */
  private void fail(String layer, Reason... reasons) {
    troubles.put(store.addBlob("a", layer).digest(), new ConcurrentLinkedQueue<>(List.of(reasons)));
  }

  private Report sync(String more, String... images) {
    MirrorListSpec spec =
        ResourceFile.read(
                "{apiVersion: mirrors.kubic.io/v1alpha1, kind: MirrorList, metadata: {name: t}, spec:"
                    + " {"
                    + more
                    + "registryRef: {name: m}, sources: [{registry: \"r.example:5000\", images:"
                    + " [a]}]}}",
                "list.yaml",
                MirrorList.class)
            .getFirst()
            .getSpec();
    List<SelectedImage> selected = new ArrayList<>();
    for (String image : images) {
      int colon = image.indexOf(':');
      selected.add(
          new SelectedImage(
              "default",
              new Repository("r.example:5000", image.substring(0, colon)),
              image.substring(colon + 1),
              null));
    }
    SyncRun run =
        new SyncRun(
            new SyncRun.Settings("ns.a", spec, Shard.whole(), Optional.empty()),
            target,
            new Planner(
                spec, s -> new Troubled(store, troubles), target, Planner.Depth.COPIES, executor),
            new Copier(target, spec, executor),
            executor,
            Clock.systemUTC(),
            new Random(1));
    SyncRun.Planned planned =
        run.plan(new Selection(selected, List.of(), List.of(), true, Map.of()));
    assertThat(planned.settled()).as("planned without trouble").isEmpty();
    return run.run(planned, told::add, () -> 0).report();
  }

  private long asked(String layer) {
    Digest digest = store.addBlob("a", layer).digest();
    return store.log.stream().filter(line -> line.equals("BLOB a@" + digest)).count();
  }

  @ParameterizedTest
  @EnumSource(
      value = Reason.class,
      names = {"RateLimited", "Timeout", "Stalled", "ConnectionFailed", "ServerError"})
  void aBlobThatFailsOnceInPassingIsCopiedInTheSameRun(Reason reason) {
    Manifest image = store.image("a", "1", "x", "y");
    store.image("a", "2", "z");
    fail("y", reason);
    Report report = sync("", "a:1", "a:2");
    assertThat(report.isSuccessful()).isTrue();
    assertThat(report.summary().copied()).isEqualTo(2);
    assertThat(target.manifests.get(AT + "a:1")).isEqualTo(image);
    assertThat(asked("y")).isEqualTo(2);
    assertThat(asked("z")).isEqualTo(1);
    assertThat(told).extracting(Outcome::result).containsOnly(Outcome.Result.Copied).hasSize(2);
  }

  @Test
  void aBlobThatFailsAgainFailsItsImageAndNoOther() {
    store.image("a", "1", "x");
    store.image("a", "2", "z");
    fail("x", Reason.ServerError, Reason.Timeout);
    Report report = sync("", "a:1", "a:2");
    assertThat(report.images()).extracting(Outcome::reason).containsExactly(Reason.Timeout, null);
    assertThat(asked("x")).isEqualTo(2);
    assertThat(told).hasSize(2);
    assertThat(target.manifests).doesNotContainKey(AT + "a:1").containsKey(AT + "a:2");
  }

  @ParameterizedTest
  @EnumSource(
      value = Reason.class,
      names = {"NotFound", "Forbidden", "DigestMismatch", "MalformedResponse"})
  void anImageWhoseBlobFailsForGoodIsNotTriedAgain(Reason reason) {
    store.image("a", "1", "x");
    fail("x", reason);
    Report report = sync("", "a:1");
    assertThat(report.images()).extracting(Outcome::reason).containsExactly(reason);
    assertThat(asked("x")).isEqualTo(1);
    assertThat(told).extracting(Outcome::reason).containsExactly(reason);
    assertThat(target.manifests).doesNotContainKey(AT + "a:1");
  }

  @Test
  void whatTheFirstAttemptWroteCounts() {
    Manifest image = store.image("a", "1", "x", "y");
    fail("y", Reason.ServerError);
    Report report = sync("concurrency: {blobs: 1}, ", "a:1");
    long all = image.size() + image.blobs().stream().mapToLong(Descriptor::size).sum();
    assertThat(report.images()).extracting(Outcome::bytes).containsExactly(all);
    assertThat(report.summary().bytes()).isEqualTo(all);
    assertThat(told).extracting(Outcome::bytes).containsExactly(all);
  }

  @Test
  void nothingIsTriedAgainWhereTheFirstFailureEndsTheRun() {
    store.image("a", "1", "x");
    fail("x", Reason.ServerError);
    assertThat(sync("failurePolicy: Abort, ", "a:1").images())
        .extracting(Outcome::reason)
        .containsExactly(Reason.ServerError);
    assertThat(asked("x")).isEqualTo(1);
    assertThat(told).hasSize(1);
  }
}
