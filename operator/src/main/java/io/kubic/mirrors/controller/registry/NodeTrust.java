package io.kubic.mirrors.controller.registry;

import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfig;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigStatus;
import io.kubic.mirrors.controller.support.Conditions;
import java.util.Collection;
import java.util.Map;
import java.util.TreeMap;

/**
 * What the nodes that pull from a registry have, summed over their configurations.
 *
 * @param acknowledged by fingerprint of a CA, how many nodes have it
 * @param nodes how many there are
 * @param settled whether all of them have the newest configuration
 */
record NodeTrust(Map<String, Integer> acknowledged, int nodes, boolean settled) {

  static NodeTrust of(Collection<NodeRegistryConfig> configs) {
    Map<String, Integer> acknowledged = new TreeMap<>();
    int nodes = 0;
    boolean settled = true;
    for (NodeRegistryConfig config : configs) {
      NodeRegistryConfigStatus seen = config.getStatus();
      settled &=
          seen != null
              && seen.conditions().stream()
                  .anyMatch(c -> c.type().equals(Conditions.READY) && c.holds());
      if (seen == null || seen.nodes() == null) {
        continue;
      }
      Integer desired = seen.nodes().desired();
      nodes += desired == null ? 0 : desired;
      for (NodeRegistryConfigStatus.CaHash ca : seen.caHashes()) {
        Integer count = ca.nodes();
        acknowledged.merge(ca.sha256(), count == null ? 0 : count, Integer::sum);
      }
    }
    return new NodeTrust(acknowledged, nodes, settled);
  }
}
