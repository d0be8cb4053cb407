package io.kubic.mirrors.cli;

import io.kubic.mirrors.bundle.ReceiptStore;
import io.kubic.mirrors.oci.registry.RegistryClient;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code receipt}: what a registry holds of a series, as its last import wrote it down. */
@Command(
    name = "receipt",
    mixinStandardHelpOptions = true,
    description = "Fetch the receipt of the last import from a registry, for export --base.")
final class ReceiptCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;
  @Mixin private ConnectionOptions connections;

  @Parameters(paramLabel = "HOST[:PORT]", description = "The registry that took the bundle.")
  private String host;

  @Option(
      names = "--list",
      required = true,
      paramLabel = "NAME",
      description = "The MirrorList that was exported.")
  private String list;

  @Option(
      names = "--to",
      paramLabel = "FILE",
      description = "Where to write it, with its signature beside it; default: standard output.")
  private @Nullable Path to;

  @Override
  public Integer call() {
    RunOutput report =
        new RunOutput(
            spec.commandLine().getOut(), spec.commandLine().getErr(), Progress.Form.NONE, null);
    try (ConnectionOptions open = connections) {
      return Endings.reported(report, () -> run(open));
    }
  }

  private int run(ConnectionOptions open) {
    RegistryClient target = open.target(host);
    Optional<ReceiptStore.Kept> kept = new ReceiptStore(target).find(list);
    if (kept.isEmpty()) {
      throw new CommandException(ExitCode.REFUSED, host + " has taken no bundle of " + list);
    }
    if (to != null) {
      BundleFiles.write(to, kept.get());
    } else {
      spec.commandLine().getOut().print(new String(kept.get().bytes(), StandardCharsets.UTF_8));
      spec.commandLine().getOut().flush();
    }
    return ExitCode.OK;
  }
}
