package io.kubic.mirrors.controller.registry;

import io.kubic.mirrors.gateway.TokenKeys;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What is random about a registry and nobody else's business: made once, and read back since. */
final class RegistryKeys {
  /** How long a key signs tokens; it costs nobody anything to change it. */
  private static final Duration TOKEN_KEY_LIFE = Duration.ofDays(90);

  private static final Logger LOG = LoggerFactory.getLogger(RegistryKeys.class);

  private final SecureRandom random;
  private final Clock clock;

  RegistryKeys(SecureRandom random, Clock clock) {
    this.random = random;
    this.clock = clock;
  }

  /** What replicas share (distribution's {@code http.secret}) and what a freeze is asked with. */
  Map<String, String> random() {
    return Map.of(
        "http.secret",
        Credentials.randomText(random),
        "freeze.token",
        Credentials.randomText(random));
  }

  /**
   * The keys as they should be: first made, succeeded when due or asked for, forgotten when done.
   *
   * @param present as {@link TokenKeys} writes them; empty when there are none
   */
  String tokens(String present, RotationRequests requests) {
    byte[] keys = present.getBytes(StandardCharsets.UTF_8);
    byte[] next;
    try {
      next =
          present.isEmpty()
              ? TokenKeys.generate(random, clock)
              : RotationRequests.asks(requests.tokenKeys(), TokenKeys.newestMade(keys))
                  ? TokenKeys.successor(keys, random, clock)
                  : TokenKeys.advance(keys, TOKEN_KEY_LIFE, random, clock).orElse(keys);
    } catch (IllegalArgumentException e) {
      // Gateways keep the keys that they have in memory; a token lives for an hour at most.
      LOG.warn("the token keys are damaged and made anew: {}", e.getMessage());
      next = TokenKeys.generate(random, clock);
    }
    return new String(next, StandardCharsets.UTF_8);
  }
}
