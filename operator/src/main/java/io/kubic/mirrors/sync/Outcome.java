package io.kubic.mirrors.sync;

import com.fasterxml.jackson.annotation.JsonInclude;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Reason;
import org.jspecify.annotations.Nullable;

/**
 * What became of one image; its JSON form is a contract.
 *
 * @param digest null when the source never told it
 * @param reason why it failed; null unless it did
 * @param message one line without secrets; null when there is nothing to say
 * @param bytes that were written to the target for it
 * @param attempts at least 1
 * @param referrer whether it is a signature or the like that travels with an image
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record Outcome(
    String source,
    String target,
    @Nullable Digest digest,
    Result result,
    @Nullable Reason reason,
    @Nullable String message,
    long bytes,
    int attempts,
    @JsonInclude(JsonInclude.Include.NON_DEFAULT) boolean referrer)
    implements Comparable<Outcome> {

  /** The message of an image of which more was copied than is wanted. */
  static final String ALL_PLATFORMS =
      "the target insists on all platforms of the index: all were copied";

  public Outcome {
    if ((result == Result.Failed) != (reason != null)) {
      throw new IllegalArgumentException(source + ": a failure has a reason, and only a failure");
    }
  }

  /** An image's. */
  public Outcome(
      String source,
      String target,
      @Nullable Digest digest,
      Result result,
      @Nullable Reason reason,
      @Nullable String message,
      long bytes,
      int attempts) {
    this(source, target, digest, result, reason, message, bytes, attempts, false);
  }

  /** Whether all platforms were copied though fewer are wanted. */
  boolean hasAllPlatforms() {
    return ALL_PLATFORMS.equals(message);
  }

  /** The same of a signature or the like. */
  Outcome asReferrer(boolean is) {
    return new Outcome(source, target, digest, result, reason, message, bytes, attempts, is);
  }

  /** How it ended. */
  public enum Result {
    Copied,
    Skipped,
    Failed,
    Drifted,
    Pruned
  }

  @Override
  public int compareTo(Outcome other) {
    int order = target.compareTo(other.target);
    return order != 0 ? order : source.compareTo(other.source);
  }
}
