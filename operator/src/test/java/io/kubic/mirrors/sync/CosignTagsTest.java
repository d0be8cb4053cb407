package io.kubic.mirrors.sync;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import io.kubic.mirrors.list.SelectedImage;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.Repository;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What cosign leaves beside an image, under tags that are made of its digest. */
class CosignTagsTest {
  private static final String AT = "r.example_5000/";
  private final MemoryStore source = new MemoryStore("r.example:5000");
  private final MemoryStore target = new MemoryStore("mirror.local");
  private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();

  @AfterEach
  void stop() {
    executor.close();
  }

  /** Copies {@code a:1}. */
  private List<Outcome> sync(String ofSource) {
    MirrorListSpec spec =
        ResourceFile.read(
                "{apiVersion: mirrors.kubic.io/v1alpha1, kind: MirrorList, metadata: {name: t}, spec:"
                    + " {registryRef: {name: m}, sources: [{registry: \"r.example:5000\", images: [a]"
                    + ofSource
                    + "}]}}",
                "list.yaml",
                MirrorList.class)
            .getFirst()
            .getSpec();
    SelectedImage image =
        new SelectedImage("default", new Repository("r.example:5000", "a"), "1", null);
    Planner.Result planned =
        new Planner(spec, s -> source, target, Planner.Depth.COPIES, executor)
            .plan(new Selection(List.of(image), List.of(), List.of(), true));
    List<Outcome> outcomes = new ArrayList<>(planned.settled());
    outcomes.addAll(new Copier(target, spec, executor).copy(planned.work(), o -> {}));
    return outcomes;
  }

  private static String tag(Manifest of, String suffix) {
    return "sha256-" + of.digest().hex() + suffix;
  }

  private Manifest beside(Manifest image, String suffix) {
    return source.image("a", tag(image, suffix), suffix + " of " + image.digest());
  }

  @ParameterizedTest
  @ValueSource(strings = {".sig", ".att", ".sbom"})
  void travelsWithItsImage(String suffix) {
    Manifest image = source.image("a", "1", "x");
    Manifest companion = beside(image, suffix);
    assertThat(sync(""))
        .filteredOn(Outcome::referrer)
        .extracting(Outcome::result, Outcome::digest)
        .containsExactly(tuple(Outcome.Result.Copied, companion.digest()));
    assertThat(target.manifests.get(AT + "a:" + tag(image, suffix))).isEqualTo(companion);
  }

  @ParameterizedTest
  @ValueSource(strings = {".sig", ".att", ".sbom"})
  void travelsWithAnIndexThatHasItsImage(String suffix) {
    Manifest child = source.image("a", null, "x");
    source.index("a", "1", Map.of("amd64", child));
    Manifest companion = beside(child, suffix);
    sync("");
    assertThat(target.manifests.get(AT + "a:" + tag(child, suffix))).isEqualTo(companion);
  }

  @Test
  void theSignatureOfABillOfMaterialTravelsToo() {
    Manifest image = source.image("a", "1", "x");
    Manifest signature = beside(beside(beside(image, ".att"), ".sbom"), ".sig");
    sync("");
    assertThat(target.manifests.values()).contains(signature);
  }

  @Test
  void allOfThemTravelAndNothingElse() {
    Manifest image = source.image("a", "1", "x");
    List.of(".sig", ".att", ".sbom", ".other").forEach(suffix -> beside(image, suffix));
    beside(source.image("a", "2", "not selected"), ".sig");
    sync("");
    assertThat(target.manifests.keySet())
        .filteredOn(key -> key.indexOf('@') < 0)
        .containsExactlyInAnyOrder(
            AT + "a:1",
            AT + "a:" + tag(image, ".sig"),
            AT + "a:" + tag(image, ".att"),
            AT + "a:" + tag(image, ".sbom"));
  }

  @Test
  void nothingTravelsWhereTheListSaysSo() {
    Manifest image = source.image("a", "1", "x");
    List.of(".sig", ".att", ".sbom").forEach(suffix -> beside(image, suffix));
    assertThat(sync(", includeReferrers: false")).hasSize(1);
    assertThat(target.manifests).hasSize(2);
  }
}
