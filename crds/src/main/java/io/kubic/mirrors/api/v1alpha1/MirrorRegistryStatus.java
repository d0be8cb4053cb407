package io.kubic.mirrors.api.v1alpha1;

import com.fasterxml.jackson.annotation.JsonInclude;
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
    @Nullable Integer replicas,
    @Nullable Integer readyReplicas,
    @Nullable String version) {

  public MirrorRegistryStatus {
    conditions = conditions == null ? List.of() : List.copyOf(conditions);
  }

  /** Where nodes pull from. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Endpoint(@Nullable String url, @Nullable String hostname) {}

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
      @Nullable String nextRotation) {}
}
