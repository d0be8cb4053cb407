package io.kubic.mirrors.sync;

import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.RegistryException;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * What lists select by digest alone in a registry, as their ledgers there say: no tag keeps it from
 * being collected.
 */
public final class Pins {
  private Pins() {}

  /**
   * Reads all ledgers.
   *
   * @throws RegistryException when one of them cannot be read
   */
  public static Set<Digest> of(ImageStore registry) {
    Ledgers.View view = new Ledgers(registry, "", Shard.whole()).load();
    view.problems().stream()
        .findFirst()
        .ifPresent(
            problem -> {
              throw new RegistryException(
                  problem.reason(),
                  problem.object(),
                  Ledgers.isDamage(problem.reason())
                      ? problem.message()
                          + "; a run of its list writes it anew; if there is no such list, remove"
                          + " the tag"
                      : problem.message());
            });
    return view.others().stream()
        .flatMap(ledger -> ledger.pins().stream())
        .map(Ledger.Pin::digest)
        .collect(Collectors.toSet());
  }
}
