package io.kubic.mirrors.api.v1alpha1;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.ValidationRule;
import org.jspecify.annotations.Nullable;

/** A list's images come from a bundle. */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record BundleImport(
    @JsonPropertyDescription("The directory or prefix of the bundle, or of its volumes.") @Required
        BundlePlace source,
    Verification verification,
    @JsonPropertyDescription("Take a bundle that is older than the last one that was taken.")
        @Default("false")
        Boolean allowReplay,
    @JsonPropertyDescription("Take the images that are whole, and leave out those that are not.")
        @Default("false")
        Boolean allowPartial) {

  public BundleImport {
    verification = verification == null ? new Verification(null, null) : verification;
    allowReplay = allowReplay != null && allowReplay;
    allowPartial = allowPartial != null && allowPartial;
  }

  /** Whose signature is wanted. */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  @ValidationRule(
      value = "(has(self.mode) && self.mode == 'Require') == has(self.publicKeySecretRef)",
      message = "mode: Require and publicKeySecretRef belong together")
  public record Verification(
      @JsonPropertyDescription(
              "Require: only what the key signed. None: anybody's bundle, as far as it is whole.")
          @Default("None")
          Mode mode,
      @JsonPropertyDescription("Secret key with a public key in PEM; default key tls.pub.")
          @Nullable KeyRef publicKeySecretRef) {
    public Verification {
      mode = mode == null ? Mode.None : mode;
    }
  }

  /** Whether a signature is wanted. */
  public enum Mode {
    None,
    Require
  }
}
