package io.kubic.mirrors.upkeep;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;

/**
 * What a collection found and did; the termination message of its Job.
 *
 * @param manifests in all repositories
 * @param unneeded of these
 * @param young unneeded, but too new to delete
 * @param deleted manifests that were deleted
 * @param sweptBlobs blobs that were deleted; of a dry run, those that a sweep would delete before
 *     any manifest is
 * @param freedBytes on the storage's filesystem, where it can be looked at; of an object store or a
 *     dry run, what only unneeded manifests hold
 * @param left what is there afterwards
 * @param dryRun nothing was deleted
 * @param examples some of the unneeded, {@code REPOSITORY@DIGEST}
 */
@JsonInclude(JsonInclude.Include.ALWAYS)
public record CollectionReport(
    int repositories,
    int manifests,
    int unneeded,
    int young,
    int deleted,
    int sweptBlobs,
    long freedBytes,
    Left left,
    boolean dryRun,
    List<String> examples) {
  /**
   * What a registry holds.
   *
   * @param repositories with a manifest
   * @param bytes of all manifests and of what they name, each digest counted once
   */
  @JsonInclude(JsonInclude.Include.ALWAYS)
  public record Left(int repositories, int tags, long bytes) {}

  public CollectionReport {
    examples = List.copyOf(examples);
  }
}
