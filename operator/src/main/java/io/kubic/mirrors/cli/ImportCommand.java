package io.kubic.mirrors.cli;

import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.bundle.Bundle;
import io.kubic.mirrors.bundle.BundleDirectory;
import io.kubic.mirrors.bundle.Import;
import io.kubic.mirrors.bundle.Medium;
import io.kubic.mirrors.bundle.ReceiptStore;
import io.kubic.mirrors.bundle.SkopeoImport;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.layout.SkopeoDirectory;
import io.kubic.mirrors.oci.registry.RegistryClient;
import io.kubic.mirrors.sync.Outcome;
import io.kubic.mirrors.sync.Report;
import io.kubic.mirrors.sync.Termination;
import java.nio.file.Path;
import java.time.Clock;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
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
  @Mixin private S3Options s3;

  @Parameters(
      paramLabel = "DIR|s3://BUCKET/PREFIX",
      arity = "1..*",
      description =
          "The bundle, the directory of its volumes, or each volume; or what skopeo sync wrote.")
  private List<String> places;

  @Option(
      names = "--to",
      required = true,
      paramLabel = "HOST[:PORT]",
      description = "The registry that is filled.")
  private String to;

  @Option(
      names = {"-f", "--filename"},
      paramLabel = "FILE",
      description =
          "Of what skopeo sync wrote, only what this list selects: a MirrorList, or a list of"
              + " mirror-registry or skopeo.")
  private @Nullable Path file;

  @Option(names = "--list", paramLabel = "NAME", description = "Which MirrorList of the file.")
  private @Nullable String list;

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

  @Mixin private InUseOption inUse;
  @Mixin private RunOptions options;

  @Override
  public Integer call() {
    RunOutput report = options.open(spec, connections);
    try (ConnectionOptions open = connections;
        S3Options buckets = s3) {
      return Endings.reported(report, () -> run(open, buckets, report));
    }
  }

  private int run(ConnectionOptions open, S3Options buckets, RunOutput report) {
    List<Medium> media = buckets.media(places);
    String first = places.getFirst();
    if (media.size() == 1
        && !S3Options.isBucket(first)
        && !BundleDirectory.isBundle(media.getFirst())) {
      return skopeo(open, report, Path.of(first));
    }
    if (file != null) {
      throw new CommandException(
          ExitCode.USAGE, "a bundle has a list of its own; leave out --filename");
    }
    BundleDirectory directory =
        BundleDirectory.open(media, BundleFiles.verifyingKey(verifyKey), allowPartial);
    Bundle bundle = directory.bundle();
    if (directory.signed() == BundleDirectory.Signed.Unverified) {
      report.warn("the bundle is signed, and no --verify-key was given to verify it with");
    }
    RegistryClient target = open.target(to, bundle.list().spec());
    target.ping();
    report.planned(
        bundle.id().hex(),
        new Termination.Planned(
            (int) bundle.images().stream().map(image -> image.repository()).distinct().count(),
            bundle.counts().images(),
            bundle.counts().bytes(),
            bundle.counts().bytes(),
            bundle.deletions().size()));
    Optional<Set<Digest>> known = inUse.digests();
    boolean unknown = inUse.isGiven() && known.isEmpty();
    if (prune && unknown) {
      report.warn("it is not known what pods run: no tag is removed");
    }
    try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
      Import.Result result =
          new Import(
                  directory,
                  target,
                  (repository, digest) -> target.blobSize(repository, digest).isPresent(),
                  new Import.Rules(
                      allowReplay,
                      allowPartial,
                      prune && !unknown,
                      known.orElse(Set.of()),
                      BundleFiles.signingKey(signKey)),
                  executor,
                  Clock.systemUTC())
              .run(report);
      if (receipt != null && result.receipt() != null) {
        BundleFiles.write(receipt, result.receipt());
      }
      result.problems().forEach(problem -> report.warn(problem + " is damaged"));
      result
          .inUse()
          .forEach(
              image -> report.warn(image + " is no longer selected, and stays: a pod runs it"));
      Report all = Report.of(result.outcomes(), target.requests(), true);
      Map<String, Object> more = new LinkedHashMap<>();
      boolean verified = directory.signed() == BundleDirectory.Signed.Verified;
      more.put("bundle", Endings.bundle(bundle, directory.checksum(), verified));
      options.result(
          report,
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
      Termination ended = all.termination(null, List.of(), null);
      report.terminate(
          ended.with(
              Endings.told(
                  bundle, directory.checksum(), verified, ReceiptStore.repository(bundle.series())),
              sources(bundle)));
      return all.isSuccessful() && result.problems().isEmpty() ? ExitCode.OK : ExitCode.FAILED;
    }
  }

  /** Of which registries the far side now has images: nodes ask the mirror for these. */
  private static List<Termination.Source> sources(Bundle bundle) {
    Map<String, Integer> images = new TreeMap<>();
    for (MirrorListSpec.Source source : bundle.list().spec().sources()) {
      images.put(source.registry(), 0);
    }
    bundle
        .images()
        .forEach(
            image ->
                images.merge(
                    image.repository().substring(0, image.repository().indexOf('/')),
                    1,
                    Integer::sum));
    return images.entrySet().stream()
        .map(e -> new Termination.Source(e.getKey(), "default", 0, 0, e.getValue()))
        .toList();
  }

  private int skopeo(ConnectionOptions open, RunOutput report, Path root) {
    if (verifyKey != null || receipt != null || prune || allowReplay) {
      throw new CommandException(
          ExitCode.USAGE,
          root
              + " is no bundle, and directories of skopeo have no signature, receipt, deletions or"
              + " sequence");
    }
    SkopeoDirectory directory;
    try {
      directory = SkopeoDirectory.open(root);
    } catch (RegistryException e) {
      throw new CommandException(ExitCode.REFUSED, e.reason() + ": " + e.getMessage());
    }
    MirrorListSpec wanted =
        file == null ? null : BundleFiles.list(file, list, spec.commandLine().getErr()).getSpec();
    RegistryClient target = wanted == null ? open.target(to) : open.target(to, wanted);
    target.ping();
    try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Outcome> outcomes =
          new SkopeoImport(directory, wanted, target, allowPartial, executor).run(report);
      Report all = Report.of(outcomes, target.requests(), true);
      options.result(
          report,
          all,
          Map.of(),
          all.summary().copied()
              + " images copied, "
              + all.summary().failed()
              + " failed; "
              + all.summary().bytes()
              + " bytes sent");
      report.terminate(all.termination(null, List.of(), null));
      return all.isSuccessful() ? ExitCode.OK : ExitCode.FAILED;
    }
  }
}
