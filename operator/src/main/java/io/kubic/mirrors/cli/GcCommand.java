package io.kubic.mirrors.cli;

import io.kubic.mirrors.api.v1alpha1.GoDuration;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.registry.RegistryClient;
import io.kubic.mirrors.sync.Pins;
import io.kubic.mirrors.upkeep.GarbageCollection;
import io.kubic.mirrors.upkeep.RegistryProgram;
import io.kubic.mirrors.upkeep.UpkeepException;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Removes from a registry what nothing needs. */
@Command(
    name = "gc",
    mixinStandardHelpOptions = true,
    description =
        "Delete manifests that no tag, index, referrer or running pod needs, and sweep their"
            + " blobs, while writes are frozen. Runs where the registry's storage is mounted.")
final class GcCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = "--registry",
      required = true,
      paramLabel = "HOST[:PORT]",
      description = "The registry, with a login that may pull and delete everything.")
  private String host;

  @Option(
      names = "--registry-binary",
      paramLabel = "FILE",
      description = "Distribution's program (default: ${DEFAULT-VALUE}).")
  private Path binary = Path.of("/bin/registry");

  @Option(
      names = "--registry-process",
      description =
          "Take the program from the root of a process of this pod that runs it, at"
              + " --registry-binary: for images that have nothing to copy it with.")
  private boolean fromProcess;

  @Option(
      names = "--registry-config",
      required = true,
      paramLabel = "FILE",
      description = "The configuration that the registry runs with.")
  private Path config;

  @Option(
      names = "--gateway",
      paramLabel = "URL",
      description =
          "Admin port of a gateway, as in http://10.0.0.7:5002; repeat it for each. Without any,"
              + " nobody may write meanwhile: say so with --idle.")
  private List<URI> gateways = List.of();

  @Option(names = "--gateways-file", paramLabel = "FILE", description = "The same, one a line.")
  private @Nullable Path gatewaysFile;

  @Option(
      names = "--freeze-token-file",
      paramLabel = "FILE",
      description = "The bearer secret of the admin ports.")
  private @Nullable Path tokenFile;

  @Option(names = "--idle", description = "Nobody writes to the registry; there is no gateway.")
  private boolean idle;

  @Option(
      names = "--in-use",
      paramLabel = "FILE",
      description =
          "Digests that are in use, one a line, also as REPOSITORY@DIGEST: they are kept.")
  private @Nullable Path inUse;

  @Option(
      names = "--storage",
      paramLabel = "DIR",
      description = "Root of the registry's filesystem storage, for the age of manifests.")
  private @Nullable Path storage;

  @Option(
      names = "--grace",
      paramLabel = "DURATION",
      description = "With --storage: younger manifests stay (default: ${DEFAULT-VALUE}).")
  private String grace = "24h";

  @Option(
      names = "--max-percent",
      paramLabel = "N",
      description =
          "Delete nothing when more of all manifests would go; fewer than 20 manifests are not"
              + " guarded (default: ${DEFAULT-VALUE}).")
  private int most = 50;

  @Option(names = "--dry-run", description = "Only tell what would be deleted.")
  private boolean dryRun;

  @Mixin private UpkeepOutput output;

  @Mixin private ConnectionOptions connections;

  @Override
  public Integer call() throws InterruptedException {
    GarbageCollection.Options options = options();
    try (ConnectionOptions used = connections;
        HttpClient http = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();
        ScheduledExecutorService scheduler =
            Executors.newSingleThreadScheduledExecutor(
                task -> Thread.ofPlatform().daemon().name("freeze").unstarted(task))) {
      RegistryClient registry = used.target(host);
      GarbageCollection collection =
          new GarbageCollection(
              registry,
              fromProcess
                  ? RegistryProgram.ofProcess(Path.of("/proc"), binary, config, scheduler)
                  : new RegistryProgram(binary, config),
              options,
              () -> pinned(registry),
              Clock.systemUTC(),
              line -> {
                if (!connections.isQuiet()) {
                  spec.commandLine().getErr().println(line);
                }
              });
      output.report(spec, collection.run(http, scheduler));
      return ExitCode.OK;
    } catch (GarbageCollection.TooMuch e) {
      throw output.failed(spec, ExitCode.REFUSED, e.getMessage());
    } catch (UpkeepException e) {
      throw output.failed(spec, ExitCode.FAILED, e.getMessage());
    } catch (RegistryException e) {
      throw output.failed(spec, ExitCode.UNAVAILABLE, e.getMessage());
    }
  }

  /** What lists select by digest alone; without knowing it nothing may be deleted. */
  private static Set<Digest> pinned(RegistryClient registry) {
    try {
      return Pins.of(registry);
    } catch (RegistryException e) {
      if (e.reason().isTransient()) {
        throw e;
      }
      throw new UpkeepException(String.valueOf(e.getMessage()), e);
    }
  }

  private GarbageCollection.Options options() {
    List<URI> gateways = new ArrayList<>(this.gateways);
    if (gatewaysFile != null) {
      read(gatewaysFile)
          .lines()
          .map(String::strip)
          .filter(line -> !line.isEmpty())
          .forEach(line -> gateways.add(URI.create(line)));
    }
    if (gateways.isEmpty() && !idle && !dryRun) {
      throw new CommandException(
          ExitCode.USAGE, "gc: name the gateways with --gateway, or say --idle");
    }
    if (most < 0 || most > 100) {
      throw new CommandException(ExitCode.USAGE, "gc: --max-percent must be 0 to 100");
    }
    String secret = "";
    if (!gateways.isEmpty()) {
      if (tokenFile == null) {
        throw new CommandException(ExitCode.USAGE, "gc: --gateway needs --freeze-token-file");
      }
      secret = read(tokenFile).strip();
    }
    Duration young;
    try {
      young = GoDuration.parse(grace, "--grace");
    } catch (InvalidSpecException e) {
      throw new CommandException(ExitCode.USAGE, "gc: " + e.getMessage());
    }
    return new GarbageCollection.Options(
        gateways, secret, running(), most, young, storage, Duration.ofMinutes(10), dryRun);
  }

  private Set<Digest> running() {
    Set<Digest> digests = new HashSet<>();
    if (inUse != null) {
      int number = 0;
      for (String line : read(inUse).lines().toList()) {
        number++;
        String text = line.strip();
        if (text.isEmpty() || text.startsWith("#")) {
          continue;
        }
        Optional<Digest> digest = Digest.tryParse(text.substring(text.lastIndexOf('@') + 1));
        // A line that is passed over would be an image that is lost.
        if (digest.isEmpty()) {
          throw new CommandException(
              ExitCode.USAGE, "gc: " + inUse + ":" + number + " holds no digest");
        }
        digests.add(digest.get());
      }
    }
    return digests;
  }

  private static String read(Path file) {
    try {
      return Files.readString(file, StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new CommandException(ExitCode.USAGE, "gc: cannot read " + file);
    }
  }
}
