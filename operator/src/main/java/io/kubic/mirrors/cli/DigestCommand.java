package io.kubic.mirrors.cli;

import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.Reference;
import io.kubic.mirrors.oci.RegistryException;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code digest}: what a tag points at, by a HEAD request. */
@Command(
    name = "digest",
    mixinStandardHelpOptions = true,
    description = "Print the digest that a tag points at.")
final class DigestCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;
  @Mixin private ConnectionOptions connections;

  @Parameters(paramLabel = "IMAGE", description = "host[:port]/repository[:tag], default latest")
  private String image;

  @Override
  public Integer call() {
    Reference reference = ImageArgument.parse(image);
    String identifier = ImageArgument.identifier(reference);
    try (ConnectionOptions open = connections) {
      Descriptor found =
          open.registry(reference.repository().registry())
              .resolve(reference.repository().path(), identifier)
              .orElseThrow(
                  () ->
                      new RegistryException(
                          Reason.NotFound,
                          reference.toString(),
                          "the registry has no such image; see 'kubectl mirror tags "
                              + reference.repository()
                              + "'"));
      spec.commandLine().getOut().println(found.digest());
      return ExitCode.OK;
    }
  }
}
