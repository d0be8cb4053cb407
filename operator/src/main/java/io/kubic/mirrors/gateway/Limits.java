package io.kubic.mirrors.gateway;

import java.time.Duration;

/**
 * How long a client may take. They are not settings: whoever keeps to them never meets them.
 *
 * @param head time for a whole request head, from its first byte
 * @param bodyGrace how far a request body may be behind {@code bodyRate}
 * @param bodyRate bytes a second that a request body must bring on average, while it is waited for
 * @param turn how long one blob is read from the registry while others wait for their turn
 * @param stall how long a client may take nothing of a blob before its turn goes to who waits
 * @param connections how many may be open; more wait to be accepted
 */
record Limits(
    Duration head,
    Duration bodyGrace,
    long bodyRate,
    Duration turn,
    Duration stall,
    int connections) {
  static final Limits DEFAULT =
      new Limits(
          Duration.ofSeconds(10),
          Duration.ofSeconds(30),
          1024,
          Duration.ofSeconds(2),
          Duration.ofMillis(250),
          2048);
}
