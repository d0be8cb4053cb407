package io.kubic.mirrors.gateway;

import java.nio.charset.StandardCharsets;
import java.security.InvalidKeyException;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.function.Consumer;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.jspecify.annotations.Nullable;

/**
 * Checks credentials: remembers good ones for a short time, so that bcrypt is not the ceiling of a
 * registry, and slows down who guesses. No caller ever waits for bcrypt: it runs elsewhere, once
 * for all who send the same credentials at the same time.
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

    /** More passwords wait to be checked than can be soon. */
    record Busy() implements Outcome {}
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

  /** A check under way: the same credentials against the same users. */
  private record Check(Users users, String print, String who) {}

  private final Clock clock;
  private final SecretKeySpec key;
  private final Executor slow;
  private final Map<String, Good> good = lru(REMEMBERED);
  private final Map<String, Failures> failures = lru(REMEMBERED);
  private final Map<Check, List<Consumer<Outcome>>> running = new HashMap<>();

  /**
   * @param slow where bcrypt runs; it may refuse with {@link RejectedExecutionException}
   */
  Logins(SecureRandom random, Clock clock, Executor slow) {
    this.clock = clock;
    this.slow = slow;
    byte[] bytes = new byte[32];
    random.nextBytes(bytes);
    key = new SecretKeySpec(bytes, "HmacSHA256");
  }

  /** Never blocks; {@code then} is called once, here or on the executor. */
  void check(Users users, String name, String password, String address, Consumer<Outcome> then) {
    String print = print(name, password);
    String who = address + "\n" + name;
    Check check = new Check(users, print, who);
    Outcome known = known(check);
    if (known != null) {
      then.accept(known);
      return;
    }
    if (users.cost(name) == Users.Cost.CHEAP) {
      then.accept(remember(check, users.verify(name, password)));
      return;
    }
    synchronized (this) {
      List<Consumer<Outcome>> others = running.get(check);
      if (others != null) {
        others.add(then);
        return;
      }
      running.put(check, new ArrayList<>(List.of(then)));
    }
    try {
      slow.execute(
          () -> {
            Outcome outcome = new Outcome.Busy();
            try {
              outcome = remember(check, users.verify(name, password));
            } finally {
              tell(check, outcome);
            }
          });
    } catch (RejectedExecutionException e) {
      tell(check, new Outcome.Busy());
    }
  }

  private void tell(Check check, Outcome outcome) {
    List<Consumer<Outcome>> all;
    synchronized (this) {
      all = running.remove(check);
    }
    if (all != null) {
      all.forEach(one -> one.accept(outcome));
    }
  }

  private synchronized @Nullable Outcome known(Check check) {
    Instant now = clock.instant();
    Good known = good.get(check.print);
    // Behind one address are many nodes: whoever is known to be right is not slowed by others.
    if (known != null && known.users == check.users && now.isBefore(known.until)) {
      return new Outcome.Good();
    }
    Failures before = failures.get(check.who);
    if (before != null) {
      Duration left = Duration.between(now, before.last.plus(before.pause()));
      if (left.isPositive()) {
        return new Outcome.Throttled(left);
      }
    }
    return null;
  }

  private synchronized Outcome remember(Check check, boolean right) {
    Instant now = clock.instant();
    if (right) {
      good.put(check.print, new Good(check.users, now.plus(REMEMBERED_FOR)));
      failures.remove(check.who);
      return new Outcome.Good();
    }
    Failures before = failures.get(check.who);
    int earlier =
        before != null && now.isBefore(before.last.plus(FORGIVEN_AFTER)) ? before.count : 0;
    failures.put(check.who, new Failures(earlier + 1, now));
    return new Outcome.Wrong();
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
