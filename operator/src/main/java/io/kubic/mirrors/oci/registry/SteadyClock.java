package io.kubic.mirrors.oci.registry;

import java.time.Clock;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.function.LongSupplier;

/**
 * Tells the time that it was when it was made, plus what has gone by since: who waits until some
 * time does not wait longer because somebody sets the system's clock back.
 */
final class SteadyClock extends Clock {
  private final Instant start;
  private final LongSupplier nanos;
  private final long first;

  /**
   * @param start the time now
   * @param nanos as {@link System#nanoTime}: a clock that only moves forward
   */
  SteadyClock(Instant start, LongSupplier nanos) {
    this.start = start;
    this.nanos = nanos;
    this.first = nanos.getAsLong();
  }

  @Override
  public Instant instant() {
    return start.plusNanos(nanos.getAsLong() - first);
  }

  @Override
  public ZoneId getZone() {
    return ZoneOffset.UTC;
  }

  @Override
  public Clock withZone(ZoneId zone) {
    throw new UnsupportedOperationException("moments have no zone");
  }
}
