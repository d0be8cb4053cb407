package io.kubic.mirrors.node.render;

import io.kubic.mirrors.node.Location;
import io.kubic.mirrors.node.NodeConfig;
import io.kubic.mirrors.node.NodeConfig.Source;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** What a node of a runtime would get, for a person: the same code as on the node itself. */
public enum Preview {
  containerd,
  k3s,
  rke2,
  docker,
  crio,
  podman,
  talos,
  bottlerocket;

  /** The files, and what the runtime cannot be told. */
  public Rendering render(NodeConfig config) {
    Rendering rendering = without(config);
    return config.credentials() == null
        ? rendering
        : rendering.and(new Rendering(List.of(), List.of(new Note("credentials", false, login()))));
  }

  /** Passwords are on nodes only: in no ConfigMap, and on no terminal. */
  private String login() {
    return switch (this) {
      case containerd, k3s, rke2, docker ->
          "credentials are not shown; on a node every mirror that has some gets a header"
              + " Authorization in hosts.toml";
      case crio, podman -> "credentials are not shown; on a node they are in " + AuthFile.PATH;
      case talos -> "credentials are not shown; add a RegistryAuthConfig for the mirror";
      case bottlerocket ->
          "credentials are not shown; add settings.container-registry.credentials for the mirror";
    };
  }

  private Rendering without(NodeConfig config) {
    return switch (this) {
      case containerd -> Containerd.render(config, "/etc/containerd/certs.d", Map.of());
      case k3s, rke2 ->
          Containerd.render(
              config, "/var/lib/rancher/" + name() + "/agent/etc/containerd/certs.d", Map.of());
      case docker ->
          Containerd.render(config, "/etc/docker/certs.d", Map.of())
              .and(new Rendering(List.of(), docker(config)));
      case crio, podman -> Containers.render(config, Containers.DIRECTORY);
      case talos -> Talos.render(config);
      case bottlerocket -> Bottlerocket.render(config);
    };
  }

  /** The files one after the other, each below a line with its path, and the notes as comments. */
  public static String listing(Rendering rendering) {
    StringBuilder text = new StringBuilder();
    for (NodeFile file : rendering.files()) {
      text.append(text.isEmpty() ? "" : "\n")
          .append("==> ")
          .append(file.path())
          .append(" <==\n")
          .append(file.content());
    }
    for (Note note : rendering.notes()) {
      text.append("# ")
          .append(note.forbidden() ? "cannot be said: " : "left out: ")
          .append(note.message())
          .append('\n');
    }
    return text.toString();
  }

  /**
   * dockerd reads hosts.toml with the containerd image store only. Its own registry-mirrors are for
   * docker.io alone and take no path (docs.docker.com, registry mirrors).
   */
  private static List<Note> docker(NodeConfig config) {
    List<Note> notes = new ArrayList<>();
    for (Source source : config.sources()) {
      Location first = source.endpoints().getFirst().location();
      boolean hub = source.source().equals("docker.io") && first.path().isEmpty();
      notes.add(
          new Note(
              source.source(),
              false,
              "dockerd reads this with the containerd image store only (the default from 29); "
                  + (hub
                      ? "else write {\"registry-mirrors\": [\""
                          + first.url("https")
                          + "\"]} to /etc/docker/daemon.json and reload docker"
                      : "else it has no mirror for "
                          + source.source()
                          + ": registry-mirrors serve docker.io alone, without a path")));
    }
    return notes;
  }
}
