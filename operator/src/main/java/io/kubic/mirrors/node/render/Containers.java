package io.kubic.mirrors.node.render;

import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.Pull;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.ShortNameMode;
import io.kubic.mirrors.node.NodeConfig;
import io.kubic.mirrors.node.NodeConfig.Endpoint;
import io.kubic.mirrors.node.NodeConfig.Source;
import java.util.ArrayList;
import java.util.List;

/**
 * The drop-in of the containers library, which CRI-O, podman, buildah and skopeo read:
 * containers-registries.conf(5), version 2.
 *
 * <ul>
 *   <li>The table of a source names the source as its location. {@code blocked} then forbids the
 *       source and leaves the mirrors in use (it is looked up for the place that is contacted).
 *   <li>Only keys that are in the manual: unknown ones are passed over silently by the library.
 *   <li>A wildcard has no location: names are not rewritten for the source.
 * </ul>
 */
public final class Containers {
  /** The directory of the library's configuration. */
  public static final String DIRECTORY = "/etc/containers";

  /** Sorts after what distributions ship and before what administrators call 99-something. */
  public static final String DROP_IN = "50-mirror-operator.conf";

  private Containers() {}

  /**
   * @param directory {@link #DIRECTORY}, or another for a preview
   */
  public static Rendering render(NodeConfig config, String directory) {
    List<NodeFile> files = new ArrayList<>(Containerd.trust(config, directory + "/certs.d"));
    ShortNameMode mode = config.shortNameMode();
    if (!config.sources().isEmpty()
        || !config.blocked().isEmpty()
        || !config.unqualifiedSearchRegistries().isEmpty()
        || mode != null) {
      files.add(
          new NodeFile(
              directory + "/registries.conf.d/" + DROP_IN, NodeFile.Kind.DROP_IN, dropIn(config)));
    }
    return new Rendering(files, List.of());
  }

  private static String dropIn(NodeConfig config) {
    Toml toml = new Toml().comment(NodeFile.marker(config));
    if (!config.unqualifiedSearchRegistries().isEmpty()) {
      toml.put("unqualified-search-registries", config.unqualifiedSearchRegistries());
    }
    ShortNameMode mode = config.shortNameMode();
    if (mode != null) {
      toml.put(
          "short-name-mode",
          switch (mode) {
            case ENFORCING -> "enforcing";
            case PERMISSIVE -> "permissive";
            case DISABLED -> "disabled";
          });
    }
    for (Source source : config.sources()) {
      table(toml, source.source(), source.never());
      for (Endpoint endpoint : source.endpoints()) {
        toml.element("registry", "mirror").put("location", endpoint.location().toString());
        if (endpoint.insecure()) {
          toml.put("insecure", true);
        }
        if (endpoint.pull() != Pull.All) {
          toml.put(
              "pull-from-mirror", endpoint.pull() == Pull.DigestOnly ? "digest-only" : "tag-only");
        }
      }
    }
    for (String blocked : config.blocked()) {
      table(toml, blocked, true);
    }
    return toml.toString();
  }

  private static void table(Toml toml, String prefix, boolean blocked) {
    toml.element("registry").put("prefix", prefix);
    if (!prefix.startsWith("*.")) {
      toml.put("location", prefix);
    }
    if (blocked) {
      toml.put("blocked", true);
    }
  }
}
