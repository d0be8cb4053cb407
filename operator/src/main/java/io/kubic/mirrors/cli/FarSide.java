package io.kubic.mirrors.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistry;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfig;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import io.kubic.mirrors.bundle.Extras;
import io.kubic.mirrors.bundle.Tar;
import io.kubic.mirrors.node.Location;
import io.kubic.mirrors.node.NodeConfig;
import io.kubic.mirrors.node.render.NodeFile;
import io.kubic.mirrors.node.render.Preview;
import io.kubic.mirrors.node.render.Rendering;
import io.kubic.mirrors.oci.Reference;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/**
 * What travels along so that a far side which has nothing comes up from the bundle alone: images of
 * operator and registry, the chart with values that name them, the three resources, and the files
 * that nodes of each runtime would get.
 */
final class FarSide {
  /** The registry of the chart's own values. */
  static final String REGISTRY_IMAGE = "docker.io/library/registry:3.1.1";

  private static final String NAMESPACE = "mirror-system";

  @Option(
      names = "--include",
      paramLabel = "FILE",
      description = "A file that travels along in extras/; repeatable.")
  private List<Path> files = List.of();

  @Option(
      names = "--include-image",
      paramLabel = "IMAGE",
      description = "An image besides those of the list; repeatable.")
  private List<String> images = List.of();

  @Option(
      names = "--include-operator",
      paramLabel = "IMAGE",
      description =
          "For a far side that has nothing: this image of the operator, that of the registry, the"
              + " chart, and the three resources.")
  private @Nullable String operator;

  @Option(
      names = "--registry-image",
      paramLabel = "IMAGE",
      defaultValue = REGISTRY_IMAGE,
      description = "With --include-operator: the registry's image; default ${DEFAULT-VALUE}.")
  private String registryImage;

  @Option(
      names = "--include-nodes",
      paramLabel = "HOST[:PORT]",
      description =
          "The files that a node of each runtime would get, if it reached the far side's registry"
              + " there.")
  private @Nullable String nodes;

  @Option(
      names = "--nodes-ca",
      paramLabel = "FILE",
      description = "With --include-nodes: CA certificates of that registry, PEM.")
  private @Nullable Path nodesCa;

  /** Whether anything of it is wanted but images. */
  boolean hasFiles() {
    return !files.isEmpty() || operator != null || nodes != null;
  }

  /** Images besides those of the list. */
  List<Reference> images() {
    List<Reference> all = new ArrayList<>();
    for (String image : images) {
      all.add(reference(image, "--include-image"));
    }
    all.addAll(loads());
    return all;
  }

  private List<Reference> loads() {
    return operator == null
        ? List.of()
        : List.of(
            reference(operator, "--include-operator"),
            reference(registryImage, "--registry-image"));
  }

  private static Reference reference(String image, String option) {
    try {
      Reference reference = Reference.parseFamiliar(image);
      return reference.identifier().isPresent()
          ? reference
          : new Reference(reference.repository(), "latest", null);
    } catch (IllegalArgumentException e) {
      throw new CommandException(ExitCode.USAGE, option + ": " + e.getMessage());
    }
  }

  /**
   * The files.
   *
   * @param list that is exported
   * @param text of its file, which may hold a MirrorRegistry and a NodeRegistryConfig too
   * @param signed whether the far side is to want a signature
   */
  Extras extras(MirrorList list, String text, boolean signed) {
    Map<String, Path> given = new LinkedHashMap<>();
    for (Path file : files) {
      if (given.put(String.valueOf(file.getFileName()), file) != null) {
        throw new CommandException(
            ExitCode.USAGE, "--include: two files are called " + file.getFileName());
      }
    }
    boolean kinds = text.contains("apiVersion");
    NodeRegistryConfig config =
        only(kinds ? text : "", NodeRegistryConfig.class)
            .orElseGet(() -> parsed(DEFAULT_NODES, NodeRegistryConfig.class));
    Map<String, byte[]> made = new TreeMap<>();
    if (operator != null) {
      MirrorRegistry registry =
          only(kinds ? text : "", MirrorRegistry.class)
              .orElseGet(() -> parsed(DEFAULT_REGISTRY, MirrorRegistry.class));
      made.put("mirror-operator.tgz", Chart.archive());
      made.put(
          "values.yaml",
          values(
                  reference(operator, "--include-operator"),
                  reference(registryImage, "--registry-image"))
              .getBytes(UTF_8));
      made.put("mirror.yaml", resources(list, registry, config, signed).getBytes(UTF_8));
    }
    if (nodes != null) {
      made.putAll(nodeFiles(list, config, nodes));
    }
    return new Extras(given, made, loads());
  }

  private static final String DEFAULT_REGISTRY =
      "{apiVersion: mirrors.kubic.io/v1alpha1, kind: MirrorRegistry, metadata: {name: mirror},"
          + " spec: {}}";

  private static final String DEFAULT_NODES =
      "{apiVersion: mirrors.kubic.io/v1alpha1, kind: NodeRegistryConfig, metadata: {name: mirror},"
          + " spec: {registryRef: {name: mirror, namespace: mirror-system}}}";

  private static <T> java.util.Optional<T> only(String text, Class<T> kind) {
    List<T> all = text.isEmpty() ? List.of() : ResourceFile.read(text, "--filename", kind);
    if (all.size() > 1) {
      throw new CommandException(
          ExitCode.USAGE, "--filename: holds several of kind " + kind.getSimpleName());
    }
    return all.stream().findFirst();
  }

  private static <T> T parsed(String text, Class<T> kind) {
    return ResourceFile.read(text, kind.getSimpleName(), kind).getFirst();
  }

  /** What the chart is told: images under the names under which nodes have loaded them. */
  private static String values(Reference operator, Reference registry) {
    String tag = operator.tag();
    return "image:\n  repository: \""
        + operator.repository()
        + "\"\n"
        + (tag != null
            ? "  tag: \"" + tag + "\"\n"
            : "  digest: \"" + operator.identifier().orElseThrow() + "\"\n")
        + "registryImage: \""
        + registry.repository()
        + (registry.tag() != null
            ? ":" + registry.tag()
            : "@" + registry.identifier().orElseThrow())
        + "\"\n";
  }

  private static String resources(
      MirrorList list, MirrorRegistry registry, NodeRegistryConfig config, boolean signed) {
    String name = String.valueOf(registry.getMetadata().getName());
    registry.getMetadata().setNamespace(NAMESPACE);
    StringBuilder text =
        new StringBuilder(
            "# Made by the export. '@DIR@' stands for the bundle's directory on the node '@NODE@'"
                + (signed ? ", '@KEY@' for the public key, base64" : "")
                + ".\n");
    if (signed) {
      text.append(
          """
          apiVersion: v1
          kind: Secret
          metadata: {name: %s-export-key, namespace: mirror-system}
          data: {tls.pub: "@KEY@"}
          ---
          """
              .formatted(list.getMetadata().getName()));
    }
    text.append(ResourceFile.write(registry).strip()).append("\n---\n");
    text.append(
        """
        apiVersion: mirrors.kubic.io/v1alpha1
        kind: MirrorList
        metadata: {name: %1$s, namespace: mirror-system}
        spec:
          registryRef: {name: %2$s}
          import:
            source: {hostPath: {path: "@DIR@"}}
        """
            .formatted(list.getMetadata().getName(), name));
    if (signed) {
      text.append(
          """
              verification: {mode: Require, publicKeySecretRef: {name: %s-export-key}}
          """
              .formatted(list.getMetadata().getName()));
    }
    text.append(
        """
          jobTemplate: {nodeSelector: {kubernetes.io/hostname: "@NODE@"}}
        ---
        """);
    return text.append(ResourceFile.write(config).strip()).append('\n').toString();
  }

  private Map<String, byte[]> nodeFiles(MirrorList list, NodeRegistryConfig config, String host) {
    if (!Location.isRegistry(host)) {
      throw new CommandException(
          ExitCode.USAGE, "--include-nodes: write HOST[:PORT] of the far side's registry");
    }
    List<String> sources = new ArrayList<>();
    list.getSpec().sources().forEach(source -> sources.add(source.registry()));
    NodeConfig wanted = RenderCommand.configured(config, "--filename", sources, host, ca());
    Map<String, byte[]> made = new TreeMap<>();
    for (Preview runtime : Preview.values()) {
      Rendering rendering = runtime.render(wanted);
      TreeMap<String, byte[]> tree = new TreeMap<>();
      for (NodeFile file : rendering.files()) {
        tree.put(file.path().substring(1), file.bytes());
      }
      made.put("nodes/" + runtime + ".tar", Tar.of(tree));
      made.put("nodes/" + runtime + ".txt", Preview.listing(rendering).getBytes(UTF_8));
    }
    return made;
  }

  private @Nullable String ca() {
    if (nodesCa == null) {
      return null;
    }
    try {
      return Files.readString(nodesCa, UTF_8);
    } catch (IOException e) {
      throw new CommandException(ExitCode.USAGE, "--nodes-ca: " + nodesCa + " cannot be read");
    }
  }
}
