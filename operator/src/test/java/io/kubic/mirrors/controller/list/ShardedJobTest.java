package io.kubic.mirrors.controller.list;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import io.kubic.mirrors.controller.support.RunningImages;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.sync.Termination;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class ShardedJobTest {
  private static final Job WHOLE =
      new JobBuilder()
          .withNewMetadata()
          .withName("run")
          .endMetadata()
          .withNewSpec()
          .withBackoffLimit(5)
          .withNewPodFailurePolicy()
          .addNewRule()
          .withAction("FailJob")
          .endRule()
          .addNewRule()
          .withAction("Ignore")
          .endRule()
          .endPodFailurePolicy()
          .withNewTemplate()
          .withNewSpec()
          .addNewContainer()
          .withName("sync")
          .withArgs("sync")
          .endContainer()
          .endSpec()
          .endTemplate()
          .endSpec()
          .build();

  private static Pod pod(String index, String created) {
    return new PodBuilder()
        .withNewMetadata()
        .withName(created)
        .withCreationTimestamp(created)
        .withAnnotations(Map.of("batch.kubernetes.io/job-completion-index", index))
        .endMetadata()
        .build();
  }

  @Test
  void onePartIsAnOrdinaryJob() {
    assertThat(ShardedJob.of(WHOLE, 1)).isSameAs(WHOLE);
  }

  @Test
  void everyPartHasItsIndexAndAFailureOfOneStopsNoOther() {
    var spec = ShardedJob.of(WHOLE, 4).getSpec();
    assertThat(spec.getCompletionMode()).isEqualTo("Indexed");
    assertThat(List.of(spec.getCompletions(), spec.getParallelism())).containsExactly(4, 4);
    assertThat(spec.getBackoffLimitPerIndex()).isEqualTo(5);
    assertThat(spec.getBackoffLimit()).isNull();
    assertThat(spec.getPodFailurePolicy().getRules())
        .extracting(rule -> rule.getAction())
        .containsExactly("FailIndex", "Ignore");
    assertThat(spec.getTemplate().getSpec().getContainers().getFirst().getArgs())
        .containsExactly("sync", "--shard", "$(JOB_COMPLETION_INDEX)/4", "--run", "run");
    assertThat(WHOLE.getSpec().getCompletionMode()).isNull();
  }

  @Test
  void theNewestPodOfEachPartThatToldSomethingCounts() {
    List<Pod> pods =
        List.of(pod("0", "2026-01-01"), pod("0", "2026-01-02"), pod("1", "2026-01-01"));
    Optional<Termination> all =
        ShardedJob.result(
            ShardedJob.of(WHOLE, 2),
            pods,
            pod ->
                pod.getMetadata().getName().equals("2026-01-02")
                    ? Optional.empty()
                    : Optional.of(Termination.of("Forbidden", "no")));
    assertThat(all.orElseThrow().failures())
        .extracting(Termination.Failure::image)
        .containsExactly("part 0 of 2", "part 1 of 2");
  }

  @Test
  void whatAPodRunsIsKnownByItsDigests() {
    String one = "sha256:" + "1".repeat(64);
    String two = "sha256:" + "2".repeat(64);
    Pod pod =
        new PodBuilder()
            .withNewSpec()
            .addNewContainer()
            .withImage("mirror.local/a:1@" + one)
            .endContainer()
            .addNewInitContainer()
            .withImage("mirror.local/b:1")
            .endInitContainer()
            .endSpec()
            .withNewStatus()
            .addNewContainerStatus()
            .withImageID("mirror.local/b@" + two)
            .endContainerStatus()
            .endStatus()
            .build();
    assertThat(RunningImages.digests(pod)).containsExactly(Digest.parse(one), Digest.parse(two));
  }

  @Test
  void whatAPodMountsAsAVolumeOrIsBeingLookedAtWithIsInUse() {
    String one = "sha256:" + "1".repeat(64);
    String two = "sha256:" + "2".repeat(64);
    Pod pod =
        new PodBuilder()
            .withNewSpec()
            .addNewVolume()
            .withName("model")
            .withNewImage()
            .withReference("mirror.local/model:1@" + one)
            .endImage()
            .endVolume()
            .addNewVolume()
            .withName("tmp")
            .endVolume()
            .addNewEphemeralContainer()
            .withImage("mirror.local/debug@" + two)
            .endEphemeralContainer()
            .endSpec()
            .build();
    assertThat(RunningImages.digests(pod)).containsExactly(Digest.parse(one), Digest.parse(two));
  }
}
