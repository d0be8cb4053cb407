package io.kubic.mirrors.api.v1alpha1;

import com.fasterxml.jackson.annotation.JsonInclude;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;

/** An object by namespace and name. */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record ObjectRef(
    @Required @Pattern(Api.NAME) @Size(max = 253) String name,
    @Required @Pattern(Api.NAME) @Size(max = 63) String namespace) {}
