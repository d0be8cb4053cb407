package io.kubic.mirrors.cli;

import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The root: {@code kubectl mirror}, or {@code mirror-operator} in a pod. */
@Command(
    name = MirrorCommand.NAME,
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    description = "Mirror container images into a private registry, with and without a cluster.",
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:all as asked",
      "1:something failed, the rest was done",
      "2:usage or invalid input, nothing done",
      "3:refused (guard, verification, conflict), nothing changed",
      "4:source or target unreachable or unauthorised, nothing done"
    },
    subcommands = {
      ConvertAuthCommand.class,
      CommandLine.HelpCommand.class,
      AgentCommand.class,
      CheckCommand.class,
      RenderCommand.class,
      PlanCommand.class,
      LsCommand.class,
      TagsCommand.class,
      DigestCommand.class,
      ManifestCommand.class,
      RmCommand.class,
      ConvertListCommand.class,
      ExportCommand.class,
      ImportCommand.class,
      VerifyCommand.class,
      ReceiptCommand.class,
      StatusCommand.class,
      WhyCommand.class,
      SyncNowCommand.class,
      ApproveCommand.class,
      GatewayCommand.class,
      GcCommand.class,
      ScrubCommand.class,
      OperatorCommand.class,
      SyncCommand.class,
    })
final class MirrorCommand implements Runnable {
  static final String NAME = "kubectl-mirror";

  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(spec.commandLine(), "name a command; try --help");
  }
}
