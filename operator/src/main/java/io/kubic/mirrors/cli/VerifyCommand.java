package io.kubic.mirrors.cli;

import io.kubic.mirrors.bundle.Bundle;
import io.kubic.mirrors.bundle.BundleDirectory;
import io.kubic.mirrors.bundle.Verification;
import io.kubic.mirrors.sync.Report;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/**
 * {@code verify}: reads every byte of a bundle, without a registry; or compares a registry with
 * what a list selects now.
 */
@Command(
    name = "verify",
    mixinStandardHelpOptions = true,
    description = {
      "Verify every byte of a bundle; no registry is needed.",
      "With -f, compare a registry with what a MirrorList selects now, digest by digest."
    })
final class VerifyCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(
      paramLabel = "DIR|s3://BUCKET/PREFIX|HOST[:PORT]",
      arity = "1..*",
      description = "The bundle, the directory of its volumes, or each volume; with -f a registry.")
  private List<String> places;

  @Option(
      names = {"-f", "--filename"},
      paramLabel = "FILE",
      description = "YAML with a MirrorList that the registry is compared with.")
  private @Nullable Path file;

  @Option(names = "--list", paramLabel = "NAME", description = "Which MirrorList of the file.")
  private @Nullable String list;

  @Mixin private LockOptions lock;
  @Mixin private ConnectionOptions connections;
  @Mixin private S3Options s3;

  @Option(
      names = "--verify-key",
      paramLabel = "FILE",
      description = "Public key (PEM) that must have signed the bundle.")
  private @Nullable Path verifyKey;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "text|json",
      description = "Form of the result on standard output.")
  private RunOutput.Form output = RunOutput.Form.text;

  @Override
  public Integer call() {
    Path compared = file;
    if (compared != null) {
      if (places.size() != 1) {
        throw new CommandException(ExitCode.USAGE, "with -f name one registry, HOST[:PORT]");
      }
      try (ConnectionOptions open = connections) {
        return RegistryComparison.run(
            ListFile.read(compared, list).getSpec(),
            places.getFirst(),
            lock,
            open,
            output == RunOutput.Form.json,
            spec.commandLine());
      }
    }
    RunOutput report =
        new RunOutput(
            spec.commandLine().getOut(), spec.commandLine().getErr(), Progress.Form.NONE, null);
    try (S3Options buckets = s3) {
      return Endings.reported(report, () -> run(report, buckets));
    }
  }

  private int run(RunOutput report, S3Options buckets) {
    BundleDirectory directory =
        BundleDirectory.open(buckets.media(places), BundleFiles.verifyingKey(verifyKey), false);
    List<String> problems = Verification.of(directory);
    Bundle bundle = directory.bundle();
    Map<String, Object> more = new LinkedHashMap<>();
    boolean signed = directory.signed() == BundleDirectory.Signed.Verified;
    more.put("bundle", Endings.bundle(bundle, directory.checksum(), signed));
    more.put("signature", directory.signed());
    more.put("created", bundle.created());
    more.put("problems", problems);
    if (output == RunOutput.Form.text) {
      problems.forEach(problem -> spec.commandLine().getOut().println(problem));
    }
    report.result(
        output,
        Report.of(List.of(), 0, true),
        more,
        "bundle "
            + bundle.id().brief()
            + " of "
            + bundle.series()
            + ", sequence "
            + bundle.sequence()
            + ", "
            + bundle.created()
            + ": "
            + bundle.counts().images()
            + " images, "
            + directory.bytes()
            + " bytes, signature "
            + directory.signed()
            + (problems.isEmpty() ? ": as it was exported" : ": DAMAGED"));
    return problems.isEmpty() ? ExitCode.OK : ExitCode.REFUSED;
  }
}
