package io.kubic.mirrors.controller.support;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import java.time.Instant;
import org.junit.jupiter.api.Test;

class ScheduleTest {
  @Test
  void cronGoesByTheWallClockOfItsZoneAcrossDaylightSaving() {
    Schedule threeInBerlin =
        Schedule.cron("30 3 * * *", "Europe/Berlin", "spec.schedule", "spec.timeZone");
    assertThat(threeInBerlin.after(Instant.parse("2026-03-28T12:00:00Z")))
        .contains(Instant.parse("2026-03-29T01:30:00Z"));
    assertThat(threeInBerlin.after(Instant.parse("2026-10-25T12:00:00Z")))
        .contains(Instant.parse("2026-10-26T02:30:00Z"));
  }

  @Test
  void anUnknownZoneIsRefusedByName() {
    assertThatThrownBy(
            () -> Schedule.cron("0 3 * * *", "Mars/Base", "spec.schedule", "spec.timeZone"))
        .isInstanceOf(InvalidSpecException.class)
        .hasMessageStartingWith("spec.timeZone: 'Mars/Base' is no time zone");
  }

  @Test
  void aScheduleThatIsNoCronIsRefusedByName() {
    assertThatThrownBy(() -> Schedule.cron("61 3 * * *", null, "spec.schedule", "spec.timeZone"))
        .isInstanceOf(InvalidSpecException.class)
        .hasMessageStartingWith("spec.schedule: '61 3 * * *' is no five-field cron");
  }
}
