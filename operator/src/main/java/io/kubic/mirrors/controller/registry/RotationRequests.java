package io.kubic.mirrors.controller.registry;

import io.kubic.mirrors.api.v1alpha1.Api;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistry;
import java.time.Clock;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What a person asks to be replaced, by annotation. Each holds a time (RFC 3339): what was made
 * before it is replaced, so a request needs no note of having been served, and asking twice is
 * asking once. A time that has not come yet asks for nothing.
 *
 * @param replaceLostCa the person agrees to a successor for a CA whose key is lost
 * @param dataLoss a loss of content found before it is accepted
 * @param garbage a collection before it does not count
 * @param scrub a scrub before it does not count
 */
record RotationRequests(
    @Nullable Instant passwords,
    @Nullable Instant tokenKeys,
    @Nullable Instant certificate,
    @Nullable Instant ca,
    boolean replaceLostCa,
    @Nullable Instant dataLoss,
    @Nullable Instant garbage,
    @Nullable Instant scrub) {

  static RotationRequests of(MirrorRegistry registry, Clock clock) {
    Map<String, String> annotations =
        registry.getMetadata().getAnnotations() == null
            ? Map.of()
            : registry.getMetadata().getAnnotations();
    return new RotationRequests(
        time(annotations, Api.ROTATE_PASSWORDS, clock),
        time(annotations, Api.ROTATE_TOKEN_KEYS, clock),
        time(annotations, Api.ROTATE_CERTIFICATE, clock),
        time(annotations, Api.ROTATE_CA, clock),
        "true".equals(annotations.get(Api.REPLACE_LOST_CA)),
        time(annotations, Api.ACCEPT_DATA_LOSS, clock),
        time(annotations, Api.COLLECT_GARBAGE, clock),
        time(annotations, Api.SCRUB, clock));
  }

  /** Whether what was made at a time is asked to be replaced. */
  static boolean asks(@Nullable Instant request, Instant made) {
    return request != null && made.isBefore(request);
  }

  private static @Nullable Instant time(Map<String, String> annotations, String name, Clock clock) {
    String text = annotations.get(name);
    if (text == null || text.isBlank()) {
      return null;
    }
    try {
      Instant time = Instant.parse(text.strip());
      return time.isAfter(clock.instant()) ? null : time;
    } catch (DateTimeParseException e) {
      throw new InvalidSpecException(
          "metadata.annotations[" + name + "]",
          "'"
              + text
              + "' is no time; write one as 2026-01-31T12:00:00Z: what is older is replaced");
    }
  }
}
