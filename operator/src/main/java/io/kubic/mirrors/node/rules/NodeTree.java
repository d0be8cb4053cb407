package io.kubic.mirrors.node.rules;

import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.node.ImageName;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * A directory that stands for a node's {@code /etc}, as its runtimes read it: {@code
 * containers/registries.conf}, its drop-ins, and {@code containerd/certs.d}.
 */
public final class NodeTree {
  private final List<String> problems = new ArrayList<>();
  private final Map<String, HostsToml> hosts = new TreeMap<>();
  private Optional<RegistriesConf> registries = Optional.empty();
  private boolean hasContainerd;

  /**
   * Reads what is there; nothing is an error, everything wrong is a problem.
   *
   * @param etc the directory, or one that holds it as {@code etc}
   */
  public static NodeTree read(Path etc) throws IOException {
    Path directory = Files.isDirectory(etc.resolve("etc")) ? etc.resolve("etc") : etc;
    NodeTree tree = new NodeTree();
    tree.library(directory.resolve("containers"));
    tree.containerd(directory.resolve("containerd/certs.d"));
    return tree;
  }

  /** One line each: file, what is wrong, the remedy. */
  public List<String> problems() {
    return List.copyOf(problems);
  }

  /** Whether there is anything for the containers library; what {@link #library} answers with. */
  public boolean hasLibrary() {
    return registries.isPresent();
  }

  public boolean hasContainerd() {
    return hasContainerd;
  }

  /**
   * Whom CRI-O and podman would ask.
   *
   * @throws InvalidFileException when they would ask nobody
   */
  public List<Attempt> library(ImageName image) throws InvalidFileException {
    return registries.orElse(RegistriesConf.EMPTY).attempts(image);
  }

  /** Whom containerd would ask. */
  public List<Attempt> containerd(ImageName image) {
    String registry = image.registry();
    int colon = registry.lastIndexOf(':');
    List<String> names = new ArrayList<>();
    if (colon > 0) {
      names.add(registry.substring(0, colon) + "_" + registry.substring(colon + 1) + "_");
    }
    names.add(registry);
    names.add("_default");
    for (String name : names) {
      HostsToml found = hosts.get(name);
      if (found != null) {
        return found.attempts(image);
      }
    }
    return List.of(
        new Attempt(HostsToml.source(registry) + "/" + image.repository(), false, false));
  }

  private void library(Path directory) throws IOException {
    List<Path> files = new ArrayList<>();
    Path main = directory.resolve("registries.conf");
    if (Files.isRegularFile(main)) {
      files.add(main);
    }
    for (Path entry : entries(directory.resolve("registries.conf.d"))) {
      if (entry.toString().endsWith(".conf") && !Files.isDirectory(entry)) {
        files.add(entry);
      }
    }
    if (files.isEmpty()) {
      return;
    }
    RegistriesConf merged = RegistriesConf.EMPTY;
    for (Path file : files) {
      try {
        merged = merged.and(RegistriesConf.parse(Files.readString(file), file.toString()));
      } catch (InvalidFileException e) {
        problems.add(e.getMessage() + " (CRI-O and podman refuse every pull)");
      }
    }
    registries = Optional.of(merged);
  }

  private void containerd(Path directory) throws IOException {
    hasContainerd = Files.isDirectory(directory);
    for (Path entry : entries(directory)) {
      Path file = entry.resolve("hosts.toml");
      if (!Files.isDirectory(entry)) {
        continue;
      }
      String name = String.valueOf(entry.getFileName());
      try {
        String text =
            Files.isRegularFile(file) ? Files.readString(file, StandardCharsets.UTF_8) : "";
        HostsToml parsed = HostsToml.parse(text, file.toString());
        hosts.put(name, parsed);
        if (!text.isEmpty() && !parsed.readBefore2()) {
          problems.add(file + ": containerd before 2.0 wants a [host] table, and asks the source");
        }
        for (HostsToml.Host host : parsed.hosts()) {
          Stream.concat(host.authorities().stream(), host.files().stream())
              .filter(path -> !path.startsWith("/"))
              .map(entry::resolve)
              .filter(path -> !Files.isRegularFile(path))
              .distinct()
              .forEach(path -> problems.add(file + ": names " + path + ", which is not there"));
        }
      } catch (InvalidFileException e) {
        problems.add(e.getMessage() + " (containerd ignores the file and asks the source)");
        hosts.put(name, sourceOnly(file));
      }
    }
  }

  private static HostsToml sourceOnly(Path file) {
    try {
      return HostsToml.parse("", file.toString());
    } catch (InvalidFileException | InvalidSpecException e) {
      throw new IllegalStateException(e); // nothing is always read
    }
  }

  private static List<Path> entries(Path directory) throws IOException {
    if (!Files.isDirectory(directory)) {
      return List.of();
    }
    try (Stream<Path> entries = Files.list(directory)) {
      return entries.sorted().toList();
    }
  }
}
