package io.kubic.mirrors.oci.registry;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** How long it is rested between two attempts. */
class RetryTest {
  private static final Retry RETRY =
      new Retry(6, Duration.ofSeconds(1), Duration.ofSeconds(10), Duration.ofSeconds(5));

  /** What the pause after each attempt is at most, in milliseconds. */
  private static final List<Long> WHOLE = List.of(1000L, 2000L, 4000L, 8000L, 10_000L, 10_000L);

  private static List<Duration> pauses(long seed) {
    Random random = new Random(seed);
    return IntStream.rangeClosed(1, WHOLE.size())
        .mapToObj(attempt -> RETRY.backoff(attempt, random))
        .toList();
  }

  private static void assertThatTheyAreWithinBounds(List<Duration> pauses) {
    assertThat(pauses).hasSameSizeAs(WHOLE);
    for (int i = 0; i < pauses.size(); i++) {
      assertThat(pauses.get(i).toMillis()).isBetween(WHOLE.get(i) / 2, WHOLE.get(i));
    }
  }

  @Test
  void aPauseIsBetweenHalfAndTheWholeOfWhatIsDoubledEachTime() {
    for (long seed = 0; seed < 1000; seed++) {
      assertThatTheyAreWithinBounds(pauses(seed));
    }
  }

  @Test
  void pausesAreSpreadOverAllOfThat() {
    Random random = new Random(1);
    List<Long> first =
        IntStream.range(0, 1000).mapToObj(i -> RETRY.backoff(1, random).toMillis()).toList();
    assertThat(first).anyMatch(pause -> pause < 550).anyMatch(pause -> pause > 950);
  }

  @Test
  void twoWhoFailTogetherDoNotComeBackTogether() {
    assertThat(pauses(1)).isNotEqualTo(pauses(2)).doesNotContainAnyElementsOf(pauses(2));
  }

  private static List<Duration> pausesOfAClient(long seed) {
    TestNetwork.Hurry clock = new TestNetwork.Hurry();
    try (HostileRegistry registry = new HostileRegistry(null, x -> x.respond(503, "", ""));
        Transport transport = new Transport(clock, new Random(seed), clock, "test")) {
      RegistryClient client =
          transport.connect(
              Connection.to("registry.test")
                  .withEndpoints(List.of(URI.create("http://127.0.0.1:" + registry.port())))
                  .withRetry(RETRY));
      RegistryException e =
          catchThrowableOfType(RegistryException.class, () -> client.manifest("app", "1"));
      assertThat(e.reason()).isEqualTo(Reason.ServerError);
      return List.copyOf(clock.pauses);
    }
  }

  @Test
  void clientsRestAsLongAndNotTogether() {
    List<Duration> one = pausesOfAClient(1);
    List<Duration> other = pausesOfAClient(2);
    assertThatTheyAreWithinBounds(one);
    assertThatTheyAreWithinBounds(other);
    assertThat(one).doesNotContainAnyElementsOf(other);
  }

  @Test
  void noPauseIsLeftToChanceWhereThereIsNone() {
    Retry none = new Retry(1, Duration.ZERO, Duration.ZERO, Duration.ofSeconds(5));
    assertThat(none.backoff(1, new Random(1))).isZero();
    assertThat(none.backoff(9, new Random(1))).isZero();
  }
}
