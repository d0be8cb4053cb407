package io.kubic.mirrors.api.v1alpha1;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Required;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What the operator last saw of a list. */
@JsonInclude(JsonInclude.Include.NON_EMPTY)
public record MirrorListStatus(
    @Nullable Long observedGeneration,
    @Nullable String lastHandledReconcileAt,
    List<Condition> conditions,
    @JsonPropertyDescription("done/total of the last run.") @Nullable String images,
    @JsonPropertyDescription("Size of all selected images as last copied whole, for a person.")
        @Nullable String size,
    @Nullable Plan plan,
    @JsonPropertyDescription("How far the current run is; only while one copies.")
        @Nullable Progress progress,
    @Nullable Summary summary,
    List<Failure> failures,
    List<Source> sources,
    @Nullable String lastSyncTime,
    @Nullable String lastSuccessfulTime,
    @Nullable String nextSyncTime,
    @JsonPropertyDescription("The Job of the current or last run.") @Nullable String job,
    @JsonPropertyDescription("The report of the last run, an OCI artifact in the mirror.")
        @Nullable String reportRef,
    @JsonPropertyDescription("Hash of the selection that the last successful run copied.")
        @Nullable String syncedHash,
    @JsonPropertyDescription("The bundle that was last written or taken.")
        @Nullable Bundle bundle) {

  public MirrorListStatus {
    conditions = conditions == null ? List.of() : List.copyOf(conditions);
    failures = failures == null ? List.of() : List.copyOf(failures);
    sources = sources == null ? List.of() : List.copyOf(sources);
  }

  /** A bundle. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Bundle(
      @Nullable String id,
      @Nullable Long sequence,
      @JsonPropertyDescription("Of a delta: the receipt that it builds on.") @Nullable String base,
      @JsonPropertyDescription("Of the blobs that are carried.") @Nullable Long bytes,
      @Nullable Integer images,
      @Nullable Integer volumes,
      @JsonPropertyDescription("The sha256 of its SHA256SUMS.") @Nullable String sha256,
      @JsonPropertyDescription("Exported with a key, or imported with a verified signature.")
          @Nullable Boolean signed,
      @JsonPropertyDescription("The directory below the export's place, or the import's receipt.")
          @Nullable String ref) {}

  /** What is to be copied. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Plan(
      @Nullable String hash,
      @Nullable Integer repositories,
      @Nullable Integer images,
      @Nullable Long bytes,
      @Nullable Long bytesToTransfer,
      @JsonPropertyDescription("Images that are not selected any more.")
          @Nullable Integer pruneCandidates) {}

  /** How far a run is. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Progress(
      @JsonPropertyDescription("Copying.") @Nullable String phase,
      @JsonPropertyDescription("Images that are done, copied or failed.")
          @Nullable Integer completed,
      @JsonPropertyDescription("Images that are to be copied.") @Nullable Integer total,
      @Nullable Long bytesDone,
      @JsonPropertyDescription("Blobs that images share counted once.") @Nullable Long bytesTotal,
      @JsonPropertyDescription("Time left at the speed so far, as in 3m20s.")
          @Nullable String eta) {}

  /** What was done. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Summary(
      @Nullable Integer copied,
      @Nullable Integer skipped,
      @Nullable Integer failed,
      @Nullable Integer drifted,
      @Nullable Integer pruned,
      @Nullable Integer referrers) {}

  /** One image that failed; at most 20 are told. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Failure(
      @Required String image,
      @Nullable String reason,
      @Nullable String message,
      @Nullable Integer attempts) {}

  /** What one source offered. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Source(
      @Required String registry,
      @Required String name,
      @Nullable Integer repositories,
      @Nullable Integer tags,
      @Nullable Integer selected) {}
}
