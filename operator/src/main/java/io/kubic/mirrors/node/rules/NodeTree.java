package io.kubic.mirrors.node.rules;

import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.node.Certificates;
import io.kubic.mirrors.node.ImageName;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A directory that stands for a node's {@code /etc}, as its runtimes read it: {@code
 * containers/registries.conf}, its drop-ins, and {@code containerd/certs.d}.
 */
public final class NodeTree {
  private final List<String> libraryProblems = new ArrayList<>();
  private final List<String> containerdProblems = new ArrayList<>();
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
    return Stream.concat(libraryProblems.stream(), containerdProblems.stream()).toList();
  }

  /** Those that make podman refuse everything, and CRI-O when it starts the next time. */
  public List<String> libraryProblems() {
    return List.copyOf(libraryProblems);
  }

  /** Those that make containerd pass over a registry's files, or fail its pulls. */
  public List<String> containerdProblems() {
    return List.copyOf(containerdProblems);
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
    return List.of(HostsToml.source(image));
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
        merged = merged.and(RegistriesConf.parse(text(file), file.toString()));
      } catch (InvalidFileException e) {
        libraryProblems.add(
            e.getMessage()
                + " (podman refuses every pull; CRI-O goes on with what it read before, and does"
                + " not start any more)");
      }
    }
    registries = Optional.of(merged);
  }

  private void containerd(Path directory) throws IOException {
    hasContainerd = Files.isDirectory(directory);
    for (Path entry : entries(directory)) {
      if (!Files.isDirectory(entry)) {
        containerdProblems.add(entry + ": is no directory; pulls from it fail");
        continue;
      }
      Path file = entry.resolve("hosts.toml");
      String name = String.valueOf(entry.getFileName());
      try {
        String content = Files.isRegularFile(file) ? text(file) : "";
        HostsToml parsed = HostsToml.parse(content, file.toString());
        hosts.put(name, parsed);
        if (content.isEmpty()) {
          loose(entry);
          continue;
        }
        if (!parsed.readBefore2()) {
          containerdProblems.add(
              file + ": containerd before 2.0 wants a [host] table, and asks the source");
        }
        for (HostsToml.Host host : parsed.hosts()) {
          host.authorities().forEach(path -> authority(file, entry.resolve(path)));
          host.clients().forEach(pair -> client(file, entry, pair));
        }
      } catch (InvalidFileException e) {
        containerdProblems.add(
            e.getMessage() + " (containerd ignores the file and asks the source)");
        hosts.put(name, sourceOnly(file));
      }
    }
  }

  /** Without a hosts.toml every {@code *.crt} is a CA and every {@code *.cert} a client's. */
  private void loose(Path directory) throws IOException {
    List<Path> files = entries(directory);
    for (Path file : files) {
      String name = file.toString();
      if (Files.isDirectory(file)) {
        continue;
      }
      if (name.endsWith(".crt")) {
        authority(file, file);
      } else if (name.endsWith(".cert")) {
        Path key = Path.of(name.substring(0, name.length() - 5) + ".key");
        client(
            file, directory, files.contains(key) ? List.of(name, key.toString()) : List.of(name));
      }
    }
  }

  private void authority(Path names, Path path) {
    String pem = pem(names, path);
    if (pem != null && Certificates.parse(pem).isEmpty()) {
      containerdProblems.add(names + ": " + path + " holds no certificate; pulls fail");
    }
  }

  /** Whether the key belongs to the certificate is not judged. */
  private void client(Path names, Path directory, List<String> pair) {
    String certificate = pem(names, directory.resolve(pair.getFirst()));
    String key = pair.size() == 1 ? certificate : pem(names, directory.resolve(pair.getLast()));
    if (certificate != null
        && key != null
        && (Certificates.parse(certificate).isEmpty() || key.indexOf("PRIVATE KEY-----") < 0)) {
      containerdProblems.add(names + ": " + pair + " are no certificate with its key; pulls fail");
    }
  }

  private @Nullable String pem(Path names, Path path) {
    try {
      return Files.readString(path, StandardCharsets.ISO_8859_1);
    } catch (IOException e) {
      containerdProblems.add(names + ": names " + path + ", which cannot be read; pulls fail");
      return null;
    }
  }

  /** Bytes that are no UTF-8 are no TOML either. */
  private static String text(Path file) throws IOException, InvalidFileException {
    try {
      return Files.readString(file, StandardCharsets.UTF_8);
    } catch (CharacterCodingException e) {
      throw new InvalidFileException(file.toString(), "is no UTF-8");
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
