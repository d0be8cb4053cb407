package io.kubic.mirrors.node.render;

import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.Pull;
import io.kubic.mirrors.node.Certificates;
import io.kubic.mirrors.node.NodeConfig;
import io.kubic.mirrors.node.NodeConfig.Endpoint;
import io.kubic.mirrors.node.NodeConfig.Source;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;

/**
 * Settings for Bottlerocket, whose host nobody writes to: user data, or {@code apiclient apply}.
 * Its containerd asks the source last, whatever is set, and trusts a CA for every host.
 */
public final class Bottlerocket {
  /** Where the settings lie in a preview. */
  public static final String FILE = "/bottlerocket/mirror-operator.toml";

  private Bottlerocket() {}

  /** One file; what Bottlerocket cannot be told is a note. */
  public static Rendering render(NodeConfig config) {
    List<Note> notes = new ArrayList<>();
    Toml toml = new Toml().comment(NodeFile.marker(config));
    for (Source source : config.sources()) {
      if (source.never() || !source.isRegistry()) {
        notes.add(
            new Note(
                source.source(),
                source.never(),
                source.never()
                    ? "Bottlerocket always asks the source last; it cannot be kept from "
                        + source.source()
                    : "Bottlerocket knows whole registries only, not " + source.source()));
        continue;
      }
      List<String> urls = new ArrayList<>();
      for (Endpoint endpoint : source.endpoints()) {
        if (endpoint.pull() == Pull.All) {
          urls.add(endpoint.location().url(endpoint.insecure() ? "http" : "https"));
        } else {
          notes.add(
              new Note(
                  source.source(),
                  false,
                  "Bottlerocket cannot use "
                      + endpoint.location()
                      + " for some references; left out"));
        }
      }
      if (!urls.isEmpty()) {
        toml.element("settings", "container-registry", "mirrors")
            .put("registry", source.source())
            .put("endpoint", urls);
      }
    }
    for (String blocked : config.blocked()) {
      notes.add(new Note(blocked, true, "Bottlerocket cannot block " + blocked));
    }
    if (!config.authorities().isEmpty()) {
      StringBuilder bundle = new StringBuilder();
      config.authorities().values().forEach(pem -> bundle.append(Certificates.canonical(pem)));
      toml.table("settings", "pki", "mirror-operator")
          .put(
              "data",
              Base64.getEncoder()
                  .encodeToString(bundle.toString().getBytes(StandardCharsets.US_ASCII)))
          .put("trusted", true);
    }
    return new Rendering(List.of(new NodeFile(FILE, NodeFile.Kind.PATCH, toml.toString())), notes);
  }
}
