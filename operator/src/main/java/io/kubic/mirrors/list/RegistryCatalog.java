package io.kubic.mirrors.list;

import io.kubic.mirrors.oci.Listing;
import io.kubic.mirrors.oci.registry.RegistryClient;

/** The catalog of a remote registry, within its limits and with its failures. */
public record RegistryCatalog(RegistryClient client) implements Catalog {
  @Override
  public Listing repositories() {
    return client.catalog();
  }

  @Override
  public Listing tags(String repository) {
    return client.tags(repository);
  }
}
