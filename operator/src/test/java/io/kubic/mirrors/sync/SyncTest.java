package io.kubic.mirrors.sync;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import io.kubic.mirrors.list.SelectedImage;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.Repository;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
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
        new Planner(spec, s -> source, target, executor)
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
    assertThat(Report.of(outcomes, 0, 0, true).isSuccessful()).isFalse();
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
    assertThat(sync(spec("", ", platforms: [linux/amd64]"), "a:1"))
        .extracting(Outcome::result)
        .containsExactly(Outcome.Result.Copied);
    assertThat(target.manifests).hasSize(4);
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
}
