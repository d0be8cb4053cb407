package io.kubic.mirrors.cli;

import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfig;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import io.kubic.mirrors.node.Location;
import io.kubic.mirrors.node.NodeConfig;
import io.kubic.mirrors.node.NodeConfigs;
import io.kubic.mirrors.node.render.Containers;
import io.kubic.mirrors.node.render.NodeFile;
import io.kubic.mirrors.node.render.Note;
import io.kubic.mirrors.node.render.Preview;
import io.kubic.mirrors.node.render.Rendering;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Shows, or writes to a directory, the files that nodes would get. */
@Command(
    name = "render",
    mixinStandardHelpOptions = true,
    description =
        "Write the files of a node's runtime from a NodeRegistryConfig. Where it names a registryRef,"
            + " say with --registry how nodes reach that registry; its sources come from the"
            + " MirrorLists in the same file and from --source.")
final class RenderCommand implements Callable<Integer> {
  @Option(
      names = {"-f", "--filename"},
      required = true,
      paramLabel = "FILE",
      description = "YAML with one NodeRegistryConfig, or a nodeconfig.json.")
  private Path file;

  @Option(
      names = "--runtime",
      required = true,
      paramLabel = "NAME",
      description = "One of ${COMPLETION-CANDIDATES}.")
  private Preview runtime;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      description = "Write below this directory instead of printing; it stands for a node's /.")
  private @Nullable Path out;

  @Option(
      names = "--registry",
      paramLabel = "HOST[:PORT]",
      description = "How nodes reach the registry of registryRef.")
  private @Nullable String registry;

  @Option(
      names = "--source",
      paramLabel = "HOST[:PORT]",
      description = "A source that the registry mirrors; may be repeated.")
  private List<String> sources = List.of();

  @Option(
      names = "--ca",
      paramLabel = "FILE",
      description = "CA certificates of the registry, PEM.")
  private @Nullable Path ca;

  @Option(
      names = "--rewrite",
      description =
          "CRI-O and podman: give each source the mirror as its location, as in the how-to of 2019,"
              + " instead of a mirror that is tried first. The source is then never asked, and an"
              + " image that the mirror lacks cannot be pulled.")
  private boolean rewrite;

  @Spec private CommandSpec spec;

  @Override
  public Integer call() throws IOException {
    NodeConfig config = config();
    if (rewrite && runtime != Preview.crio && runtime != Preview.podman) {
      throw new CommandException(ExitCode.USAGE, "--rewrite: is for crio and podman");
    }
    Rendering rendering =
        rewrite ? Containers.rewrite(config, Containers.DIRECTORY) : runtime.render(config);
    PrintWriter print = spec.commandLine().getOut();
    boolean first = true;
    for (NodeFile written : rendering.files()) {
      if (out != null) {
        Path path = out.resolve(written.path().substring(1));
        Files.createDirectories(path.getParent());
        Files.write(path, written.bytes());
        print.println(path);
      } else {
        print.println((first ? "" : "\n") + "==> " + written.path() + " <==");
        print.print(written.content());
      }
      first = false;
    }
    print.flush();
    boolean forbidden = false;
    for (Note note : rendering.notes()) {
      spec.commandLine()
          .getErr()
          .println((note.forbidden() ? "error: " : "warning: ") + note.message());
      forbidden |= note.forbidden();
    }
    return forbidden ? ExitCode.REFUSED : ExitCode.OK;
  }

  private NodeConfig config() {
    String text = read(file);
    if (file.toString().endsWith(".json")) {
      return NodeConfig.fromJson(text);
    }
    List<NodeRegistryConfig> configs =
        ResourceFile.read(text, file.toString(), NodeRegistryConfig.class);
    if (configs.size() != 1) {
      throw new CommandException(
          ExitCode.USAGE,
          file + ": holds " + configs.size() + " NodeRegistryConfigs; expected one");
    }
    NodeRegistryConfig resource = configs.getFirst();
    NodeRegistryConfigSpec wanted = resource.getSpec();
    List<String> hosts = new ArrayList<>();
    if (wanted.registryRef() != null) {
      if (registry == null || !Location.isRegistry(registry)) {
        throw new CommandException(
            ExitCode.USAGE,
            "--registry: the configuration names a registryRef; write HOST[:PORT] of the registry");
      }
      hosts.addAll(sources);
      for (MirrorList list : ResourceFile.read(text, file.toString(), MirrorList.class)) {
        list.getSpec().sources().forEach(source -> hosts.add(source.registry()));
      }
      if (hosts.isEmpty() && wanted.mirrors().isEmpty()) {
        throw new CommandException(
            ExitCode.USAGE, "--source: name a source, or put its MirrorList into " + file);
      }
    }
    return configured(resource, file.toString(), hosts, registry, ca == null ? null : read(ca));
  }

  /**
   * A node's configuration as the operator would make it.
   *
   * @param origin of the resource, in messages
   * @param hosts sources that the registry mirrors
   * @param place HOST[:PORT] of the registry that registryRef means; may be null without one
   * @param pem its CA certificates; null for none of its own
   */
  static NodeConfig configured(
      NodeRegistryConfig resource,
      String origin,
      List<String> hosts,
      @Nullable String place,
      @Nullable String pem) {
    NodeRegistryConfigSpec wanted = resource.getSpec();
    SortedMap<String, String> derived = new TreeMap<>();
    SortedMap<String, String> authorities = new TreeMap<>();
    if (wanted.registryRef() != null && place != null) {
      for (String host : hosts) {
        derived.put(host, place + "/" + host.replace(':', '_'));
      }
      if (pem != null) {
        authorities.put(place, pem);
      }
    }
    try {
      return NodeConfigs.of(
          resource.getMetadata().getName(),
          wanted,
          derived,
          authorities,
          wanted.credentialsSecretRef() == null ? null : "not shown");
    } catch (InvalidSpecException e) {
      throw new InvalidSpecException(origin + ": spec", String.valueOf(e.getMessage()));
    }
  }

  private static String read(Path path) {
    try {
      return Files.readString(path, StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new CommandException(ExitCode.USAGE, path + ": cannot be read: " + e.getMessage());
    }
  }
}
