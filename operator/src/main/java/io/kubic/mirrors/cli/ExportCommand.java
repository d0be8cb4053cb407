package io.kubic.mirrors.cli;

import io.fabric8.kubernetes.api.model.Quantity;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.bundle.Bucket;
import io.kubic.mirrors.bundle.Bundle;
import io.kubic.mirrors.bundle.Export;
import io.kubic.mirrors.bundle.Receipt;
import io.kubic.mirrors.bundle.SkopeoWriter;
import io.kubic.mirrors.list.RegistryCatalog;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.list.Selector;
import io.kubic.mirrors.oci.layout.Checkpoint;
import io.kubic.mirrors.oci.layout.Disk;
import io.kubic.mirrors.sync.Report;
import io.kubic.mirrors.sync.Termination;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** {@code export}: fills a directory that somebody carries across an air gap. */
@Command(
    name = "export",
    mixinStandardHelpOptions = true,
    description = "Write the images that a MirrorList selects into a directory, to be carried.")
final class ExportCommand implements Callable<Integer> {
  /** What the directory becomes. */
  enum Format {
    bundle("bundle"),
    skopeoDir("skopeo-dir");

    private final String text;

    Format(String text) {
      this.text = text;
    }

    @Override
    public String toString() {
      return text;
    }

    static Format parse(String text) {
      for (Format format : values()) {
        if (format.text.equals(text)) {
          return format;
        }
      }
      throw new TypeConversionException("'" + text + "' is neither bundle nor skopeo-dir");
    }
  }

  @Spec private CommandSpec spec;
  @Mixin private ConnectionOptions connections;

  @Option(
      names = {"-f", "--filename"},
      required = true,
      paramLabel = "FILE",
      description = "YAML with the MirrorList, or a list of mirror-registry or skopeo.")
  private Path file;

  @Option(names = "--list", paramLabel = "NAME", description = "Which MirrorList of the file.")
  private @Nullable String list;

  @Option(
      names = "--to",
      required = true,
      paramLabel = "DIR|s3://BUCKET/PREFIX",
      description = "A directory or prefix of its own; an interrupted export is continued there.")
  private String to;

  @Option(
      names = "--base",
      paramLabel = "RECEIPT",
      description = "Leave out what the far side has: the receipt of its last import.")
  private @Nullable Path base;

  @Option(
      names = "--base-key",
      paramLabel = "FILE",
      description = "Public key (PEM) that must have signed the receipt.")
  private @Nullable Path baseKey;

  @Option(
      names = "--sign-key",
      paramLabel = "FILE",
      description = "Private key (PEM, PKCS #8, Ed25519 or ECDSA P-256) that signs the bundle.")
  private @Nullable Path signKey;

  @Option(
      names = "--volume-size",
      paramLabel = "SIZE",
      description = "Split into numbered volumes of at most this size, as in 3900Mi.")
  private @Nullable String volumeSize;

  @Option(
      names = "--allow-partial",
      description = "Complete the bundle without the images that cannot be had.")
  private boolean allowPartial;

  @Option(
      names = "--format",
      paramLabel = "bundle|skopeo-dir",
      defaultValue = "bundle",
      converter = FormatConverter.class,
      description =
          "skopeo-dir: the directories of skopeo sync --scoped --dest dir, for a far side that has"
              + " nothing else.")
  private Format format;

  @Mixin private FarSide farSide;
  @Mixin private S3Options s3;
  @Mixin private RunOptions options;

  /** For picocli. */
  static final class FormatConverter implements ITypeConverter<Format> {
    @Override
    public Format convert(String text) {
      return Format.parse(text);
    }
  }

  @Override
  public Integer call() {
    RunOutput report = options.open(spec, connections);
    try (ConnectionOptions open = connections;
        S3Options buckets = s3;
        Scratch scratch = new Scratch()) {
      return Endings.reported(report, () -> run(open, buckets.bucket(to), scratch, report));
    }
  }

  private int run(
      ConnectionOptions open, @Nullable Bucket bucket, Scratch scratch, RunOutput report) {
    MirrorList wanted = BundleFiles.list(file, list, spec.commandLine().getErr());
    MirrorListSpec what = Export.including(wanted.getSpec(), farSide.images());
    Selector selector = Selector.compile(what);
    BundleFiles.ReceiptFile known = BundleFiles.receipt(base, BundleFiles.verifyingKey(baseKey));
    boolean skopeo = format == Format.skopeoDir;
    if (skopeo && bucket != null) {
      throw new CommandException(
          ExitCode.USAGE, "skopeo reads no buckets: name a directory, or leave out --format");
    }
    if (skopeo && (known != null || signKey != null || volumeSize != null || farSide.hasFiles())) {
      throw new CommandException(
          ExitCode.USAGE,
          "skopeo's directories have no base, signature, volumes or other files; leave out --base,"
              + " --sign-key, --volume-size and --include..., or --format");
    }
    Path directory = bucket == null ? Path.of(to) : scratch.directory();
    SkopeoWriter writer = new SkopeoWriter(directory, new Disk(Checkpoint.NONE));
    Export.Order order =
        new Export.Order(
            skopeo ? writer.bundle() : directory,
            bucket,
            known == null ? null : known.receipt(),
            known == null ? null : Receipt.digest(known.bytes()),
            BundleFiles.signingKey(signKey),
            volumeBytes(),
            allowPartial,
            farSide.extras(wanted, BundleFiles.text(file), signKey != null));
    SourceClients clients = new SourceClients(open, what);
    try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
      Export export =
          new Export(
              String.valueOf(wanted.getMetadata().getName()),
              what,
              order,
              clients::of,
              executor,
              clock(System.getenv("SOURCE_DATE_EPOCH")),
              Export::usableSpace,
              Checkpoint.NONE);
      Selection[] selected = new Selection[1];
      Export.Result result =
          export.run(
              () -> {
                Selection selection =
                    selector.select(source -> new RegistryCatalog(clients.of(source)), executor);
                selection
                    .refusal()
                    .ifPresent(
                        guard -> {
                          throw new CommandException(ExitCode.REFUSED, guard.message());
                        });
                selected[0] = selection;
                return selection;
              },
              report);
      if (skopeo && result.bundle() != null) {
        writer.write(result.bundle());
      }
      return told(report, result, selected[0], clients);
    }
  }

  private int told(
      RunOutput output,
      Export.Result result,
      @Nullable Selection selection,
      SourceClients clients) {
    Report report = Report.of(result.outcomes(), clients.requests(), result.complete());
    Bundle bundle = result.bundle();
    Map<String, Object> more = new LinkedHashMap<>();
    if (bundle != null && result.checksum() != null) {
      more.put("bundle", Endings.bundle(bundle, result.checksum(), signKey != null));
    }
    options.result(
        output,
        report,
        more,
        bundle == null
            ? "not complete: run it again, or say --allow-partial"
            : "bundle "
                + bundle.id().brief()
                + ", sequence "
                + bundle.sequence()
                + ": "
                + bundle.counts().images()
                + " images, "
                + bundle.counts().unchanged()
                + " unchanged, "
                + bundle.deletions().size()
                + " deletions; "
                + bundle.counts().bytes()
                + " bytes"
                + (bundle.volumes() > 1 ? " in " + bundle.volumes() + " volumes" : ""));
    Termination ended =
        report
            .termination(result.plan(), selection == null ? List.of() : selection.sources(), null)
            .withQuotas(clients.quotas());
    output.terminate(
        bundle == null || result.checksum() == null
            ? ended
            : ended.with(
                Endings.told(bundle, result.checksum(), signKey != null, ref(to)),
                ended.sources()));
    boolean clean = bundle != null && bundle.failures().isEmpty() && report.isSuccessful();
    return clean ? ExitCode.OK : ExitCode.FAILED;
  }

  /** The last name of where it is: claim, disk or bucket have their own names elsewhere. */
  private static String ref(String to) {
    return S3Options.isBucket(to)
        ? to.substring(to.lastIndexOf('/') + 1)
        : String.valueOf(Path.of(to).getFileName());
  }

  private long volumeBytes() {
    if (volumeSize == null) {
      return 0;
    }
    try {
      long bytes = Quantity.getAmountInBytes(Quantity.parse(volumeSize)).longValueExact();
      if (bytes > 0) {
        return bytes;
      }
    } catch (IllegalArgumentException | ArithmeticException e) {
      // Said below.
    }
    throw new CommandException(
        ExitCode.USAGE, "--volume-size " + volumeSize + " is no size; write it as in 3900Mi");
  }

  /** Reproducible where asked for: reproducible-builds.org/specs/source-date-epoch. */
  static Clock clock(@Nullable String epoch) {
    if (epoch == null || epoch.isEmpty()) {
      return Clock.systemUTC();
    }
    try {
      return Clock.fixed(Instant.ofEpochSecond(Long.parseLong(epoch)), ZoneOffset.UTC);
    } catch (NumberFormatException | java.time.DateTimeException e) {
      throw new CommandException(
          ExitCode.USAGE, "SOURCE_DATE_EPOCH is to be a number of seconds since 1970");
    }
  }
}
