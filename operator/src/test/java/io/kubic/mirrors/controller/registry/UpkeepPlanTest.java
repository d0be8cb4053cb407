package io.kubic.mirrors.controller.registry;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.controller.support.Schedule;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class UpkeepPlanTest {
  /** A Thursday. */
  private static final Instant MADE = Instant.parse("2026-01-01T12:00:00Z");

  private static final Instant SUNDAY = Instant.parse("2026-01-04T03:00:00Z");
  private static final Schedule WEEKLY = Schedule.cron("0 3 * * 0", null, "schedule", "zone");
  private static final UpkeepPlan.Run WAITING =
      new UpkeepPlan.Run(UpkeepTask.GC, "mirror-gc-1", false);
  private static final UpkeepPlan.Run RELEASED =
      new UpkeepPlan.Run(UpkeepTask.GC, "mirror-gc-1", true);

  private static UpkeepPlan.Wish wish(
      @Nullable Schedule schedule, @Nullable Instant request, @Nullable Instant last) {
    return new UpkeepPlan.Wish(UpkeepTask.GC, schedule, request, last, false);
  }

  private static UpkeepPlan.Step idle(Instant now, UpkeepPlan.Wish... wishes) {
    return next(now, List.of(wishes), Optional.empty(), Optional.empty(), List.of(), Set.of());
  }

  private static UpkeepPlan.Step next(
      Instant now,
      List<UpkeepPlan.Wish> wishes,
      Optional<UpkeepPlan.Run> unfinished,
      Optional<String> unsettled,
      List<String> syncs,
      Set<String> gateways) {
    return UpkeepPlan.next(
        new UpkeepPlan.Seen(
            MADE, now, wishes, unfinished, unsettled, syncs, gateways, Set.of("10.0.0.1:5002")));
  }

  @Test
  void aScheduleIsDueAfterTheRegistryWasMadeAndThenAfterEachRun() {
    assertThat(idle(MADE, wish(WEEKLY, null, null)))
        .isEqualTo(new UpkeepPlan.Rest(Optional.of(SUNDAY)));
    assertThat(idle(SUNDAY, wish(WEEKLY, null, null)))
        .isEqualTo(new UpkeepPlan.Queue(UpkeepTask.GC, "gc/2026-01-04T03:00:00Z"));
    assertThat(idle(SUNDAY.plusSeconds(600), wish(WEEKLY, null, SUNDAY.plusSeconds(60))))
        .isEqualTo(new UpkeepPlan.Rest(Optional.of(SUNDAY.plus(Duration.ofDays(7)))));
  }

  @Test
  void whatIsMissedForAYearIsDoneOnceAndAtOnce() {
    assertThat(idle(SUNDAY.plus(Duration.ofDays(365)), wish(WEEKLY, null, null)))
        .isEqualTo(new UpkeepPlan.Queue(UpkeepTask.GC, "gc/2026-01-04T03:00:00Z"));
  }

  @Test
  void aRequestIsServedOnceAlsoWithoutASchedule() {
    Instant asked = MADE.plusSeconds(60);
    assertThat(idle(asked, wish(null, asked, null))).isInstanceOf(UpkeepPlan.Queue.class);
    assertThat(idle(asked, wish(null, asked, asked.minusSeconds(1))))
        .isInstanceOf(UpkeepPlan.Queue.class);
    assertThat(idle(asked, wish(null, asked, asked.plusSeconds(1))))
        .isEqualTo(new UpkeepPlan.Rest(Optional.empty()));
  }

  @Test
  void aRunThatFailedIsTriedAgainInAnHour() {
    Instant last = SUNDAY.plusSeconds(60);
    assertThat(idle(last, new UpkeepPlan.Wish(UpkeepTask.GC, WEEKLY, null, last, true)))
        .isEqualTo(new UpkeepPlan.Rest(Optional.of(last.plus(UpkeepPlan.RETRY))));
  }

  @Test
  void theTaskThatIsDueFirstComesFirst() {
    UpkeepPlan.Wish scrub =
        new UpkeepPlan.Wish(UpkeepTask.SCRUB, null, MADE.plusSeconds(5), null, false);
    assertThat(idle(SUNDAY, wish(WEEKLY, null, null), scrub))
        .isEqualTo(new UpkeepPlan.Queue(UpkeepTask.SCRUB, "scrub/2026-01-01T12:00:05Z"));
  }

  @Test
  void nothingBeginsWhileThePodsAreNotAsTheyShouldBe() {
    assertThat(
            next(
                SUNDAY,
                List.of(wish(WEEKLY, null, null)),
                Optional.empty(),
                Optional.of("rolling out"),
                List.of(),
                Set.of()))
        .isEqualTo(new UpkeepPlan.Hold(UpkeepTask.GC, "rolling out"));
  }

  @Test
  void aJobThatWaitsIsReleasedWhenNoSyncRunsAndAllPodsAreReady() {
    assertThat(waiting(Optional.empty(), List.of("a", "b")))
        .isEqualTo(new UpkeepPlan.Wait(UpkeepTask.GC, "MirrorList a, b copies still"));
    assertThat(waiting(Optional.of("rolling out"), List.of()))
        .isEqualTo(new UpkeepPlan.Wait(UpkeepTask.GC, "rolling out"));
    assertThat(waiting(Optional.empty(), List.of())).isEqualTo(new UpkeepPlan.Release(WAITING));
  }

  private static UpkeepPlan.Step waiting(Optional<String> unsettled, List<String> syncs) {
    return next(SUNDAY, List.of(), Optional.of(WAITING), unsettled, syncs, Set.of());
  }

  @Test
  void aJobThatRunsIsEndedWhenAPodCameUpThatItDidNotFreeze() {
    assertThat(running(Set.of("10.0.0.1:5002"))).isEqualTo(new UpkeepPlan.Watch(RELEASED));
    assertThat(running(Set.of())).as("its hold notices").isEqualTo(new UpkeepPlan.Watch(RELEASED));
    assertThat(running(Set.of("10.0.0.1:5002", "10.0.0.2:5002")))
        .isInstanceOf(UpkeepPlan.Abort.class);
  }

  private static UpkeepPlan.Step running(Set<String> gateways) {
    return next(
        SUNDAY, List.of(), Optional.of(RELEASED), Optional.empty(), List.of("late"), gateways);
  }
}
