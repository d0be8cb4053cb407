package io.kubic.mirrors.controller.support;

import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.OwnerReference;
import io.fabric8.kubernetes.api.model.OwnerReferenceBuilder;

/** The reference that lets Kubernetes collect an object with the custom resource it belongs to. */
public final class Owner {
  private Owner() {}

  /** A reference to a resource as the controller of what it is put into. */
  public static OwnerReference of(HasMetadata resource) {
    return new OwnerReferenceBuilder()
        .withApiVersion(resource.getApiVersion())
        .withKind(resource.getKind())
        .withName(resource.getMetadata().getName())
        .withUid(resource.getMetadata().getUid())
        .withController(true)
        .build();
  }
}
