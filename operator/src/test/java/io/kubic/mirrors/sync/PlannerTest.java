package io.kubic.mirrors.sync;

import static java.nio.charset.StandardCharsets.UTF_8;
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
import io.kubic.mirrors.sync.Plan.Action;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class PlannerTest {
  private static final String HOST = "r.example:5000";
  private static final String AT = "r.example_5000/";
  private final MemoryStore source = new MemoryStore(HOST);
  private final MemoryStore target = new MemoryStore("mirror.local");
  private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();

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

  private static final MirrorListSpec PLAIN = spec("", "");

  private static Selection selection(Map<Repository, Set<String>> companions, String... images) {
    List<SelectedImage> selected = new ArrayList<>();
    for (String image : images) {
      int colon = image.indexOf(':');
      selected.add(
          new SelectedImage(
              "default",
              new Repository(HOST, image.substring(0, colon)),
              image.substring(colon + 1),
              null));
    }
    return new Selection(selected, List.of(), List.of(), true, companions);
  }

  private static Map<Repository, Set<String>> listed(String repository, String... companions) {
    return Map.of(new Repository(HOST, repository), Set.of(companions));
  }

  private Planner.Result plan(
      MirrorListSpec spec, MemoryStore to, Planner.Depth depth, Selection selection) {
    return new Planner(spec, s -> source, to, depth, executor).plan(selection);
  }

  private void fill(MirrorListSpec spec, String... images) {
    Planner.Result result = plan(spec, target, Planner.Depth.COPIES, selection(Map.of(), images));
    assertThat(new Copier(target, spec, executor).copy(result.work(), o -> {}))
        .allMatch(outcome -> outcome.result() == Outcome.Result.Copied);
    source.log.clear();
    target.log.clear();
  }

  /** What was asked, but for the one question whether there is a referrers API. */
  private static List<String> asked(MemoryStore store) {
    return store.log.stream().filter(line -> !line.startsWith("REFERRERS")).toList();
  }

  @Test
  void anImageTellsAllOfItselfInOneRequestWhenItsRepositoryWasListed() {
    Manifest image = source.image("a", "1", "layer", "other layer");
    Plan plan = plan(PLAIN, null, Planner.Depth.SIZES, selection(listed("a"), "a:1")).plan();
    assertThat(asked(source)).containsExactly("GET a:1");
    Plan.Item item = plan.images().getFirst();
    long bytes = image.size() + image.blobs().stream().mapToLong(Descriptor::size).sum();
    assertThat(item)
        .isEqualTo(
            new Plan.Item(
                HOST + "/a:1",
                AT + "a:1",
                image.digest(),
                MediaTypes.OCI_MANIFEST,
                List.of(),
                bytes,
                bytes,
                Action.Copy,
                false));
    assertThat(plan.totals()).isEqualTo(new Plan.Totals(1, 1, 1, 1, 0, 0, 0, 0, bytes, bytes, 0));
    assertThat(plan.complete()).isTrue();
  }

  @Test
  void digestsAloneCostOneHeadEach() {
    source.index("a", "1", Map.of("amd64", source.image("a", null, "x")));
    source.image("a", "2", "y");
    Plan plan =
        plan(PLAIN, null, Planner.Depth.DIGESTS, selection(listed("a"), "a:1", "a:2")).plan();
    assertThat(asked(source)).containsExactlyInAnyOrder("HEAD a:1", "HEAD a:2");
    assertThat(plan.images()).allMatch(item -> item.digest() != null);
  }

  @Test
  void whereManifestsAreMeteredEachIsReadOnceHoweverManyTagsNameIt() {
    source.metered = true;
    Manifest image = source.image("a", "1", "x");
    source.image("a", "1.0", "x");
    source.image("a", "latest", "x");
    plan(PLAIN, null, Planner.Depth.SIZES, selection(listed("a"), "a:1", "a:1.0", "a:latest"));
    assertThat(asked(source))
        .containsExactlyInAnyOrder(
            "HEAD a:1", "HEAD a:1.0", "HEAD a:latest", "GET a@" + image.digest());
  }

  @Test
  void theHashDependsOnWhatIsSelectedAndNotOnHowItWasFoundOut() {
    Manifest child = source.image("a", null, "x");
    source.index("a", "1", Map.of("amd64", child));
    source.image("a", "2", "y");
    Manifest signature = source.image("a", "sha256-" + child.digest().hex() + ".sig", "signature");
    Selection selection =
        selection(listed("a", "sha256-" + child.digest().hex() + ".sig"), "a:1", "a:2");
    Set<String> hashes = new java.util.HashSet<>();
    for (int run = 0; run < 2; run++) {
      for (Planner.Depth depth : Planner.Depth.values()) {
        hashes.add(plan(PLAIN, null, depth, selection).plan().hash());
        Planner.Result compared = plan(PLAIN, target, depth, selection);
        hashes.add(compared.plan().hash());
        assertThat(compared.plan().images())
            .extracting(Plan.Item::digest)
            .contains(signature.digest());
      }
      fill(PLAIN, "a:1", "a:2");
    }
    assertThat(hashes).hasSize(1);
    source.image("a", "2", "something else");
    assertThat(plan(PLAIN, target, Planner.Depth.COPIES, selection).plan().hash()).isNotIn(hashes);
  }

  @Test
  void anImageThatCannotBeReachedStaysInThePlanAndInItsHash() {
    source.image("a", "1", "x");
    source.image("b", "1", "y");
    String whole =
        plan(PLAIN, null, Planner.Depth.SIZES, selection(Map.of(), "a:1", "b:1")).plan().hash();
    String less = plan(PLAIN, null, Planner.Depth.SIZES, selection(Map.of(), "a:1")).plan().hash();
    source.broken.add("GET b:1");
    Plan plan = plan(PLAIN, null, Planner.Depth.SIZES, selection(Map.of(), "a:1", "b:1")).plan();
    assertThat(plan.hash()).isNotIn(whole, less);
    assertThat(plan.complete()).isFalse();
    assertThat(plan.images())
        .extracting(Plan.Item::action)
        .containsExactly(Action.Copy, Action.Fail);
    assertThat(plan.problems())
        .extracting(Selection.Problem::object, Selection.Problem::reason)
        .containsExactly(
            org.assertj.core.groups.Tuple.tuple(HOST + "/b:1", Reason.ConnectionFailed));
  }

  @Test
  void whatIsThereIsMeasuredAtTheTargetAndItsBlobsAreNotTransferred() {
    source.image("a", "1", "base", "one");
    fill(PLAIN, "a:1");
    Manifest two = source.image("b", "1", "base", "two");
    Plan plan =
        plan(
                PLAIN,
                target,
                Planner.Depth.SIZES,
                new Selection(
                    selection(Map.of(), "a:1", "b:1").images(),
                    List.of(),
                    List.of(),
                    true,
                    Map.of(
                        new Repository(HOST, "a"), Set.of(), new Repository(HOST, "b"), Set.of())))
            .plan();
    assertThat(asked(source)).containsExactlyInAnyOrder("HEAD a:1", "GET b:1");
    assertThat(plan.images())
        .extracting(Plan.Item::action)
        .containsExactly(Action.Skip, Action.Copy);
    assertThat(plan.images().getFirst().bytesToTransfer()).isZero();
    assertThat(plan.images().getFirst().bytes()).isGreaterThan(100);
    assertThat(plan.totals().bytesToTransfer())
        .isEqualTo(plan.images().getLast().bytes() - "base".length())
        .isEqualTo(
            two.size() + two.blobs().stream().mapToLong(Descriptor::size).sum() - "base".length());
  }

  @Test
  void anImageOfWhichTheTargetLostAPartIsCopiedAgain() {
    Manifest child = source.image("a", null, "x");
    source.index("a", "1", Map.of("amd64", child));
    fill(PLAIN, "a:1");
    target.manifests.remove(AT + "a@" + child.digest());
    assertThat(
            plan(PLAIN, target, Planner.Depth.SIZES, selection(listed("a"), "a:1")).plan().images())
        .extracting(Plan.Item::action)
        .containsExactly(Action.Copy);
  }

  @Test
  void aTagThatMovedUnderAnImmutableListIsShownAndKept() {
    Manifest old = source.image("a", "1", "old");
    fill(PLAIN, "a:1");
    source.image("a", "1", "new");
    Plan plan =
        plan(
                spec("tagPolicy: Immutable, ", ""),
                target,
                Planner.Depth.SIZES,
                selection(listed("a"), "a:1"))
            .plan();
    assertThat(plan.images()).extracting(Plan.Item::action).containsExactly(Action.Drift);
    assertThat(plan.images().getFirst().digest()).isEqualTo(old.digest());
    assertThat(plan.problems().getFirst().message()).contains("moved", old.digest().toString());
  }

  @Test
  void whatWouldBePrunedIsPartOfThePlanAndOfItsHash() {
    Manifest image = source.image("a", "1", "x");
    Plan plan = plan(PLAIN, target, Planner.Depth.SIZES, selection(listed("a"), "a:1")).plan();
    Plan.Item old =
        new Plan.Item(
            HOST + "/a:0",
            "mirror.local/" + AT + "a:0",
            image.digest(),
            MediaTypes.OCI_MANIFEST,
            List.of(),
            7,
            0,
            Action.Prune,
            false);
    Plan pruned = plan.withPruned(List.of(old));
    assertThat(pruned.hash()).isNotEqualTo(plan.hash());
    assertThat(pruned.images())
        .extracting(Plan.Item::action)
        .containsExactly(Action.Prune, Action.Copy);
    assertThat(pruned.totals().pruneCandidates()).isEqualTo(1);
    assertThat(pruned.totals().images()).isEqualTo(1);
    assertThat(pruned.totals().bytes()).isEqualTo(plan.totals().bytes());
  }

  private Manifest single(String tag, String os, String architecture, String variant) {
    Descriptor config =
        source.addBlob(
            "a",
            "{\"os\":\"%s\",\"architecture\":\"%s\"%s}"
                .formatted(
                    os, architecture, variant == null ? "" : ",\"variant\":\"" + variant + "\""));
    return source.add(
        "a",
        tag,
        MediaTypes.DOCKER_MANIFEST,
        """
        {"schemaVersion":2,"mediaType":"%s","layers":[],"config":{"mediaType":
        "application/vnd.docker.container.image.v1+json","digest":"%s","size":%d}}"""
            .formatted(MediaTypes.DOCKER_MANIFEST, config.digest(), config.size()));
  }

  @Test
  void aSingleImageOfAnotherPlatformIsLeftOutAndNamed() {
    single("arm", "linux", "arm", "v6");
    single("amd", "linux", "amd64", null);
    Plan plan =
        plan(
                spec("", ", platforms: [linux/amd64, linux/arm/v7]"),
                null,
                Planner.Depth.SIZES,
                selection(listed("a"), "a:arm", "a:amd"))
            .plan();
    assertThat(plan.images()).extracting(Plan.Item::source).containsExactly(HOST + "/a:amd");
    assertThat(plan.problems())
        .singleElement()
        .satisfies(problem -> assertThat(problem.message()).contains("linux/arm/v6"));
    assertThat(plan.complete()).isTrue();
  }

  @Test
  void anIndexWithNoneOfThePlatformsIsLeftOutAndNamed() {
    source.index("a", "1", Map.of("s390x", source.image("a", null, "x")));
    Plan plan =
        plan(
                spec("", ", platforms: [linux/amd64]"),
                null,
                Planner.Depth.DIGESTS,
                selection(listed("a"), "a:1"))
            .plan();
    assertThat(plan.images()).isEmpty();
    assertThat(plan.problems().getFirst().message()).contains("linux/s390x");
  }

  @Test
  void anArtifactIsForEveryPlatform() {
    source.image("a", "chart", "x");
    assertThat(
            plan(
                    spec("", ", platforms: [linux/amd64]"),
                    null,
                    Planner.Depth.SIZES,
                    selection(listed("a"), "a:chart"))
                .plan()
                .images())
        .hasSize(1);
  }

  @Test
  void anAttestationComesWithItsImageAndStaysAwayWithIt() {
    Manifest amd = source.image("a", null, "x");
    Manifest arm = source.image("a", null, "y");
    Manifest ofAmd = source.image("a", null, "provenance of x");
    Manifest ofArm = source.image("a", null, "provenance of y");
    source.add(
        "a",
        "1",
        MediaTypes.OCI_INDEX,
        "{\"schemaVersion\":2,\"manifests\":["
            + child(amd, "linux", "amd64", null)
            + ","
            + child(arm, "linux", "arm64", null)
            + ","
            + child(ofAmd, "unknown", "unknown", amd)
            + ","
            + child(ofArm, "unknown", "unknown", arm)
            + "]}");
    target.insistsOnChildren = false;
    MirrorListSpec spec = spec("", ", platforms: [linux/arm64]");
    fill(spec, "a:1");
    assertThat(target.manifests.keySet())
        .contains(AT + "a@" + arm.digest(), AT + "a@" + ofArm.digest())
        .doesNotContain(AT + "a@" + amd.digest(), AT + "a@" + ofAmd.digest());
    Plan.Item item =
        plan(spec, null, Planner.Depth.SIZES, selection(listed("a"), "a:1"))
            .plan()
            .images()
            .getFirst();
    assertThat(item.platforms()).containsExactly("linux/arm64");
    assertThat(
            plan(PLAIN, null, Planner.Depth.SIZES, selection(listed("a"), "a:1"))
                .plan()
                .images()
                .getFirst()
                .platforms())
        .containsExactly("linux/amd64", "linux/arm64");
  }

  @Test
  void aManifestThatIsForSeveralPlatformsIsWantedForEachOfThem() {
    Manifest both = source.image("a", null, "x");
    Manifest other = source.image("a", null, "y");
    source.add(
        "a",
        "1",
        MediaTypes.OCI_INDEX,
        "{\"schemaVersion\":2,\"manifests\":["
            + child(both, "linux", "amd64", null)
            + ","
            + child(both, "linux", "386", null)
            + ","
            + child(other, "linux", "arm64", null)
            + "]}");
    target.insistsOnChildren = false;
    fill(spec("", ", platforms: [linux/amd64]"), "a:1");
    assertThat(target.manifests.keySet())
        .contains(AT + "a:1", AT + "a@" + both.digest())
        .doesNotContain(AT + "a@" + other.digest());
  }

  @Test
  void dockersSchema1IsRefusedByNameAlsoInAManifestList() {
    Manifest image = source.image("a", null, "x");
    Descriptor old = source.addBlob("a", "{\"schemaVersion\":1}");
    source.add(
        "a",
        "1",
        MediaTypes.DOCKER_LIST,
        """
        {"schemaVersion":2,"mediaType":"%s","manifests":[%s,{"mediaType":
        "application/vnd.docker.distribution.manifest.v1+prettyjws","digest":"%s","size":%d,
        "platform":{"os":"linux","architecture":"386"}}]}"""
            .formatted(
                MediaTypes.DOCKER_LIST,
                child(image, "linux", "amd64", null),
                old.digest(),
                old.size()));
    Planner.Result whole = plan(PLAIN, target, Planner.Depth.COPIES, selection(Map.of(), "a:1"));
    assertThat(whole.settled())
        .extracting(Outcome::reason)
        .containsExactly(Reason.UnsupportedMediaType);
    assertThat(whole.settled().getFirst().message()).contains("schema 1");
    target.insistsOnChildren = false;
    fill(spec("", ", platforms: [linux/amd64]"), "a:1");
  }

  @Test
  void anIndexOfManyLargeManifestsIsRefusedBeforeTheyAreRead() {
    StringBuilder children = new StringBuilder();
    for (int i = 0; i < 20; i++) {
      children
          .append(i == 0 ? "" : ",")
          .append(
              "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%d}"
                  .formatted(
                      MediaTypes.OCI_MANIFEST,
                      Digest.of(new byte[] {(byte) i}),
                      Manifest.MAX_BYTES));
    }
    source.add(
        "a", "1", MediaTypes.OCI_INDEX, "{\"schemaVersion\":2,\"manifests\":[" + children + "]}");
    Planner.Result result =
        plan(PLAIN, target, Planner.Depth.COPIES, selection(listed("a"), "a:1"));
    assertThat(result.settled()).extracting(Outcome::reason).containsExactly(Reason.TooLarge);
    assertThat(asked(source)).containsExactly("GET a:1");
  }

  @Test
  void theConfigurationOfAnImageIsReadOnceHoweverManyTagsNameIt() {
    single("1", "linux", "amd64", null);
    single("2", "linux", "amd64", null);
    answerSlowly("BLOB");
    plan(
        spec("", ", platforms: [linux/amd64]"),
        target,
        Planner.Depth.COPIES,
        selection(listed("a"), "a:1", "a:2"));
    assertThat(source.log.stream().filter(line -> line.startsWith("BLOB"))).hasSize(1);
  }

  /** Gives everybody else the chance to ask the same before one question is answered. */
  private void answerSlowly(String question) {
    source.onRequest =
        asked -> {
          for (int i = 0; asked.startsWith(question) && i < 1000; i++) {
            Thread.yield();
          }
        };
  }

  @Test
  void aRepositoryIsListedOnceHoweverManyImagesOfItAreNamed() {
    String[] images = IntStream.range(0, 50).mapToObj(i -> "a:" + i).toArray(String[]::new);
    for (String image : images) {
      source.image("a", image.substring(2), image);
    }
    answerSlowly("TAGS");
    plan(PLAIN, target, Planner.Depth.COPIES, selection(Map.of(), images));
    assertThat(source.log.stream().filter("TAGS a"::equals)).hasSize(1);
  }

  @Test
  void whatIsAttachedToAManifestIsAskedForOnceHoweverManyTagsNameIt() {
    source.hasReferrersApi = true;
    Manifest image = source.image("a", "0", "x");
    String[] images = IntStream.range(0, 50).mapToObj(i -> "a:" + i).toArray(String[]::new);
    for (String tag : images) {
      source.manifests.put(tag, image);
    }
    answerSlowly("REFERRERS");
    plan(PLAIN, target, Planner.Depth.COPIES, selection(listed("a"), images));
    assertThat(source.log.stream().filter(line -> line.startsWith("REFERRERS"))).hasSize(1);
  }

  @Test
  void aSearchThatFailsKeepsNoOtherRepositoryWaiting() {
    for (String repository : List.of("a", "b", "c")) {
      source.image(repository, "1", repository);
    }
    AtomicInteger asked = new AtomicInteger();
    CountDownLatch others = new CountDownLatch(2);
    source.onRequest =
        question -> {
          if (!question.startsWith("REFERRERS")) {
            return;
          }
          if (asked.getAndIncrement() > 0) {
            others.countDown();
            await(others);
          }
          throw new RegistryException(Reason.ServerError, question, "broke");
        };
    Planner.Result result =
        plan(PLAIN, target, Planner.Depth.COPIES, selection(Map.of(), "a:1", "b:1", "c:1"));
    assertThat(result.settled())
        .extracting(Outcome::reason)
        .containsExactly(Reason.ServerError, Reason.ServerError, Reason.ServerError);
  }

  private static void await(CountDownLatch latch) {
    try {
      assertThat(latch.await(30, TimeUnit.SECONDS)).isTrue();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private static String child(Manifest of, String os, String architecture, Manifest attested) {
    return """
        {"mediaType":"%s","digest":"%s","size":%d,"platform":{"os":"%s","architecture":"%s"}%s}"""
        .formatted(
            of.mediaType(),
            of.digest(),
            of.bytes().length,
            os,
            architecture,
            attested == null
                ? ""
                : ",\"annotations\":{\"vnd.docker.reference.type\":\"attestation-manifest\","
                    + "\"vnd.docker.reference.digest\":\""
                    + attested.digest()
                    + "\"}");
  }

  @Test
  void thePlansJsonIsTheContract() throws Exception {
    Manifest image = source.image("a", "1", "x");
    source.broken.add("GET b:1");
    Plan plan = plan(PLAIN, null, Planner.Depth.SIZES, selection(listed("a"), "a:1", "b:1")).plan();
    com.fasterxml.jackson.databind.JsonNode tree =
        new com.fasterxml.jackson.databind.ObjectMapper().valueToTree(plan);
    assertThat(tree.fieldNames())
        .toIterable()
        .containsExactlyInAnyOrder("hash", "images", "problems", "complete", "totals");
    assertThat(tree.at("/images/0/digest").asText()).isEqualTo(image.digest().toString());
    assertThat(tree.at("/images/0").fieldNames())
        .toIterable()
        .containsExactly(
            "source",
            "target",
            "digest",
            "mediaType",
            "platforms",
            "bytes",
            "bytesToTransfer",
            "action");
    assertThat(tree.at("/images/1").has("digest")).isFalse();
    assertThat(tree.at("/problems/0").fieldNames())
        .toIterable()
        .containsExactly("object", "reason", "message");
    assertThat(image.bytes()).asString(UTF_8).startsWith("{");
  }
}
