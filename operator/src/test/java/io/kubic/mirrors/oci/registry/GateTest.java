package io.kubic.mirrors.oci.registry;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kubic.mirrors.oci.Quota;
import io.kubic.mirrors.oci.RegistryException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import okhttp3.Headers;
import org.assertj.core.api.InstanceOfAssertFactories;
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

  private static Headers told(String... namesAndValues) {
    return Headers.of(namesAndValues);
  }

  @Test
  void aQuotaIsReadInEveryFormThatRegistriesTellItIn() {
    for (Headers headers :
        List.of(
            told("ratelimit-remaining", "76;w=21600", "ratelimit-limit", "100;w=21600"),
            told("RateLimit-Remaining", "76", "RateLimit-Reset", "30"),
            told("RateLimit", "\"default\";r=76;t=30"),
            told("RateLimit", "limit=100, remaining=76, reset=30"))) {
      Gate fresh = new Gate(connection, Clock.systemUTC(), duration -> {});
      fresh.quota(headers);
      assertThat(fresh.remaining()).as(headers.toString()).hasValue(76);
    }
  }

  @Test
  void allThatIsToldOfLimitsIsKeptForThePersonWhoAsks() {
    Gate fresh = new Gate(connection, Clock.systemUTC(), duration -> {});
    fresh.quota(told("Content-Type", "text/plain"));
    assertThat(fresh.quota()).isEmpty();
    fresh.quota(told("ratelimit-remaining", "76;w=21600", "ratelimit-limit", "100;w=21600"));
    fresh.quota(told("ratelimit-remaining", "75"));
    fresh.slow();
    assertThat(fresh.quota()).contains(new Quota(100, 75, 21600, 1));
    fresh = new Gate(connection, Clock.systemUTC(), duration -> {});
    fresh.quota(
        told("RateLimit", "\"default\";r=7;t=30", "RateLimit-Policy", "\"default\";q=9;w=60"));
    assertThat(fresh.quota()).contains(new Quota(9, 7, 60, 0));
    fresh.quota(told("RateLimit", "limit=8, remaining=6, reset=30"));
    assertThat(fresh.quota()).contains(new Quota(8, 6, 60, 0));
    fresh = new Gate(connection, Clock.systemUTC(), duration -> {});
    fresh.slow();
    assertThat(fresh.quota()).contains(new Quota(null, null, null, 1));
  }

  @Test
  void whatIsKeptForOthersIsNeverSpentAlsoWhenAnswersComeLate() {
    Gate kept =
        new Gate(
            connection.withLimits(
                new Connection.Limits(4, null, 5, Duration.ofMinutes(1), List.of())),
            Clock.systemUTC(),
            duration -> {});
    kept.quota(told("ratelimit-remaining", "8"));
    kept.spend("a");
    kept.spend("b");
    kept.spend("c");
    // The answer to the first of them, which knows nothing of the others.
    kept.quota(told("ratelimit-remaining", "7"));
    assertThatThrownBy(() -> kept.spend("d"))
        .isInstanceOf(RegistryException.class)
        .hasMessageContaining("limits.minRemaining");
    kept.quota(told("ratelimit-remaining", "100"));
    kept.spend("the quota is new");
    assertThat(kept.remaining()).hasValue(99);
  }

  @Test
  void aNewQuotaThatIsNearIsWaitedFor() {
    TestNetwork.Hurry hurry = new TestNetwork.Hurry();
    Gate kept =
        new Gate(
            connection.withLimits(
                new Connection.Limits(4, null, 5, Duration.ofMinutes(1), List.of())),
            hurry,
            hurry);
    kept.quota(told("ratelimit-remaining", "5", "ratelimit-reset", "2"));
    assertThat(kept.pull("a", () -> 1)).isEqualTo(1);
    assertThat(hurry.pauses)
        .singleElement(InstanceOfAssertFactories.DURATION)
        .isBetween(Duration.ofSeconds(2), Duration.ofSeconds(3));
    kept.quota(told("ratelimit-remaining", "5", "ratelimit-reset", "21600"));
    assertThatThrownBy(() -> kept.pull("b", () -> 2)).hasMessageContaining("5 pulls are left");
    assertThat(hurry.pauses).hasSize(1);
  }

  @Test
  void twoClientsOfOneRegistryShareTheStricterBudget() {
    TestNetwork.Hurry hurry = new TestNetwork.Hurry();
    try (Transport transport = new Transport(hurry, new Random(1), hurry, "test")) {
      Gate gate = transport.gate(limited(10, 0));
      assertThat(transport.gate(limited(50, 7))).isSameAs(gate);
      Instant start = hurry.instant();
      for (int i = 0; i < 21; i++) {
        gate.enter(Gate.Use.REQUEST, "test").close();
      }
      assertThat(Duration.between(start, hurry.instant()))
          .isBetween(Duration.ofMillis(1900), Duration.ofSeconds(4));
      gate.quota(told("ratelimit-remaining", "7"));
      assertThatThrownBy(() -> gate.spend("a")).isInstanceOf(RegistryException.class);
    }
  }

  @Test
  void whoWaitedWhileTheRegistryWasClosedKeepsThePaceWhenItOpens() {
    TestNetwork.Hurry hurry = new TestNetwork.Hurry();
    Gate[] paced = new Gate[1];
    AtomicBoolean closed = new AtomicBoolean();
    paced[0] =
        new Gate(
            limited(10, 0),
            hurry,
            duration -> {
              if (closed.compareAndSet(false, true)) {
                paced[0].closeFor(Duration.ofSeconds(5));
              }
              hurry.pause(duration);
            });
    Instant start = hurry.instant();
    paced[0].enter(Gate.Use.REQUEST, "goes at once").close();
    paced[0].enter(Gate.Use.REQUEST, "is overtaken by the closing").close();
    assertThat(Duration.between(start, hurry.instant()))
        .isBetween(Duration.ofMillis(5000), Duration.ofMillis(5900));
    Instant open = hurry.instant();
    for (int i = 0; i < 10; i++) {
      paced[0].enter(Gate.Use.REQUEST, "comes after it").close();
    }
    assertThat(Duration.between(open, hurry.instant())).isGreaterThan(Duration.ofMillis(970));
  }

  @Test
  void severalProcessesHaveTheLimitsTogether() {
    Connection.Limits one =
        new Connection.Limits(8, 2.0, 5, Duration.ofMinutes(1), List.of()).shared(4);
    assertThat(one.maxConcurrent()).isEqualTo(2);
    assertThat(one.requestsPerSecond()).isEqualTo(0.5);
    assertThat(Connection.Limits.standard().shared(64).maxConcurrent()).isEqualTo(1);
    TestNetwork.Hurry hurry = new TestNetwork.Hurry();
    Gate slow = new Gate(Connection.to("r.example").withLimits(one), hurry, hurry);
    Instant start = hurry.instant();
    for (int i = 0; i < 4; i++) {
      slow.enter(Gate.Use.REQUEST, "test").close();
    }
    assertThat(Duration.between(start, hurry.instant())).isGreaterThan(Duration.ofMillis(5990));
  }

  private static Connection limited(double perSecond, int kept) {
    return Connection.to("registry.example.com")
        .withLimits(new Connection.Limits(4, perSecond, kept, Duration.ofMinutes(1), List.of()));
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
