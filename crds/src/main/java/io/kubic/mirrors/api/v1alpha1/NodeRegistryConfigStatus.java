package io.kubic.mirrors.api.v1alpha1;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Required;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What the operator last saw of the nodes. */
@JsonInclude(JsonInclude.Include.NON_EMPTY)
public record NodeRegistryConfigStatus(
    @Nullable Long observedGeneration,
    @Nullable String lastHandledReconcileAt,
    List<Condition> conditions,
    @JsonPropertyDescription("Content hash of the configuration that goes out.")
        @Nullable String configHash,
    @JsonPropertyDescription(
            "ConfigMap with the exact files of each runtime, and patches for Talos and Bottlerocket.")
        @Nullable ObjectRef renderedRef,
    @Nullable Nodes nodes,
    List<FailingNode> failingNodes,
    List<CaHash> caHashes) {

  public NodeRegistryConfigStatus {
    conditions = conditions == null ? List.of() : List.copyOf(conditions);
    failingNodes = failingNodes == null ? List.of() : List.copyOf(failingNodes);
    caHashes = caHashes == null ? List.of() : List.copyOf(caHashes);
  }

  /** Counts of nodes. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Nodes(
      @Nullable Integer desired,
      @Nullable Integer updated,
      @Nullable Integer ready,
      @Nullable Integer failed,
      @JsonPropertyDescription("Nodes whose system no agent can work on.")
          @Nullable Integer unsupported) {}

  /** One node that did not converge; at most 20 are told. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record FailingNode(
      @Required String name,
      @Nullable String runtime,
      @Nullable String reason,
      @Nullable String message) {}

  /** How many nodes trust a CA. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record CaHash(@Required String sha256, @Nullable Integer nodes) {}
}
