package io.kubic.mirrors.controller.support;

import com.cronutils.model.CronType;
import com.cronutils.model.definition.CronDefinitionBuilder;
import com.cronutils.model.time.ExecutionTime;
import com.cronutils.parser.CronParser;
import io.kubic.mirrors.api.v1alpha1.GoDuration;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.temporal.ChronoUnit;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** When something is due next. */
public sealed interface Schedule {
  /** The first time after {@code last}; empty: never by itself. Whole seconds. */
  Optional<Instant> after(Instant last);

  /**
   * A five-field cron schedule.
   *
   * @param zone an IANA name; null means UTC
   * @throws InvalidSpecException when the schedule or the zone is not known
   */
  static Schedule cron(String text, @Nullable String zone, String path, String zonePath) {
    ZoneId id;
    try {
      id = ZoneId.of(zone == null ? "UTC" : zone);
    } catch (DateTimeException e) {
      throw new InvalidSpecException(
          zonePath, "'" + zone + "' is no time zone; write a name as in Europe/Berlin or Etc/UTC");
    }
    try {
      return new Cron(
          ExecutionTime.forCron(
              new CronParser(CronDefinitionBuilder.instanceDefinitionFor(CronType.UNIX))
                  .parse(text)),
          id);
    } catch (IllegalArgumentException e) {
      throw new InvalidSpecException(
          path,
          "'"
              + text
              + "' is no five-field cron schedule (minute hour day month weekday), as in '0 3 * *"
              + " 0'");
    }
  }

  /**
   * A fixed distance, with up to a tenth of it added, always the same for one seed: many lists of
   * one interval do not start together.
   *
   * @param interval {@code 0s}: never by itself
   * @param seed any stable text, as the uid of the object
   */
  static Schedule every(String interval, String path, String seed) {
    Duration distance = GoDuration.parse(interval, path);
    long tenth = distance.toSeconds() / 10;
    long jitter = tenth == 0 ? 0 : Math.floorMod((long) seed.hashCode(), tenth);
    return new Interval(distance, Duration.ofSeconds(jitter));
  }

  /** By the calendar. */
  record Cron(ExecutionTime times, ZoneId zone) implements Schedule {
    @Override
    public Optional<Instant> after(Instant last) {
      return times.nextExecution(last.atZone(zone)).map(next -> next.toInstant());
    }
  }

  /** By distance. */
  record Interval(Duration distance, Duration jitter) implements Schedule {
    @Override
    public Optional<Instant> after(Instant last) {
      return distance.isZero()
          ? Optional.empty()
          : Optional.of(last.plus(distance).plus(jitter).truncatedTo(ChronoUnit.SECONDS));
    }
  }
}
