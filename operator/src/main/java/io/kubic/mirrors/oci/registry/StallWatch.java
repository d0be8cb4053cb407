package io.kubic.mirrors.oci.registry;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * Ends a call that waits for its other side in the middle of a body, for as long as the stall
 * timeout and up to a quarter more. Time that passes elsewhere, as at the other end of a copy, does
 * not count. Okio's timeouts do the same, but begin and end with each segment of 8 KiB, and wake a
 * thread for it. For one thread that moves the bytes.
 */
final class StallWatch implements AutoCloseable {
  private static final int LOOKS = 4;

  private final Transport transport;
  private final Duration interval;
  private final Runnable end;

  /** Odd while bytes are waited for. */
  private final AtomicInteger steps = new AtomicInteger();

  private Transport.@Nullable Alarm alarm;
  private int seen;
  private int looks;
  private boolean stalled;

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
    step();
  }

  /** It has ended. */
  void exit() {
    step();
  }

  private void step() {
    // One thread moves on; whoever looks may see it a moment later.
    steps.lazySet(steps.getPlain() + 1);
  }

  /** Whether this has ended the call. */
  synchronized boolean hasStalled() {
    return stalled;
  }

  private void look() {
    synchronized (this) {
      if (alarm == null) {
        return; // Closed at the last moment.
      }
      int now = steps.get();
      looks = now == seen && now % 2 != 0 ? looks + 1 : 0;
      seen = now;
      if (looks < LOOKS) {
        alarm = transport.after(interval, this::look);
        return;
      }
      alarm = null;
      stalled = true;
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
