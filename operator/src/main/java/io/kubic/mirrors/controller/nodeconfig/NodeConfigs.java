package io.kubic.mirrors.controller.nodeconfig;

import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.Pull;
import io.kubic.mirrors.node.Location;
import io.kubic.mirrors.node.NodeConfig;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/** Resolves a NodeRegistryConfig into the document that agents are given; pure. */
final class NodeConfigs {
  private NodeConfigs() {}

  /**
   * @param derived source host to location, from the lists that fill the registry
   * @param authorities {@code host:port} to CA bundle in PEM
   * @throws InvalidSpecException naming the field that cannot be carried out
   */
  static NodeConfig of(
      String name,
      NodeRegistryConfigSpec spec,
      Map<String, String> derived,
      Map<String, String> authorities) {
    SortedMap<String, NodeConfig.Source> sources = new TreeMap<>();
    derived.forEach(
        (host, location) ->
            sources.put(
                host,
                new NodeConfig.Source(
                    host,
                    List.of(
                        new NodeConfig.Endpoint(
                            Location.parse(location, "spec.registryRef"), Pull.All, false)),
                    spec.defaultPolicy())));
    for (int i = 0; i < spec.mirrors().size(); i++) {
      NodeRegistryConfigSpec.Mirror mirror = spec.mirrors().get(i);
      List<NodeConfig.Endpoint> endpoints = new ArrayList<>();
      for (int j = 0; j < mirror.endpoints().size(); j++) {
        NodeRegistryConfigSpec.Endpoint endpoint = mirror.endpoints().get(j);
        endpoints.add(
            new NodeConfig.Endpoint(
                Location.parse(
                    endpoint.location(), "spec.mirrors[" + i + "].endpoints[" + j + "].location"),
                endpoint.pull(),
                endpoint.insecure()));
      }
      // What a person writes wins over what is derived.
      sources.put(
          mirror.source(), new NodeConfig.Source(mirror.source(), endpoints, mirror.policy()));
    }
    return document(name, spec, List.copyOf(sources.values()), authorities, false);
  }

  /** Takes everything back. */
  static NodeConfig removal(String name, NodeRegistryConfigSpec spec) {
    return document(name, spec, List.of(), Map.of(), true);
  }

  private static NodeConfig document(
      String name,
      NodeRegistryConfigSpec spec,
      List<NodeConfig.Source> sources,
      Map<String, String> authorities,
      boolean remove) {
    return new NodeConfig(
        name,
        sources,
        spec.blockedRegistries(),
        spec.unqualifiedSearchRegistries(),
        spec.shortNameMode(),
        spec.runtimes(),
        new TreeMap<>(authorities),
        spec.dialTimeout(),
        new NodeConfig.Health(
            spec.health().interval(),
            spec.health().failureThreshold(),
            spec.health().successThreshold(),
            spec.health().withdraw()),
        new NodeConfig.Verify(spec.verify().mode(), spec.verify().image()),
        spec.driftPolicy(),
        spec.removalPolicy(),
        remove,
        false);
  }
}
