package io.kubic.mirrors.cli;

import io.kubic.mirrors.upkeep.Scrub;
import io.kubic.mirrors.upkeep.ScrubReport;
import io.kubic.mirrors.upkeep.UpkeepException;
import java.nio.file.Path;
import java.time.Clock;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
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
  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "DIR", description = "Root of the registry's filesystem storage.")
  private Path storage;

  @Option(names = "--dry-run", description = "Only tell what is corrupt.")
  private boolean dryRun;

  @Mixin private UpkeepOutput output;

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
      output.report(spec, report);
      return report.corrupt() > 0 && dryRun ? ExitCode.FAILED : ExitCode.OK;
    } catch (UpkeepException e) {
      throw output.failed(spec, ExitCode.FAILED, e.getMessage());
    }
  }
}
