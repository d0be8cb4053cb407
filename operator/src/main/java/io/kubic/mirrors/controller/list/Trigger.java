package io.kubic.mirrors.controller.list;

import io.kubic.mirrors.controller.support.Schedule;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Decides when a list runs next, and why. The key of a run is a function of what asks for it and of
 * the run before, so that a Job made just before a crash is found again instead of made twice, and
 * what is asked for once more, with the same words, is another run.
 *
 * @param at when; in the past or now means at once
 * @param key what makes this run different from the one before
 * @param why one line for a person
 */
record Trigger(Instant at, String key, String why) {
  /** Time to the first retry of a run that left something undone; doubles up to an hour. */
  static final Duration FIRST_RETRY = Duration.ofMinutes(5);

  static final Duration LAST_RETRY = Duration.ofHours(1);

  /**
   * What is known of the last run.
   *
   * @param started when it began; when that is not known, when it ended
   * @param finished when it ended
   * @param successful whether everything was copied
   * @param failures how many runs in a row were not
   * @param specHash what was asked for then
   * @param request the value of the reconcile-at annotation then
   */
  record Last(
      Instant started,
      Instant finished,
      boolean successful,
      int failures,
      String specHash,
      String request) {}

  /**
   * The next run; empty when nothing asks for one.
   *
   * @param specHash hash of what is asked for now
   * @param request value of the reconcile-at annotation, empty without one
   * @param lost when the target was found to have lost content; null: never
   */
  static Optional<Trigger> next(
      @Nullable Last last,
      String specHash,
      String request,
      Schedule schedule,
      @Nullable Instant lost) {
    if (last == null) {
      return Optional.of(new Trigger(Instant.EPOCH, specHash + "/first/" + request, "first run"));
    }
    if (!last.specHash().equals(specHash)) {
      return Optional.of(
          new Trigger(Instant.EPOCH, specHash + "/" + last.finished(), "the list changed"));
    }
    if (!last.request().equals(request)) {
      return Optional.of(
          new Trigger(
              Instant.EPOCH,
              specHash + "/request/" + request + "/" + last.finished(),
              "asked for by annotation"));
    }
    // A Job knows when it began to the second.
    if (lost != null && last.started().isBefore(lost.truncatedTo(ChronoUnit.SECONDS))) {
      return Optional.of(
          new Trigger(
              Instant.EPOCH,
              specHash + "/lost/" + lost + "/" + last.finished(),
              "the registry lost content"));
    }
    Optional<Trigger> planned =
        schedule
            .after(last.finished())
            .map(
                at ->
                    // Clocks differ: by ours it may be time for what another's has just ended.
                    new Trigger(at, specHash + "/due/" + at + "/" + last.finished(), "scheduled"));
    if (last.successful()) {
      return planned;
    }
    Instant retry = last.finished().plus(backoff(last.failures()));
    if (planned.isPresent() && planned.get().at().isBefore(retry)) {
      return planned;
    }
    return Optional.of(
        new Trigger(retry, specHash + "/retry/" + last.finished(), "retry of what failed"));
  }

  private static Duration backoff(int failures) {
    Duration wait = FIRST_RETRY;
    for (int i = 1; i < failures && wait.compareTo(LAST_RETRY) < 0; i++) {
      wait = wait.multipliedBy(2);
    }
    return wait.compareTo(LAST_RETRY) < 0 ? wait : LAST_RETRY;
  }
}
