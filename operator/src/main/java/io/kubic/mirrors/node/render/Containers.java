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
 *   <li>Nothing with an IPv6 address: the library's reference.go does not know them, refuses every
 *       image whose table has one, and everything when a search registry is one.
 * </ul>
 */
public final class Containers {
  /** The directory of the library's configuration. */
  public static final String DIRECTORY = "/etc/containers";

  /** Sorts after what distributions ship and before what administrators call 99-something. */
  private static final String DROP_IN = "50-mirror-operator.conf";

  private Containers() {}

  /** The place of our drop-in below the library's directory. */
  public static String dropIn(String directory) {
    return directory + "/registries.conf.d/" + DROP_IN;
  }

  /**
   * @param directory {@link #DIRECTORY}, or another for a preview
   */
  public static Rendering render(NodeConfig config, String directory) {
    List<NodeFile> files = new ArrayList<>(Containerd.trust(config, directory + "/certs.d"));
    List<Note> notes = new ArrayList<>();
    Toml toml = new Toml().comment(NodeFile.marker(config));
    boolean any = false;
    List<String> search = new ArrayList<>();
    for (String registry : config.unqualifiedSearchRegistries()) {
      if (isIpv6(registry)) {
        notes.add(unknown(registry, registry));
      } else {
        search.add(registry);
      }
    }
    if (!search.isEmpty()) {
      toml.put("unqualified-search-registries", search);
      any = true;
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
      any = true;
    }
    for (Source source : config.sources()) {
      List<Endpoint> usable = new ArrayList<>();
      for (Endpoint endpoint : source.endpoints()) {
        if (isIpv6(endpoint.location().registry())) {
          notes.add(unknown(source.source(), endpoint.location().toString()));
        } else {
          usable.add(endpoint);
        }
      }
      if (isIpv6(source.source()) || usable.isEmpty() && !source.never()) {
        continue; // an image of such a source has no name that the library reads
      }
      table(toml, source.source(), source.never());
      usable.forEach(endpoint -> mirror(toml, endpoint));
      any = true;
    }
    for (String blocked : config.blocked()) {
      if (!isIpv6(blocked)) {
        table(toml, blocked, true);
        any = true;
      }
    }
    if (any) {
      files.add(new NodeFile(dropIn(directory), NodeFile.Kind.DROP_IN, toml.toString()));
    }
    return new Rendering(files, notes);
  }

  /**
   * The form of the 2019 how-to: a table whose location is the mirror. The source is never asked,
   * without being blocked. Only a source with one mirror for all references can be written so.
   */
  public static Rendering rewrite(NodeConfig config, String directory) {
    List<NodeFile> files = new ArrayList<>(Containerd.trust(config, directory + "/certs.d"));
    List<Note> notes = new ArrayList<>();
    Toml toml = new Toml().comment(NodeFile.marker(config));
    boolean any = false;
    for (Source source : config.sources()) {
      Endpoint endpoint = source.endpoints().getFirst();
      if (source.endpoints().size() > 1
          || endpoint.pull() != Pull.All
          || isIpv6(endpoint.location().registry())
          || isIpv6(source.source())
          || source.isWildcard()) {
        notes.add(
            new Note(
                source.source(),
                true,
                "a location is one place for all references; "
                    + source.source()
                    + " needs a table with mirrors"));
        continue;
      }
      toml.element("registry")
          .put("prefix", source.source())
          .put("location", endpoint.location().toString());
      if (endpoint.insecure()) {
        toml.put("insecure", true);
      }
      any = true;
    }
    for (String blocked : config.blocked()) {
      table(toml, blocked, true);
      any = true;
    }
    if (any) {
      files.add(new NodeFile(dropIn(directory), NodeFile.Kind.DROP_IN, toml.toString()));
    }
    return new Rendering(files, notes);
  }

  private static boolean isIpv6(String location) {
    return location.startsWith("[");
  }

  private static Note unknown(String source, String location) {
    return new Note(
        source,
        false,
        "CRI-O and podman know no IPv6 addresses in names; "
            + location
            + " is left out, give the registry a host name");
  }

  private static void mirror(Toml toml, Endpoint endpoint) {
    toml.element("registry", "mirror").put("location", endpoint.location().toString());
    if (endpoint.insecure()) {
      toml.put("insecure", true);
    }
    if (endpoint.pull() != Pull.All) {
      toml.put("pull-from-mirror", endpoint.pull() == Pull.DigestOnly ? "digest-only" : "tag-only");
    }
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
