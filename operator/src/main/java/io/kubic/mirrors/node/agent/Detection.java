package io.kubic.mirrors.node.agent;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import com.fasterxml.jackson.dataformat.toml.TomlMapper;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.Runtime;
import io.kubic.mirrors.node.apply.HostRoot;
import io.kubic.mirrors.node.render.Containers;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Which runtimes a node has and where they read per-registry files. The existence of a directory
 * says nothing: the kubelet makes those that an agent mounts. What counts is what a package puts
 * there, and the file system that this very container was started on.
 */
public final class Detection {
  private static final TomlMapper TOML = new TomlMapper();

  /** The first configuration format of containerd whose default names the directories. */
  private static final int SETS_CONFIG_PATH = 4;

  private static final List<String> DEFAULT_DIRECTORIES =
      List.of("/etc/containerd/certs.d", "/etc/docker/certs.d");

  private static final int MAX_IMPORTS = 32;

  private static final String CRIO = "/etc/crio/crio.conf";

  private Detection() {}

  /**
   * @param runtimes as configured; {@code Auto} looks for them
   * @param mountinfo content of {@code /proc/self/mountinfo}
   * @return empty when no runtime was found
   */
  public static List<Target> detect(HostRoot host, List<Runtime> runtimes, String mountinfo) {
    Set<Runtime> found = new LinkedHashSet<>();
    if (runtimes.contains(Runtime.Auto)) {
      String own = rootFileSystem(mountinfo);
      if (own.contains("/rancher/k3s/") || host.exists(k3s("k3s") + "/config.toml")) {
        found.add(Runtime.K3S);
      }
      if (own.contains("/rancher/rke2/") || host.exists(k3s("rke2") + "/config.toml")) {
        found.add(Runtime.RKE2);
      }
      if (host.exists("/etc/containerd/config.toml")
          || found.isEmpty() && own.contains("io.containerd.snapshotter")) {
        found.add(Runtime.CONTAINERD);
      }
      if (own.contains("/containers/storage/") || hasCrio(host)) {
        found.add(Runtime.CRIO);
      } else if (host.exists(Containers.DIRECTORY + "/policy.json")
          || host.exists(Containers.DIRECTORY + "/registries.conf")) {
        found.add(Runtime.PODMAN);
      }
    } else {
      found.addAll(runtimes);
    }
    List<Target> targets = new ArrayList<>();
    for (Runtime runtime : found) {
      switch (runtime) {
        case CONTAINERD -> targets.add(containerd(host, runtime, "/etc/containerd"));
        case K3S -> targets.add(containerd(host, runtime, k3s("k3s")));
        case RKE2 -> targets.add(containerd(host, runtime, k3s("rke2")));
        case DOCKER -> targets.add(new Target.Registries(runtime, List.of("/etc/docker/certs.d")));
        case CRIO, PODMAN -> {
          if (runtime == Runtime.CRIO) {
            crio(host).ifPresent(targets::add);
          }
          if (targets.stream().noneMatch(Target.Library.class::isInstance)) {
            targets.add(
                new Target.Library(
                    found.stream().filter(r -> r == Runtime.CRIO || r == Runtime.PODMAN).toList(),
                    Containers.DIRECTORY,
                    runtime == Runtime.CRIO ? authFile(host) : Optional.empty()));
          }
        }
        case Auto -> {}
      }
    }
    return List.copyOf(targets);
  }

  private static String k3s(String name) {
    return "/var/lib/rancher/" + name + "/agent/etc/containerd";
  }

  /** The options of the mount at {@code /}: they name the directory of the snapshotter. */
  private static String rootFileSystem(String mountinfo) {
    return mountinfo
        .lines()
        .filter(
            line -> {
              String[] fields = line.split(" ");
              return fields.length > 5 && fields[4].equals("/");
            })
        .reduce((_, last) -> last)
        .orElse("");
  }

  private static Target containerd(HostRoot host, Runtime runtime, String directory) {
    String file = directory + "/config.toml";
    try {
      Optional<String> text = host.read(file);
      if (text.isEmpty()) {
        return unconfigured(runtime, file, 2);
      }
      JsonNode config = TOML.readTree(text.get());
      int version = config.path("version").asInt(1);
      String path = configPath(config);
      boolean mirrors = hasMirrors(config);
      for (String imported : imports(host, config, directory)) {
        JsonNode more = TOML.readTree(host.read(imported).orElse(""));
        path = configPath(more).isEmpty() ? path : configPath(more);
        mirrors |= hasMirrors(more);
      }
      if (path.isEmpty()) {
        return version >= SETS_CONFIG_PATH && !mirrors
            ? new Target.Registries(runtime, DEFAULT_DIRECTORIES)
            : unconfigured(runtime, file, version);
      }
      List<String> directories = Arrays.stream(path.split(":")).filter(d -> !d.isEmpty()).toList();
      for (String at : directories) {
        if (!at.startsWith("/")) {
          return new Target.Unconfigured(
              runtime, file + ": config_path '" + at + "' is not absolute");
        }
      }
      if (!host.isDirectory(directories.getFirst())) {
        return new Target.Unconfigured(
            runtime,
            file
                + ": config_path is "
                + directories.getFirst()
                + ", which is not mounted here; set it to "
                + directory
                + "/certs.d and restart "
                + Target.runtimeName(runtime));
      }
      return new Target.Registries(runtime, directories);
    } catch (IOException e) {
      String message = String.valueOf(e.getMessage());
      int end = message.indexOf('\n');
      return new Target.Unconfigured(
          runtime,
          file + " cannot be read: " + (end < 0 ? message : message.substring(0, end)),
          true);
    }
  }

  private static String configPath(JsonNode config) {
    for (JsonNode registry : registries(config)) {
      String path = registry.path("config_path").asText("");
      if (!path.isEmpty()) {
        return path;
      }
    }
    return "";
  }

  private static boolean hasMirrors(JsonNode config) {
    return registries(config).stream().anyMatch(registry -> !registry.path("mirrors").isEmpty());
  }

  /** The tables of config formats 3 and later, 2, and 1. */
  private static List<JsonNode> registries(JsonNode config) {
    JsonNode plugins = config.path("plugins");
    List<JsonNode> found = new ArrayList<>();
    for (String plugin :
        List.of("io.containerd.cri.v1.images", "io.containerd.grpc.v1.cri", "cri")) {
      JsonNode registry = plugins.path(plugin).path("registry");
      if (!(registry instanceof MissingNode)) {
        found.add(registry);
      }
    }
    return found;
  }

  /** {@code imports}, relative to the file, with a {@code *} in the last component. */
  private static List<String> imports(HostRoot host, JsonNode config, String directory)
      throws IOException {
    List<String> files = new ArrayList<>();
    for (JsonNode element : config.path("imports")) {
      String pattern = element.asText("");
      String path = pattern.startsWith("/") ? pattern : directory + "/" + pattern;
      int slash = path.lastIndexOf('/');
      int star = path.indexOf('*', slash);
      if (star < 0) {
        files.add(path);
        continue;
      }
      String before = path.substring(slash + 1, star);
      String after = path.substring(star + 1);
      for (String name : host.list(path.substring(0, slash))) {
        if (name.length() >= before.length() + after.length()
            && name.startsWith(before)
            && name.endsWith(after)) {
          files.add(path.substring(0, slash) + "/" + name);
        }
      }
    }
    return files.subList(0, Math.min(files.size(), MAX_IMPORTS));
  }

  private static Target unconfigured(Runtime runtime, String file, int version) {
    String directory = file.substring(0, file.lastIndexOf('/')) + "/certs.d";
    String plugin = version >= 3 ? "io.containerd.cri.v1.images" : "io.containerd.grpc.v1.cri";
    return new Target.Unconfigured(
        runtime,
        file
            + " does not name a directory of registries; add"
            + " [plugins.\""
            + plugin
            + "\".registry] config_path = \""
            + directory
            + "\" and restart "
            + Target.runtimeName(runtime)
            + " once");
  }

  /** Its packages bring crio.conf, or only drop-ins. */
  private static boolean hasCrio(HostRoot host) {
    try {
      return host.exists(CRIO) || !host.list(CRIO + ".d").isEmpty();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The last value of an option of {@code [crio.image]} in crio.conf and its drop-ins. */
  private static JsonNode crioImage(HostRoot host, String option) throws IOException {
    List<String> files = new ArrayList<>(List.of(CRIO));
    for (String name : host.list(CRIO + ".d")) {
      files.add(CRIO + ".d/" + name);
    }
    JsonNode last = MissingNode.getInstance();
    for (String file : files) {
      JsonNode value =
          TOML.readTree(host.read(file).orElse("")).path("crio").path("image").path(option);
      last = value.isMissingNode() ? last : value;
    }
    return last;
  }

  private static Optional<String> authFile(HostRoot host) {
    try {
      String file = crioImage(host, "global_auth_file").asText("");
      return file.isEmpty() ? Optional.empty() : Optional.of(file);
    } catch (IOException e) {
      return Optional.empty(); // crio() has said so
    }
  }

  /** CRI-O keeps its configuration in memory; it must look for changes itself (cri-o#7788). */
  private static Optional<Target> crio(HostRoot host) {
    try {
      if (crioImage(host, "auto_reload_registries").asBoolean(false)) {
        return Optional.empty();
      }
    } catch (IOException e) {
      return Optional.of(
          new Target.Unconfigured(
              Runtime.CRIO, "/etc/crio cannot be read: " + e.getMessage(), true));
    }
    return Optional.of(
        new Target.Unconfigured(
            Runtime.CRIO,
            "CRI-O does not look for changed registries; write [crio.image]"
                + " auto_reload_registries = true to /etc/crio/crio.conf.d/50-mirror-operator.conf"
                + " and restart crio once (CRI-O 1.31 or newer), or let the agent tell it: set"
                + " spec.runtimeRestart to IfRequired"));
  }
}
