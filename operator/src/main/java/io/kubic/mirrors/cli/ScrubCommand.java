package io.kubic.mirrors.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.kubic.mirrors.upkeep.Scrub;
import io.kubic.mirrors.upkeep.ScrubReport;
import io.kubic.mirrors.upkeep.UpkeepException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Hashes all that a registry keeps. */
@Command(
    name = "scrub",
    mixinStandardHelpOptions = true,
    description =
        "Hash everything that a registry keeps in files, and set aside what is not what its digest"
            + " says, so that the next sync with --recheck brings it back.")
final class ScrubCommand implements Callable<Integer> {
  private static final JsonMapper JSON = JsonMapper.builder().build();

  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "DIR", description = "Root of the registry's filesystem storage.")
  private Path storage;

  @Option(names = "--dry-run", description = "Only tell what is corrupt.")
  private boolean dryRun;

  @Option(
      names = "--termination-log",
      paramLabel = "FILE",
      description = "Also write the report there, as Kubernetes reads it from a pod.")
  private @Nullable Path terminationLog;

  @Option(
      names = {"-q", "--quiet"},
      description = "No progress; the report only.")
  private boolean quiet;

  @Override
  public Integer call() {
    try {
      ScrubReport report =
          new Scrub(
                  storage,
                  dryRun,
                  Clock.systemUTC(),
                  line -> {
                    if (!quiet) {
                      spec.commandLine().getErr().println(line);
                    }
                  })
              .run();
      String json = json(report);
      spec.commandLine().getOut().println(json);
      leave(json);
      return report.corrupt() > 0 && dryRun ? ExitCode.FAILED : ExitCode.OK;
    } catch (UpkeepException e) {
      leave(json(Map.of("error", e.getMessage())));
      throw new CommandException(ExitCode.FAILED, "scrub: " + e.getMessage());
    }
  }

  private static String json(Object value) {
    try {
      return JSON.writeValueAsString(value);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  private void leave(String json) {
    if (terminationLog != null) {
      try {
        Files.writeString(terminationLog, json);
      } catch (IOException e) {
        // The same is on standard output.
      }
    }
  }
}
