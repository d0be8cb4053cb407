package io.kubic.mirrors.gateway;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;

/**
 * Holds writes back for a limited time, so that content can be collected. It ends by itself:
 * whoever asked for it may die. A write that began before is counted until it ends.
 */
final class Freeze {
  /** What is held back. */
  enum Scope {
    /** All writes. */
    WRITES,
    /** All writes but deletes: for whoever removes what is to be collected. */
    UPLOADS
  }

  /** What a gateway answers when asked. */
  record State(boolean frozen, Optional<Scope> scope, Optional<Instant> until, int inFlight) {}

  private final Clock clock;
  private Instant until = Instant.MIN;
  private Scope scope = Scope.WRITES;
  private int inFlight;

  Freeze(Clock clock) {
    this.clock = clock;
  }

  /** Begins, extends, shortens or widens a freeze. */
  synchronized State begin(Duration time, Scope what) {
    until = clock.instant().plus(time);
    scope = what;
    return state();
  }

  synchronized State end() {
    until = Instant.MIN;
    return state();
  }

  synchronized State state() {
    boolean frozen = clock.instant().isBefore(until);
    return new State(
        frozen,
        frozen ? Optional.of(scope) : Optional.empty(),
        frozen ? Optional.of(until) : Optional.empty(),
        inFlight);
  }

  /** Whether a write may begin; if so {@link #leave} must follow when it has ended. */
  synchronized boolean enter(boolean deletes) {
    boolean held = clock.instant().isBefore(until) && !(deletes && scope == Scope.UPLOADS);
    if (!held) {
      inFlight++;
    }
    return !held;
  }

  synchronized void leave() {
    inFlight--;
  }

  /** How long until writes are let in again; zero when they are. */
  synchronized Duration left() {
    Duration left =
        Duration.between(
            clock.instant(), clock.instant().isBefore(until) ? until : clock.instant());
    return left.isNegative() ? Duration.ZERO : left;
  }
}
