package io.kubic.mirrors.controller.list;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.ObjectMetaBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import io.kubic.mirrors.api.v1alpha1.Api;
import io.kubic.mirrors.api.v1alpha1.Condition;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListStatus;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
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

class ListStatusTest {
  private static final String HASH = "ab".repeat(32);
  private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");
  private static final Clock CLOCK = Clock.fixed(NOW, ZoneOffset.UTC);
  private static final Termination PLANNED =
      new Termination(
          HASH,
          new Termination.Planned(2, 30, 1000, 400, 0),
          null,
          true,
          List.of(),
          List.of(),
          null,
          null);

  private static MirrorList list(String more) {
    MirrorList list =
        ResourceFile.read(
                """
                apiVersion: mirrors.kubic.io/v1alpha1
                kind: MirrorList
                metadata: {name: kubic}
                spec:
                  registryRef: {name: m}
                  sources: [{registry: r.example, images: [a]}]
                """
                    + more,
                "list.yaml",
                MirrorList.class)
            .getFirst();
    list.getMetadata().setGeneration(1L);
    return list;
  }

  private static Job job(String name) {
    return new JobBuilder()
        .withMetadata(new ObjectMetaBuilder().withName(name).build())
        .withNewStatus()
        .endStatus()
        .build();
  }

  private static Condition condition(MirrorListStatus status, String type) {
    return status.conditions().stream()
        .filter(c -> c.type().equals(type))
        .findFirst()
        .orElseThrow();
  }

  @Test
  void thePlansCountsStandInTheStatusWhileItIsCopied() {
    MirrorList list = list("");
    MirrorListStatus planning =
        new ListStatus(list, CLOCK).running(job("one"), false, Optional.empty());
    assertThat(planning.plan()).isNull();
    list.setStatus(planning);
    assertThat(new ListStatus(list, CLOCK).knowsPlanOf(job("one"))).isFalse();
    MirrorListStatus copying =
        new ListStatus(list, CLOCK).running(job("one"), false, Optional.of(PLANNED));
    assertThat(copying.plan().hash()).isEqualTo(HASH);
    assertThat(copying.plan().images()).isEqualTo(30);
    assertThat(copying.plan().bytesToTransfer()).isEqualTo(400);
    list.setStatus(copying);
    assertThat(new ListStatus(list, CLOCK).knowsPlanOf(job("one"))).isTrue();
    assertThat(new ListStatus(list, CLOCK).knowsPlanOf(job("two"))).isFalse();
    // The same again is the same status, so that nothing is written.
    assertThat(new ListStatus(list, CLOCK).running(job("one"), false, Optional.empty()))
        .isEqualTo(copying);
  }

  @Test
  void aPlanThatWaitsIsShownWithItsHashAndKeepsWhatWasSynced() {
    MirrorList list = list("  approval: Manual\n");
    MirrorListStatus status =
        new ListStatus(list, CLOCK)
            .finished(
                job("one"),
                Optional.of(PLANNED.failed(Termination.AWAITING_APPROVAL, "plan " + HASH)),
                NOW,
                "spec",
                "",
                Optional.empty());
    assertThat(condition(status, "AwaitingApproval").status()).isEqualTo("True");
    assertThat(condition(status, "AwaitingApproval").message()).contains(HASH, Api.APPROVE);
    assertThat(condition(status, "Ready").status()).isEqualTo("False");
    assertThat(condition(status, "Ready").reason()).isEqualTo("AwaitingApproval");
    assertThat(status.plan().hash()).isEqualTo(HASH);
    assertThat(status.lastSuccessfulTime()).isNull();
  }

  @Test
  void anApprovalIsAnotherRunOfAManualListOnly() {
    MirrorList manual = list("  approval: Manual\n");
    MirrorList automatic = list("");
    String before = ListResources.specHash(manual);
    String automaticBefore = ListResources.specHash(automatic);
    for (MirrorList list : List.of(manual, automatic)) {
      list.getMetadata().setAnnotations(Map.of(Api.APPROVE, HASH));
    }
    assertThat(ListResources.specHash(manual)).isNotEqualTo(before);
    assertThat(ListResources.specHash(automatic)).isEqualTo(automaticBefore);
    assertThat(ListResources.approved(manual)).isEqualTo(HASH);
    manual.getMetadata().setAnnotations(Map.of(Api.APPROVE, "--to evil.example"));
    assertThat(ListResources.approved(manual)).isEmpty();
  }

  @Test
  void progressStandsInTheStatusWhileARunCopiesAndNoLonger() {
    MirrorList list = list("");
    list.setStatus(new ListStatus(list, CLOCK).running(job("one"), false, Optional.of(PLANNED)));
    MirrorListStatus.Progress some = new MirrorListStatus.Progress("Copying", 3, 9, 10L, 90L, "8s");
    MirrorListStatus running =
        new ListStatus(list, CLOCK).running(job("one"), false, Optional.empty(), Optional.of(some));
    assertThat(running.progress()).isEqualTo(some);
    list.setStatus(running);
    // Not asked this time: what was told stands, and nothing is written.
    assertThat(new ListStatus(list, CLOCK).running(job("one"), false, Optional.empty()))
        .isEqualTo(running);
    assertThat(new ListStatus(list, CLOCK).running(job("two"), false, Optional.empty()).progress())
        .isNull();
    assertThat(finished(list, done(0, "")).progress()).isNull();
  }

  @Test
  void whatTheRegistryLostSinceOrAPlanThatWaitsIsNotThere() {
    MirrorList list = list("");
    Job good =
        new JobBuilder(job("one"))
            .editStatus()
            .addNewCondition()
            .withType("Complete")
            .withStatus("True")
            .endCondition()
            .endStatus()
            .build();
    list.setStatus(
        new ListStatus(list, CLOCK)
            .finished(good, Optional.of(done(0, "")), NOW, "spec", "", Optional.empty()));
    assertThat(new ListStatus(list, CLOCK).holds("spec", null)).isTrue();
    assertThat(new ListStatus(list, CLOCK).holds("another", null)).isFalse();
    assertThat(new ListStatus(list, CLOCK).holds("spec", NOW.minusSeconds(1))).isTrue();
    assertThat(new ListStatus(list, CLOCK).holds("spec", NOW.plusSeconds(1))).isFalse();
    list.setStatus(new ListStatus(list, CLOCK).suspended());
    MirrorListStatus held = new ListStatus(list, CLOCK).held("RegistryUpkeep", "waits", true);
    assertThat(condition(held, "Ready").reason()).isEqualTo("Synced");
    assertThat(condition(held, "Stalled").holds()).as("it is suspended no longer").isFalse();
    held = new ListStatus(list, CLOCK).held("RegistryUpkeep", "waits", false);
    assertThat(condition(held, "Ready").holds()).as("of another list").isFalse();
    Termination waits = PLANNED.failed(Termination.AWAITING_APPROVAL, "plan " + HASH);
    list.setStatus(
        new ListStatus(list, CLOCK)
            .finished(job("two"), Optional.of(waits), NOW, "more", "", Optional.empty()));
    assertThat(condition(list.getStatus(), "Synced").holds()).isTrue();
    assertThat(new ListStatus(list, CLOCK).holds("more", null)).isFalse();
  }

  private static Termination done(int drifted, String reason) {
    return new Termination(
        HASH,
        new Termination.Planned(2, 30, 1000, 400, 0),
        new Termination.Summary(9, 0, reason.isEmpty() ? 0 : 1, drifted, 0, 0, 1, 1),
        true,
        reason.isEmpty()
            ? List.of()
            : List.of(new Termination.Failure("r.example/a:1", reason, "why", 1)),
        List.of(),
        "mirror/mirror-operator/reports@sha256:" + HASH,
        null);
  }

  private static MirrorListStatus finished(MirrorList list, Termination told) {
    return new ListStatus(list, CLOCK)
        .finished(job("one"), Optional.of(told), NOW, "spec", "", Optional.empty());
  }

  @Test
  void driftLimitsAndAFullTargetAreConditionsAsLongAsTheyHold() {
    MirrorList list = list("");
    MirrorListStatus good = finished(list, done(0, ""));
    assertThat(good.conditions())
        .extracting(Condition::type)
        .doesNotContain("Drifted", "RateLimited", "TargetFull");
    assertThat(good.reportRef()).contains("mirror-operator/reports@sha256:");
    list.setStatus(finished(list, done(2, "RateLimited")));
    assertThat(condition(list.getStatus(), "Drifted").message()).startsWith("2 tags moved");
    assertThat(condition(list.getStatus(), "RateLimited").holds()).isTrue();
    assertThat(condition(list.getStatus(), "Ready").reason()).isEqualTo("RateLimited");
    list.setStatus(finished(list, done(0, "TargetFull")));
    assertThat(condition(list.getStatus(), "Drifted").holds()).isFalse();
    assertThat(condition(list.getStatus(), "TargetFull").holds()).isTrue();
  }

  /** The field may be missing: what a run of before told is read as before. */
  @Test
  void moreThanIsWantedOfAnIndexIsSaidInTheConditions() {
    Termination one =
        new Termination(
            HASH,
            new Termination.Planned(2, 9, 1000, 400, 0),
            new Termination.Summary(9, 0, 0, 0, 0, 0, 1, 1, 3),
            true,
            List.of(),
            List.of(),
            null,
            null);
    Termination both = Termination.merged(List.of(Optional.of(one), Optional.of(one)));
    MirrorListStatus status =
        finished(list(""), Termination.parse(new String(both.toJson(), UTF_8)).orElseThrow());
    assertThat(condition(status, "Ready").message())
        .contains("; 6 with all platforms, since the target takes no sparse index");
    assertThat(condition(status, "Synced").message()).contains("6 with all platforms");
    String none = new String(done(0, "").toJson(), UTF_8);
    assertThat(none).doesNotContain("allPlatforms");
    assertThat(
            condition(finished(list(""), Termination.parse(none).orElseThrow()), "Ready").message())
        .doesNotContain("platforms");
  }

  @Test
  void whatFailedForAReasonIsToldAlsoWhereItIsNotAmongTheFirstFailures() {
    List<Termination.Failure> failures = new ArrayList<>();
    for (String reason : List.of("NotFound", "RateLimited", "TargetFull")) {
      IntStream.range(0, reason.equals("TargetFull") ? 30 : 25)
          .forEach(i -> failures.add(new Termination.Failure(reason + i, reason, "why", 1)));
    }
    Termination whole =
        new Termination(
            HASH,
            new Termination.Planned(2, 80, 1000, 400, 0),
            new Termination.Summary(0, 0, 80, 0, 0, 0, 1, 1),
            true,
            failures,
            List.of(),
            null,
            null);
    Termination read = Termination.parse(new String(whole.toJson(), UTF_8)).orElseThrow();
    assertThat(read.failures()).extracting(Termination.Failure::reason).containsOnly("NotFound");
    MirrorListStatus status = finished(list(""), read);
    assertThat(condition(status, "RateLimited").holds()).isTrue();
    assertThat(condition(status, "TargetFull").holds()).isTrue();
    assertThat(condition(status, "Ready").reason()).isEqualTo("TargetFull");
  }

  @Test
  void aLogTellsThePlanAndHowFarTheRunIs() {
    String log =
        """
        starting
        {"hash":"%s","plan":{"repositories":2,"images":30,"bytes":1000,"bytesToTransfer":400,"pruneCandidates":0}}
        {"phase":"Copying","completed":1,"total":30,"bytesDone":100,"bytesTotal":400,"image":{"source":"x"}}
        {"phase":"Copying","completed":2,"total":30,"bytesDone":200,"bytesTotal":400,"etaSeconds":200}
        {"phase":"Copying","completed":3,"tot"""
            .formatted(HASH);
    assertThat(JobLog.plan(log).orElseThrow().plan()).isEqualTo(PLANNED.plan());
    assertThat(JobLog.progress(log))
        .contains(new MirrorListStatus.Progress("Copying", 2, 30, 200L, 400L, "3m20s"));
    assertThat(JobLog.progress("nothing\n{}\n")).isEmpty();
  }
}
