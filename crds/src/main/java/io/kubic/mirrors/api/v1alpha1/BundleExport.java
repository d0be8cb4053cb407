package io.kubic.mirrors.api.v1alpha1;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;
import io.fabric8.kubernetes.api.model.Quantity;
import org.jspecify.annotations.Nullable;

/** A list is written into a bundle instead of a registry. */
@JsonInclude(JsonInclude.Include.NON_NULL)
@ValidationRule(
    value = "(has(self.mode) && self.mode == 'Delta') == has(self.baseReceiptRef)",
    message = "mode: Delta and baseReceiptRef belong together")
@ValidationRule(
    value = "!has(self.volumeSize) || isQuantity(string(self.volumeSize))",
    message = "volumeSize is a quantity, as in 3900Mi")
@ValidationRule(
    value = "!has(self.volumeSize) || !has(self.target.s3)",
    message = "a bucket takes objects of any size: leave out volumeSize")
public record BundleExport(
    @JsonPropertyDescription(
            "Each run makes a directory or prefix of its own there, named as its Job.")
        @Required
        BundlePlace target,
    @JsonPropertyDescription("Delta: without what the receipt tells that the far side has.")
        @Default("Full")
        Mode mode,
    @JsonPropertyDescription("ConfigMap key with the receipt; default key receipt.json.")
        @Nullable KeyRef baseReceiptRef,
    @JsonPropertyDescription("Splits the bundle into volumes of at most this size.")
        @Nullable Quantity volumeSize,
    @JsonPropertyDescription("Secret key with a PKCS #8 private key in PEM; default key tls.key.")
        @Nullable KeyRef signingKeySecretRef,
    @JsonPropertyDescription("Complete the bundle without the images that cannot be had.")
        @Default("false")
        Boolean allowPartial,
    Include include) {

  public BundleExport {
    mode = mode == null ? Mode.Full : mode;
    allowPartial = allowPartial != null && allowPartial;
    include = include == null ? new Include(null, null) : include;
  }

  /** How much is carried. */
  public enum Mode {
    Full,
    Delta
  }

  /** What travels along. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Include(
      @JsonPropertyDescription(
              "For a far side that has nothing: the images of operator and registry, the chart, and"
                  + " the resources that make a cluster a mirror of the bundle.")
          @Default("false")
          Boolean operatorImages,
      @JsonPropertyDescription("The files that a node of each runtime would get.")
          @Nullable NodeFiles nodeConfig) {
    public Include {
      operatorImages = operatorImages != null && operatorImages;
    }
  }

  /** The far side's registry, as its nodes see it. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record NodeFiles(
      @JsonPropertyDescription("HOST[:PORT] under which the far side's nodes reach its registry.")
          @Required
          @Pattern(Api.REGISTRY)
          @Size(max = 253)
          String registry,
      @JsonPropertyDescription(
              "ConfigMap key with the CA certificates of that registry; default key ca.crt. Without"
                  + " it the nodes' own store is trusted.")
          @Nullable KeyRef caBundleRef) {}
}
