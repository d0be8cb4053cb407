package io.kubic.mirrors.api.v1alpha1;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Required;
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
public record BundleExport(
    @JsonPropertyDescription("Each run makes a directory of its own there, named as its Job.")
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
    include = include == null ? new Include(null) : include;
  }

  /** How much is carried. */
  public enum Mode {
    Full,
    Delta
  }

  /** What travels along. */
  public record Include(
      @JsonPropertyDescription(
              "The images of operator and registry, for a far side that has nothing.")
          @Default("false")
          Boolean operatorImages) {
    public Include {
      operatorImages = operatorImages != null && operatorImages;
    }
  }
}
