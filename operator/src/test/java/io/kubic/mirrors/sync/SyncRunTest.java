package io.kubic.mirrors.sync;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import io.kubic.mirrors.list.SelectedImage;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Repository;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class SyncRunTest {
  private static final String AT = "r.example_5000/";
  private static final String DELETE =
      "prune: {mode: Delete, gracePeriod: 24h, maxDeletePercent: 100, protectInUse: false}, ";
  private final MemoryStore source = new MemoryStore("r.example:5000");
  private final MemoryStore target = new MemoryStore("mirror.local");
  private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();
  private Instant now = Instant.parse("2026-01-01T00:00:00Z");

  /** Never looks at what may be believed. */
  private RandomGenerator random = () -> -1;

  private String list = "ns.a";
  private boolean complete = true;
  private Optional<Set<Digest>> inUse = Optional.empty();
  private Shard shard = Shard.whole();
  private String runName;
  private String ofSource = "";
  private Plan plan;

  @AfterEach
  void stop() {
    executor.close();
  }

  private MirrorListSpec spec(String more) {
    return ResourceFile.read(
            "{apiVersion: mirrors.kubic.io/v1alpha1, kind: MirrorList, metadata: {name: t}, spec: {"
                + more
                + "registryRef: {name: m}, sources: [{registry: \"r.example:5000\", images: [a]"
                + ofSource
                + "}]}}",
            "list.yaml",
            MirrorList.class)
        .getFirst()
        .getSpec();
  }

  private SyncRun.Done sync(String more, String... images) {
    MirrorListSpec spec = spec(more);
    List<SelectedImage> selected = new ArrayList<>();
    for (String image : images) {
      int at = image.indexOf('@');
      String name = at < 0 ? image : image.substring(0, at);
      int colon = name.indexOf(':');
      selected.add(
          new SelectedImage(
              "default",
              new Repository("r.example:5000", colon < 0 ? name : name.substring(0, colon)),
              colon < 0 ? null : name.substring(colon + 1),
              at < 0 ? null : Digest.parse(image.substring(at + 1))));
    }
    SyncRun run =
        new SyncRun(
            new SyncRun.Settings(list, spec, shard, runName, inUse),
            target,
            new Planner(spec, s -> source, target, Planner.Depth.COPIES, executor),
            new Copier(target, spec, executor),
            executor,
            Clock.fixed(now, ZoneOffset.UTC),
            random);
    SyncRun.Planned planned =
        run.plan(new Selection(selected, List.of(), List.of(), complete, Map.of()));
    plan = planned.plan();
    return run.run(planned, o -> {}, () -> 0);
  }

  private boolean has(String tag) {
    return target.manifests.containsKey(AT + tag);
  }

  @Test
  void whatIsNotSelectedAnyMoreGoesAfterTheGracePeriodAndNotBefore() {
    source.image("a", "1", "x");
    source.image("a", "2", "y");
    sync(DELETE, "a:1", "a:2");
    assertThat(sync(DELETE, "a:1").report().summary().pruned()).isZero();
    assertThat(plan.totals().pruneCandidates()).isEqualTo(1);
    now = now.plus(Duration.ofHours(23));
    sync(DELETE, "a:1");
    assertThat(has("a:2")).isTrue();
    now = now.plus(Duration.ofHours(1));
    assertThat(sync(DELETE, "a:1").report().summary().pruned()).isEqualTo(1);
    assertThat(has("a:2")).isFalse();
    assertThat(has("a:1")).isTrue();
    sync(DELETE, "a:1");
    assertThat(plan.totals().pruneCandidates()).isZero();
  }

  @Test
  void whatComesBackStartsAfresh() {
    source.image("a", "1", "x");
    source.image("a", "2", "y");
    sync(DELETE, "a:1", "a:2");
    sync(DELETE, "a:1");
    now = now.plus(Duration.ofHours(20));
    sync(DELETE, "a:1", "a:2");
    now = now.plus(Duration.ofHours(20));
    sync(DELETE, "a:1");
    assertThat(has("a:2")).isTrue();
  }

  private SyncRun.Done later(String more, String... images) {
    sync(more, images);
    now = now.plus(Duration.ofDays(30));
    return sync(more, images);
  }

  @Test
  void reportDeletesNothing() {
    source.image("a", "1", "x");
    source.image("a", "2", "y");
    String report = DELETE.replace("mode: Delete", "mode: Report");
    sync(report, "a:1", "a:2");
    assertThat(later(report, "a:1").report().isSuccessful()).isTrue();
    assertThat(plan.totals().pruneCandidates()).isEqualTo(1);
    assertThat(plan.images()).extracting(Plan.Item::action).contains(Plan.Action.Prune);
    assertThat(has("a:2")).isTrue();
  }

  @Test
  void whatWasThereBeforeUsIsNotOurs() {
    source.image("a", "1", "x");
    source.image("a", "2", "y");
    sync("", "a:2");
    target.manifests.keySet().removeIf(key -> key.startsWith("mirror-operator/"));
    sync(DELETE, "a:1", "a:2");
    later(DELETE, "a:1");
    assertThat(has("a:2")).isTrue();
  }

  @Test
  void aTagThatSomebodyMovedIsNotOursAnyMore() {
    source.image("a", "1", "x");
    source.image("a", "2", "y");
    sync(DELETE, "a:1", "a:2");
    target.image(AT + "a", "2", "theirs");
    later(DELETE, "a:1");
    assertThat(has("a:2")).isTrue();
  }

  @Test
  void anIncompleteListingPrunesNothing() {
    source.image("a", "1", "x");
    source.image("a", "2", "y");
    sync(DELETE, "a:1", "a:2");
    complete = false;
    later(DELETE, "a:1");
    assertThat(has("a:2")).isTrue();
    complete = true;
    sync(DELETE, "a:1");
    assertThat(has("a:2")).as("the time counts from the first complete listing").isTrue();
    complete = false;
    now = now.plus(Duration.ofDays(3));
    SyncRun.Done done = sync(DELETE, "a:1");
    assertThat(has("a:2")).isTrue();
    assertThat(done.report().images()).extracting(Outcome::reason).contains(Reason.GuardExceeded);
  }

  @Test
  void moreThanTheListAllowsAtOnceIsRefusedAndSaid() {
    for (int i = 0; i < 10; i++) {
      source.image("a", "" + i, "x" + i);
    }
    String few = DELETE.replace("100", "10");
    sync(few, "a:0", "a:1", "a:2", "a:3", "a:4", "a:5", "a:6", "a:7", "a:8", "a:9");
    SyncRun.Done done = later(few, "a:0", "a:1", "a:2", "a:3", "a:4", "a:5", "a:6", "a:7");
    assertThat(has("a:8") && has("a:9")).isTrue();
    assertThat(done.report().isSuccessful()).isFalse();
    assertThat(done.report().images()).extracting(Outcome::reason).contains(Reason.GuardExceeded);
    done = sync(few, "a:0", "a:1", "a:2", "a:3", "a:4", "a:5", "a:6", "a:7", "a:8");
    assertThat(done.report().summary().pruned()).isEqualTo(1);
    assertThat(has("a:9")).isFalse();
  }

  @Test
  void whatAnotherListSelectsStays() {
    source.image("a", "1", "x");
    source.image("a", "2", "y");
    sync(DELETE, "a:1", "a:2");
    list = "ns.b";
    sync("", "a:2");
    list = "ns.a";
    SyncRun.Done done = later(DELETE, "a:1");
    assertThat(has("a:2")).isTrue();
    assertThat(done.problems()).anyMatch(p -> p.message().contains("ns.b selects it"));
  }

  @Test
  void whatAnotherListSelectsByItsDigestStays() {
    source.image("a", "1", "x");
    Manifest pinned = source.image("a", "2", "y");
    sync(DELETE, "a:1", "a:2");
    list = "ns.b";
    sync("", "a@" + pinned.digest());
    list = "ns.a";
    SyncRun.Done done = later(DELETE, "a:1");
    assertThat(has("a:2")).isTrue();
    assertThat(done.problems())
        .extracting(Selection.Problem::message)
        .containsExactly(
            "is not pruned: the list ns.b selects it; if that list is no more, remove its ledger:"
                + " mirror-operator/ledger:ns.b (with shards, those of its parts)");
  }

  @Test
  void whatAnotherListHasUnderAnotherTagStays() {
    source.image("a", "1", "x");
    source.image("a", "2", "y");
    source.image("a", "other", "y");
    sync(DELETE, "a:1", "a:2");
    list = "ns.b";
    sync("", "a:other");
    list = "ns.a";
    later(DELETE, "a:1");
    assertThat(has("a:2")).isTrue();
  }

  @Test
  void whatListsSelectByDigestIsKnownAsLongAsTheyDo() {
    Manifest one = source.image("a", null, "x");
    Manifest two = source.image("a", null, "y");
    source.image("a", "1", "z");
    assertThat(Pins.of(target)).isEmpty();
    sync("", "a@" + one.digest());
    list = "ns.b";
    sync("", "a@" + two.digest(), "a:1");
    assertThat(Pins.of(target)).containsExactlyInAnyOrder(one.digest(), two.digest());
    complete = false;
    sync("", "a:1");
    assertThat(Pins.of(target)).as("what was listed in part").contains(two.digest());
    complete = true;
    sync("", "a:1");
    assertThat(Pins.of(target)).containsExactly(one.digest());
    Artifacts.write(
        target, Ledgers.REPOSITORY, "ns.b", Ledger.TYPE, "{\"version\":1".getBytes(UTF_8));
    assertThatThrownBy(() -> Pins.of(target)).hasMessageContaining("mirror-operator/ledger:ns.b");
  }

  private String signed() {
    Manifest image = source.image("a", "1", "x");
    String tag = Attachments.tag(image.digest()) + ".sig";
    source.image("a", tag, "signature");
    sync(DELETE, "a:1");
    assertThat(has("a:" + tag)).isTrue();
    return tag;
  }

  @Test
  void theSignatureOfAnImageThatIsGoneAtItsSourceStaysLikeTheImage() {
    String signature = signed();
    source.manifests.remove("a:1");
    assertThat(later(DELETE, "a:1").report().isSuccessful()).isFalse();
    assertThat(has("a:1") && has("a:" + signature)).isTrue();
  }

  @Test
  void theSignaturesOfAnImageThatIsNotSelectedAnyMoreGo() {
    String signature = signed();
    source.image("b", "1", "y");
    later(DELETE, "b:1");
    assertThat(has("a:1") || has("a:" + signature)).isFalse();
  }

  @Test
  void whereSignaturesCannotBeLookedForNoneIsMissingAndTheRunHasFailed() {
    String signature = signed();
    source.broken.add("TAGS a");
    SyncRun.Done done = later(DELETE, "a:1");
    assertThat(has("a:" + signature)).isTrue();
    assertThat(done.report().images())
        .filteredOn(outcome -> outcome.reason() != null)
        .singleElement()
        .satisfies(
            failed -> {
              assertThat(failed.reason()).isEqualTo(Reason.ConnectionFailed);
              assertThat(failed.referrer()).isTrue();
              assertThat(failed.message()).contains("signatures", "includeReferrers: false");
            });
    assertThat(done.report().summary().skipped()).isEqualTo(1);
  }

  @Test
  void aLoginThatMayNotListIsToldAndHindersNobody() {
    source.image("a", "1", "x");
    source.onRequest =
        question -> {
          if (question.equals("TAGS a")) {
            throw new RegistryException(Reason.Forbidden, question, "denied");
          }
        };
    assertThat(sync("", "a:1").report().isSuccessful()).isTrue();
    assertThat(plan.problems())
        .singleElement()
        .satisfies(problem -> assertThat(problem.message()).contains("cannot be looked for"));
  }

  @Test
  void aLoginThatMayNotListStillGetsWhatTheReferrersApiTells() {
    source.hasReferrersApi = true;
    List<Manifest> attached = new ArrayList<>();
    for (String tag : List.of("1", "2", "3")) {
      attached.add(source.attached("a", source.image("a", tag, "x" + tag), "sbom " + tag));
    }
    source.onRequest =
        question -> {
          if (question.equals("TAGS a")) {
            throw new RegistryException(Reason.Forbidden, question, "denied");
          }
        };
    assertThat(sync("", "a:1", "a:2", "a:3").report().isSuccessful()).isTrue();
    assertThat(attached)
        .allSatisfy(sbom -> assertThat(target.manifests).containsKey(AT + "a@" + sbom.digest()));
  }

  @Test
  void whatIsLookedAtTwiceKeepsItsSize() {
    source.image("a", "1", "x");
    sync("", "a:1");
    long size = bytes("a:1");
    AtomicBoolean first = new AtomicBoolean(true);
    source.onRequest =
        question -> {
          if (question.equals("TAGS a") && first.getAndSet(false)) {
            throw new RegistryException(Reason.ServerError, question, "broke");
          }
        };
    source.image("a", "2", "y");
    assertThat(sync("", "a:1", "a:2").report().isSuccessful()).isTrue();
    assertThat(bytes("a:1")).isEqualTo(size).isGreaterThan(100);
    assertThat(bytes("a:2")).isEqualTo(size);
  }

  private long bytes(String tag) {
    return new Ledgers(target, list, shard).load().own().entries().get(AT + tag).bytes();
  }

  @Test
  void aSearchForSignaturesThatFailedIsRepeatedAtTheEnd() {
    Manifest image = source.image("a", "1", "x");
    String tag = Attachments.tag(image.digest()) + ".sig";
    source.image("a", tag, "signature");
    AtomicBoolean first = new AtomicBoolean(true);
    source.onRequest =
        question -> {
          if (question.equals("TAGS a") && first.getAndSet(false)) {
            throw new RegistryException(Reason.ServerError, question, "broke");
          }
        };
    SyncRun.Done done = sync("", "a:1");
    assertThat(done.report().images())
        .extracting(Outcome::source, Outcome::result)
        .containsExactlyInAnyOrder(
            tuple("r.example:5000/a:1", Outcome.Result.Copied),
            tuple("r.example:5000/a:" + tag, Outcome.Result.Copied));
    assertThat(has("a:" + tag)).isTrue();
  }

  @Test
  void aSignatureThatCouldNotBePlannedIsTriedAgainAtTheEnd() {
    Manifest image = source.image("a", "1", "x");
    String tag = Attachments.tag(image.digest()) + ".sig";
    source.image("a", tag, "signature");
    source.failsOnce.add("GET a:" + tag);
    assertThat(sync("", "a:1").report().isSuccessful()).isTrue();
    assertThat(has("a:" + tag)).isTrue();
  }

  @Test
  void whatAPodRunsStaysAlsoWhenItRunsOnePlatform() {
    source.image("a", "1", "x");
    Manifest child = source.image("a", null, "y");
    source.index("a", "2", Map.of("amd64", child));
    String protect = DELETE.replace("false", "true");
    sync(protect, "a:1", "a:2");
    assertThat(later(protect, "a:1").report().isSuccessful())
        .as("nobody knows what pods run")
        .isFalse();
    inUse = Optional.of(Set.of(child.digest()));
    sync(protect, "a:1");
    assertThat(has("a:2")).isTrue();
    inUse = Optional.of(Set.of());
    sync(protect, "a:1");
    assertThat(has("a:2")).isFalse();
  }

  @Test
  void whatAPodRunsStaysAlsoWhenItsIndexIsInAnIndex() {
    source.image("a", "1", "x");
    Manifest child = source.image("a", null, "y");
    nested("2", Map.of("amd64", child));
    String protect = DELETE.replace("false", "true");
    sync(protect, "a:1", "a:2");
    inUse = Optional.of(Set.of(child.digest()));
    later(protect, "a:1");
    assertThat(has("a:2")).isTrue();
    inUse = Optional.of(Set.of());
    sync(protect, "a:1");
    assertThat(has("a:2")).isFalse();
  }

  /** A tag of an index in which there is but another one, without a platform. */
  private Manifest nested(String tag, Map<String, Manifest> children) {
    Manifest inner = source.index("a", null, children);
    return source.index("a", tag, Collections.singletonMap(null, inner));
  }

  @Test
  void aSharedDigestIsNotTakenAlong() {
    Manifest image = source.image("a", "1", "x");
    source.image("a", "2", "x");
    sync(DELETE, "a:1", "a:2");
    later(DELETE, "a:1");
    assertThat(has("a:2")).isFalse();
    assertThat(target.manifests.get(AT + "a:1")).isEqualTo(image);
    assertThat(target.manifests).containsKey(AT + "a@" + image.digest());
  }

  @Test
  void aRegistryThatDeletesByDigestOnlyLosesNothing() {
    target.deletesTags = false;
    source.image("a", "1", "x");
    source.image("a", "2", "y");
    sync(DELETE, "a:1", "a:2");
    SyncRun.Done done = later(DELETE, "a:1");
    assertThat(has("a:2")).isTrue();
    assertThat(done.problems()).anyMatch(p -> p.message().contains("cannot delete a tag"));
  }

  @Test
  void aRegistryThatDeniesATagItHasPrunesNothingAndTheRunSaysSo() {
    target.deniesTags = true;
    source.image("a", "1", "x");
    source.image("a", "2", "y");
    sync(DELETE, "a:1", "a:2");
    SyncRun.Done done = later(DELETE, "a:1");
    assertThat(has("a:2")).isTrue();
    assertThat(done.report().summary().pruned()).isZero();
    assertThat(done.problems()).anyMatch(p -> p.message().contains("cannot delete a tag"));
    target.deniesTags = false;
    assertThat(sync(DELETE, "a:1").report().summary().pruned()).isEqualTo(1);
  }

  @Test
  void aChildOfAnIndexStaysWhereADigestGoesWithItsLastTag() {
    target.forgetsUntagged = true;
    Manifest child = source.image("a", "2", "y");
    source.index("a", "1", Map.of("amd64", child));
    sync(DELETE, "a:1", "a:2");
    assertThat(later(DELETE, "a:1").report().summary().pruned()).isEqualTo(1);
    assertThat(has("a:2")).isFalse();
    assertThat(target.manifests).containsKey(AT + "a@" + child.digest());
  }

  @Test
  void whatIsSelectedByItsDigestStaysWhereADigestGoesWithItsLastTag() {
    target.forgetsUntagged = true;
    Manifest image = source.image("a", "1", "x");
    source.image("a", "2", "y");
    sync(DELETE, "a:1", "a:2");
    later(DELETE, "a:2", "a@" + image.digest());
    assertThat(has("a:1")).isFalse();
    assertThat(target.manifests).containsKey(AT + "a@" + image.digest());
  }

  @Test
  void aDigestThatWentWithItsTagAndDoesNotComeBackIsAFailure() {
    target.forgetsUntagged = true;
    source.image("a", "1", "x");
    Manifest image = source.image("a", "2", "y");
    sync(DELETE, "a:1", "a:2");
    target.refuses = image::equals;
    SyncRun.Done done = later(DELETE, "a:1");
    assertThat(done.report().isSuccessful()).isFalse();
    assertThat(done.report().images()).extracting(Outcome::reason).contains(Reason.TargetRejected);
  }

  /** As after a scrub that set its manifest aside. */
  @Test
  void aLedgerThatIsListedAndNotThereIsOneThatCannotBeRead() {
    source.image("a", "1", "x");
    source.image("a", "2", "y");
    sync(DELETE, "a:1", "a:2");
    list = "ns.b";
    sync("", "a:2");
    list = "ns.a";
    target.onRequest =
        question -> {
          if (question.equals("GET mirror-operator/ledger:ns.b")) {
            throw new RegistryException(Reason.NotFound, question, "MANIFEST_UNKNOWN");
          }
        };
    SyncRun.Done done = later(DELETE, "a:1");
    assertThat(has("a:2")).isTrue();
    assertThat(done.report().images()).extracting(Outcome::reason).contains(Reason.GuardExceeded);
    assertThatThrownBy(() -> Pins.of(target)).hasMessageContaining("mirror-operator/ledger:ns.b");
  }

  @Test
  void aLedgerThatCannotBeHadIsNotWrittenOverWhateverTheReason() {
    source.image("a", "1", "x");
    source.image("a", "2", "y");
    for (Reason reason : List.of(Reason.ServerError, Reason.Forbidden, Reason.RedirectRefused)) {
      sync(DELETE, "a:1", "a:2");
      target.onRequest = question -> refuseLedger(question, "ns.a", reason);
      sync(DELETE, "a:1", "a:2");
      target.onRequest = question -> {};
      later(DELETE, "a:1");
      assertThat(has("a:2")).as("%s: who put it was known", reason).isFalse();
    }
  }

  @Test
  void aPartThatCannotBeHadIsNotOutdoneByALedgerOfTheWholeList() {
    source.image("a", "1", "x");
    source.image("a", "2", "y");
    for (int i = 0; i < 2; i++) {
      shard = new Shard(i, 2);
      sync(DELETE, "a:1", "a:2");
    }
    shard = Shard.whole();
    now = now.plusSeconds(60);
    target.onRequest =
        question -> {
          refuseLedger(question, "ns.a--0.2", Reason.ServerError);
          refuseLedger(question, "ns.a--1.2", Reason.ServerError);
        };
    source.image("a", "3", "z");
    sync(DELETE, "a:1", "a:2", "a:3");
    target.onRequest = question -> {};
    now = now.plusSeconds(60);
    later(DELETE, "a:1", "a:3");
    assertThat(has("a:2")).as("who put it was known").isFalse();
  }

  private static void refuseLedger(String question, String tag, Reason reason) {
    if (question.equals("GET mirror-operator/ledger:" + tag)) {
      throw new RegistryException(reason, question, "not now");
    }
  }

  @Test
  void whatAnotherListSelectsIsKnownThoughAnEarlierPartOfItWasWrittenByAClockAhead() {
    source.image("a", "1", "x");
    source.image("a", "2", "y");
    Instant right = now;
    list = "ns.b";
    now = right.plus(Duration.ofDays(1000));
    for (int i = 0; i < 2; i++) {
      shard = new Shard(i, 2);
      sync("", "a:1");
    }
    now = right;
    shard = Shard.whole();
    list = "ns.a";
    sync(DELETE, "a:1", "a:2");
    list = "ns.b";
    sync("", "a:1", "a:2");
    list = "ns.a";
    later(DELETE, "a:1");
    assertThat(has("a:2")).isTrue();
  }

  /** Runs something once, in the middle of another run: when this is asked of the source. */
  private void during(String question, Runnable other) {
    AtomicBoolean first = new AtomicBoolean(true);
    source.onRequest =
        asked -> {
          if (asked.startsWith(question) && first.getAndSet(false)) {
            other.run();
          }
        };
  }

  @Test
  void whatAnotherListSelectsSinceTheRunBeganStays() {
    source.image("a", "1", "x");
    source.image("a", "2", "y");
    source.image("b", "1", "z");
    sync(DELETE, "a:1", "a:2");
    sync(DELETE, "a:1");
    now = now.plus(Duration.ofDays(30));
    during(
        "BLOB b@",
        () -> {
          list = "ns.b";
          assertThat(sync("", "a:2").report().summary().skipped()).isEqualTo(1);
        });
    SyncRun.Done done = sync(DELETE, "a:1", "b:1");
    assertThat(list).isEqualTo("ns.b");
    assertThat(has("b:1")).isTrue();
    assertThat(has("a:2")).isTrue();
    assertThat(done.problems()).anyMatch(p -> p.message().contains("ns.b selects it"));
  }

  @Test
  void whatARunFoundInPlaceIsNotPrunedByAnotherListBeforeTheRunEnds() {
    source.image("a", "1", "x");
    source.image("a", "2", "y");
    source.image("b", "1", "z");
    sync(DELETE, "a:1", "a:2");
    sync(DELETE, "a:1");
    now = now.plus(Duration.ofDays(30));
    list = "ns.b";
    during(
        "BLOB b@",
        () -> {
          list = "ns.a";
          sync(DELETE, "a:1");
        });
    assertThat(sync("", "a:2", "b:1").report().summary().skipped()).isEqualTo(1);
    assertThat(list).isEqualTo("ns.a");
    assertThat(has("a:2")).isTrue();
  }

  @Test
  void aLoginThatMayNotWriteLedgersNeverPrunes() {
    source.image("a", "1", "x");
    source.image("a", "2", "y");
    sync(DELETE, "a:1", "a:2");
    sync(DELETE, "a:1");
    now = now.plus(Duration.ofDays(30));
    target.refuses = manifest -> Ledger.TYPE.equals(manifest.content().artifactType());
    SyncRun.Done done = sync(DELETE, "a:1");
    assertThat(has("a:2")).isTrue();
    assertThat(done.problems()).anyMatch(p -> p.message().contains("cannot be written down"));
  }

  @Test
  void whatAnotherListSelectsAndKeepsSinceItsTagsDoNotMoveStays() {
    Manifest old = source.image("a", "1", "old");
    source.image("b", "1", "z");
    list = "ns.b";
    sync(DELETE, "a:1", "b:1");
    source.image("a", "1", "new");
    list = "ns.a";
    assertThat(sync("tagPolicy: Immutable, ", "a:1").report().summary().drifted()).isEqualTo(1);
    list = "ns.b";
    later(DELETE, "b:1");
    assertThat(target.manifests.get(AT + "a:1")).isEqualTo(old);
  }

  @Test
  void theIndexOfWhatIsAttachedStaysWithAnImageThatAnotherListSelects() {
    source.hasReferrersApi = true;
    Manifest image = source.image("a", "1", "x");
    source.attached("a", image, "sbom");
    source.image("b", "1", "z");
    sync(DELETE, "a:1", "b:1");
    String fallback = "a:" + Attachments.tag(image.digest());
    assertThat(has(fallback)).isTrue();
    list = "ns.b";
    sync("", "a:1");
    list = "ns.a";
    later(DELETE, "b:1");
    assertThat(has("a:1")).isTrue();
    assertThat(has(fallback)).isTrue();
  }

  @Test
  void anImageWithoutATagTakesNobodysTag() {
    source.image("a", "null", "x");
    Manifest other = source.image("a", "1", "y");
    list = "ns.a";
    sync("", "a:null");
    list = "ns.b";
    Report report = sync("", "a@" + other.digest()).report();
    assertThat(report.summary().copied()).isEqualTo(1);
  }

  @Test
  void noImageTakesThePlaceOfALedger() {
    source.image("mirror-operator/ledger", "ns.a", "of another mirror");
    source.image("a", "1", "x");
    SyncRun.Done done = sync("layout: Flat, ", "a:1", "mirror-operator/ledger:ns.a");
    assertThat(done.report().summary().failed()).isEqualTo(1);
    assertThat(done.report().images()).extracting(Outcome::reason).contains(Reason.Conflict);
    assertThat(done.problems()).isEmpty();
    assertThat(new Ledgers(target, list, shard).load().own().entries()).containsOnlyKeys("a:1");
  }

  @Test
  void aLostOrBrokenLedgerDeletesNothing() {
    source.image("a", "1", "x");
    source.image("a", "2", "y");
    sync(DELETE, "a:1", "a:2");
    Artifacts.write(
        target, Ledgers.REPOSITORY, "ns.a", Ledger.TYPE, "{\"version\":1".getBytes(UTF_8));
    SyncRun.Done done = later(DELETE, "a:1");
    assertThat(has("a:2")).isTrue();
    assertThat(done.report().summary().pruned()).isZero();
    target.manifests.keySet().removeIf(key -> key.startsWith("mirror-operator/"));
    later(DELETE, "a:1");
    assertThat(has("a:2")).isTrue();
  }

  @Test
  void twoListsThatWantOneTagAgreeWhoOwnsItWhoeverComesFirst() {
    Manifest one = source.image("a", null, "one");
    Manifest two = source.image("a", null, "two");
    for (String first : List.of("ns.a", "ns.b")) {
      target.manifests.clear();
      for (int round = 0; round < 4; round++) {
        list = (round % 2 == 0) == first.equals("ns.a") ? "ns.a" : "ns.b";
        SyncRun.Done done = sync("", "a:1@" + (list.equals("ns.a") ? one : two).digest());
        if (round > 1) {
          assertThat(done.report().images())
              .extracting(Outcome::reason)
              .containsExactly(list.equals("ns.a") ? null : Reason.Conflict);
        }
      }
      assertThat(target.manifests.get(AT + "a:1")).isEqualTo(one);
    }
  }

  @Test
  void aPlanSaysWhatAnotherListHas() {
    Manifest one = source.image("a", null, "one");
    Manifest two = source.image("a", null, "two");
    sync("", "a:1@" + one.digest());
    list = "ns.b";
    source.image("a", "2", "three");
    sync("", "a:1@" + two.digest(), "a:2");
    assertThat(plan.images())
        .extracting(Plan.Item::target, Plan.Item::action)
        .containsExactly(
            tuple("mirror.local/" + AT + "a:1", Plan.Action.Fail),
            tuple("mirror.local/" + AT + "a:2", Plan.Action.Copy));
    assertThat(plan.totals().copy()).isEqualTo(1);
    assertThat(plan.problems())
        .singleElement()
        .satisfies(
            problem -> {
              assertThat(problem.reason()).isEqualTo(Reason.Conflict);
              assertThat(problem.message()).contains("belongs to the list ns.a");
            });
    assertThat(plan.complete()).isFalse();
  }

  @Test
  void twoListsThatFollowOneTagDoNotDiffer() {
    source.image("a", "1", "old");
    sync("", "a:1");
    Manifest moved = source.image("a", "1", "new");
    list = "ns.b";
    assertThat(sync("", "a:1").report().isSuccessful()).isTrue();
    assertThat(target.manifests.get(AT + "a:1")).isEqualTo(moved);
  }

  @Test
  void aRunThatWasKilledLeavesNothingThatNobodyRemembers() {
    source.image("a", "1", "x");
    source.image("a", "2", "y");
    sync(DELETE, "a:1");
    target.dies = key -> key.equals("mirror-operator/reports");
    assertThatThrownBy(() -> sync(DELETE, "a:1", "a:2")).isInstanceOf(MemoryStore.Died.class);
    assertThat(has("a:2")).isTrue();
    target.dies = key -> false;
    later(DELETE, "a:1");
    assertThat(has("a:2")).isFalse();
  }

  /** One image after the other, in the plan's order. */
  private static final String ONE = "concurrency: {images: 1, blobs: 1}, ";

  private static final String LEDGER = "compare: Ledger, ";

  private List<String> asked() {
    return target.log.stream().filter(one -> one.contains(AT)).sorted().toList();
  }

  private void twoTagsThatWereSeen() {
    source.image("a", "1", "x");
    source.image("a", "2", "y");
    sync(LEDGER, "a:1", "a:2");
    source.log.clear();
    target.log.clear();
  }

  @Test
  void aTagThatTheLedgerKnowsAndTheTargetListsCostsOneHeadAtTheSource() {
    twoTagsThatWereSeen();
    assertThat(sync(LEDGER, "a:1", "a:2").report().summary().skipped()).isEqualTo(2);
    assertThat(asked()).containsExactly("TAGS " + AT + "a");
    assertThat(source.log.stream().filter(one -> one.startsWith("HEAD")))
        .containsExactlyInAnyOrder("HEAD a:1", "HEAD a:2");
  }

  @Test
  void aTagThatIsGoneOrMovedAtTheSourceIsCopiedThoughTheLedgerKnowsIt() {
    twoTagsThatWereSeen();
    target.manifests.remove(AT + "a:1");
    Manifest moved = source.image("a", "2", "z");
    assertThat(sync(LEDGER, "a:1", "a:2").report().summary().copied()).isEqualTo(2);
    assertThat(has("a:1")).isTrue();
    assertThat(target.manifests.get(AT + "a:2")).isEqualTo(moved);
    assertThat(source.log.stream().filter("HEAD a:2"::equals)).hasSize(1);
  }

  @Test
  void aTagThatWasOnlyIntendedIsAskedFor() {
    twoTagsThatWereSeen();
    target.manifests.put(AT + "a:3", Objects.requireNonNull(target.manifests.get(AT + "a:1")));
    Manifest third = source.image("a", "3", "z");
    target.dies = key -> key.equals(AT + "a");
    assertThatThrownBy(() -> sync(LEDGER, "a:1", "a:2", "a:3"))
        .isInstanceOf(MemoryStore.Died.class);
    target.dies = key -> false;
    assertThat(sync(LEDGER, "a:1", "a:2", "a:3").report().summary().copied()).isEqualTo(1);
    assertThat(target.manifests.get(AT + "a:3")).isEqualTo(third);
  }

  @Test
  void aTagThatAnotherListKnowsTooIsAskedFor() {
    source.image("a", "3", "z");
    twoTagsThatWereSeen();
    sync(LEDGER, "a:1", "a:2", "a:3");
    list = "ns.b";
    sync(LEDGER, "a:1");
    list = "ns.a";
    target.log.clear();
    sync(LEDGER, "a:1", "a:2", "a:3");
    assertThat(asked()).containsExactly("HEAD " + AT + "a:1", "TAGS " + AT + "a");
  }

  @Test
  void withoutAllLedgersNothingIsBelieved() {
    twoTagsThatWereSeen();
    Artifacts.write(target, Ledgers.REPOSITORY, "ns.b", Ledger.TYPE, "{".getBytes(UTF_8));
    target.log.clear();
    sync(LEDGER, "a:1", "a:2");
    assertThat(asked()).containsExactly("HEAD " + AT + "a:1", "HEAD " + AT + "a:2");
  }

  @Test
  void aTargetThatListsNothingIsAskedForEachTag() {
    twoTagsThatWereSeen();
    target.broken.add("TAGS " + AT + "a");
    assertThat(sync(LEDGER, "a:1", "a:2").report().summary().skipped()).isEqualTo(2);
    assertThat(asked()).contains("HEAD " + AT + "a:1", "HEAD " + AT + "a:2");
  }

  /** The price, as docs/sync.md has it. */
  @Test
  void whatSomebodyPutOverATagIsSeenByTheUsualComparisonOrWhenItIsLookedAt() {
    twoTagsThatWereSeen();
    Manifest ours = target.manifests.get(AT + "a:1");
    target.manifests.put(AT + "a:1", Objects.requireNonNull(target.manifests.get(AT + "a:2")));
    assertThat(sync(LEDGER, "a:1", "a:2").report().summary().skipped()).isEqualTo(2);
    assertThat(sync("", "a:1", "a:2").report().summary().copied()).isEqualTo(1);
    assertThat(target.manifests.get(AT + "a:1")).isEqualTo(ours);
    target.manifests.put(AT + "a:1", Objects.requireNonNull(target.manifests.get(AT + "a:2")));
    random = () -> 0;
    assertThat(sync(LEDGER, "a:1", "a:2").report().summary().copied()).isEqualTo(1);
    assertThat(target.manifests.get(AT + "a:1")).isEqualTo(ours);
  }

  @Test
  void anIndexOfWhichTheTargetHasNothingAnyMoreIsCopiedThoughTheLedgerKnowsIt() {
    source.hasReferrersApi = true;
    Manifest index = source.index("a", "1", Map.of("amd64", source.image("a", null, "x")));
    source.image("a", "2", "y");
    sync(LEDGER, "a:1", "a:2");
    target.manifests.put(AT + "a:1", Objects.requireNonNull(target.manifests.get(AT + "a:2")));
    target.manifests.remove(AT + "a@" + index.digest());
    SyncRun.Done done = sync(LEDGER, "a:1", "a:2");
    assertThat(done.report().isSuccessful()).isTrue();
    assertThat(done.report().summary().copied()).isEqualTo(1);
    assertThat(target.manifests.get(AT + "a:1")).isEqualTo(index);
  }

  @Test
  void oneOfEightTagsThatTheLedgerKnowsIsLookedAtAndNotTheSameEachTime() {
    String[] images = IntStream.range(0, 400).mapToObj(i -> "a:" + i).toArray(String[]::new);
    for (int i = 0; i < images.length; i++) {
      source.image("a", String.valueOf(i), "x" + i);
    }
    sync(LEDGER, images);
    random = new Random(5);
    target.log.clear();
    sync(LEDGER, images);
    List<String> first = asked();
    target.log.clear();
    sync(LEDGER, images);
    assertThat(first).hasSizeBetween(30, 70);
    assertThat(asked()).hasSizeBetween(30, 70).isNotEqualTo(first);
  }

  /** What a filter left out comes when the filter goes, though the index is there already. */
  @Test
  void whatAFilterLeftOutComesWhenTheFilterGoes() {
    Manifest arm = source.image("a", null, "y");
    source.index("a", "1", Map.of("amd64", source.image("a", null, "x"), "arm64", arm));
    target.insistsOnChildren = false;
    for (int round = 0; round < 4; round++) {
      String compare = round % 2 == 0 ? "" : LEDGER;
      target.manifests.clear();
      ofSource = ", platforms: [linux/amd64]";
      source.failsOnce.add("GET a:1"); // So it is the end of the run that copies it.
      assertThat(sync(compare, "a:1").report().summary().copied()).isEqualTo(1);
      assertThat(source.failsOnce).isEmpty();
      assertThat(has("a@" + arm.digest())).isFalse();
      ofSource = "";
      if (round > 1) {
        // The run that would bring it is killed, and the next one remembers no less.
        target.dies = key -> key.equals(AT + "a");
        assertThatThrownBy(() -> sync(compare, "a:1")).isInstanceOf(MemoryStore.Died.class);
        target.dies = key -> false;
        target.manifests.remove(AT + "a@" + arm.digest());
      }
      assertThat(sync(compare, "a:1").report().summary().copied()).isEqualTo(1);
      assertThat(has("a@" + arm.digest())).isTrue();
      target.log.clear();
      assertThat(sync(compare, "a:1").report().summary().skipped()).isEqualTo(1);
      assertThat(asked()).containsExactly("HEAD " + AT + "a:1");
    }
  }

  @Test
  void whatAnotherListsFilterLeftOutIsBroughtByTheListThatWantsAll() {
    target.insistsOnChildren = false;
    for (boolean hadAnother : List.of(false, true)) {
      target.manifests.clear();
      list = "ns.b";
      ofSource = "";
      source.image("a", "1", "what it was before");
      if (hadAnother) {
        sync("", "a:1");
      }
      Manifest arm = source.image("a", null, "y");
      source.index("a", "1", Map.of("amd64", source.image("a", null, "x"), "arm64", arm));
      list = "ns.a";
      ofSource = ", platforms: [linux/amd64]";
      sync("", "a:1");
      assertThat(has("a@" + arm.digest())).isFalse();
      list = "ns.b";
      ofSource = "";
      assertThat(sync("", "a:1").report().summary().copied()).isEqualTo(1);
      assertThat(has("a@" + arm.digest())).isTrue();
      target.log.clear();
      assertThat(sync("", "a:1").report().summary().skipped()).isEqualTo(1);
      assertThat(asked()).containsExactly("HEAD " + AT + "a:1");
    }
  }

  private Manifest single(String tag, String arch) {
    Descriptor config = source.addBlob("a", "{\"os\":\"linux\",\"architecture\":\"" + arch + "\"}");
    return source.add(
        "a",
        tag,
        MediaTypes.OCI_MANIFEST,
        """
        {"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json",
        "digest":"%s","size":%d},"layers":[]}"""
            .formatted(config.digest(), config.size()));
  }

  @Test
  void whatIsForNoneOfThePlatformsIsLeftOutAlsoWhereTheTargetHasIt() {
    single("1", "amd64");
    single("2", "arm64");
    source.index("a", "3", Map.of("arm64", source.image("a", null, "x")));
    source.index("a", "4", Map.of("amd64", source.image("a", null, "y")));
    String[] all = {"a:1", "a:2", "a:3", "a:4"};
    sync(DELETE, all);
    ofSource = ", platforms: [linux/amd64]";
    sync(DELETE, all);
    assertThat(plan.images())
        .filteredOn(item -> item.action() != Plan.Action.Prune)
        .extracting(item -> item.target().replaceAll(".*:", ""))
        .containsExactly("1", "4");
    assertThat(plan.problems())
        .extracting(Selection.Problem::object)
        .containsExactly("r.example:5000/a:2", "r.example:5000/a:3");
    SyncRun.Done done = later(DELETE, all);
    assertThat(done.report().summary().pruned()).isEqualTo(2);
    assertThat(has("a:1") && has("a:4")).isTrue();
    assertThat(has("a:2") || has("a:3")).isFalse();
    target.manifests.clear();
    target.blobs.clear();
    sync(DELETE, all);
    String known = plan.hash();
    target.log.clear();
    sync(DELETE, all);
    assertThat(plan.hash()).isEqualTo(known);
    // The ledger knows that it was looked into.
    assertThat(asked()).filteredOn(question -> question.contains("a:1")).hasSize(1);
    assertThat(asked()).noneMatch(question -> question.contains("blob"));
  }

  @Test
  void anImageWhoseConfigurationIsLostIsBroughtAgainWhenAFilterAsksForIt() {
    Manifest one = single("1", "amd64");
    sync("", "a:1");
    target.blobs.clear();
    ofSource = ", platforms: [linux/amd64]";
    assertThat(sync("", "a:1").report().summary().copied()).isEqualTo(1);
    assertThat(target.manifests.get(AT + "a:1")).isEqualTo(one);
    assertThat(target.blobs).hasSizeGreaterThan(0);
  }

  @Test
  void whatAFilterLeftOutOfAnIndexInAnIndexComesWhenTheFilterGrowsOrGoes() {
    Manifest amd = source.image("a", null, "x");
    Manifest arm = source.image("a", null, "y");
    nested("1", Map.of("amd64", amd, "arm64", arm));
    target.insistsOnChildren = false;
    for (String wider : List.of(", platforms: [linux/amd64, linux/arm64]", "")) {
      target.manifests.clear();
      ofSource = ", platforms: [linux/amd64]";
      assertThat(sync("", "a:1").report().summary().copied()).isEqualTo(1);
      target.log.clear();
      assertThat(sync("", "a:1").report().summary().skipped()).isEqualTo(1);
      assertThat(asked()).hasSize(4).contains("HEAD " + AT + "a@" + amd.digest());
      assertThat(has("a@" + arm.digest())).isFalse();
      ofSource = wider;
      assertThat(sync("", "a:1").report().summary().copied()).isEqualTo(1);
      assertThat(has("a@" + arm.digest())).isTrue();
      assertThat(sync("", "a:1").report().summary().skipped()).isEqualTo(1);
    }
  }

  @Test
  void anIndexThatIsFlatIsLookedThroughWithNoMoreRequestsThanItHasChildren() {
    Manifest index = source.index("a", "1", Map.of("amd64", source.image("a", null, "x")));
    ofSource = ", platforms: [linux/amd64]";
    sync("", "a:1");
    target.log.clear();
    sync("", "a:1");
    assertThat(asked())
        .containsExactlyInAnyOrder(
            "HEAD " + AT + "a:1",
            "GET " + AT + "a@" + index.digest(),
            "HEAD " + AT + "a@" + index.children().getFirst().digest());
  }

  @Test
  void aRepositoryWhoseNameIsTooLongForTheTargetStopsNoOther() {
    String name = "a".repeat(250);
    Manifest image = source.image(name, "1", "x");
    source.image("a", "1", "y");
    SyncRun.Done done = sync("", name + ":1", name + "@" + image.digest(), "a:1");
    assertThat(done.report().summary().copied()).isEqualTo(1);
    assertThat(has("a:1")).isTrue();
    assertThat(done.report().images())
        .filteredOn(outcome -> outcome.result() == Outcome.Result.Failed)
        .hasSize(2)
        .allSatisfy(
            outcome -> {
              assertThat(outcome.reason()).isEqualTo(Reason.TargetRejected);
              assertThat(outcome.message()).contains("255 characters", "layout: Flat");
            });
  }

  @Test
  void theSizeOfWhatIsThereIsKnown() {
    source.image("a", "1", "a layer of some size");
    sync("", "a:1");
    long bytes = plan.totals().bytes();
    target.log.clear();
    sync("", "a:1");
    assertThat(plan.totals().bytes()).isEqualTo(bytes);
    assertThat(target.log).noneMatch(entry -> entry.startsWith("GET " + AT));
  }

  @Test
  void theReportIsLeftInTheTarget() {
    source.image("a", "1", "x");
    SyncRun.Done done = sync("", "a:1", "b:1");
    assertThat(done.reportRef()).startsWith("mirror.local/mirror-operator/reports@sha256:");
    byte[] report =
        Artifacts.read(
                target,
                "mirror-operator/reports",
                "ns.a",
                "application/vnd.kubic.mirrors.report.v1+json",
                1 << 20)
            .orElseThrow();
    assertThat(new String(report, UTF_8)).contains("\"copied\":1", "\"failed\":1", "NotFound");
  }

  @Test
  void whereTheFirstFailureEndsTheRunNothingIsCopiedAfterOneThatCouldNotBePlanned() {
    source.image("a", "1", "x");
    Report report = sync("failurePolicy: Abort, ", "a:1", "a:gone").report();
    assertThat(report.images())
        .extracting(Outcome::reason)
        .containsExactly(Reason.Cancelled, Reason.NotFound);
    assertThat(has("a:1")).isFalse();
  }

  @Test
  void whatNobodyApprovedIsNotCopiedAtTheEnd() {
    source.image("a", "1", "x");
    sync("", "a:1");
    source.image("a", "2", "y");
    source.failsOnce.add("GET a:2");
    Report report = sync("approval: Manual, ", "a:1", "a:2").report();
    assertThat(plan.totals().copy()).as("nothing that would have to be approved").isZero();
    assertThat(has("a:2")).isFalse();
    assertThat(report.images())
        .extracting(Outcome::reason)
        .containsExactly(null, Reason.ServerError);
  }

  @Test
  void aTagThatMovesAfterItsPlanWasApprovedIsNotCopiedAtTheEnd() {
    Manifest approved = source.image("a", "1", "x");
    AtomicBoolean first = new AtomicBoolean(true);
    source.onRequest =
        question -> {
          if (question.equals("TAGS a") && first.getAndSet(false)) {
            source.image("a", "1", "moved");
            throw new RegistryException(Reason.ServerError, question, "broke");
          }
        };
    Report report = sync("approval: Manual, ", "a:1").report();
    assertThat(plan.images()).extracting(Plan.Item::digest).containsExactly(approved.digest());
    assertThat(target.manifests.get(AT + "a:1")).isEqualTo(approved);
    assertThat(report.images())
        .extracting(Outcome::digest, Outcome::result)
        .contains(tuple(approved.digest(), Outcome.Result.Copied));
    assertThat(target.manifests.keySet())
        .doesNotContain(AT + "a@" + source.manifests.get("a:1").digest());
  }

  @Test
  void anImageThatCouldNotBePlannedIsTriedAgainAtTheEnd() {
    source.image("a", "1", "x");
    source.failsOnce.add("GET a:1");
    SyncRun.Done done = sync("", "a:1");
    assertThat(done.report().isSuccessful()).isTrue();
    assertThat(done.report().summary().copied()).isEqualTo(1);
    assertThat(has("a:1")).isTrue();
  }

  @Test
  void eightPartsCopyEverythingOnceAndKnowOnlyTheirOwn() {
    Set<String> all = new HashSet<>();
    for (int i = 0; i < 64; i++) {
      source.image("r" + i, "1", "layer of " + i);
      all.add("r" + i + ":1");
    }
    String[] images = all.toArray(String[]::new);
    int most = 0;
    int copied = 0;
    for (int i = 0; i < 8; i++) {
      shard = new Shard(i, 8);
      int count = sync(DELETE, images).report().summary().copied();
      copied += count;
      most = Math.max(most, count);
    }
    assertThat(copied).isEqualTo(64);
    assertThat(most).as("no part has more than its share and a half").isLessThanOrEqualTo(14);
    source.image("r0", "2", "more");
    for (int count : new int[] {8, 3, 1}) {
      now = now.plus(Duration.ofDays(30));
      for (int i = 0; i < count; i++) {
        shard = new Shard(i, count);
        SyncRun.Done done = sync(DELETE, images);
        assertThat(done.report().summary().copied() + done.report().summary().pruned()).isZero();
      }
    }
    all.remove("r7:1");
    now = now.plus(Duration.ofDays(1));
    sync(DELETE, all.toArray(String[]::new));
    now = now.plus(Duration.ofDays(30));
    assertThat(sync(DELETE, all.toArray(String[]::new)).report().summary().pruned()).isEqualTo(1);
    assertThat(has("r7:1")).isFalse();
  }

  @Test
  void aLedgerReadsBackAsItWasWritten() {
    Instant put = Instant.parse("2026-01-01T00:00:00Z");
    Digest digest = Digest.of(new byte[1]);
    Ledger ledger =
        Ledger.empty("ns.a")
            .intend(List.of(new Ledger.Tagged("x", "1", digest, "s/x:1", 7, false)), put)
            .conclude(
                List.of(new Ledger.Tagged("x", "2", digest, "s/x:2", 7, true)),
                List.of(new Ledger.Tagged("x", "3", digest, "s/x:3", 7, false)),
                Set.of("x:1"),
                true,
                put)
            .pinning(Set.of(new Ledger.Pin("x", digest)), true);
    assertThat(ledger.entries().values())
        .extracting(Ledger.Entry::seen)
        .containsExactlyInAnyOrder(Ledger.Seen.No, Ledger.Seen.Part, Ledger.Seen.Whole);
    assertThat(Ledger.parse(ledger.toJson(new Shard(1, 2), put)))
        .isEqualTo(new Ledger.Stored(ledger, new Shard(1, 2), put));
    assertThatThrownBy(() -> Ledger.parse("{}".getBytes(UTF_8)))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void aBlobOfAnEarlierRunIsMountedNotFetched() {
    String large = "x".repeat(1 << 20);
    source.image("a", "1", large);
    sync("", "a:1");
    source.image("b", "1", large, "more");
    source.log.clear();
    sync("", "a:1", "b:1");
    String digest = Digest.of(large.getBytes(UTF_8)).toString();
    assertThat(source.log).noneMatch(entry -> entry.startsWith("BLOB") && entry.endsWith(digest));
    assertThat(target.blobs).containsKey(AT + "b@" + digest);
  }

  @Test
  void aHomeThatIsWrongCostsNoImage() {
    String large = "x".repeat(1 << 20);
    source.image("a", "1", large);
    sync("", "a:1");
    target.blobs.clear();
    source.image("b", "1", large);
    assertThat(sync("", "b:1").report().isSuccessful()).isTrue();
  }

  @Test
  void aHomeThatIsWrongIsWrongOnce() {
    String large = "x".repeat(1 << 20);
    String digest = Digest.of(large.getBytes(UTF_8)).toString();
    source.image("a", "1", large);
    source.image("b", "1", large, "b");
    source.image("c", "1", large, "c");
    sync("", "a:1");
    target.blobs.remove(AT + "a@" + digest);
    sync("", "a:1", "b:1");
    source.log.clear();
    assertThat(sync("", "a:1", "b:1", "c:1").report().isSuccessful()).isTrue();
    assertThat(source.log).doesNotContain("BLOB c@" + digest);
  }

  @Test
  void aRunThatWasKilledForgetsNoHome() {
    String large = "x".repeat(1 << 20);
    source.image("a", "1", large);
    source.image("b", "1", "b");
    source.image("c", "1", large, "c");
    sync("", "a:1");
    target.dies = key -> key.equals(AT + "b");
    assertThatThrownBy(() -> sync(ONE, "a:1", "b:1", "c:1")).isInstanceOf(MemoryStore.Died.class);
    target.dies = key -> false;
    assertThat(sync(ONE, "a:1", "b:1", "c:1").report().isSuccessful()).isTrue();
    assertThat(source.log).doesNotContain("BLOB c@" + Digest.of(large.getBytes(UTF_8)));
  }

  /** The ledger says that it is with a, which has got no further than its config. */
  @Test
  void aRunThatWasKilledRepeatsNoLargeBlobWhicheverImageHadItFirst() {
    String large = "x".repeat(1 << 20);
    String digest = Digest.of(large.getBytes(UTF_8)).toString();
    Manifest first = source.image("a", "1", "small", large);
    source.image("b", "1", large);
    CountDownLatch killed = new CountDownLatch(1);
    source.onRequest =
        question -> {
          if (question.equals("BLOB a@" + first.blobs().getFirst().digest())) {
            await(killed);
          }
        };
    target.dies =
        key -> {
          if (key.equals(AT + "b")) {
            target.refused.add(AT + "a@" + digest);
            killed.countDown();
          }
          return key.startsWith(AT);
        };
    String two = "concurrency: {images: 2, blobs: 1}, ";
    assertThatThrownBy(() -> sync(two, "a:1", "b:1")).isInstanceOf(MemoryStore.Died.class);
    source.onRequest = question -> {};
    target.dies = key -> false;
    target.refused.clear();
    assertThat(sync(ONE, "a:1", "b:1").report().isSuccessful()).isTrue();
    assertThat(source.log.stream().filter(line -> line.startsWith("BLOB")))
        .filteredOn(line -> line.endsWith(digest))
        .hasSize(1);
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new RegistryException(Reason.Cancelled, "test", "was stopped", e);
    }
  }

  @Test
  void aRepositoryThatRefusesABlobKeepsItFromNoOther() {
    String large = "x".repeat(1 << 20);
    source.image("a", "1", "small", large);
    source.image("b", "1", large);
    target.refused.add(AT + "a@" + Digest.of(large.getBytes(UTF_8)));
    sync(ONE, "a:1", "b:1");
    assertThat(has("a:1")).isFalse();
    assertThat(has("b:1")).isTrue();
  }

  @Test
  void whatThePartsToldIsAddedUpAndNoneIsLost() {
    source.image("a", "1", "x");
    source.image("b", "1", "y");
    List<Optional<Termination>> parts = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      shard = new Shard(i, 2);
      SyncRun.Done done = sync("", "a:1", "b:1", "c:1");
      parts.add(Optional.of(done.report().termination(plan, List.of(), done.reportRef())));
    }
    Termination all = Termination.merged(parts);
    assertThat(all.summary().copied()).isEqualTo(2);
    assertThat(all.summary().failed()).isEqualTo(1);
    assertThat(all.plan().images()).isEqualTo(3);
    assertThat(all.successful()).isFalse();
    parts.add(Optional.empty());
    all = Termination.merged(parts);
    assertThat(all.complete()).isFalse();
    assertThat(all.failures()).anyMatch(f -> f.image().equals("part 2 of 3"));
  }

  private Lock lock(String ref) {
    assertThat(ref).startsWith("mirror.local/mirror-operator/locks@sha256:");
    Manifest manifest =
        target.manifest("mirror-operator/locks", ref.substring(ref.indexOf('@') + 1));
    if (manifest.isIndex()) {
      return manifest.children().stream()
          .map(child -> lock("mirror.local/mirror-operator/locks@" + child.digest()))
          .reduce(Lock::and)
          .orElseThrow();
    }
    byte[] bytes = target.blobs.get("mirror-operator/locks@" + manifest.blobs().getLast().digest());
    return Lock.parse(new String(bytes, UTF_8), ref);
  }

  private List<String> locked(String ref) {
    return lock(ref).select(spec("")).images().stream().map(SelectedImage::toString).toList();
  }

  @Test
  void aGoodRunLeavesALockThatChangesOnlyWithItsDigests() {
    Manifest one = source.image("a", "1", "x");
    Manifest two = source.image("a", "2", "y");
    SyncRun.Done done = sync("", "a:1", "a:2");
    assertThat(locked(done.lockRef()))
        .containsExactly(
            "r.example:5000/a:1@" + one.digest(), "r.example:5000/a:2@" + two.digest());
    target.dies = repository -> repository.equals("mirror-operator/locks");
    assertThat(sync("", "a:1", "a:2").lockRef()).isEqualTo(done.lockRef());
    target.dies = repository -> false;
    Manifest moved = source.image("a", "2", "z");
    assertThat(locked(sync("", "a:1", "a:2").lockRef()).getLast())
        .endsWith(moved.digest().toString());
  }

  @Test
  void aRunThatFailedInPartLeavesNoLockAndTheOldOneStays() {
    source.image("a", "1", "x");
    String good = sync("", "a:1").lockRef();
    assertThat(sync("", "a:1", "a:2").lockRef()).isNull();
    assertThat(locked(good)).hasSize(1);
  }

  @Test
  void aTagThatMovedIsLockedAsTheMirrorHasIt() {
    Manifest first = source.image("a", "1", "x");
    sync("", "a:1");
    source.image("a", "1", "y");
    SyncRun.Done done = sync("tagPolicy: Immutable, ", "a:1");
    assertThat(done.report().summary().drifted()).isEqualTo(1);
    assertThat(locked(done.lockRef())).containsExactly("r.example:5000/a:1@" + first.digest());
  }

  @Test
  void theLastPartOfARunLeavesOneLockForAllOfIt() {
    for (String repository : List.of("a", "b", "c", "d", "e")) {
      source.image(repository, "1", repository);
    }
    String[] images = {"a:1", "b:1", "c:1", "d:1", "e:1"};
    runName = "first";
    List<String> locks = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      shard = new Shard(i, 3);
      locks.add(sync("", images).lockRef());
    }
    assertThat(locks.subList(0, 2)).containsOnlyNulls();
    assertThat(locked(locks.getLast())).hasSize(5);
    runName = "second";
    shard = new Shard(2, 3);
    assertThat(sync("", images).lockRef()).as("the others' are of another run").isNull();
    runName = null;
    assertThat(sync("", images).lockRef()).isNull();
  }
}
