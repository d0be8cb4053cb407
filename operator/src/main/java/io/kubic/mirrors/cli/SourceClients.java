package io.kubic.mirrors.cli;

import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.oci.Quota;
import io.kubic.mirrors.oci.registry.RegistryClient;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/** A client for each source of a list. Safe for threads. */
final class SourceClients {
  private final Map<List<String>, RegistryClient> clients = new LinkedHashMap<>();

  /** Opens them all, so that what a flag or a file has wrong is told before anything is done. */
  SourceClients(ConnectionOptions open, MirrorListSpec list) {
    list.sources().forEach(source -> clients.put(key(source), open.source(source, list.retry())));
  }

  /** As two sources of a list differ; a source as a whole has thousands of images. */
  private static List<String> key(MirrorListSpec.Source source) {
    return List.of(source.registry(), source.name());
  }

  RegistryClient of(MirrorListSpec.Source source) {
    RegistryClient client = clients.get(key(source));
    if (client == null) {
      throw new IllegalStateException("no client for " + source.registry());
    }
    return client;
  }

  /** How many requests they sent so far. */
  long requests() {
    return clients.values().stream().mapToLong(RegistryClient::requests).sum();
  }

  /** What a registry told of its limits to any of its clients, which share them. */
  Function<String, Optional<Quota>> quotas() {
    return registry ->
        clients.values().stream()
            .filter(client -> client.name().equals(registry))
            .findFirst()
            .flatMap(RegistryClient::quota);
  }
}
