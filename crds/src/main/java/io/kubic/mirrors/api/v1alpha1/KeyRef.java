package io.kubic.mirrors.api.v1alpha1;

import com.fasterxml.jackson.annotation.JsonInclude;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import org.jspecify.annotations.Nullable;

/** One key of a Secret or ConfigMap of the same namespace. */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record KeyRef(
    @Required @Pattern(Api.NAME) @Size(max = 253) String name,
    @Size(max = 253) @Nullable String key) {

  /** The key, or {@code other} where none is named. */
  public String keyOr(String other) {
    return key == null ? other : key;
  }
}
