package io.kubic.mirrors.list;

import io.kubic.mirrors.oci.Listing;
import io.kubic.mirrors.oci.RegistryException;

/** What a source offers. Order and duplicates do not matter; the caller sorts. */
public interface Catalog {
  /**
   * Every repository, without the registry's name.
   *
   * @throws RegistryException when they cannot be listed, {@code DiscoveryUnsupported} when the
   *     registry has no catalog
   */
  Listing repositories();

  /**
   * Every tag of a repository.
   *
   * @throws RegistryException when they cannot be listed
   */
  Listing tags(String repository);
}
