package io.kubic.mirrors.api.v1alpha1;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;
import org.jspecify.annotations.Nullable;

/** Where a bundle lies; exactly one of its fields. */
@JsonInclude(JsonInclude.Include.NON_NULL)
@ValidationRule(
    value = "has(self.persistentVolumeClaim) != has(self.hostPath)",
    message = "name exactly one of persistentVolumeClaim and hostPath")
public record BundlePlace(
    @JsonPropertyDescription("A claim of this namespace.") @Nullable Claim persistentVolumeClaim,
    @JsonPropertyDescription(
            "A directory of the node that jobTemplate.nodeSelector chooses; the namespace must"
                + " allow host paths, and the directory the user 65532.")
        @Nullable HostPath hostPath) {

  /** A claim. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Claim(
      @Required @Pattern(Api.NAME) @Size(max = 253) String claimName,
      @JsonPropertyDescription("A directory within it; default: its root.")
          @Pattern(Api.RELATIVE_PATH)
          @Size(max = 512)
          @Nullable String path) {}

  /** A directory of a node. */
  public record HostPath(@Required @Pattern("^/[^:\\s]*$") @Size(max = 512) String path) {}
}
