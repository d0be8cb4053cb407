package io.kubic.mirrors.api.v1alpha1;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Required;
import org.jspecify.annotations.Nullable;

/** A condition in the sense of metav1.Condition; one of each type in a list. */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record Condition(
    @Required String type,
    @JsonPropertyDescription("True, False or Unknown.") @Required String status,
    @Nullable Long observedGeneration,
    @JsonPropertyDescription("When the status last changed (RFC 3339).") @Required
        String lastTransitionTime,
    @JsonPropertyDescription("A word from a closed list; the README has each with its remedy.")
        @Required
        String reason,
    @JsonPropertyDescription("One line for a person.") @Required String message) {

  /** Whether the status is True. */
  public boolean holds() {
    return "True".equals(status);
  }
}
