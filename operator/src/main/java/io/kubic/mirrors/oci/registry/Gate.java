package io.kubic.mirrors.oci.registry;

import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.OptionalInt;
import java.util.concurrent.Semaphore;
import java.util.concurrent.locks.ReentrantLock;

/** Keeps the requests to one registry within its limits: at once, per second, and on demand. */
final class Gate {
  private final Connection connection;
  private final Clock clock;
  private final Pause pause;
  private final Semaphore requests;
  private final Semaphore uploads;
  private final ReentrantLock lock = new ReentrantLock();
  private Instant nextSlot = Instant.MIN;
  private Instant closedUntil = Instant.MIN;
  private volatile int remaining = -1;

  Gate(Connection connection, Clock clock, Pause pause) {
    this.connection = connection;
    this.clock = clock;
    this.pause = pause;
    this.requests = new Semaphore(connection.limits().maxConcurrent(), true);
    this.uploads = new Semaphore(connection.limits().maxConcurrent(), true);
  }

  /** The right to have one request or transfer under way; to be given back once. */
  final class Permit implements AutoCloseable {
    private final Semaphore semaphore;
    private boolean held = true;

    private Permit(Semaphore semaphore) {
      this.semaphore = semaphore;
    }

    @Override
    public void close() {
      if (held) {
        held = false;
        semaphore.release();
      }
    }
  }

  /**
   * Waits for the right to send a request.
   *
   * @param upload uploads count by themselves: one waits for bytes of a transfer, perhaps of this
   *     same registry, and must not wait for its permit too
   */
  Permit enter(boolean upload, String object) {
    Semaphore semaphore = upload ? uploads : requests;
    try {
      semaphore.acquire();
    } catch (InterruptedException e) {
      throw cancelled(object);
    }
    try {
      Duration wait = reserve();
      while (wait.isPositive()) {
        pause.pause(wait);
        wait = untilOpen();
      }
      return new Permit(semaphore);
    } catch (InterruptedException e) {
      semaphore.release();
      throw cancelled(object);
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

  /** Notes {@code ratelimit-remaining}, as in {@code 76;w=21600}. */
  void quota(String header) {
    int end = 0;
    while (end < header.length() && Character.isDigit(header.charAt(end)) && end < 9) {
      end++;
    }
    if (end > 0) {
      remaining = Integer.parseInt(header.substring(0, end));
    }
  }

  /** What the registry last said about its quota of pulls. */
  OptionalInt remaining() {
    int value = remaining;
    return value < 0 ? OptionalInt.empty() : OptionalInt.of(value);
  }

  /** Refuses what counts against the quota when only what is others' is left of it. */
  void spend(String object) {
    int left = remaining;
    if (left >= 0 && left <= connection.limits().minRemaining()) {
      throw new RegistryException(
              Reason.RateLimited,
              object,
              left
                  + " pulls are left of the quota of "
                  + connection.registry()
                  + "; limits.minRemaining keeps them for others")
          .asFinal();
    }
  }

  private Duration reserve() {
    lock.lock();
    try {
      Instant now = clock.instant();
      Instant at = closedUntil.isAfter(now) ? closedUntil : now;
      Integer rate = connection.limits().requestsPerSecond();
      if (rate != null) {
        at = nextSlot.isAfter(at) ? nextSlot : at;
        nextSlot = at.plusNanos(1_000_000_000L / rate);
      }
      return Duration.between(now, at);
    } finally {
      lock.unlock();
    }
  }

  private Duration untilOpen() {
    lock.lock();
    try {
      return closedUntil.equals(Instant.MIN)
          ? Duration.ZERO
          : Duration.between(clock.instant(), closedUntil);
    } finally {
      lock.unlock();
    }
  }

  static RegistryException cancelled(String object) {
    Thread.currentThread().interrupt();
    return new RegistryException(Reason.Cancelled, object, "the run was stopped");
  }
}
