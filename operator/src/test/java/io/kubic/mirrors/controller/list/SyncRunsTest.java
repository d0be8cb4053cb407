package io.kubic.mirrors.controller.list;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import io.kubic.mirrors.api.v1alpha1.MirrorListStatus;
import io.kubic.mirrors.sync.Termination;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class SyncRunsTest {
  private static final Instant NOON = Instant.parse("2026-01-01T12:00:00Z");

  private static Job job(String condition) {
    return new JobBuilder()
        .withNewMetadata()
        .withName("run")
        .withCreationTimestamp(NOON.toString())
        .withAnnotations(Map.of(ListResources.GENERATION, "1"))
        .endMetadata()
        .withNewSpec()
        .endSpec()
        .withNewStatus()
        .addNewCondition()
        .withType(condition)
        .withStatus("True")
        .endCondition()
        .endStatus()
        .build();
  }

  private static Pod pod(int second, String phase, String reason) {
    return new PodBuilder()
        .withNewMetadata()
        .withName("pod" + second)
        .withCreationTimestamp(NOON.plusSeconds(second).toString())
        .endMetadata()
        .withNewStatus()
        .withPhase(phase)
        .addNewContainerStatus()
        .withName("sync")
        .withNewState()
        .withNewTerminated()
        .withMessage(new String(Termination.of(reason, "why").toJson(), UTF_8))
        .endTerminated()
        .endState()
        .endContainerStatus()
        .endStatus()
        .build();
  }

  @Test
  void theNewestPodOfAFailedJobTells() {
    assertThat(
            SyncRuns.result(
                    job("Failed"),
                    List.of(pod(1, "Failed", "Cancelled"), pod(2, "Failed", "NotFound")))
                .orElseThrow()
                .leadingReason())
        .isEqualTo("NotFound");
  }

  @Test
  void ofAJobThatSucceededAPodThatWasEvictedBeforeTellsNothing() {
    Job job = job("Complete");
    assertThat(SyncRuns.result(job, List.of(pod(1, "Failed", "Cancelled")))).isEmpty();
    assertThat(ListStatus.ended(job, SyncRuns.result(job, List.of(pod(1, "Failed", "Cancelled")))))
        .isEqualTo(MirrorListStatus.Result.Succeeded);
  }

  @Test
  void aJobThatCannotBeginMakesWayForAChangedList() {
    Job job = job("Suspended");
    Instant later = NOON.plusSeconds(61);
    Pod waits = pod(1, "Pending", "");
    assertThat(SyncRuns.isOutdated(job, List.of(waits), 2, later)).isTrue();
    assertThat(SyncRuns.isOutdated(job, List.of(), 2, later)).as("a quota lets none in").isTrue();
    assertThat(SyncRuns.isOutdated(job, List.of(waits), 1, later)).as("not changed").isFalse();
    assertThat(SyncRuns.isOutdated(job, List.of(waits), 2, NOON.plusSeconds(59))).isFalse();
    assertThat(SyncRuns.isOutdated(job, List.of(waits, pod(2, "Running", "")), 2, later))
        .as("a part of it runs")
        .isFalse();
    job.getMetadata().setAnnotations(Map.of());
    assertThat(SyncRuns.isOutdated(job, List.of(waits), 2, later)).as("of before").isFalse();
  }
}
