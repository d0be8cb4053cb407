package io.kubic.mirrors.node.render;

import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.Pull;
import io.kubic.mirrors.node.Certificates;
import io.kubic.mirrors.node.NodeConfig;
import io.kubic.mirrors.node.NodeConfig.Endpoint;
import io.kubic.mirrors.node.NodeConfig.Source;
import io.kubic.mirrors.node.PullCredentials;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * containerd's directory of registries, as of its docs/hosts.md; 1.6 to 2.x, k3s, RKE2 and docker
 * with the containerd image store read the same files.
 *
 * <ul>
 *   <li>A {@code [host]} table is always written: before 2.0 a file without one is an error, and an
 *       error makes containerd contact the source.
 *   <li>{@code server} stays away where the source may be contacted: containerd then asks the
 *       source last, by its own rules. Where it may not, {@code server} is the last mirror once
 *       more: there is no other way to say it.
 *   <li>A path needs {@code override_path}, or {@code /v2} is appended to it.
 *   <li>The CA lies in the mirror's own directory, once for all sources: one file changes when it
 *       is rotated, and images named by the mirror's own name are trusted too.
 * </ul>
 */
public final class Containerd {
  /** The name of a CA file, in this directory and in that of the containers library. */
  public static final String CA_FILE = "mirror-operator.crt";

  /** The file of a registry. */
  public static final String HOSTS_FILE = "hosts.toml";

  private Containerd() {}

  /**
   * @param directory the directory of registries, absolute, as containerd's {@code config_path}
   * @param existing certificates that lie in the directories of sources already
   */
  public static Rendering render(
      NodeConfig config, String directory, Map<String, HostCertificates> existing) {
    return render(config, directory, existing, PullCredentials.NONE);
  }

  /**
   * @param credentials sent as a header of every request to a mirror that they are for: containerd
   *     has no other place that it reads at every pull
   */
  public static Rendering render(
      NodeConfig config,
      String directory,
      Map<String, HostCertificates> existing,
      PullCredentials credentials) {
    List<NodeFile> files = new ArrayList<>(trust(config, directory));
    List<Note> notes = new ArrayList<>();
    for (Source source : config.sources()) {
      if (!source.isRegistry()) {
        notes.add(
            new Note(
                source.source(),
                source.never(),
                "containerd knows whole registries only; name the source "
                    + (source.isWildcard() ? "of every host" : registryOf(source.source()))
                    + " to have a mirror for it"));
        continue;
      }
      List<Endpoint> usable = new ArrayList<>();
      for (Endpoint endpoint : source.endpoints()) {
        if (endpoint.pull() == Pull.TagOnly) {
          notes.add(
              new Note(
                  source.source(),
                  false,
                  "containerd cannot use " + endpoint.location() + " for tags alone; left out"));
        } else {
          usable.add(endpoint);
        }
      }
      if (!usable.isEmpty()) {
        files.add(
            new NodeFile(
                directory + "/" + source.source() + "/" + HOSTS_FILE,
                NodeFile.Kind.HOSTS,
                hosts(
                    config,
                    source,
                    usable,
                    existing.getOrDefault(source.source(), HostCertificates.NONE),
                    credentials),
                usable.stream().anyMatch(e -> credentials.basic(e.location()).isPresent())));
      } else if (source.never()) {
        files.add(file(directory, source.source(), blocked(config, source.source())));
      }
    }
    for (String blocked : config.blocked()) {
      if (io.kubic.mirrors.node.Location.isRegistry(blocked)) {
        files.add(file(directory, blocked, blocked(config, blocked)));
      } else {
        notes.add(
            new Note(blocked, true, "containerd can block whole registries only, not " + blocked));
      }
    }
    return new Rendering(files, notes);
  }

  private static String hosts(
      NodeConfig config,
      Source source,
      List<Endpoint> endpoints,
      HostCertificates own,
      PullCredentials credentials) {
    Toml toml = new Toml().comment(NodeFile.marker(config));
    if (source.never()) {
      Endpoint last = endpoints.getLast();
      toml.put("server", url(last));
      host(config, last, toml);
      credentials
          .basic(last.location())
          .ifPresent(basic -> toml.table("header").put("Authorization", basic));
    } else {
      if (!own.authorities().isEmpty()) {
        toml.put("ca", own.authorities());
      }
      if (!own.clients().isEmpty()) {
        toml.putPairs("client", own.clients());
      }
    }
    for (Endpoint endpoint : endpoints) {
      toml.table("host", url(endpoint));
      host(config, endpoint, toml);
      credentials
          .basic(endpoint.location())
          .ifPresent(
              basic -> toml.table("host", url(endpoint), "header").put("Authorization", basic));
    }
    return toml.toString();
  }

  private static void host(NodeConfig config, Endpoint endpoint, Toml toml) {
    toml.put(
        "capabilities",
        endpoint.pull() == Pull.DigestOnly ? List.of("pull") : List.of("pull", "resolve"));
    String registry = endpoint.location().registry();
    if (config.authorities().containsKey(registry)) {
      toml.put("ca", "../" + registry + "/" + CA_FILE);
    }
    if (endpoint.insecure()) {
      toml.put("skip_verify", true);
    }
    if (!endpoint.location().path().isEmpty()) {
      toml.put("override_path", true);
    }
    toml.put("dial_timeout", config.dialTimeout());
  }

  /** A host that can neither be pulled from nor resolve a tag: containerd has nobody to ask. */
  private static String blocked(NodeConfig config, String registry) {
    return new Toml()
        .comment(NodeFile.marker(config))
        .put("server", "https://" + registry)
        .put("capabilities", List.of("push"))
        .table("host", "https://" + registry)
        .put("capabilities", List.of("push"))
        .toString();
  }

  /** With http, {@code skip_verify} makes containerd try TLS first and fall back. */
  private static String url(Endpoint endpoint) {
    return endpoint.location().url(endpoint.insecure() ? "http" : "https");
  }

  private static NodeFile file(String directory, String registry, String content) {
    return new NodeFile(
        directory + "/" + registry + "/" + HOSTS_FILE, NodeFile.Kind.HOSTS, content);
  }

  private static String registryOf(String source) {
    return source.substring(0, source.indexOf('/'));
  }

  /**
   * The CA of every registry that has one, in the directory of the registry; of a mirror that is
   * withdrawn just now, too: what is trusted does not depend on who answers.
   */
  static List<NodeFile> trust(NodeConfig config, String directory) {
    return config.authorities().keySet().stream()
        .map(
            registry ->
                new NodeFile(
                    directory + "/" + registry + "/" + CA_FILE,
                    NodeFile.Kind.TRUST,
                    "# "
                        + NodeFile.marker(config)
                        + "\n"
                        + Certificates.canonical(
                            String.valueOf(config.authorities().get(registry)))))
        .toList();
  }
}
