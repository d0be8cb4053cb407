package io.kubic.mirrors.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLGenerator;
import io.fabric8.kubernetes.api.model.Quantity;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.list.RegistryCatalog;
import io.kubic.mirrors.list.SelectedImage;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.list.Selector;
import io.kubic.mirrors.list.SkopeoFile;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.registry.RegistryClient;
import io.kubic.mirrors.sync.Copier;
import io.kubic.mirrors.sync.Plan;
import io.kubic.mirrors.sync.Planner;
import io.kubic.mirrors.sync.Shard;
import io.kubic.mirrors.sync.SyncRun;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * {@code plan}: what a MirrorList means now, and what it would take to bring it into a registry.
 * Reads only, and what it finds is the same object that a sync carries out.
 */
@Command(
    name = "plan",
    mixinStandardHelpOptions = true,
    description = "Show what a MirrorList selects, before a byte moves.",
    footer = {
      "",
      "The plan's hash is what an approval names: it is the same here and in the cluster, and",
      "changes when another digest is selected."
    })
final class PlanCommand implements Callable<Integer> {
  /** How the plan is printed. */
  enum Output {
    table,
    json,
    yaml,
    skopeo
  }

  /** How much is asked for. */
  enum Sizes {
    all,
    none
  }

  @Spec private CommandSpec spec;
  @Mixin private LockOptions lock;
  @Mixin private ConnectionOptions connections;

  @Option(
      names = {"-f", "--filename", "--file"},
      required = true,
      paramLabel = "FILE",
      description = "YAML with a MirrorList.")
  private Path file;

  @Option(
      names = "--list",
      paramLabel = "NAME",
      description = "Which MirrorList, if the file holds several.")
  private @Nullable String name;

  @Option(
      names = {"-n", "--namespace"},
      paramLabel = "NAME",
      description =
          "Of the list, where its file does not say; with --to it tells what is to be pruned.")
  private @Nullable String namespace;

  @Option(
      names = "--to",
      paramLabel = "HOST[:PORT]",
      description = "Compare with this registry; without it everything is to be copied.")
  private @Nullable String to;

  @Option(
      names = "--sizes",
      defaultValue = "all",
      description =
          "${COMPLETION-CANDIDATES}; none asks for digests only, with one HEAD for each image,"
              + " where all reads manifests: one for each image, and one for each child of an"
              + " index.")
  private Sizes sizes;

  @Option(
      names = "--rate",
      paramLabel = "SIZE",
      defaultValue = "12500k",
      description =
          "Bytes per second that the transfer is reckoned with, as a Kubernetes quantity; default:"
              + " ${DEFAULT-VALUE}, which is 100 Mbit/s.")
  private String rate;

  @Option(
      names = {"-o", "--output"},
      defaultValue = "table",
      description = "${COMPLETION-CANDIDATES}; skopeo is a file for skopeo sync --src yaml.")
  private Output output;

  @Override
  public Integer call() {
    MirrorList resource = ListFile.read(file, name);
    MirrorListSpec list = resource.getSpec();
    Selector selector = Selector.compile(list);
    long perSecond = rate();
    long start = System.nanoTime();
    try (ConnectionOptions open = connections;
        ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
      RegistryClient target = to == null ? null : open.target(to, list);
      if (target != null) {
        target.ping();
      }
      SourceClients clients = new SourceClients(open, list);
      Selection selection =
          lock.find(list, target, open)
              .map(locked -> locked.select(list))
              .orElseGet(
                  () ->
                      selector.select(source -> new RegistryCatalog(clients.of(source)), executor));
      if (selection.isRefused()) {
        selection.problems().forEach(this::tell);
        return ExitCode.REFUSED;
      }
      long listing = clients.requests();
      Planner planner = new Planner(list, clients::of, target, depth(), executor);
      Plan plan;
      List<SelectedImage> images;
      if (target == null) {
        Planner.Result result = planner.plan(selection);
        plan = result.plan();
        images = result.images();
      } else {
        SyncRun.Planned planned =
            new SyncRun(
                    new SyncRun.Settings(
                        ListFile.identity(resource, namespace),
                        list,
                        Shard.whole(),
                        Optional.empty()),
                    target,
                    planner,
                    new Copier(target, list, executor),
                    executor,
                    Clock.systemUTC(),
                    RandomGenerator.getDefault())
                .plan(selection);
        plan = planned.plan();
        images = planned.result().images();
      }
      PlanTable.Cost cost =
          new PlanTable.Cost(
              listing,
              clients.requests() - listing,
              target == null ? 0 : target.requests(),
              Duration.ofNanos(System.nanoTime() - start));
      print(plan, images, selection, cost, list, perSecond);
      return exitCode(plan, list);
    }
  }

  private Planner.Depth depth() {
    return sizes == Sizes.none || output == Output.skopeo
        ? Planner.Depth.DIGESTS
        : Planner.Depth.SIZES;
  }

  private long rate() {
    try {
      long value = Quantity.getAmountInBytes(Quantity.parse(rate)).longValueExact();
      if (value > 0) {
        return value;
      }
    } catch (IllegalArgumentException | ArithmeticException e) {
      // Told below, as one thing.
    }
    throw new CommandException(
        ExitCode.USAGE, "--rate '" + rate + "' is no number of bytes per second, as in 12500k");
  }

  private void print(
      Plan plan,
      List<SelectedImage> images,
      Selection selection,
      PlanTable.Cost cost,
      MirrorListSpec list,
      long perSecond) {
    PrintWriter out = spec.commandLine().getOut();
    switch (output) {
      case table ->
          PlanTable.print(
              plan, selection.sources(), cost, depth() == Planner.Depth.SIZES, perSecond, out);
      case json -> out.println(write(tree(plan, selection, cost, perSecond), new ObjectMapper()));
      case yaml ->
          out.print(
              write(
                  tree(plan, selection, cost, perSecond),
                  new ObjectMapper(
                      YAMLFactory.builder()
                          .disable(YAMLGenerator.Feature.WRITE_DOC_START_MARKER)
                          .build())));
      case skopeo -> out.print(SkopeoFile.of(images, withoutTls(list)));
    }
    out.flush();
    plan.problems().forEach(this::tell);
  }

  private void tell(Selection.Problem problem) {
    spec.commandLine()
        .getErr()
        .println(
            "problem: " + problem.object() + ": " + problem.reason() + ": " + problem.message());
  }

  private int exitCode(Plan plan, MirrorListSpec list) {
    Quantity most = list.guard().maxBytes();
    if (most != null && Quantity.getAmountInBytes(most).longValue() < plan.totals().bytes()) {
      tell(
          new Selection.Problem(
              file.toString(),
              Reason.GuardExceeded,
              "the selection has " + plan.totals().bytes() + " bytes, guard.maxBytes is " + most));
      return ExitCode.REFUSED;
    }
    if (plan.totals().images() == plan.totals().fail()
        && plan.problems().stream().anyMatch(problem -> problem.reason().isUnavailable())) {
      return ExitCode.UNAVAILABLE;
    }
    return plan.complete() ? ExitCode.OK : ExitCode.FAILED;
  }

  private static Set<String> withoutTls(MirrorListSpec list) {
    return list.sources().stream()
        .filter(source -> source.tls().plainHTTP() || source.tls().insecureSkipVerify())
        .map(MirrorListSpec.Source::registry)
        .collect(Collectors.toSet());
  }

  /** The plan as the contract says, and beside it what differs from one run to the next. */
  private static ObjectNode tree(
      Plan plan, Selection selection, PlanTable.Cost cost, long perSecond) {
    ObjectMapper mapper = new ObjectMapper();
    ObjectNode root = mapper.valueToTree(plan);
    root.set("sources", mapper.valueToTree(selection.sources()));
    root.putObject("cost")
        .put("listingRequests", cost.listing())
        .put("sourceRequests", cost.source())
        .put("targetRequests", cost.target())
        .put(
            "requestsPerImage",
            String.format(Locale.ROOT, "%.3f", cost.perImage(plan.totals().images())))
        .put("seconds", String.format(Locale.ROOT, "%.3f", cost.duration().toNanos() / 1e9))
        .put("estimatedTransferSeconds", Math.ceilDiv(plan.totals().bytesToTransfer(), perSecond));
    return root;
  }

  private static String write(ObjectNode tree, ObjectMapper mapper) {
    try {
      return mapper.enable(SerializationFeature.INDENT_OUTPUT).writeValueAsString(tree);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
