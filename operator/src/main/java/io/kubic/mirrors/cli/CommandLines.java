package io.kubic.mirrors.cli;

import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.oci.RegistryException;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;

/** Builds the parser, with one place for errors: one line on standard error, and the exit code. */
public final class CommandLines {
  private CommandLines() {}

  /** A parser for all commands, ready to {@code execute}. */
  public static CommandLine create() {
    return prepared(new CommandLine(new MirrorCommand()));
  }

  /**
   * A parser that is good for these arguments. When the first one names a command it knows only
   * that one: to read the annotations of all takes a third of a start.
   */
  public static CommandLine create(String... args) {
    for (Class<?> command : MirrorCommand.class.getAnnotation(Command.class).subcommands()) {
      Command description = command.getAnnotation(Command.class);
      if (args.length > 0
          && command != CommandLine.HelpCommand.class
          && description.name().equals(args[0])) {
        CommandLine root = new CommandLine(CommandSpec.create().name(MirrorCommand.NAME));
        return prepared(root.addSubcommand(new CommandLine(command)));
      }
    }
    return create();
  }

  private static CommandLine prepared(CommandLine commands) {
    return commands
        .setCaseInsensitiveEnumValuesAllowed(true)
        .setParameterExceptionHandler(
            (e, args) -> {
              CommandLine line = e.getCommandLine();
              line.getErr().println("error: " + oneLine(e.getMessage()));
              CommandLine.UnmatchedArgumentException.printSuggestions(e, line.getErr());
              line.getErr().println("See '" + line.getCommandSpec().qualifiedName() + " --help'.");
              return ExitCode.USAGE;
            })
        .setExecutionExceptionHandler(
            (e, line, result) ->
                switch (e) {
                  case CommandException known -> report(line, known.exitCode(), known.getMessage());
                  case RegistryException failure ->
                      report(
                          line,
                          failure.reason().isUnavailable() ? ExitCode.UNAVAILABLE : ExitCode.FAILED,
                          failure.getMessage());
                  case InvalidSpecException invalid ->
                      report(line, ExitCode.USAGE, invalid.getMessage());
                  default -> {
                    // A defect of ours: the stack helps whoever reports it.
                    e.printStackTrace(line.getErr());
                    yield report(line, ExitCode.FAILED, "internal error: " + e);
                  }
                });
  }

  private static int report(CommandLine line, int exitCode, @Nullable String message) {
    line.getErr().println("error: " + oneLine(message));
    return exitCode;
  }

  private static String oneLine(@Nullable String message) {
    return String.valueOf(message).strip().replaceAll("\\s*\\R\\s*", "; ");
  }
}
