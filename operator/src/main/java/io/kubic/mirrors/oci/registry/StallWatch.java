package io.kubic.mirrors.oci.registry;

import java.time.Duration;
import java.util.OptionalLong;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * Ends a call whose other side lets it wait in the middle of a body, with less than a trickle of
 * bytes for as long as the stall timeout and up to a quarter more. Time that passes elsewhere, as
 * at the other end of a copy, does not count. Okio's timeouts begin and end with each segment of 8
 * KiB, and wake a thread for it. For one thread that moves the bytes.
 */
final class StallWatch implements AutoCloseable {
  /** Fewer bytes a second than this are as good as none. */
  private static final long TRICKLE = 1024;

  private static final int LOOKS = 4;

  private final Transport transport;
  private final Duration interval;
  private final Runnable end;

  /** Twice the bytes that have moved, and one more while others are waited for. */
  private final AtomicLong state = new AtomicLong();

  private Transport.@Nullable Alarm alarm;

  /** The bytes at the first of the looks in a row that found it waiting; negative: none did. */
  private long first = -1;

  private int looks;
  private OptionalLong stalled = OptionalLong.empty();

  /**
   * @param end ends the call, from another thread
   */
  StallWatch(Transport transport, Duration timeout, Runnable end) {
    this.transport = transport;
    this.interval = timeout.dividedBy(LOOKS);
    this.end = end;
  }

  /** The body begins; once. */
  synchronized void start() {
    alarm = transport.after(interval, this::look);
  }

  /** A read or a write begins. */
  void enter() {
    // One thread moves on; whoever looks may see it a moment later.
    state.lazySet(state.getPlain() | 1);
  }

  /**
   * It has ended.
   *
   * @param moved bytes; less than one where there were none
   */
  void exit(long moved) {
    state.lazySet((state.getPlain() & ~1) + 2 * Math.max(0, moved));
  }

  /** How many bytes it were in the stall timeout, if this has ended the call. */
  synchronized OptionalLong stalled() {
    return stalled;
  }

  private void look() {
    synchronized (this) {
      if (alarm == null) {
        return; // Closed at the last moment.
      }
      long now = state.get();
      long bytes = now >> 1;
      if (now % 2 == 0) {
        first = -1;
      } else if (first >= 0
          && (bytes - first) * 1000 < TRICKLE * interval.toMillis() * (looks + 1)) {
        looks++;
      } else {
        first = bytes;
        looks = 0;
      }
      if (first < 0 || looks < LOOKS) {
        alarm = transport.after(interval, this::look);
        return;
      }
      alarm = null;
      stalled = OptionalLong.of(bytes - first);
    }
    end.run();
  }

  @Override
  public synchronized void close() {
    if (alarm != null) {
      alarm.callOff();
      alarm = null;
    }
  }
}
