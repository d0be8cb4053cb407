package io.kubic.mirrors.cli;

import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.list.RegistryCatalog;
import io.kubic.mirrors.list.Selector;
import io.kubic.mirrors.oci.Reference;
import io.kubic.mirrors.oci.RegistryException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/**
 * {@code why}: why an image is mirrored, or is not. Goes through the rules of a list step by step,
 * asks the source for the tags of that one repository, and, in a cluster, for what the last run
 * said of the image.
 */
@Command(
    name = "why",
    mixinStandardHelpOptions = true,
    description = "Tell why an image is mirrored, or why it is not.")
final class WhyCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;
  @Mixin private ConnectionOptions connections;
  @Mixin private ClusterOptions cluster;

  @Parameters(paramLabel = "IMAGE", description = "As a Pod would name it.")
  private String image;

  @Option(
      names = {"-f", "--filename"},
      paramLabel = "FILE",
      description = "YAML with a MirrorList; default: all lists of the cluster's namespace.")
  private @Nullable Path file;

  @Option(names = "--list", paramLabel = "NAME", description = "Which MirrorList is meant.")
  private @Nullable String name;

  @Override
  public Integer call() {
    Reference parsed = ImageArgument.parse(image);
    Reference asked =
        parsed.tag() == null && parsed.digest() == null
            ? new Reference(parsed.repository(), "latest", null)
            : parsed;
    List<MirrorList> lists =
        file != null
            ? List.of(ListFile.read(file, name))
            : cluster.ask(
                client ->
                    name != null
                        ? List.of(ClusterOptions.list(client, name).get())
                        : client
                            .resources(MirrorList.class)
                            .inNamespace(ClusterOptions.namespace(client))
                            .list()
                            .getItems());
    boolean selected = false;
    try (ConnectionOptions open = connections) {
      for (MirrorList list : lists) {
        selected |= explain(list, asked, open);
      }
    }
    if (!selected) {
      spec.commandLine().getOut().println(asked + " is not selected");
    }
    return selected ? ExitCode.OK : ExitCode.FAILED;
  }

  private boolean explain(MirrorList list, Reference asked, ConnectionOptions open) {
    PrintWriter out = spec.commandLine().getOut();
    MirrorListSpec rules = list.getSpec();
    String title = "list " + list.getMetadata().getName();
    List<Selector.Explanation> all;
    try {
      all =
          Selector.compile(rules)
              .explain(asked, source -> new RegistryCatalog(open.source(source, rules.retry())));
    } catch (RegistryException e) {
      out.println(title + ": " + e.getMessage());
      return false;
    }
    if (all.isEmpty()) {
      out.println(title + ": has no source " + asked.repository().registry());
    }
    boolean selected = false;
    for (Selector.Explanation one : all) {
      out.println(title + ", " + one.path() + " (" + one.source() + "):");
      one.steps().forEach(step -> out.println("  " + step));
      selected |= one.selected();
    }
    if (list.getStatus() != null) {
      list.getStatus().failures().stream()
          .filter(failure -> failure.image().equals(asked.toString()))
          .forEach(
              failure ->
                  out.println(
                      "  the last run failed: " + failure.reason() + ": " + failure.message()));
    }
    return selected;
  }
}
