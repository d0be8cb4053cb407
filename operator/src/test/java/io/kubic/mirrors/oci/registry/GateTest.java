package io.kubic.mirrors.oci.registry;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.Test;

class GateTest {
  private final Connection connection =
      Connection.to("registry.example.com")
          .withLimits(new Connection.Limits(4, null, 0, Duration.ofMinutes(1), List.of()));
  private final Gate gate =
      new Gate(
          connection,
          Clock.fixed(Instant.parse("2026-01-01T00:00:00Z"), ZoneOffset.UTC),
          duration -> {});

  @Test
  void transfersLeaveHalfOfThePermitsToQuestions() throws Exception {
    assertThat(free(Gate.Use.DOWNLOAD)).isEqualTo(2);
    List<Gate.Permit> transfers = take(Gate.Use.DOWNLOAD, 2);
    assertThat(free(Gate.Use.REQUEST)).isEqualTo(2);
    assertThat(free(Gate.Use.UPLOAD)).as("uploads count by themselves").isEqualTo(4);
    transfers.forEach(Gate.Permit::close);
    assertThat(free(Gate.Use.REQUEST)).isEqualTo(4);
  }

  @Test
  void aRefusalForTooManyRequestsHalvesThemOnceForAllThatAreRefusedTogether() throws Exception {
    gate.slow();
    gate.slow();
    assertThat(free(Gate.Use.REQUEST)).isEqualTo(2);
    assertThat(free(Gate.Use.DOWNLOAD)).isEqualTo(1);
    assertThat(free(Gate.Use.UPLOAD)).isEqualTo(2);
  }

  private List<Gate.Permit> take(Gate.Use use, int count) {
    List<Gate.Permit> permits = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      permits.add(gate.enter(use, "test"));
    }
    return permits;
  }

  /** How many get in before one has to wait. */
  private int free(Gate.Use use) throws Exception {
    List<Gate.Permit> permits = new ArrayList<>();
    try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
      while (true) {
        Future<Gate.Permit> next = executor.submit(() -> gate.enter(use, "test"));
        try {
          permits.add(next.get(200, TimeUnit.MILLISECONDS));
        } catch (TimeoutException e) {
          next.cancel(true);
          return permits.size();
        }
      }
    } finally {
      permits.forEach(Gate.Permit::close);
    }
  }
}
