package io.kubic.mirrors.api.v1alpha1;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;
import org.jspecify.annotations.Nullable;

/** Where a bundle lies; exactly one of its fields. */
@JsonInclude(JsonInclude.Include.NON_NULL)
@ValidationRule(
    value =
        "(has(self.persistentVolumeClaim) ? 1 : 0) + (has(self.s3) ? 1 : 0)"
            + " + (has(self.hostPath) ? 1 : 0) == 1",
    message = "name exactly one of persistentVolumeClaim, s3 and hostPath")
public record BundlePlace(
    @JsonPropertyDescription("A claim of this namespace.") @Nullable Claim persistentVolumeClaim,
    @JsonPropertyDescription("A bucket of an S3 service; it must exist.") @Nullable S3 s3,
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

  /** A bucket. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record S3(
      @Required @Pattern("^[A-Za-z0-9][A-Za-z0-9._-]+$") @Size(min = 3, max = 255) String bucket,
      @Default("us-east-1") @Size(max = 64) String region,
      @JsonPropertyDescription("URL of the service; default: AWS.")
          @Pattern("^https?://[^\\s@?#]+$")
          @Size(max = 512)
          @Nullable String endpoint,
      @JsonPropertyDescription(
              "Whether the bucket's name stands in the path, as most services besides AWS want it.")
          @Default("false")
          Boolean forcePathStyle,
      @JsonPropertyDescription("What all keys begin with; default: nothing.")
          @Pattern(Api.RELATIVE_PATH)
          @Size(max = 512)
          @Nullable String rootDirectory,
      @JsonPropertyDescription(
              "Secret with the keys accessKey and secretKey; without it the node's own role.")
          @Nullable LocalRef credentialsSecretRef,
      @JsonPropertyDescription(
              "ConfigMap key with CA certificates of the service; default key ca.crt.")
          @Nullable KeyRef caBundleRef) {
    public S3 {
      region = region == null ? "us-east-1" : region;
      forcePathStyle = forcePathStyle != null && forcePathStyle;
    }
  }

  /** A directory of a node. */
  public record HostPath(@Required @Pattern("^/[^:\\s]*$") @Size(max = 512) String path) {}
}
