package io.kubic.mirrors.api.v1alpha1;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Required;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What the operator last saw of a registry. */
@JsonInclude(JsonInclude.Include.NON_EMPTY)
public record MirrorRegistryStatus(
    @Nullable Long observedGeneration,
    @Nullable String lastHandledReconcileAt,
    List<Condition> conditions,
    @Nullable Endpoint endpoint,
    @Nullable Trust trust,
    @Nullable Certificate certificate,
    @Nullable NodesTrusting nodesTrusting,
    @Nullable Credentials credentials,
    @Nullable Storage storage,
    @Nullable Contents contents,
    @Nullable GarbageCollection garbageCollection,
    @Nullable Scrub scrub,
    @Nullable Capabilities capabilities,
    @Nullable Integer replicas,
    @Nullable Integer readyReplicas,
    @Nullable String version) {

  public MirrorRegistryStatus {
    conditions = conditions == null ? List.of() : List.copyOf(conditions);
  }

  /**
   * Where nodes pull from.
   *
   * @param previous where they pulled from before, as long as it is kept for those that still do
   */
  @JsonInclude(JsonInclude.Include.NON_EMPTY)
  public record Endpoint(
      @Nullable String url,
      @Nullable String hostname,
      MirrorRegistrySpec.@Nullable EndpointType type,
      @Nullable Integer port,
      List<PreviousEndpoint> previous) {
    public Endpoint {
      previous = previous == null ? List.of() : List.copyOf(previous);
    }
  }

  /** An endpoint that is not announced any more, and since when. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record PreviousEndpoint(
      @Required String url,
      MirrorRegistrySpec.@Nullable EndpointType type,
      @Nullable Integer port,
      @Nullable String since) {}

  /**
   * What the filesystem of the volume tells; for a directory of a node that is the node's.
   *
   * @param capacity null for an object store
   * @param used rounded up to a hundredth of the capacity; of an object store what {@link Contents}
   *     counts
   * @param content whether images were ever pushed to it
   * @param lostAt when an empty volume was found where content had been
   */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Storage(
      @Nullable String capacity,
      @Nullable String used,
      @Nullable Boolean content,
      @Nullable String lostAt) {}

  /**
   * What a registry holds, as it was when a list last ran or garbage was last collected; in an
   * object store when garbage was last collected or looked for.
   *
   * @param bytes of all blobs, each counted once; in an object store of those that a manifest names
   * @param asOf what was the newest of these events then
   */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Contents(
      @Nullable Long repositories,
      @Nullable Long tags,
      @Nullable Long bytes,
      @Nullable String asOf) {}

  /**
   * The last collection, and when the next is due.
   *
   * @param lastRun when it ended
   * @param message what it did or why it did not, for a person
   * @param freedBytes that the last one freed
   * @param estimatedBytes that a collection would have freed, as a dry run found
   */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record GarbageCollection(
      @Nullable String lastRun,
      @Nullable UpkeepResult lastResult,
      @Nullable String message,
      @Nullable Long freedBytes,
      @Nullable Long estimatedBytes,
      @Nullable String nextRun) {}

  /**
   * The last scrub, and when the next is due.
   *
   * @param lastRun when it ended
   * @param corrupt blobs that it set aside
   * @param corruptAt when such blobs were last found: lists that have not run since fetch them anew
   */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Scrub(
      @Nullable String lastRun,
      @Nullable UpkeepResult lastResult,
      @Nullable String message,
      @Nullable Long blobs,
      @Nullable Long bytes,
      @Nullable Long corrupt,
      @Nullable String corruptAt,
      @Nullable String nextRun) {}

  /** What came of a run. */
  public enum UpkeepResult {
    Succeeded,
    /** Nothing was changed: a dry run. */
    Estimated,
    /** More would have gone than the guard lets pass; nothing was deleted. */
    Refused,
    Failed
  }

  /** What an adopted registry was found to do. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Capabilities(
      @Nullable Capability delete,
      @Nullable Capability mount,
      @Nullable Capability sparseIndexes,
      @Nullable Capability referrers) {}

  /** Whether something was found to work. */
  public enum Capability {
    Supported,
    Unsupported,
    Unknown
  }

  /** What a client must trust. */
  @JsonInclude(JsonInclude.Include.NON_EMPTY)
  public record Trust(@Nullable LocalRef configMapRef, List<TrustedCertificate> certificates) {
    public Trust {
      certificates = certificates == null ? List.of() : List.copyOf(certificates);
    }
  }

  /** One CA certificate. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record TrustedCertificate(
      @Required String sha256, @Nullable String notAfter, @Nullable TrustPhase phase) {}

  /** Where a CA certificate stands. */
  public enum TrustPhase {
    Next,
    Current,
    Retiring
  }

  /** The certificate that is served. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Certificate(
      @Nullable String serial, @Nullable String notAfter, @Nullable String renewalTime) {}

  /** Nodes whose agents trust the current CA. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record NodesTrusting(@Nullable Integer acked, @Nullable Integer total) {}

  /** Secrets with generated credentials. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Credentials(
      @Nullable LocalRef adminSecretRef,
      @Nullable LocalRef pushSecretRef,
      @Nullable LocalRef pullSecretRef,
      @Nullable String nextRotation,
      @JsonPropertyDescription("In how many other namespaces the pull credentials are kept.")
          @Nullable Integer pullSecretNamespaces) {}
}
