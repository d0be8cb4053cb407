package io.kubic.mirrors.oci.registry;

import java.time.Duration;
import java.util.random.RandomGenerator;

/**
 * When a request is tried again.
 *
 * @param limit how often, after the first time
 * @param minBackoff pause before the first repetition, doubled for each further one
 * @param maxBackoff upper bound of a pause; a registry that asks for more has used up its turn
 * @param stallTimeout a transfer that moves next to nothing for this long is broken off and resumed
 */
public record Retry(int limit, Duration minBackoff, Duration maxBackoff, Duration stallTimeout) {
  public Retry {
    if (limit < 0 || minBackoff.isNegative() || maxBackoff.compareTo(minBackoff) < 0) {
      throw new IllegalArgumentException("retry: limit or backoff out of range");
    }
    if (!stallTimeout.isPositive()) {
      throw new IllegalArgumentException("retry: stallTimeout must be positive");
    }
  }

  /** Five times, 5 s to 5 min, 60 s without progress. */
  public static Retry standard() {
    return new Retry(5, Duration.ofSeconds(5), Duration.ofMinutes(5), Duration.ofSeconds(60));
  }

  /**
   * The pause after a failed attempt: between half and the whole of the doubled backoff, so that
   * many clients do not come back at once.
   *
   * @param attempt the one that failed, from 1
   */
  Duration backoff(int attempt, RandomGenerator random) {
    long cap = maxBackoff.toMillis();
    long full = minBackoff.toMillis();
    for (int i = 1; i < attempt && full < cap; i++) {
      full *= 2;
    }
    full = Math.min(full, cap);
    return Duration.ofMillis(full / 2 + (full > 1 ? random.nextLong(full / 2 + 1) : full));
  }
}
