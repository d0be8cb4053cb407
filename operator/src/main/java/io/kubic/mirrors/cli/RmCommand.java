package io.kubic.mirrors.cli;

import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Reference;
import io.kubic.mirrors.oci.registry.RegistryClient;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/**
 * {@code rm}: removes a tag; or, by digest or with {@code --manifest}, a manifest together with
 * every tag that points at it. What is not there counts as removed.
 */
@Command(
    name = "rm",
    mixinStandardHelpOptions = true,
    description = "Remove a tag, or a manifest with all its tags, from a registry.")
final class RmCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;
  @Mixin private ConnectionOptions connections;

  @Parameters(paramLabel = "IMAGE", description = "host[:port]/repository:tag or @digest")
  private String image;

  @Option(
      names = "--manifest",
      description =
          "Remove what the tag points at, with every other tag of it; for registries that cannot"
              + " remove a tag alone, as distribution 2.")
  private boolean wholeManifest;

  @Override
  public Integer call() {
    Reference reference = ImageArgument.parse(image);
    if (reference.identifier().isEmpty()) {
      throw new ParameterException(
          spec.commandLine(), image + ": name a tag or digest; nothing is removed by default");
    }
    String path = reference.repository().path();
    String identifier = ImageArgument.identifier(reference);
    try (ConnectionOptions open = connections) {
      RegistryClient client = open.target(reference.repository().registry());
      boolean removed;
      if (wholeManifest && reference.digest() == null) {
        Optional<Descriptor> found = client.resolve(path, identifier);
        removed = found.isPresent() && client.delete(path, found.get().digest().toString());
      } else {
        removed = client.delete(path, identifier);
      }
      spec.commandLine().getOut().println((removed ? "Deleted " : "Not there: ") + reference);
      return ExitCode.OK;
    }
  }
}
