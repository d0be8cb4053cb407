package io.kubic.mirrors.oci;

import com.fasterxml.jackson.annotation.JsonInclude;
import org.jspecify.annotations.Nullable;

/**
 * What a registry told of its limits during a run; its JSON form is a contract.
 *
 * @param limit pulls in each window; null when it was not told
 * @param remaining of them, as it was told last; null when it was not told
 * @param window seconds; null when it was not told
 * @param throttled requests that were answered with 429
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record Quota(
    @Nullable Integer limit,
    @Nullable Integer remaining,
    @Nullable Integer window,
    @JsonInclude(JsonInclude.Include.NON_DEFAULT) int throttled) {

  /** What two parts of one run were told by the same registry. */
  public static @Nullable Quota merged(@Nullable Quota a, @Nullable Quota b) {
    if (a == null || b == null) {
      return a == null ? b : a;
    }
    return new Quota(
        a.limit == null ? b.limit : a.limit,
        a.remaining == null
            ? b.remaining
            : b.remaining == null
                ? a.remaining
                : Integer.valueOf(Math.min(a.remaining, b.remaining)),
        a.window == null ? b.window : a.window,
        a.throttled + b.throttled);
  }
}
