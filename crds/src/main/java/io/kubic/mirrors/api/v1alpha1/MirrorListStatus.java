package io.kubic.mirrors.api.v1alpha1;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Required;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
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
    @JsonPropertyDescription(
            "The digests of the last run that copied everything, an OCI artifact in the mirror:"
                + " what spec.lock.image may name.")
        @Nullable String lockRef,
    @JsonPropertyDescription("Of a run in several pods: what each of them did.") List<Shard> shards,
    @JsonPropertyDescription("The last runs, the newest first; at most ten.") List<Run> history,
    @JsonPropertyDescription("Hash of the selection that the last run was about.")
        @Nullable String syncedHash,
    @JsonPropertyDescription("The bundle that was last written or taken.")
        @Nullable Bundle bundle) {

  public MirrorListStatus {
    conditions = conditions == null ? List.of() : List.copyOf(conditions);
    failures = failures == null ? List.of() : List.copyOf(failures);
    sources = sources == null ? List.of() : List.copyOf(sources);
    shards = shards == null ? List.of() : List.copyOf(shards);
    history = history == null ? List.of() : List.copyOf(history);
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
      @Nullable Integer selected,
      @JsonPropertyDescription("What the registry told of its limits in the last run.")
          @Nullable RateLimit rateLimit) {}

  /** Limits as a registry tells them. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record RateLimit(
      @JsonPropertyDescription("Pulls in each window.") @Nullable Integer limit,
      @JsonPropertyDescription("Pulls that were left at the end of the run.")
          @Nullable Integer remaining,
      @JsonPropertyDescription("As in 6h.") @Nullable String window,
      @JsonPropertyDescription("Requests that were refused as too many.")
          @Nullable Integer throttled) {}

  /** One pod's part of a run. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Shard(
      @Required Integer index,
      @JsonPropertyDescription("done/total.") @Nullable String images,
      @Nullable Integer failed,
      @JsonPropertyDescription("Why it had no run.") @Nullable String reason,
      @JsonPropertyDescription("Its report, an OCI artifact in the mirror.")
          @Nullable String reportRef) {}

  /** How a run ended. */
  public enum Result {
    Succeeded,
    Failed,
    AwaitingApproval
  }

  /** A run that ended. */
  @JsonInclude(JsonInclude.Include.NON_EMPTY)
  public record Run(
      @Required String job,
      @JsonPropertyDescription("When it ended.") @Nullable String time,
      @JsonPropertyDescription("How long it took, as in 3m20s.") @Nullable String duration,
      @Nullable Result result,
      @JsonPropertyDescription("Why it failed.") @Nullable String reason,
      @Nullable Integer copied,
      @Nullable Integer skipped,
      @Nullable Integer failed,
      @Nullable Integer drifted,
      @Nullable Integer pruned,
      @Nullable Integer referrers,
      @JsonPropertyDescription("Bytes that were written to the mirror.") @Nullable Long bytes,
      @JsonPropertyDescription("How many failed for which reason.") Map<String, Integer> failures) {
    public Run {
      failures = failures == null ? Map.of() : Collections.unmodifiableMap(new TreeMap<>(failures));
    }
  }
}
