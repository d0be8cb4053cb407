package io.kubic.mirrors.cli;

import io.kubic.mirrors.node.ImageName;
import io.kubic.mirrors.node.rules.Attempt;
import io.kubic.mirrors.node.rules.InvalidFileException;
import io.kubic.mirrors.node.rules.NodeTree;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Judges an /etc tree, and tells which endpoints an image would use. */
@Command(
    name = "check",
    mixinStandardHelpOptions = true,
    description =
        "Tell what is wrong with a node's runtime configuration, and whom the runtimes would ask"
            + " for an image, in order. Nothing is contacted. Exit code 1 when something is wrong.")
final class CheckCommand implements Callable<Integer> {
  @Parameters(
      index = "0",
      paramLabel = "DIR",
      description = "An /etc, or a directory that holds one.")
  private Path directory;

  @Parameters(index = "1..*", paramLabel = "IMAGE", description = "host/repository[:tag][@digest]")
  private List<String> images = List.of();

  @Spec private CommandSpec spec;

  @Override
  public Integer call() throws IOException {
    if (!Files.isDirectory(directory)) {
      throw new CommandException(ExitCode.USAGE, directory + ": is no directory");
    }
    List<ImageName> names = images.stream().map(image -> ImageName.parse(image, "IMAGE")).toList();
    NodeTree tree = NodeTree.read(directory);
    PrintWriter out = spec.commandLine().getOut();
    if (!tree.hasLibrary() && !tree.hasContainerd()) {
      throw new CommandException(
          ExitCode.USAGE,
          directory + ": holds neither containers/registries.conf nor containerd/certs.d");
    }
    tree.problems().forEach(problem -> out.println("problem: " + problem));
    boolean wrong = !tree.problems().isEmpty();
    for (ImageName image : names) {
      out.println(image);
      if (tree.hasContainerd()) {
        print(out, "containerd", tree.containerd(image));
      }
      if (tree.hasLibrary()) {
        try {
          print(out, "crio, podman", tree.library(image));
        } catch (InvalidFileException e) {
          out.println("  crio, podman: nobody: " + e.getMessage());
          wrong = true;
        }
      }
    }
    if (!wrong && names.isEmpty()) {
      out.println("ok");
    }
    out.flush();
    return wrong ? ExitCode.FAILED : ExitCode.OK;
  }

  private static void print(PrintWriter out, String runtime, List<Attempt> attempts) {
    if (attempts.isEmpty()) {
      out.println("  " + runtime + ": nobody");
    }
    for (int i = 0; i < attempts.size(); i++) {
      out.println("  " + runtime + " " + (i + 1) + ": " + attempts.get(i));
    }
  }
}
