package io.kubic.mirrors.upkeep;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;

/**
 * What a scrub found; the termination message of its Job.
 *
 * @param blobs that were hashed
 * @param bytes of these
 * @param corrupt blobs that are not what their digests say, or cannot be read
 * @param fresh such blobs that were written a moment ago, and left alone
 * @param examples digests of some of the corrupt
 */
@JsonInclude(JsonInclude.Include.ALWAYS)
public record ScrubReport(
    long blobs, long bytes, long corrupt, long fresh, boolean dryRun, List<String> examples) {
  public ScrubReport {
    examples = List.copyOf(examples);
  }
}
