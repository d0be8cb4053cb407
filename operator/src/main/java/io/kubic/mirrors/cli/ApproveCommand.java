package io.kubic.mirrors.cli;

import io.kubic.mirrors.api.v1alpha1.Api;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.api.v1alpha1.MirrorListStatus;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code approve}: lets a list with {@code approval: Manual} carry out the plan it shows. */
@Command(
    name = "approve",
    mixinStandardHelpOptions = true,
    description = "Approve the plan that a MirrorList waits with.")
final class ApproveCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;
  @Mixin private ClusterOptions cluster;

  @Parameters(paramLabel = "LIST", description = "Name of the MirrorList.")
  private String list;

  @Option(
      names = "--hash",
      paramLabel = "HASH",
      description =
          "The plan that was looked at, or the beginning of its hash; refused when the list waits"
              + " with another. Default: the one in the status.")
  private @Nullable String hash;

  @Override
  public Integer call() {
    return cluster.ask(
        client -> {
          MirrorList found = ClusterOptions.list(client, list).get();
          String waiting = waiting(found);
          ClusterOptions.list(client, list)
              .edit(old -> SyncNowCommand.annotated(old, Api.APPROVE, waiting));
          spec.commandLine().getOut().println("mirrorlist/" + list + ": approved " + waiting);
          return ExitCode.OK;
        });
  }

  private String waiting(MirrorList found) {
    MirrorListStatus status = found.getStatus();
    String waiting = status == null || status.plan() == null ? null : status.plan().hash();
    if (found.getSpec().approval() != MirrorListSpec.Approval.Manual) {
      throw new CommandException(
          ExitCode.REFUSED, list + " waits for nobody: spec.approval is not Manual");
    }
    boolean waits =
        status != null
            && status.conditions().stream()
                .anyMatch(c -> c.type().equals("AwaitingApproval") && c.holds());
    if (waiting == null || !waits) {
      throw new CommandException(
          ExitCode.REFUSED,
          list + " has no plan that waits for approval; see: kubectl mirror status");
    }
    if (hash != null && (hash.length() < 8 || !waiting.startsWith(hash))) {
      throw new CommandException(
          ExitCode.REFUSED,
          list + " waits with another plan, " + waiting + "; nothing is approved");
    }
    return waiting;
  }
}
