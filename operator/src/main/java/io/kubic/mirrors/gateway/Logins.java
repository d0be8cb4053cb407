package io.kubic.mirrors.gateway;

import java.nio.charset.StandardCharsets;
import java.security.InvalidKeyException;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Semaphore;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * Checks credentials: remembers good ones for a short time, so that bcrypt is not the ceiling of a
 * registry, and slows down who guesses.
 */
final class Logins {
  private static final Duration REMEMBERED_FOR = Duration.ofMinutes(2);
  private static final int REMEMBERED = 4096;
  private static final int FREE_FAILURES = 5;
  private static final Duration LONGEST_PAUSE = Duration.ofMinutes(1);
  private static final Duration FORGIVEN_AFTER = Duration.ofMinutes(10);

  /** Outcome of a login. */
  sealed interface Outcome {
    record Good() implements Outcome {}

    record Wrong() implements Outcome {}

    /** Too many wrong passwords; not even looked at. */
    record Throttled(Duration pause) implements Outcome {}
  }

  private record Good(Users users, Instant until) {}

  private record Failures(int count, Instant last) {
    Duration pause() {
      if (count < FREE_FAILURES) {
        return Duration.ZERO;
      }
      Duration pause = Duration.ofSeconds(1L << Math.min(count - FREE_FAILURES, 10));
      return pause.compareTo(LONGEST_PAUSE) > 0 ? LONGEST_PAUSE : pause;
    }
  }

  private final Clock clock;
  private final SecretKeySpec key;
  // One core is left for traffic whoever logs in.
  private final Semaphore bcrypt =
      new Semaphore(Math.max(1, Runtime.getRuntime().availableProcessors() - 1));
  private final Map<String, Good> good = lru(REMEMBERED);
  private final Map<String, Failures> failures = lru(REMEMBERED);

  Logins(SecureRandom random, Clock clock) {
    this.clock = clock;
    byte[] bytes = new byte[32];
    random.nextBytes(bytes);
    key = new SecretKeySpec(bytes, "HmacSHA256");
  }

  /** Blocks for the time of one bcrypt, and its queue, where the user has such a password. */
  Outcome check(Users users, String name, String password, String address)
      throws InterruptedException {
    String print = print(name, password);
    Instant now = clock.instant();
    String who = address + "\n" + name;
    synchronized (this) {
      Good known = good.get(print);
      // Behind one address are many nodes: whoever is known to be right is not slowed by others.
      if (known != null && known.users == users && now.isBefore(known.until)) {
        return new Outcome.Good();
      }
      Failures before = failures.get(who);
      if (before != null) {
        Duration left = Duration.between(now, before.last.plus(before.pause()));
        if (left.isPositive()) {
          return new Outcome.Throttled(left);
        }
      }
    }
    boolean right;
    if (users.cost(name) == Users.Cost.BCRYPT) {
      bcrypt.acquire();
      try {
        right = users.verify(name, password);
      } finally {
        bcrypt.release();
      }
    } else {
      right = users.verify(name, password);
    }
    synchronized (this) {
      if (right) {
        good.put(print, new Good(users, now.plus(REMEMBERED_FOR)));
        failures.remove(who);
        return new Outcome.Good();
      }
      Failures before = failures.get(who);
      int earlier =
          before != null && now.isBefore(before.last.plus(FORGIVEN_AFTER)) ? before.count : 0;
      failures.put(who, new Failures(earlier + 1, now));
      return new Outcome.Wrong();
    }
  }

  /** Under a key of this process, so that what is remembered tells nothing. */
  private String print(String name, String password) {
    try {
      Mac mac = Mac.getInstance("HmacSHA256");
      mac.init(key);
      mac.update(name.getBytes(StandardCharsets.UTF_8));
      mac.update((byte) 0);
      return HexFormat.of().formatHex(mac.doFinal(password.getBytes(StandardCharsets.UTF_8)));
    } catch (NoSuchAlgorithmException | InvalidKeyException e) {
      throw new IllegalStateException(e);
    }
  }

  private static <V> Map<String, V> lru(int most) {
    return new LinkedHashMap<>(64, 0.75f, true) {
      private static final long serialVersionUID = 1L;

      @Override
      protected boolean removeEldestEntry(Map.Entry<String, V> eldest) {
        return size() > most;
      }
    };
  }
}
