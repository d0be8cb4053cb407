package io.kubic.mirrors.oci;

import java.time.Duration;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Work on an image or registry failed. The message is one line, {@code object: problem}, without
 * secrets: URLs in it have lost their userinfo and query.
 */
public final class RegistryException extends RuntimeException {
  private static final long serialVersionUID = 1L;
  private final Reason reason;
  private final String object;
  private final String problem;
  private final int attempts;
  private final @Nullable Duration retryAfter;
  private final boolean fatal;

  /**
   * @param reason from the closed list
   * @param object what it is about, as in {@code registry.example/app:1}
   * @param problem what is wrong, and where there is one, the remedy; one line
   */
  public RegistryException(Reason reason, String object, String problem) {
    this(reason, object, problem, null, null, 1, false);
  }

  public RegistryException(
      Reason reason, String object, String problem, @Nullable Throwable cause) {
    this(reason, object, problem, cause, null, 1, false);
  }

  private RegistryException(
      Reason reason,
      String object,
      String problem,
      @Nullable Throwable cause,
      @Nullable Duration retryAfter,
      int attempts,
      boolean fatal) {
    super(object + ": " + problem, cause);
    this.reason = reason;
    this.object = object;
    this.problem = problem;
    this.retryAfter = retryAfter;
    this.attempts = attempts;
    this.fatal = fatal;
  }

  public Reason reason() {
    return reason;
  }

  /** What the failure is about. */
  public String object() {
    return object;
  }

  /** The message without the object. */
  public String problem() {
    return problem;
  }

  /** How often it was tried, at least 1. */
  public int attempts() {
    return attempts;
  }

  /** When the registry asked to be left alone for a while: for how long. */
  public Optional<Duration> retryAfter() {
    return Optional.ofNullable(retryAfter);
  }

  /** Whether trying again at once or later in this run makes sense. */
  public boolean isRetryable() {
    return !fatal && reason.isTransient();
  }

  public RegistryException withAttempts(int count) {
    return new RegistryException(reason, object, problem, getCause(), retryAfter, count, fatal);
  }

  public RegistryException withRetryAfter(Duration wait) {
    return new RegistryException(reason, object, problem, getCause(), wait, attempts, fatal);
  }

  /** The same failure of something else. */
  public RegistryException about(String other) {
    return new RegistryException(reason, other, problem, getCause(), retryAfter, attempts, fatal);
  }

  /** The same failure, not to be tried again in this run. */
  public RegistryException asFinal() {
    return new RegistryException(reason, object, problem, getCause(), retryAfter, attempts, true);
  }
}
