package io.kubic.mirrors.sync;

import static org.assertj.core.api.Assertions.assertThat;

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
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class SyncTest {
  private static final String AT = "r.example_5000/";
  private final MemoryStore source = new MemoryStore("r.example:5000");
  private final MemoryStore target = new MemoryStore("mirror.local");
  private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();
  private Plan plan;

  @AfterEach
  void stop() {
    executor.close();
  }

  private static MirrorListSpec spec(String more, String ofSource) {
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

  private List<Outcome> sync(MirrorListSpec spec, String... images) {
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
    Planner.Result planned =
        new Planner(spec, s -> source, target, Planner.Depth.COPIES, executor)
            .plan(new Selection(selected, List.of(), List.of(), true));
    plan = planned.plan();
    List<Outcome> outcomes = new ArrayList<>(planned.settled());
    outcomes.addAll(new Copier(target, spec, executor).copy(planned.work(), o -> {}));
    return outcomes;
  }

  @Test
  void anIndexIsCopiedWholeAndKeepsItsDigest() {
    Manifest index =
        source.index(
            "a",
            "1",
            Map.of("amd64", source.image("a", null, "x"), "arm64", source.image("a", null, "y")));
    assertThat(sync(spec("", ""), "a:1"))
        .extracting(Outcome::result)
        .containsExactly(Outcome.Result.Copied);
    assertThat(target.manifests.get(AT + "a:1").digest()).isEqualTo(index.digest());
    assertThat(target.manifests).hasSize(4);
  }

  @Test
  void aBlobThatImagesShareComesFromTheSourceOnce() {
    source.image("a", "1", "base", "one");
    source.image("b", "1", "base", "two");
    source.image("c", "1", "base", "three");
    assertThat(sync(spec("", ""), "a:1", "b:1", "c:1"))
        .allMatch(o -> o.result() == Outcome.Result.Copied);
    String base = source.addBlob("z", "base").digest().toString();
    assertThat(source.log.stream().filter(l -> l.startsWith("BLOB") && l.endsWith(base)))
        .hasSize(1);
  }

  @Test
  void aBlobThatIsDamagedInTheTargetComesFromTheSourceWhereItCannotBeMounted() {
    source.image("a", "1", "base", "one");
    source.image("b", "1", "base", "two");
    String base = source.addBlob("z", "base").digest().toString();
    target.mounts = false;
    target.blobs.put(AT + "a@" + base, "rots".getBytes(java.nio.charset.StandardCharsets.UTF_8));
    assertThat(sync(spec("concurrency: {images: 1}, ", ""), "a:1", "b:1"))
        .allMatch(o -> o.result() == Outcome.Result.Copied);
    assertThat(target.blobs.get(AT + "b@" + base)).asString().isEqualTo("base");
  }

  @Test
  void aBlobThatTheTargetHasWhereTheLoginMayNotReadComesFromTheSource() {
    source.image("a", "1", "base", "one");
    source.image("b", "1", "base", "two");
    target.closed.add("r.example_5000/a");
    assertThat(sync(spec("concurrency: {images: 1}, ", ""), "a:1", "b:1"))
        .allMatch(o -> o.result() == Outcome.Result.Copied);
  }

  @Test
  void aSecondRunAsksForHeadsOnly() {
    source.image("a", "1", "x");
    sync(spec("", ", includeReferrers: false"), "a:1");
    String hash = plan.hash();
    source.log.clear();
    assertThat(sync(spec("", ", includeReferrers: false"), "a:1"))
        .extracting(Outcome::result)
        .containsExactly(Outcome.Result.Skipped);
    assertThat(source.log).containsExactly("HEAD a:1");
    assertThat(plan.hash()).isEqualTo(hash);
  }

  @Test
  void oneBadImageStopsNobodyAndMovesNoTag() {
    source.image("a", "1", "good");
    source.image("b", "1", "rotten");
    String rotten = "b@" + source.addBlob("b", "rotten").digest();
    source.blobs.put(rotten, "broken".getBytes(java.nio.charset.StandardCharsets.UTF_8));
    List<Outcome> outcomes = sync(spec("", ""), "a:1", "b:1", "c:1");
    assertThat(outcomes)
        .extracting(Outcome::reason)
        .containsExactlyInAnyOrder(null, Reason.DigestMismatch, Reason.NotFound);
    assertThat(target.manifests).containsKey(AT + "a:1").doesNotContainKey(AT + "b:1");
    assertThat(target.blobs).doesNotContainKey(AT + rotten);
    assertThat(Report.of(outcomes, 0, true).isSuccessful()).isFalse();
  }

  @Test
  void anImageThatFailsTakesNoneAlongThatWaitsForItsBlobs() {
    Manifest bad = source.image("a", "0", "rotten", "shared");
    String rotten = "a@" + bad.blobs().get(1).digest();
    source.blobs.remove(rotten);
    Set<String> own = new HashSet<>();
    for (int i = 1; i <= 15; i++) {
      Manifest good = source.image("a", "" + i, "own " + i, "more " + i, "shared");
      good.blobs().subList(0, 3).forEach(blob -> own.add("BLOB a@" + blob.digest()));
    }
    String shared = "BLOB a@" + bad.blobs().getLast().digest();
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch waiting = new CountDownLatch(own.size());
    source.onRequest =
        question -> {
          if (question.equals(shared) && begun.getCount() > 0) {
            begun.countDown();
            await(new CountDownLatch(1)); // Until it is stopped.
          } else if (own.contains(question)) {
            await(begun);
            waiting.countDown();
          } else if (question.equals("BLOB " + rotten)) {
            await(waiting);
            // Time to get to the blob; without it the test would see less, not fail.
            LockSupport.parkNanos(50_000_000);
          }
        };
    String[] images = IntStream.rangeClosed(0, 15).mapToObj(i -> "a:" + i).toArray(String[]::new);
    assertThat(sync(spec("concurrency: {images: 32, blobs: 3}, ", ""), images))
        .filteredOn(outcome -> outcome.result() != Outcome.Result.Copied)
        .extracting(Outcome::reason)
        .containsExactly(Reason.NotFound);
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new RegistryException(Reason.Cancelled, "test", "was stopped", e);
    }
  }

  @Test
  void anImmutableTagThatMovedIsDrifted() {
    source.image("a", "1", "old");
    sync(spec("", ""), "a:1");
    Manifest old = target.manifests.get(AT + "a:1");
    source.image("a", "1", "new");
    assertThat(sync(spec("tagPolicy: Immutable, ", ""), "a:1"))
        .extracting(Outcome::result)
        .containsExactly(Outcome.Result.Drifted);
    assertThat(target.manifests.get(AT + "a:1")).isEqualTo(old);
    assertThat(sync(spec("", ""), "a:1"))
        .extracting(Outcome::result)
        .containsExactly(Outcome.Result.Copied);
  }

  private Manifest twoPlatforms() {
    return source.index(
        "a",
        "1",
        Map.of("amd64", source.image("a", null, "x"), "arm64", source.image("a", null, "y")));
  }

  @Test
  void platformsKeepTheIndexWhereTheTargetAllowsIt() {
    Manifest index = twoPlatforms();
    target.insistsOnChildren = false;
    sync(spec("", ", platforms: [linux/amd64]"), "a:1");
    assertThat(target.manifests.get(AT + "a:1").digest()).isEqualTo(index.digest());
    assertThat(target.manifests).hasSize(3);
    assertThat(plan.images().getFirst().platforms()).containsExactly("linux/amd64");
  }

  @Test
  void aTargetThatInsistsGetsAllPlatformsOrNoneAsTheListSays() {
    twoPlatforms();
    assertThat(sync(spec("indexPolicy: Fail, ", ", platforms: [linux/amd64]"), "a:1"))
        .extracting(Outcome::reason)
        .containsExactly(Reason.SparseIndexRejected);
    List<Outcome> outcomes = sync(spec("", ", platforms: [linux/amd64]"), "a:1");
    assertThat(outcomes).extracting(Outcome::result).containsExactly(Outcome.Result.Copied);
    assertThat(target.manifests).hasSize(4);
    assertThat(outcomes.getFirst().message()).contains("all platforms").contains("were copied");
    assertThat(Report.of(outcomes, 0, true).summary().allPlatforms()).isEqualTo(1);
  }

  @Test
  void nothingIsSaidOfASparseIndexThatTheTargetTakes() {
    twoPlatforms();
    target.insistsOnChildren = false;
    List<Outcome> outcomes = sync(spec("", ", platforms: [linux/amd64]"), "a:1");
    assertThat(outcomes).extracting(Outcome::message).containsOnlyNulls();
    assertThat(Report.of(outcomes, 0, true).summary().allPlatforms()).isZero();
  }

  @Test
  void aTargetThatInsistsGetsAllPlatformsOfAnIndexInAnIndexToo() {
    Manifest inner = twoPlatforms();
    source.index("a", "1", Collections.singletonMap(null, inner));
    assertThat(sync(spec("indexPolicy: Fail, ", ", platforms: [linux/amd64]"), "a:1"))
        .extracting(Outcome::reason)
        .containsExactly(Reason.SparseIndexRejected);
    assertThat(sync(spec("", ", platforms: [linux/amd64]"), "a:1"))
        .extracting(Outcome::result)
        .containsExactly(Outcome.Result.Copied);
    assertThat(target.manifests).hasSize(5);
  }

  @Test
  void aTargetThatRefusesLayersOfAVendorIsToldWithTheRemedy() {
    Descriptor config = source.addBlob("a", "{}");
    source.add(
        "a",
        "1",
        MediaTypes.OCI_MANIFEST,
        """
        {"schemaVersion":2,"config":{"mediaType":"application/x","digest":"%s","size":%d},
        "layers":[{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest":"%s","size":9,"urls":["https://vendor.example/layer"]}]}"""
            .formatted(config.digest(), config.size(), Digest.of(new byte[9])));
    target.refuses = manifest -> true;
    assertThat(sync(spec("", ""), "a:1"))
        .singleElement()
        .satisfies(
            outcome -> {
              assertThat(outcome.reason()).isEqualTo(Reason.TargetRejected);
              assertThat(outcome.message()).contains("validation.manifests.urls.allow", "DENIED");
            });
    source.image("a", "2", "x");
    assertThat(sync(spec("", ""), "a:2"))
        .singleElement()
        .satisfies(outcome -> assertThat(outcome.message()).doesNotContain("vendor"));
  }

  @Test
  void whatTheSourceHasNotAllPlatformsOfFailsForWhatTheTargetSaid() {
    Manifest index = twoPlatforms();
    index.children().stream()
        .filter(child -> !child.platform().architecture().equals("amd64"))
        .forEach(child -> source.manifests.remove("a@" + child.digest()));
    assertThat(sync(spec("", ", platforms: [linux/amd64]"), "a:1"))
        .extracting(Outcome::reason)
        .containsExactly(Reason.TargetRejected);
  }

  @Test
  void anImageThatIsRefusedBringsNoOtherPlatforms() {
    twoPlatforms();
    target.refuses = manifest -> !manifest.isIndex();
    assertThat(sync(spec("", ", platforms: [linux/amd64]"), "a:1"))
        .extracting(Outcome::reason)
        .containsExactly(Reason.TargetRejected);
    assertThat(target.blobs).hasSize(2);
  }

  @Test
  void signaturesTravelWithTheirImageAlsoWhenTheyComeLate() {
    Manifest image = source.image("a", "1", "x");
    sync(spec("", ""), "a:1");
    source.image("a", "sha256-" + image.digest().hex() + ".sig", "signature");
    assertThat(sync(spec("", ""), "a:1"))
        .extracting(Outcome::result)
        .containsExactly(Outcome.Result.Skipped, Outcome.Result.Copied);
    assertThat(target.manifests).containsKey(AT + "a:sha256-" + image.digest().hex() + ".sig");
  }

  @Test
  void aLateSignatureOfAnImageInAnIndexWithinAnIndexIsFound() {
    Manifest image = source.image("a", null, "x");
    Manifest nested = source.index("a", null, Map.of("amd64", image));
    source.index("a", "1", Map.of("amd64", nested));
    sync(spec("", ""), "a:1");
    String signature = Attachments.tag(image.digest()) + ".sig";
    source.image("a", signature, "signature");
    sync(spec("", ""), "a:1");
    assertThat(target.manifests).containsKey(AT + "a:" + signature);
  }

  @Test
  void signaturesAreCountedApart() {
    Manifest image = source.image("a", "1", "x");
    source.image("a", "sha256-" + image.digest().hex() + ".sig", "signature");
    Termination.Summary sum = Report.of(sync(spec("", ""), "a:1"), 0, true).summary();
    assertThat(List.of(sum.copied(), sum.referrers(), sum.failed())).containsExactly(1, 1, 0);
    assertThat(plan.totals().images()).isEqualTo(1);
    sum = Report.of(sync(spec("", ""), "a:1"), 0, true).summary();
    assertThat(List.of(sum.skipped(), sum.referrers())).containsExactly(1, 1);
  }

  @Test
  void anImageThatCannotBeLookedAtStaysInThePlanAndKeepsItsHash() {
    source.image("a", "1", "x");
    source.image("b", "1", "y");
    sync(spec("", ""), "a:1", "b:1");
    String hash = plan.hash();
    source.manifests.remove("b:1");
    List<Outcome> outcomes = sync(spec("", ""), "a:1", "b:1");
    assertThat(outcomes).extracting(Outcome::reason).contains(Reason.NotFound);
    assertThat(plan.hash()).isEqualTo(hash);
    assertThat(plan.totals().images()).isEqualTo(2);
  }

  @Test
  void aLateSignatureIsNoOtherSelection() {
    Manifest image = source.image("a", "1", "x");
    sync(spec("", ""), "a:1");
    String hash = plan.hash();
    source.image("a", "sha256-" + image.digest().hex() + ".sig", "signature");
    sync(spec("", ""), "a:1");
    assertThat(plan.hash()).isEqualTo(hash);
  }

  @Test
  void whatTheReferrersApiTellsOfAnIndexAndItsChildrenIsCopiedAndFoundByTheFallbackTag() {
    source.hasReferrersApi = true;
    Manifest child = source.image("a", null, "x");
    Manifest index = source.index("a", "1", Map.of("amd64", child));
    Manifest ofIndex = source.attached("a", index, "one");
    Manifest ofChild = source.attached("a", child, "two");
    Manifest ofThat = source.attached("a", ofChild, "three");
    sync(spec("", ""), "a:1");
    for (Manifest referrer : List.of(ofIndex, ofChild, ofThat)) {
      assertThat(target.manifests).containsKey(AT + "a@" + referrer.digest());
      Manifest fallback =
          target.manifests.get(
              AT + "a:" + Attachments.tag(referrer.subject().orElseThrow().digest()));
      assertThat(fallback.children()).hasSize(1);
      assertThat(fallback.children().getFirst().artifactType()).isEqualTo("application/x-sbom");
      assertThat(fallback.children().getFirst().annotations()).containsKey("of");
    }
    Manifest late = source.attached("a", index, "four");
    assertThat(sync(spec("tagPolicy: Immutable, ", ""), "a:1"))
        .filteredOn(o -> o.result() == Outcome.Result.Copied)
        .extracting(Outcome::digest)
        .containsExactly(late.digest());
    assertThat(target.manifests.get(AT + "a:" + Attachments.tag(index.digest())).children())
        .hasSize(2);
    assertThat(sync(spec("", ""), "a:1")).allMatch(o -> o.result() == Outcome.Result.Skipped);
  }

  /** OCI distribution specification 1.1, "Referrers Tag Schema": at most 64 characters of it. */
  @Test
  void theFallbackTagOfASha512IsCutAt64Characters() {
    Manifest image = source.image("a", "1", "x");
    Digest digest =
        new Digest(
            Digest.Algorithm.SHA512,
            HexFormat.of().formatHex(Digest.Algorithm.SHA512.start().digest(image.bytes())));
    source.manifests.put(
        "a@" + digest, Manifest.parse(image.bytes(), image.mediaType(), "a", digest));
    source.manifests.put("a:1", source.manifests.get("a@" + digest));
    String tag = "sha512-" + digest.hex().substring(0, 64);
    assertThat(Attachments.tag(digest)).isEqualTo(tag);
    assertThat(Attachments.tag(image.digest())).isEqualTo("sha256-" + image.digest().hex());
    Manifest signature = source.attached("a", source.manifests.get("a:1"), "signature");
    source.index("a", tag, Map.of("", signature));
    assertThat(sync(spec("", ""), "a:1")).allMatch(o -> o.result() == Outcome.Result.Copied);
    assertThat(target.manifests).containsKeys(AT + "a:" + tag, AT + "a@" + signature.digest());
  }

  @Test
  void aTargetWithTheReferrersApiGetsNoFallbackTag() {
    source.hasReferrersApi = true;
    target.hasReferrersApi = true;
    Manifest image = source.image("a", "1", "x");
    source.attached("a", image, "one");
    sync(spec("", ""), "a:1");
    assertThat(target.manifests).doesNotContainKey(AT + "a:" + Attachments.tag(image.digest()));
    assertThat(target.referrers(AT + "a", image.digest()).orElseThrow()).hasSize(1);
  }

  @Test
  void whatIsAttachedAndIsNoManifestThatCanBeCopiedIsTold() {
    source.hasReferrersApi = true;
    source.image("a", "1", "x");
    source.attachedToAll.add(
        new Descriptor(
            "application/vnd.oci.artifact.manifest.v1+json", Digest.of(new byte[] {1}), 7));
    assertThat(sync(spec("", ""), "a:1"))
        .extracting(Outcome::result)
        .containsExactly(Outcome.Result.Copied);
    assertThat(plan.problems())
        .singleElement()
        .satisfies(
            problem -> {
              assertThat(problem.reason()).isEqualTo(Reason.UnsupportedMediaType);
              assertThat(problem.message())
                  .contains("application/vnd.oci.artifact.manifest.v1+json");
            });
  }

  @Test
  void aSourceWithoutTheReferrersApiIsAskedForItOnce() {
    source.image("a", "1", "x");
    source.image("a", "2", "y");
    sync(spec("", ""), "a:1");
    source.log.clear();
    sync(spec("", ""), "a:1");
    sync(spec("", ""), "a:1");
    assertThat(source.log.stream().filter(l -> l.startsWith("REFERRERS"))).hasSize(2);
  }

  @Test
  void manifestsThatDoNotFitIntoMemoryAreReadBack() {
    Spool spool = new Spool(100);
    List<Manifest> all = new ArrayList<>();
    for (int i = 0; i < 50; i++) {
      all.add(source.image("a", null, "layer " + i));
      spool.keep(all.getLast());
    }
    assertThat(all).allMatch(m -> spool.find(m.digest()).orElseThrow().equals(m));
  }
}
