package io.kubic.mirrors.cli;

import io.kubic.mirrors.oci.Listing;
import io.kubic.mirrors.oci.Reference;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code tags}: the tags of a repository, one a line, sorted as text. */
@Command(
    name = "tags",
    mixinStandardHelpOptions = true,
    description = "List the tags of a repository.")
final class TagsCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;
  @Mixin private ConnectionOptions connections;

  @Parameters(paramLabel = "IMAGE", description = "host[:port]/repository")
  private String image;

  @Override
  public Integer call() {
    Reference reference = ImageArgument.parse(image);
    try (ConnectionOptions open = connections) {
      Listing listing =
          open.registry(reference.repository().registry()).tags(reference.repository().path());
      PrintWriter out = spec.commandLine().getOut();
      listing.names().stream().sorted().forEach(out::println);
      out.flush();
      listing
          .malformed()
          .forEach(
              name ->
                  spec.commandLine()
                      .getErr()
                      .println(
                          "error: "
                              + reference.repository()
                              + ": the registry lists a tag that is none: '"
                              + name
                              + "'"));
      return listing.malformed().isEmpty() ? ExitCode.OK : ExitCode.FAILED;
    }
  }
}
