package io.kubic.mirrors.oci;

import java.util.List;

/**
 * What a registry lists.
 *
 * @param names valid repositories or tags, each once, in the registry's order
 * @param malformed names that nothing could address, fit for a message; not empty only on a
 *     registry that misbehaves, and then worth a warning
 */
public record Listing(List<String> names, List<String> malformed) {
  public Listing {
    names = List.copyOf(names);
    malformed = List.copyOf(malformed);
  }
}
