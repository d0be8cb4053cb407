package io.kubic.mirrors.sync;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import io.kubic.mirrors.list.SelectedImage;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.Repository;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class LockTest {
  private static final String DIGEST = "sha256:" + "a".repeat(64);
  private static final MirrorListSpec SPEC =
      ResourceFile.read(
              """
              apiVersion: mirrors.kubic.io/v1alpha1
              kind: MirrorList
              metadata: {name: t}
              spec:
                registryRef: {name: m}
                sources: [{registry: "r.example:5000", name: main, images: [a]}]
              """,
              "list.yaml",
              MirrorList.class)
          .getFirst()
          .getSpec();

  private static Selection select(String images) {
    return Lock.parse("{\"images\": [" + images + "]}", "lock.json").select(SPEC);
  }

  private static String image(String source, String more) {
    return "{\"source\": \"%s\", \"digest\": \"%s\"%s}".formatted(source, DIGEST, more);
  }

  @Test
  void pinsEveryImageToItsDigestUnderItsTag() {
    SelectedImage image = select(image("r.example:5000/a/b:1.10", "")).images().getFirst();
    assertThat(image).hasToString("r.example:5000/a/b:1.10@" + DIGEST);
    assertThat(image.source()).isEqualTo("main");
  }

  @Test
  void leavesOutWhatWasPrunedAndWhatTravelsWithImages() {
    Selection selection =
        select(
            image("r.example:5000/a:1", ", \"action\": \"Prune\"")
                + ","
                + image("r.example:5000/a:2", ", \"result\": \"Pruned\"")
                + ","
                + image("r.example:5000/a@" + DIGEST, ", \"referrer\": true")
                + ","
                + image("r.example:5000/a@" + DIGEST, ""));
    assertThat(selection.images()).hasSize(1);
    assertThat(selection.complete()).isTrue();
  }

  /** More than the 3 MiB that a YAML parser takes by itself; a report of 10,000 images has that. */
  @Test
  void aLockOfManyImagesIsReadInEitherForm() {
    int count = 30_000;
    String images =
        IntStream.range(0, count)
            .mapToObj(i -> image("r.example:5000/some/repository" + i + ":1.2.3", ""))
            .collect(Collectors.joining(",\n  "));
    String text = "images: [" + images + "]";
    assertThat(text.length()).isGreaterThan(4 << 20);
    assertThat(Lock.parse(text, "lock.yaml").select(SPEC).images()).hasSize(count);
    assertThat(select(images).images()).hasSize(count);
  }

  @Test
  void anImageOfNoSourceMakesTheSelectionIncomplete() {
    Selection selection = select(image("other.example/a:1", ""));
    assertThat(selection.complete()).isFalse();
    assertThat(selection.problems().getFirst().reason()).isEqualTo(Reason.NotFound);
  }

  @Test
  void whatIsNoPlanIsRefusedByName() {
    for (String text : List.of("", "a: b", "{\"images\": {}}", "{\"images\": [{}]}", "[", "{")) {
      assertThatThrownBy(() -> Lock.parse(text, "lock.json"))
          .as(text)
          .isInstanceOf(InvalidSpecException.class)
          .hasMessageContaining("lock.json");
    }
    assertThatThrownBy(
            () -> Lock.parse("{\"images\": [{\"source\": \"r.example:5000/a:1\"}]}", "lock.json"))
        .hasMessageContaining("has no digest");
  }

  @Test
  void aLockedListCopiesTheOldDigestAfterTheTagMovedAndHasThePlansHash() throws Exception {
    MemoryStore source = new MemoryStore("r.example:5000");
    MemoryStore target = new MemoryStore("mirror.local");
    Manifest old = source.image("a", "1", "old");
    try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
      Plan plan =
          new Planner(SPEC, s -> source, null, Planner.Depth.SIZES, executor)
              .plan(
                  new Selection(
                      List.of(
                          new SelectedImage(
                              "main", new Repository("r.example:5000", "a"), "1", null)),
                      List.of(),
                      List.of(),
                      true))
              .plan();
      String lock = new com.fasterxml.jackson.databind.ObjectMapper().writeValueAsString(plan);
      source.image("a", "1", "new");
      Planner.Result again =
          new Planner(SPEC, s -> source, target, Planner.Depth.COPIES, executor)
              .plan(Lock.parse(lock, "lock.json").select(SPEC));
      assertThat(again.plan().hash()).isEqualTo(plan.hash());
      new Copier(target, SPEC, executor).copy(again.work(), o -> {});
    }
    assertThat(target.manifests.get("r.example_5000/a:1").digest()).isEqualTo(old.digest());
  }
}
