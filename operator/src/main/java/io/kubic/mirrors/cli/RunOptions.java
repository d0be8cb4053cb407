package io.kubic.mirrors.cli;

import io.kubic.mirrors.sync.Report;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;

/** How a run tells what became of it; the options that export and import share. */
final class RunOptions {
  @Option(
      names = {"-o", "--output"},
      paramLabel = "text|json",
      description = "Form of the result on standard output.")
  private RunOutput.Form form = RunOutput.Form.text;

  @Option(
      names = "--termination-log",
      paramLabel = "FILE",
      description = "Write a summary of at most 4096 bytes there on every ending.")
  private @Nullable Path terminationLog;

  RunOutput open(CommandSpec spec, ConnectionOptions connections) {
    return new RunOutput(
        spec.commandLine().getOut(),
        spec.commandLine().getErr(),
        connections.progress(),
        terminationLog);
  }

  void result(RunOutput output, Report report, Map<String, Object> more, String line) {
    output.result(form, report, more, line);
  }
}
