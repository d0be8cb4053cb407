package io.kubic.mirrors.cli;

import io.kubic.mirrors.gateway.AuthConversion;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** From docker_auth's configuration to ours. */
@Command(
    name = "convert-auth",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    description = {
      "Translate docker_auth's auth_config.yml into a Secret and a MirrorRegistry.",
      "What has no counterpart is named on standard error, and the exit code is 1."
    })
final class ConvertAuthCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(index = "0", paramLabel = "FILE", description = "auth_config.yml")
  private Path file;

  @Option(
      names = "--name",
      paramLabel = "NAME",
      defaultValue = "mirror",
      description = "Name of the MirrorRegistry (${DEFAULT-VALUE}).")
  private String name;

  @Override
  public Integer call() {
    AuthConversion conversion;
    try {
      conversion = AuthConversion.of(Files.readString(file, StandardCharsets.UTF_8), name);
    } catch (IOException e) {
      throw new CommandException(ExitCode.USAGE, file + " cannot be read: " + e.getMessage());
    } catch (IllegalArgumentException e) {
      throw new CommandException(ExitCode.USAGE, file + ": " + e.getMessage());
    }
    spec.commandLine().getOut().print(conversion.yaml());
    spec.commandLine().getOut().flush();
    conversion.notes().forEach(note -> spec.commandLine().getErr().println("note: " + note));
    return conversion.notes().isEmpty() ? ExitCode.OK : ExitCode.FAILED;
  }
}
