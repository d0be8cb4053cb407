package io.kubic.mirrors.api.v1alpha1;

import java.time.Duration;

/** Durations as Kubernetes writes them: {@code 90m}, {@code 720h}, {@code 1h30m}, {@code 0s}. */
public final class GoDuration {
  private GoDuration() {}

  /**
   * @param text a sequence of numbers with a unit of {@code ms}, {@code s}, {@code m} or {@code h}
   * @param path the field that holds it, for the message
   * @throws InvalidSpecException when it is not of that form or longer than 292 years
   */
  public static Duration parse(String text, String path) {
    Duration sum = Duration.ZERO;
    int at = 0;
    try {
      while (at < text.length()) {
        int digits = at;
        while (digits < text.length() && Character.isDigit(text.charAt(digits))) {
          digits++;
        }
        int unit = digits;
        while (unit < text.length() && Character.isLetter(text.charAt(unit))) {
          unit++;
        }
        long number = Long.parseLong(text.substring(at, digits));
        sum =
            sum.plus(
                switch (text.substring(digits, unit)) {
                  case "ms" -> Duration.ofMillis(number);
                  case "s" -> Duration.ofSeconds(number);
                  case "m" -> Duration.ofMinutes(number);
                  case "h" -> Duration.ofHours(number);
                  default -> throw new NumberFormatException();
                });
        at = unit;
      }
      if (text.isEmpty()) {
        throw new NumberFormatException();
      }
      var _ = sum.toNanos(); // throws beyond 292 years
      return sum;
    } catch (NumberFormatException | ArithmeticException e) {
      throw new InvalidSpecException(
          path,
          "'" + text + "' is no duration; write hours, minutes or seconds, as in 90m or 720h");
    }
  }

  /** The shortest form of whole seconds that {@link #parse} reads back, as in {@code 1h30m}. */
  public static String format(Duration duration) {
    long seconds = duration.toSeconds();
    if (seconds == 0) {
      return duration.toMillis() == 0 ? "0s" : duration.toMillis() + "ms";
    }
    StringBuilder text = new StringBuilder();
    if (seconds >= 3600) {
      text.append(seconds / 3600).append('h');
    }
    if (seconds % 3600 >= 60) {
      text.append(seconds % 3600 / 60).append('m');
    }
    if (seconds % 60 > 0) {
      text.append(seconds % 60).append('s');
    }
    return text.toString();
  }
}
