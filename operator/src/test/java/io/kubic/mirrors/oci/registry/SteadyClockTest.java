package io.kubic.mirrors.oci.registry;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Instant;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class SteadyClockTest {
  @Test
  void goesOnWithWhatHasGoneBy() {
    Instant start = Instant.parse("2026-01-01T00:00:00Z");
    AtomicLong nanos = new AtomicLong(Long.MAX_VALUE);
    SteadyClock clock = new SteadyClock(start, nanos::get);
    assertThat(clock.instant()).isEqualTo(start);
    // Past its largest number it goes on with the smallest, as System.nanoTime may.
    nanos.addAndGet(2_500_000_000L);
    assertThat(clock.instant()).isEqualTo(start.plusMillis(2_500));
  }
}
