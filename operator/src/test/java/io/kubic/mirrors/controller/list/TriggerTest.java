package io.kubic.mirrors.controller.list;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.controller.support.Schedule;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.Test;

class TriggerTest {
  private static final Instant NOON = Instant.parse("2026-01-01T12:00:00Z");
  private static final Schedule DAILY = Schedule.every("24h", "spec.interval", "uid");
  private static final Schedule ON_DEMAND = Schedule.every("0s", "spec.interval", "uid");

  private static Trigger.Last last(boolean successful, int failures) {
    return new Trigger.Last(NOON.minusSeconds(60), NOON, successful, failures, "spec", "request");
  }

  @Test
  void aListThatNeverRanRunsAtOnce() {
    assertThat(Trigger.next(null, "spec", "", ON_DEMAND, null).orElseThrow().at()).isBefore(NOON);
  }

  @Test
  void aChangedListRunsAtOnceAndOnlyOnce() {
    Trigger first = Trigger.next(last(true, 0), "other", "request", ON_DEMAND, null).orElseThrow();
    Trigger again = Trigger.next(last(true, 0), "other", "request", ON_DEMAND, null).orElseThrow();
    assertThat(first.at()).isBefore(NOON);
    assertThat(first.key()).isEqualTo(again.key());
    assertThat(Trigger.next(last(true, 0), "spec", "request", ON_DEMAND, null)).isEmpty();
  }

  @Test
  void aNewValueOfTheAnnotationRunsAtOnce() {
    assertThat(Trigger.next(last(true, 0), "spec", "now", ON_DEMAND, null).orElseThrow().why())
        .isEqualTo("asked for by annotation");
  }

  @Test
  void whatIsAskedForOnceMoreIsAnotherRun() {
    Trigger.Last later = new Trigger.Last(NOON, NOON.plusSeconds(9), true, 0, "spec", "request");
    for (Trigger.Last again : List.of(last(true, 0), later)) {
      assertThat(Trigger.next(again, "spec", "now", ON_DEMAND, null).orElseThrow().key())
          .as("only the run before tells them apart")
          .contains(again.finished().toString());
      assertThat(
              Trigger.next(again, "spec", "request", ON_DEMAND, NOON.plusSeconds(60))
                  .orElseThrow()
                  .key())
          .as("the one who found the loss has a clock that is ahead")
          .contains(again.finished().toString());
    }
  }

  /** By the operator's clock it is noon, by the API server's not yet. */
  @Test
  void aRunThatEndsBeforeTheTimeItIsDueAtIsNotTakenForTheNext() {
    Schedule cron = Schedule.cron("0 12 * * *", null, "spec.schedule", "spec.timeZone");
    Trigger.Last before =
        new Trigger.Last(NOON.minusSeconds(90), NOON.minusSeconds(80), true, 0, "spec", "request");
    Trigger.Last early =
        new Trigger.Last(NOON.minusSeconds(10), NOON.minusSeconds(2), true, 0, "spec", "request");
    Trigger first = Trigger.next(before, "spec", "request", cron, null).orElseThrow();
    Trigger second = Trigger.next(early, "spec", "request", cron, null).orElseThrow();
    assertThat(second.at()).isEqualTo(first.at()).isEqualTo(NOON);
    assertThat(second.key()).isNotEqualTo(first.key());
  }

  @Test
  void aGoodRunIsFollowedByTheScheduleWithAtMostATenthOfJitter() {
    Instant at = Trigger.next(last(true, 0), "spec", "request", DAILY, null).orElseThrow().at();
    assertThat(Duration.between(NOON, at))
        .isBetween(Duration.ofHours(24), Duration.ofMinutes(1584));
  }

  @Test
  void whatFailedIsRetriedSoonerAndSoonerNeverWithinMinutes() {
    Instant first = Trigger.next(last(false, 1), "spec", "request", DAILY, null).orElseThrow().at();
    Instant third = Trigger.next(last(false, 3), "spec", "request", DAILY, null).orElseThrow().at();
    Instant tenth =
        Trigger.next(last(false, 10), "spec", "request", DAILY, null).orElseThrow().at();
    assertThat(Duration.between(NOON, first)).isEqualTo(Duration.ofMinutes(5));
    assertThat(Duration.between(NOON, third)).isEqualTo(Duration.ofMinutes(20));
    assertThat(Duration.between(NOON, tenth)).isEqualTo(Duration.ofHours(1));
  }

  @Test
  void theScheduleWinsWhereItIsSoonerThanTheRetry() {
    Schedule often = Schedule.every("1m", "spec.interval", "uid");
    Instant at = Trigger.next(last(false, 1), "spec", "request", often, null).orElseThrow().at();
    assertThat(Duration.between(NOON, at)).isLessThan(Duration.ofMinutes(2));
  }

  @Test
  void contentThatTheTargetLostIsBroughtBackAtOnceAndOnce() {
    Instant lost = NOON.minusSeconds(30);
    Trigger trigger = Trigger.next(last(true, 0), "spec", "request", ON_DEMAND, lost).orElseThrow();
    assertThat(trigger.at()).isBefore(NOON);
    assertThat(trigger.why()).isEqualTo("the registry lost content");
    assertThat(Trigger.next(last(true, 0), "spec", "request", ON_DEMAND, NOON.minusSeconds(90)))
        .as("a run that began after the loss has seen it")
        .isEmpty();
  }
}
