package io.kubic.mirrors.cli;

import io.kubic.mirrors.list.SkopeoFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code convert-list}: a MirrorList from a file of mirror-registry or for skopeo sync. */
@Command(
    name = "convert-list",
    mixinStandardHelpOptions = true,
    description = "Make a MirrorList of a file of mirror-registry or for skopeo sync --src yaml.")
final class ConvertListCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "FILE", description = "The YAML file.")
  private Path file;

  @Option(
      names = "--name",
      defaultValue = "converted",
      description = "Name of the MirrorList; default: ${DEFAULT-VALUE}.")
  private String name;

  @Option(
      names = "--registry-ref",
      defaultValue = "mirror",
      description = "Name of the MirrorRegistry that it fills; default: ${DEFAULT-VALUE}.")
  private String registryRef;

  @Override
  public Integer call() {
    String text;
    try {
      text = Files.readString(file);
    } catch (IOException e) {
      throw new CommandException(
          ExitCode.USAGE, file + ": cannot be read: " + e.getClass().getSimpleName());
    }
    SkopeoFile.Converted converted = SkopeoFile.convert(text, file.toString(), name, registryRef);
    spec.commandLine().getOut().print(converted.yaml());
    spec.commandLine().getOut().flush();
    converted.notes().forEach(note -> spec.commandLine().getErr().println("note: " + note));
    return ExitCode.OK;
  }
}
