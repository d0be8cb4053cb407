package io.kubic.mirrors.node.agent;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.dataformat.toml.TomlMapper;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.Runtime;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.RuntimeRestart;
import io.kubic.mirrors.node.NodeConfig;
import io.kubic.mirrors.node.apply.HostRoot;
import io.kubic.mirrors.node.apply.Journal;
import io.kubic.mirrors.node.render.NodeFile;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Makes a containerd that reads no per-registry files do so, where a restart is allowed: one file
 * of ours beside its configuration, which itself is never edited. That needs a configuration that
 * imports a directory, or none at all. Before the restart containerd itself must read the result.
 */
final class RuntimeSetup {
  private static final TomlMapper TOML = new TomlMapper();
  private static final String DIRECTORY = "/etc/containerd";
  private static final String MAIN = DIRECTORY + "/config.toml";
  private static final String NAME = "50-mirror-operator.toml";
  private static final String CERTS = DIRECTORY + "/certs.d";

  /**
   * There where systemd runs (sd_booted(3)). It restarts a service itself, whoever asks. Others, as
   * OpenRC, start it as a child of who asks: containerd would be a process of the agent's
   * container.
   */
  private static final String SYSTEMD = "/run/systemd/system";

  private RuntimeSetup() {}

  /** Whether services of a host may and can be restarted or reloaded. */
  static boolean mayAskServices(HostRoot host, NodeConfig config) {
    return config.runtimeRestart() == RuntimeRestart.IfRequired && host.isDirectory(SYSTEMD);
  }

  /** Whether a path is that of such a file. */
  static boolean isOurs(String path) {
    return path.equals(MAIN) || path.endsWith("/" + NAME);
  }

  /**
   * Files that are to be there: those of earlier rounds, on which the runtime depends now, and a
   * new one where it is needed, possible and allowed.
   *
   * @param failed whether the runtime did not start with it already
   */
  static List<NodeFile> files(
      HostRoot host, NodeConfig config, List<Target> targets, Journal journal, boolean failed)
      throws IOException {
    List<NodeFile> files = new ArrayList<>();
    journal
        .files()
        .forEach(
            (path, content) -> {
              if (isOurs(path)) {
                files.add(new NodeFile(path, NodeFile.Kind.HOSTS, content));
              }
            });
    if (files.isEmpty()
        && Target.anyUnconfigured(targets, Runtime.CONTAINERD)
        && !failed
        && mayAskServices(host, config)) {
      file(host, config).ifPresent(files::add);
    }
    return files;
  }

  private static Optional<NodeFile> file(HostRoot host, NodeConfig config) throws IOException {
    Optional<String> text = host.read(MAIN);
    if (text.isEmpty()) {
      return Optional.of(file(MAIN, config, 2));
    }
    JsonNode main = TOML.readTree(text.get());
    for (JsonNode element : main.path("imports")) {
      String pattern = element.asText("");
      if (pattern.startsWith("/") && pattern.endsWith("/*.toml")) {
        String directory = pattern.substring(0, pattern.length() - "/*.toml".length());
        if (host.isDirectory(directory)) {
          return Optional.of(file(directory + "/" + NAME, config, main.path("version").asInt(1)));
        }
      }
    }
    return Optional.empty();
  }

  private static NodeFile file(String path, NodeConfig config, int version) {
    String plugin =
        version >= 3
            ? "io.containerd.cri.v1.images"
            : version == 2 ? "io.containerd.grpc.v1.cri" : "cri";
    return new NodeFile(
        path,
        NodeFile.Kind.HOSTS,
        NodeFile.MARKER
            + " for NodeRegistryConfig '"
            + config.name()
            + "' (mirrors.kubic.io); do not edit.\nversion = "
            + version
            + "\n\n[plugins.\""
            + plugin
            + "\".registry]\nconfig_path = \""
            + CERTS
            + "\"\n");
  }

  /**
   * Whether containerd itself would look where the files are.
   *
   * @return a problem, or nothing
   */
  static Optional<String> unread(HostCommand command) throws IOException, InterruptedException {
    HostCommand.Result dump = command.run(List.of("containerd", "config", "dump"));
    return dump.code() == 0 && dump.output().contains(CERTS)
        ? Optional.empty()
        : Optional.of(
            "containerd would not read its directory of registries"
                + (dump.code() == 0 ? "" : ": " + dump.lastLine()));
  }

  /**
   * Restarts containerd, and looks whether it runs.
   *
   * @return a problem, or nothing
   */
  static Optional<String> restart(HostCommand command) throws IOException, InterruptedException {
    HostCommand.Result restart = command.run(List.of("systemctl", "restart", "containerd"));
    if (restart.code() != 0) {
      return Optional.of("containerd does not restart: " + restart.lastLine());
    }
    HostCommand.Result alive = command.run(List.of("systemctl", "is-active", "containerd"));
    return alive.code() == 0
        ? Optional.empty()
        : Optional.of("containerd does not run after its restart: " + alive.lastLine());
  }
}
