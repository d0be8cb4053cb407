package io.kubic.mirrors.sync;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import io.kubic.mirrors.list.SelectedImage;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Repository;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Two sources of one list whose images have the same name in the mirror. */
class FlatLayoutTest {
  private static final String TAG = "app:1";
  private static final SelectedImage FIRST = image("a.example");
  private static final SelectedImage SECOND = image("b.example");

  private static MirrorListSpec spec(String more) {
    return ResourceFile.read(
            "{apiVersion: mirrors.kubic.io/v1alpha1, kind: MirrorList, metadata: {name: t}, spec: {"
                + more
                + "layout: Flat, registryRef: {name: m}, sources: [{registry: a.example, images:"
                + " [app]}, {registry: b.example, images: [app]}]}}",
            "list.yaml",
            MirrorList.class)
        .getFirst()
        .getSpec();
  }

  private MirrorListSpec spec = spec("");
  private final MemoryStore one = new MemoryStore("a.example");
  private final MemoryStore two = new MemoryStore("b.example");
  private final MemoryStore target = new MemoryStore("mirror.local");
  private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();

  @AfterEach
  void stop() {
    executor.close();
  }

  private static SelectedImage image(String registry) {
    return new SelectedImage("default", new Repository(registry, "app"), "1", null);
  }

  private Report sync(SelectedImage... images) {
    SyncRun run =
        new SyncRun(
            new SyncRun.Settings("ns.a", spec, Shard.whole(), Optional.empty()),
            target,
            new Planner(
                spec,
                source -> source.registry().equals("a.example") ? one : two,
                target,
                Planner.Depth.COPIES,
                executor),
            new Copier(target, spec, executor),
            executor,
            Clock.systemUTC(),
            new Random(1));
    SyncRun.Planned planned =
        run.plan(new Selection(List.of(images), List.of(), List.of(), true, Map.of()));
    return run.run(planned, o -> {}, () -> 0).report();
  }

  private static void assertThatTheSecondIsInConflict(Report report) {
    assertThat(report.images())
        .filteredOn(outcome -> outcome.source().equals("b.example/app:1"))
        .singleElement()
        .satisfies(
            outcome -> {
              assertThat(outcome.reason()).isEqualTo(Reason.Conflict);
              assertThat(outcome.message()).contains("taken by a.example/app:1");
            });
    assertThat(report.images())
        .filteredOn(outcome -> outcome.source().equals("a.example/app:1"))
        .singleElement()
        .satisfies(outcome -> assertThat(outcome.reason()).isNull());
    assertThat(report.isSuccessful()).isFalse();
  }

  @Test
  void theTagIsTheFirstRegistrysInWhateverOrderTheyAreListed() {
    Manifest owner = one.image("app", "1", "x");
    two.image("app", "1", "y");
    for (List<SelectedImage> order : List.of(List.of(FIRST, SECOND), List.of(SECOND, FIRST))) {
      target.manifests.clear();
      for (int round = 0; round < 2; round++) {
        assertThatTheSecondIsInConflict(sync(order.toArray(SelectedImage[]::new)));
        assertThat(target.manifests.get(TAG)).isEqualTo(owner);
      }
    }
  }

  @Test
  void theTagIsTheFirstRegistrysAlsoWhenTheSecondAnswersFirst() {
    Manifest owner = one.image("app", "1", "x");
    two.image("app", "1", "y");
    CountDownLatch second = new CountDownLatch(1);
    two.onRequest = question -> second.countDown();
    one.onRequest =
        question -> {
          try {
            assertThat(second.await(30, TimeUnit.SECONDS)).isTrue();
          } catch (InterruptedException e) {
            throw new IllegalStateException(e);
          }
        };
    assertThatTheSecondIsInConflict(sync(SECOND, FIRST));
    assertThat(target.manifests.get(TAG)).isEqualTo(owner);
  }

  @Test
  void theTagIsTheFirstRegistrysAlsoWhenTheSecondHadItBefore() {
    Manifest owner = one.image("app", "1", "x");
    Manifest old = two.image("app", "1", "y");
    assertThat(sync(SECOND).isSuccessful()).isTrue();
    assertThat(target.manifests.get(TAG)).isEqualTo(old);
    assertThatTheSecondIsInConflict(sync(FIRST, SECOND));
    assertThat(target.manifests.get(TAG)).isEqualTo(owner);
  }

  @Test
  void theSecondDoesNotTakeTheTagOfAFirstThatCannotBeReached() {
    one.image("app", "1", "x");
    two.image("app", "1", "y");
    one.broken.add("GET " + TAG);
    Report report = sync(FIRST, SECOND);
    assertThat(report.isSuccessful()).isFalse();
    assertThat(report.images())
        .extracting(Outcome::source, Outcome::reason)
        .containsExactlyInAnyOrder(
            tuple("a.example/app:1", Reason.ConnectionFailed),
            tuple("b.example/app:1", Reason.Conflict));
    assertThat(target.manifests).doesNotContainKey(TAG);
  }

  @Test
  void theSecondIsInConflictAlsoWhereTheFirstIsOnlyReachedAtTheEnd() {
    one.image("app", "1", "x");
    two.image("app", "1", "y");
    one.failsOnce.add("GET " + TAG);
    assertThatTheSecondIsInConflict(sync(FIRST, SECOND));
  }

  @Test
  void theSecondDoesNotTakeTheTagWhereItIsReachedAtTheEndOnly() {
    Manifest owner = one.image("app", "1", "x");
    two.image("app", "1", "y");
    two.failsOnce.add("GET " + TAG);
    Report report = sync(FIRST, SECOND);
    assertThat(report.isSuccessful()).isFalse();
    assertThat(target.manifests.get(TAG)).isEqualTo(owner);
    assertThatTheSecondIsInConflict(sync(FIRST, SECOND));
  }

  @Test
  void theSecondDoesNotTakeTheTagWhereItsSignaturesAreFoundAtTheEndOnly() {
    Manifest owner = one.image("app", "1", "x");
    two.image("app", "1", "y");
    AtomicBoolean first = new AtomicBoolean(true);
    two.onRequest =
        question -> {
          if (question.equals("TAGS app") && first.getAndSet(false)) {
            throw new RegistryException(Reason.ServerError, question, "broke");
          }
        };
    Report report = sync(FIRST, SECOND);
    assertThat(report.isSuccessful()).isFalse();
    assertThat(report.images()).extracting(Outcome::reason).contains(Reason.Conflict);
    assertThat(target.manifests.get(TAG)).isEqualTo(owner);
  }

  @Test
  void aSecondThatCannotBeReachedIsTold() {
    one.image("app", "1", "x");
    sync(FIRST);
    two.broken.add("HEAD " + TAG);
    two.broken.add("GET " + TAG);
    assertThat(sync(FIRST, SECOND).images())
        .extracting(Outcome::source, Outcome::reason)
        .containsExactlyInAnyOrder(
            tuple("a.example/app:1", null), tuple("b.example/app:1", Reason.ConnectionFailed));
  }

  @Test
  void whereTagsDoNotMoveTheSecondIsInConflictInEveryRun() {
    one.image("app", "1", "x");
    two.image("app", "1", "y");
    spec = spec("tagPolicy: Immutable, ");
    for (int run = 0; run < 2; run++) {
      assertThatTheSecondIsInConflict(sync(FIRST, SECOND));
    }
  }

  @Test
  void anImageThatFailsAtOneSourceTakesNoneAlongThatHasItsBlobsAtAnother() {
    spec = spec("concurrency: {blobs: 1}, ");
    Manifest bad = one.image("app", "1", "shared");
    String shared = "app@" + bad.blobs().getLast().digest();
    one.blobs.remove(shared);
    Manifest good = two.image("app", "2", "own", "shared");
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch waiting = new CountDownLatch(1);
    one.onRequest =
        question -> {
          if (question.equals("BLOB " + shared)) {
            begun.countDown();
            await(waiting);
            // Time to get to the blob; without it the test would see less, not fail.
            LockSupport.parkNanos(50_000_000);
          }
        };
    two.onRequest =
        question -> {
          if (question.equals("BLOB app@" + good.blobs().get(1).digest())) {
            await(begun);
            waiting.countDown();
          }
        };
    SelectedImage other =
        new SelectedImage("default", new Repository("b.example", "app"), "2", null);
    assertThat(sync(FIRST, other).images())
        .extracting(Outcome::source, Outcome::reason)
        .containsExactlyInAnyOrder(
            tuple("a.example/app:1", Reason.NotFound), tuple("b.example/app:2", null));
    assertThat(target.manifests.get("app:2")).isEqualTo(good);
  }

  private static void await(CountDownLatch latch) {
    try {
      assertThat(latch.await(30, TimeUnit.SECONDS)).isTrue();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void sourcesThatAgreeAreOneImage() {
    Manifest image = one.image("app", "1", "x");
    two.image("app", "1", "x");
    Report report = sync(FIRST, SECOND);
    assertThat(report.isSuccessful()).isTrue();
    assertThat(report.summary().copied()).isEqualTo(1);
    assertThat(target.manifests.get(TAG)).isEqualTo(image);
  }
}
