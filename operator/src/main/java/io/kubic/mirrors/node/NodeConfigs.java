package io.kubic.mirrors.node;

import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.Pull;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Resolves a NodeRegistryConfig into the document that agents are given: the same for a cluster and
 * for {@code kubectl mirror render}.
 */
public final class NodeConfigs {
  private NodeConfigs() {}

  /**
   * @param derived source host to location, from the lists that fill the registry
   * @param authorities {@code host:port} to CA bundle in PEM
   * @param credentials as of {@link NodeConfig#credentials}
   * @throws InvalidSpecException naming the field that cannot be carried out
   */
  public static NodeConfig of(
      String name,
      NodeRegistryConfigSpec spec,
      Map<String, String> derived,
      Map<String, String> authorities,
      @Nullable String credentials) {
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
    return document(name, spec, List.copyOf(sources.values()), authorities, credentials, false);
  }

  /** Takes everything back. */
  public static NodeConfig removal(String name, NodeRegistryConfigSpec spec) {
    return document(name, spec, List.of(), Map.of(), null, true);
  }

  private static NodeConfig document(
      String name,
      NodeRegistryConfigSpec spec,
      List<NodeConfig.Source> sources,
      Map<String, String> authorities,
      @Nullable String credentials,
      boolean remove) {
    return new NodeConfig(
        name,
        sources,
        spec.blockedRegistries(),
        spec.unqualifiedSearchRegistries(),
        spec.shortNameMode(),
        spec.runtimes(),
        new TreeMap<>(authorities),
        credentials,
        spec.trust().systemStore(),
        spec.runtimeRestart(),
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
