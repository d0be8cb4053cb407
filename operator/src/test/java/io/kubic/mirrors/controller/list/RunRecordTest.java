package io.kubic.mirrors.controller.list;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.json.JsonMapper;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListStatus;
import io.kubic.mirrors.api.v1alpha1.MirrorListStatus.Result;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import io.kubic.mirrors.oci.Quota;
import io.kubic.mirrors.sync.Termination;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class RunRecordTest {
  private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");
  private static final String REPORT = "%s/mirror-operator/reports@sha256:" + "a".repeat(64);
  private final MirrorList list =
      ResourceFile.read(
              """
              apiVersion: mirrors.kubic.io/v1alpha1
              kind: MirrorList
              metadata: {name: kubic}
              spec:
                registryRef: {name: m}
                sources: [{registry: r.example, images: [a]}]
                historyLimit: 3
              """,
              "list.yaml",
              MirrorList.class)
          .getFirst();

  private static Job job(String name) {
    return new JobBuilder()
        .withNewMetadata()
        .withName(name)
        .endMetadata()
        .withNewStatus()
        .withStartTime("2025-12-31T23:56:40Z")
        .addNewCondition()
        .withType("Complete")
        .withStatus("True")
        .endCondition()
        .endStatus()
        .build();
  }

  private static Termination.Failure failure(String image, String reason) {
    return new Termination.Failure(image, reason, "why", 1);
  }

  private static Termination told(List<Termination.Failure> failures) {
    return new Termination(
        "ab",
        new Termination.Planned(2, 30, 1000, 400, 0),
        new Termination.Summary(9, 2, failures.size(), 0, 1, 4, 777, 50),
        true,
        failures,
        List.of(new Termination.Source("r.example", "default", 2, 9, 5)),
        REPORT.formatted("mirror"),
        null);
  }

  private MirrorListStatus finish(String job, Optional<Termination> told) {
    list.getMetadata().setGeneration(1L);
    list.setStatus(
        new ListStatus(list, Clock.fixed(NOW, ZoneOffset.UTC))
            .finished(job(job), told, NOW, "spec", "", Optional.empty()));
    return list.getStatus();
  }

  @Test
  void theHistoryHoldsTheLastRunsEachOnceTheNewestFirst() {
    for (String job : List.of("one", "two", "three", "four")) {
      finish(job, Optional.of(told(List.of())));
    }
    MirrorListStatus status = finish("four", Optional.of(told(List.of())));
    assertThat(status.history())
        .extracting(MirrorListStatus.Run::job)
        .containsExactly("four", "three", "two");
    MirrorListStatus.Run run = status.history().getFirst();
    assertThat(run.result()).isEqualTo(Result.Succeeded);
    assertThat(run.duration()).isEqualTo("3m20s");
    assertThat(run.bytes()).isEqualTo(777);
    assertThat(run.copied()).isEqualTo(9);
    // The same again is the same status, so that nothing is written.
    assertThat(finish("four", Optional.of(told(List.of())))).isEqualTo(status);
    assertThat(finish("four", Optional.empty()).history())
        .as("its pod is gone")
        .isEqualTo(status.history());
  }

  @Test
  void aRunThatNeverBeganOrLeftNothingFailedForItsOwnReason() {
    MirrorListStatus.Run run =
        finish("one", Optional.of(Termination.of("GuardExceeded", "too many")))
            .history()
            .getFirst();
    assertThat(run.result()).isEqualTo(Result.Failed);
    assertThat(run.reason()).isEqualTo("GuardExceeded");
    assertThat(run.failures()).isEqualTo(Map.of("GuardExceeded", 1));
    assertThat(run.copied()).isNull();
    Termination waits =
        told(List.of()).failed(Termination.AWAITING_APPROVAL, "plan ab waits for approval");
    run = finish("two", Optional.of(waits)).history().getFirst();
    assertThat(run.result()).isEqualTo(Result.AwaitingApproval);
    assertThat(run.failures()).isEmpty();
  }

  @Test
  void failuresAreCountedByReasonBeyondThoseThatAreTold() {
    List<Termination.Failure> many = new ArrayList<>();
    IntStream.range(0, 70).forEach(i -> many.add(failure("a:" + i, "NotFound")));
    IntStream.range(0, 30).forEach(i -> many.add(failure("b:" + i, "Timeout")));
    Termination read = Termination.parse(new String(told(many).toJson(), UTF_8)).orElseThrow();
    assertThat(read.failures()).hasSizeLessThanOrEqualTo(20);
    MirrorListStatus status = finish("one", Optional.of(read));
    assertThat(status.failures()).hasSizeLessThanOrEqualTo(20);
    assertThat(status.history().getFirst().failures())
        .isEqualTo(Map.of("NotFound", 70, "Timeout", 30));
  }

  @Test
  void everyPartOfARunHasItsReportInTheStatus() {
    Termination part = told(List.of(failure("r.example", "Timeout")));
    MirrorListStatus status =
        finish(
            "one",
            Optional.of(
                Termination.merged(
                    List.of(
                        Optional.of(part),
                        Optional.empty(),
                        Optional.of(Termination.of("Forbidden", "no")),
                        Optional.of(part)))));
    assertThat(status.shards())
        .containsExactly(
            new MirrorListStatus.Shard(0, "11/30", 1, null, REPORT.formatted("mirror")),
            new MirrorListStatus.Shard(1, "0/0", 0, "Internal", null),
            new MirrorListStatus.Shard(2, "0/0", 0, "Forbidden", null),
            new MirrorListStatus.Shard(3, "11/30", 1, null, REPORT.formatted("mirror")));
    assertThat(status.history().getFirst().failures())
        .isEqualTo(Map.of("Forbidden", 1, "Internal", 1, "Timeout", 2));
    assertThat(status.failures())
        .as("an API server takes no two failures of one image")
        .extracting(MirrorListStatus.Failure::image)
        .containsExactly("r.example", "part 1 of 4", "part 2 of 4");
    assertThat(finish("two", Optional.of(part)).shards()).isEmpty();
  }

  @Test
  void whatARegistryToldOfItsLimitsStandsWithItsSource() {
    Termination part =
        told(List.of()).withQuotas(registry -> Optional.of(new Quota(100, 76, 21600, 2)));
    Termination other =
        told(List.of()).withQuotas(registry -> Optional.of(new Quota(null, 70, null, 1)));
    Termination read = Termination.parse(new String(part.toJson(), UTF_8)).orElseThrow();
    assertThat(finish("one", Optional.of(read)).sources().getFirst().rateLimit())
        .isEqualTo(new MirrorListStatus.RateLimit(100, 76, "6h", 2));
    assertThat(
            finish(
                    "two",
                    Optional.of(Termination.merged(List.of(Optional.of(other), Optional.of(part)))))
                .sources()
                .getFirst()
                .rateLimit())
        .isEqualTo(new MirrorListStatus.RateLimit(100, 70, "6h", 3));
  }

  @Test
  void theLockOfTheLastGoodRunStaysUntilThereIsANewOne() {
    assertThat(finish("one", Optional.of(told(List.of()).withLock("mirror/locks@x"))).lockRef())
        .isEqualTo("mirror/locks@x");
    assertThat(finish("two", Optional.of(told(List.of(failure("a", "Timeout"))))).lockRef())
        .isEqualTo("mirror/locks@x");
  }

  @Test
  void theStatusOfTheLargestRunHasLessThan32KiB() throws Exception {
    list.setSpec(
        ResourceFile.read(
                """
                apiVersion: mirrors.kubic.io/v1alpha1
                kind: MirrorList
                metadata: {name: kubic}
                spec:
                  registryRef: {name: m}
                  sources: [{registry: r.example, images: [a]}]
                  historyLimit: 50
                """,
                "list.yaml",
                MirrorList.class)
            .getFirst()
            .getSpec());
    List<Termination.Failure> failures = new ArrayList<>();
    for (String reason : List.of("NotFound", "Timeout", "RateLimited", "TargetFull", "Conflict")) {
      IntStream.range(0, 20)
          .forEach(
              i ->
                  failures.add(
                      new Termination.Failure(
                          reason + i + "n".repeat(400), reason, "m".repeat(2000), 5)));
    }
    Termination part =
        new Termination(
            "ab".repeat(32),
            new Termination.Planned(2000, 30000, 1_000_000_000, 400, 0),
            new Termination.Summary(90_000, 20_000, 100, 10, 10, 40_000, 1L << 40, 500_000),
            true,
            failures,
            IntStream.range(0, 20)
                .mapToObj(
                    i ->
                        new Termination.Source(
                            "registry" + i + ".example.com",
                            "default",
                            1000,
                            9000,
                            5000,
                            new Quota(100, 76, 21600, 2)))
                .toList(),
            REPORT.formatted("h".repeat(58) + ":5000"),
            null);
    Termination all =
        Termination.merged(IntStream.range(0, 64).mapToObj(i -> Optional.of(part)).toList());
    for (int i = 0; i < 12; i++) {
      finish("a-name-of-forty-characters-for-the-list-sync-" + i, Optional.of(all));
    }
    MirrorListStatus status = list.getStatus();
    assertThat(status.history()).hasSize(RunRecord.MAX_RUNS);
    assertThat(status.shards()).hasSize(64);
    assertThat(JsonMapper.builder().build().writeValueAsBytes(status)).hasSizeLessThan(32 << 10);
  }
}
