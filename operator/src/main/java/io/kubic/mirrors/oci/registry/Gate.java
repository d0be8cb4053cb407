package io.kubic.mirrors.oci.registry;

import static java.time.temporal.ChronoUnit.SECONDS;

import io.kubic.mirrors.oci.Quota;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.Semaphore;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;
import okhttp3.Headers;
import org.jspecify.annotations.Nullable;

/**
 * Keeps the requests to one registry within its limits: at once, per second, and on demand. One for
 * all clients of a process that reach the same registry, so that several sources of a list do not
 * multiply its budget.
 */
final class Gate {
  private static final int MAX_QUOTA = 1_000_000_000;
  private static final Duration TICK = Duration.ofSeconds(1);

  private final String registry;
  private final Clock clock;
  private final Pause pause;
  private final Shrinking requests;
  private final Shrinking downloads;
  private final Shrinking uploads;
  private final ReentrantLock lock = new ReentrantLock();
  private volatile Connection.Limits limits;
  private Duration patience;
  private int atOnce;
  private Instant slowedUntil = Instant.MIN;
  private Instant nextSlot = Instant.MIN;
  private Instant closedUntil = Instant.MIN;
  private final ReentrantLock firstPull = new ReentrantLock();
  private volatile boolean pulled;
  private int remaining = -1;
  private Instant remainingUntil = Instant.MAX;
  private int limit = -1;
  private int window = -1;
  private int throttled;

  /** A semaphore that can lose permits. */
  private static final class Shrinking extends Semaphore {
    private static final long serialVersionUID = 1L;

    Shrinking(int permits) {
      super(permits, true);
    }

    void shrink(int by) {
      reducePermits(by);
    }
  }

  Gate(Connection connection, Clock clock, Pause pause) {
    this.registry = connection.registry();
    this.limits = connection.limits();
    this.patience = connection.retry().maxBackoff();
    this.clock = clock;
    this.pause = pause;
    this.atOnce = limits.maxConcurrent();
    this.requests = new Shrinking(atOnce);
    this.downloads = new Shrinking(half(atOnce));
    this.uploads = new Shrinking(atOnce);
  }

  /** What a permit is for. */
  enum Use {
    REQUEST,
    /**
     * A transfer from the registry. Half of the permits at most go to transfers, so that questions,
     * which are what a run mostly consists of, do not stand behind gigabytes.
     */
    DOWNLOAD,
    /**
     * Counts by itself: it waits for bytes of a transfer, perhaps of this same registry, and must
     * not wait for its permit too.
     */
    UPLOAD
  }

  private static int half(int permits) {
    return Math.max(1, permits / 2);
  }

  private void lower(int to) {
    if (to < atOnce) {
      requests.shrink(atOnce - to);
      uploads.shrink(atOnce - to);
      downloads.shrink(half(atOnce) - half(to));
      atOnce = to;
    }
  }

  /** The registry has too much of us: from now on half as many at once, at least one. */
  void slow() {
    lock.lock();
    try {
      throttled++;
      Instant now = clock.instant();
      // Many are refused together: that is one refusal.
      if (!now.isBefore(slowedUntil)) {
        slowedUntil = now.plusSeconds(1);
        lower(half(atOnce));
      }
    } finally {
      lock.unlock();
    }
  }

  /** Another client passes this gate: the stricter of the limits hold for both. */
  void join(Connection connection) {
    Connection.Limits more = connection.limits();
    lock.lock();
    try {
      int at = Math.min(limits.maxConcurrent(), more.maxConcurrent());
      lower(at);
      Double rate = limits.requestsPerSecond();
      Double other = more.requestsPerSecond();
      limits =
          new Connection.Limits(
              at,
              rate == null ? other : other == null ? rate : Double.valueOf(Math.min(rate, other)),
              Math.max(limits.minRemaining(), more.minRemaining()),
              limits.timeout(),
              limits.tokenRealms());
      Duration shorter = connection.retry().maxBackoff();
      patience = shorter.compareTo(patience) < 0 ? shorter : patience;
    } finally {
      lock.unlock();
    }
  }

  /** The right to have one request or transfer under way; to be given back once. */
  final class Permit implements AutoCloseable {
    private final Use use;
    private boolean held = true;

    private Permit(Use use) {
      this.use = use;
    }

    @Override
    public void close() {
      if (held) {
        held = false;
        release(use);
      }
    }
  }

  /**
   * Waits for the right to send a request.
   *
   * @throws RegistryException RateLimited when the registry asked for a longer pause than anybody
   *     waits for; Cancelled
   */
  Permit enter(Use use, String object) {
    try {
      acquire(use);
    } catch (InterruptedException e) {
      throw cancelled(object);
    }
    try {
      await(object);
      return new Permit(use);
    } catch (InterruptedException e) {
      release(use);
      throw cancelled(object);
    } catch (RegistryException e) {
      release(use);
      throw e;
    }
  }

  /**
   * Waits before a further request under a permit that is held already, or to the registry's own
   * token realm: each request counts, whatever it is for.
   *
   * @throws RegistryException as {@link #enter}
   */
  void pace(String object) {
    if (limits.requestsPerSecond() == null) {
      return;
    }
    try {
      await(object);
    } catch (InterruptedException e) {
      throw cancelled(object);
    }
  }

  private void await(String object) throws InterruptedException {
    Duration wait = reserve(object);
    while (wait.isPositive()) {
      pause.pause(wait);
      // Closed meanwhile: all who waited would go at once then, so each takes a turn anew.
      wait = isClosed() ? reserve(object) : Duration.ZERO;
    }
  }

  private void acquire(Use use) throws InterruptedException {
    switch (use) {
      case UPLOAD -> uploads.acquire();
      case REQUEST -> requests.acquire();
      case DOWNLOAD -> {
        downloads.acquire();
        try {
          requests.acquire();
        } catch (InterruptedException e) {
          downloads.release();
          throw e;
        }
      }
    }
  }

  private void release(Use use) {
    switch (use) {
      case UPLOAD -> uploads.release();
      case REQUEST -> requests.release();
      case DOWNLOAD -> {
        requests.release();
        downloads.release();
      }
    }
  }

  /** Waits between two attempts. */
  void rest(Duration duration, String object) {
    try {
      pause.pause(duration);
    } catch (InterruptedException e) {
      throw cancelled(object);
    }
  }

  /** The registry asked to be left alone: nobody gets in before that. */
  void closeFor(Duration duration) {
    lock.lock();
    try {
      Instant until = clock.instant().plus(duration);
      closedUntil = until.isAfter(closedUntil) ? until : closedUntil;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Notes what a registry says about its quota: {@code ratelimit-remaining: 76;w=21600} as Docker
   * Hub does, with {@code ratelimit-reset} in seconds where there is one, or the single field of
   * draft-ietf-httpapi-ratelimit-headers, {@code RateLimit: "default";r=76;t=30}, whose {@code
   * RateLimit-Policy: "default";q=100;w=60} tells the whole.
   */
  void quota(Headers headers) {
    int left = number(headers.get("ratelimit-remaining"), 0);
    int reset = number(headers.get("ratelimit-reset"), 0);
    String combined = headers.get("ratelimit");
    if (left < 0 && combined != null) {
      left = Math.max(parameter(combined, "r"), parameter(combined, "remaining"));
      reset = Math.max(parameter(combined, "t"), parameter(combined, "reset"));
    }
    if (left < 0) {
      return;
    }
    String whole = headers.get("ratelimit-limit");
    String policy = headers.get("ratelimit-policy");
    lock.lock();
    try {
      limit = first(number(whole, 0), parameter(policy, "q"), parameter(combined, "limit"), limit);
      window = first(parameter(whole, "w"), parameter(policy, "w"), window);
      // Answers come in any order: an older one knows nothing of what was spent since. Only a jump
      // by more than can be under way is a new quota.
      boolean late = left > remaining && left - remaining <= limits.maxConcurrent();
      remaining = remaining().isPresent() && late ? remaining : left;
      // Seconds, or a time of day, which is not told from seconds: then until it is said anew.
      remainingUntil =
          reset <= 0 || reset > 1_000_000 ? Instant.MAX : clock.instant().plusSeconds(reset);
    } finally {
      lock.unlock();
    }
  }

  /** The first that is known. */
  private static int first(int... values) {
    for (int value : values) {
      if (value >= 0) {
        return value;
      }
    }
    return -1;
  }

  private static int parameter(@Nullable String header, String name) {
    if (header == null) {
      return -1;
    }
    String text = header.toLowerCase(Locale.ROOT);
    for (int at = text.indexOf(name + "="); at >= 0; at = text.indexOf(name + "=", at + 1)) {
      if (at == 0 || !Character.isLetterOrDigit(text.charAt(at - 1))) {
        return number(text, at + name.length() + 1);
      }
    }
    return -1;
  }

  /** The number that starts at an index; -1 when there is none. */
  private static int number(@Nullable String text, int from) {
    if (text == null) {
      return -1;
    }
    long value = -1;
    for (int i = from; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c < '0' || c > '9') {
        break;
      }
      value = Math.min(MAX_QUOTA, Math.max(0, value) * 10 + (c - '0'));
    }
    return (int) value;
  }

  /** What the registry last said about its quota of pulls. */
  OptionalInt remaining() {
    lock.lock();
    try {
      boolean known = remaining >= 0 && clock.instant().isBefore(remainingUntil);
      return known ? OptionalInt.of(remaining) : OptionalInt.empty();
    } finally {
      lock.unlock();
    }
  }

  /** All that the registry told of its limits so far; empty when it told nothing. */
  Optional<Quota> quota() {
    lock.lock();
    try {
      if (remaining < 0 && throttled == 0) {
        return Optional.empty();
      }
      OptionalInt left = remaining();
      return Optional.of(
          new Quota(
              limit < 0 ? null : Integer.valueOf(limit),
              left.isEmpty() ? null : Integer.valueOf(left.getAsInt()),
              window < 0 ? null : Integer.valueOf(window),
              throttled));
    } finally {
      lock.unlock();
    }
  }

  /**
   * A pull, which takes one from the quota, or is refused when only what is others' is left of it.
   * The first one goes alone, since only its answer tells whether there is a quota: a crowd that
   * sets out together would have spent it by then. Waits for a new quota if it is near.
   *
   * @throws RegistryException RateLimited; Cancelled; what the pull throws
   */
  <T> T pull(String object, Supplier<T> pull) {
    Duration wait = untilNewQuota();
    if (wait.isPositive()) {
      rest(wait, object);
      pulled = false; // Nothing is known of the new one.
    }
    if (!pulled && remaining().isEmpty()) {
      try {
        firstPull.lockInterruptibly();
      } catch (InterruptedException e) {
        throw cancelled(object);
      }
      try {
        if (!pulled) {
          return pull.get();
        }
      } finally {
        pulled = true;
        firstPull.unlock();
      }
    }
    spend(object);
    return pull.get();
  }

  /** The registry's next answer corrects the count. */
  void spend(String object) {
    lock.lock();
    try {
      int left = remaining().orElse(-1);
      if (left < 0) {
        return;
      }
      if (left <= limits.minRemaining()) {
        throw new RegistryException(
                Reason.RateLimited,
                object,
                left
                    + " pulls are left of the quota of "
                    + registry
                    + "; limits.minRemaining keeps them for others")
            .asFinal();
      }
      remaining = left - 1;
    } finally {
      lock.unlock();
    }
  }

  /** How long it takes until what is spent is there again; zero where it is not worth waiting. */
  private Duration untilNewQuota() {
    lock.lock();
    try {
      if (remaining().orElse(Integer.MAX_VALUE) > limits.minRemaining()) {
        return Duration.ZERO;
      }
      // Registries tell whole seconds.
      Duration wait = Duration.between(clock.instant(), remainingUntil).plus(TICK);
      return wait.compareTo(patience) > 0 ? Duration.ZERO : wait;
    } finally {
      lock.unlock();
    }
  }

  private Duration reserve(String object) {
    lock.lock();
    try {
      Instant now = clock.instant();
      Instant at = closedUntil.isAfter(now) ? closedUntil : now;
      if (Duration.between(now, at).compareTo(patience) > 0) {
        throw new RegistryException(
                Reason.RateLimited,
                object,
                registry + " asked to be left alone until " + closedUntil.truncatedTo(SECONDS))
            .asFinal();
      }
      Double rate = limits.requestsPerSecond();
      if (rate != null) {
        at = nextSlot.isAfter(at) ? nextSlot : at;
        nextSlot = at.plusNanos((long) Math.ceil(1e9 / rate));
      }
      return Duration.between(now, at);
    } finally {
      lock.unlock();
    }
  }

  private boolean isClosed() {
    lock.lock();
    try {
      return closedUntil.isAfter(clock.instant());
    } finally {
      lock.unlock();
    }
  }

  static RegistryException cancelled(String object) {
    Thread.currentThread().interrupt();
    return new RegistryException(Reason.Cancelled, object, "the run was stopped");
  }
}
