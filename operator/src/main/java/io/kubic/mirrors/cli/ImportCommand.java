package io.kubic.mirrors.cli;

import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.bundle.Bundle;
import io.kubic.mirrors.bundle.BundleDirectory;
import io.kubic.mirrors.bundle.Import;
import io.kubic.mirrors.oci.registry.RegistryClient;
import io.kubic.mirrors.sync.Report;
import java.nio.file.Path;
import java.time.Clock;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code import}: takes a directory that somebody carried into a registry. */
@Command(
    name = "import",
    mixinStandardHelpOptions = true,
    description = "Verify a bundle, and put its images into a registry.")
final class ImportCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;
  @Mixin private ConnectionOptions connections;

  @Parameters(
      paramLabel = "DIR",
      arity = "1..*",
      description = "The bundle, the directory of its volumes, or each volume.")
  private List<Path> directories;

  @Option(
      names = "--to",
      required = true,
      paramLabel = "HOST[:PORT]",
      description = "The registry that is filled.")
  private String to;

  @Option(
      names = "--verify-key",
      paramLabel = "FILE",
      description = "Public key (PEM) that must have signed the bundle.")
  private @Nullable Path verifyKey;

  @Option(
      names = "--receipt",
      paramLabel = "FILE",
      description = "Write what the registry now holds there, for export --base.")
  private @Nullable Path receipt;

  @Option(
      names = "--sign-key",
      paramLabel = "FILE",
      description = "Private key (PEM) that signs the receipt.")
  private @Nullable Path signKey;

  @Option(
      names = "--allow-replay",
      description = "Take a bundle that is older than the last one that was taken.")
  private boolean allowReplay;

  @Option(
      names = "--allow-partial",
      description = "Take the images that are whole, and leave out those that are not.")
  private boolean allowPartial;

  @Option(names = "--prune", description = "Remove the tags that the bundle lists as deleted.")
  private boolean prune;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "text|json",
      description = "Form of the result on standard output.")
  private RunOutput.Form output = RunOutput.Form.text;

  @Option(
      names = "--termination-log",
      paramLabel = "FILE",
      description = "Write a summary of at most 4096 bytes there on every ending.")
  private @Nullable Path terminationLog;

  @Override
  public Integer call() {
    RunOutput report =
        new RunOutput(
            spec.commandLine().getOut(),
            spec.commandLine().getErr(),
            connections.isQuiet(),
            terminationLog);
    try (ConnectionOptions open = connections) {
      return Endings.reported(report, () -> run(open, report));
    }
  }

  private int run(ConnectionOptions open, RunOutput report) {
    BundleDirectory directory =
        BundleDirectory.open(directories, BundleFiles.verifyingKey(verifyKey), allowPartial);
    Bundle bundle = directory.bundle();
    if (directory.signed() == BundleDirectory.Signed.Unverified) {
      report.warn("the bundle is signed, and no --verify-key was given to verify it with");
    }
    MirrorListSpec list = bundle.list().spec();
    RegistryClient target = open.target(to, list.retry());
    target.ping();
    try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
      Import.Result result =
          new Import(
                  directory,
                  target,
                  (repository, digest) -> target.blobSize(repository, digest).isPresent(),
                  new Import.Rules(
                      allowReplay, allowPartial, prune, BundleFiles.signingKey(signKey)),
                  executor,
                  Clock.systemUTC())
              .run(report::image, report::hashed);
      if (receipt != null && result.receipt() != null) {
        BundleFiles.write(receipt, result.receipt());
      }
      result.problems().forEach(problem -> report.warn(problem + " is damaged"));
      Report all = Report.of(result.outcomes(), target.requests(), true);
      Map<String, Object> more = new LinkedHashMap<>();
      more.put(
          "bundle",
          Endings.bundle(
              bundle, directory.checksum(), directory.signed() == BundleDirectory.Signed.Verified));
      report.result(
          output,
          all,
          more,
          "bundle "
              + bundle.id().brief()
              + ", sequence "
              + bundle.sequence()
              + ": "
              + all.summary().copied()
              + " images copied, "
              + all.summary().skipped()
              + " there already, "
              + all.summary().failed()
              + " failed, "
              + all.summary().pruned()
              + " removed; "
              + all.summary().bytes()
              + " bytes sent");
      if (!prune && !bundle.deletions().isEmpty()) {
        report.warn(
            bundle.deletions().size()
                + " images are no longer selected, and stay; --prune removes their tags");
      }
      report.terminate(all.termination(null, List.of(), null));
      return all.isSuccessful() && result.problems().isEmpty() ? ExitCode.OK : ExitCode.FAILED;
    }
  }
}
