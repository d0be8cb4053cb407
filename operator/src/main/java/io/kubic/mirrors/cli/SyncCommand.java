package io.kubic.mirrors.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.fabric8.kubernetes.api.model.Quantity;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.list.Catalog;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.list.Selector;
import io.kubic.mirrors.oci.Listing;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Repository;
import io.kubic.mirrors.oci.registry.RegistryClient;
import io.kubic.mirrors.ops.Carriers;
import io.kubic.mirrors.sync.Copier;
import io.kubic.mirrors.sync.Outcome;
import io.kubic.mirrors.sync.Plan;
import io.kubic.mirrors.sync.Planner;
import io.kubic.mirrors.sync.Report;
import io.kubic.mirrors.sync.Shard;
import io.kubic.mirrors.sync.SyncRun;
import io.kubic.mirrors.sync.Termination;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Copies what a list selects into a registry, now. */
@Command(
    name = "sync",
    mixinStandardHelpOptions = true,
    description = "Copy the images that a MirrorList selects into a registry.")
final class SyncCommand implements Callable<Integer> {
  private static final JsonMapper JSON = JsonMapper.builder().build();

  /** Less than the 30 s that Kubernetes gives a pod between SIGTERM and SIGKILL. */
  private static final long GRACE_SECONDS = 20;

  /** Bytes that keep every processor busy for longer than it takes to say so. */
  private static final long MUCH = 1L << 30;

  enum Output {
    text,
    json
  }

  @Spec private CommandSpec spec;

  @Option(
      names = {"-f", "--filename"},
      required = true,
      paramLabel = "FILE",
      description = "YAML with the MirrorList.")
  private Path file;

  @Option(
      names = "--to",
      required = true,
      paramLabel = "HOST[:PORT]",
      description = "The registry that is filled.")
  private String to;

  @Option(names = "--list", paramLabel = "NAME", description = "Which MirrorList of the file.")
  private @Nullable String list;

  @Option(
      names = {"-n", "--namespace"},
      paramLabel = "NAME",
      description = "Of the list, where its file does not say.")
  private @Nullable String namespace;

  @Option(
      names = "--recheck",
      description =
          "Look at every blob of what is in the target, and bring back what is gone, as a scrub"
              + " leaves it.")
  private boolean recheck;

  @Option(names = "--dry-run", description = "Plan only; nothing is written.")
  private boolean dryRun;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "text|json",
      description = "Form of the result on standard output.")
  private Output output = Output.text;

  @Option(
      names = "--shard",
      paramLabel = "INDEX/COUNT",
      description = "Only this part of the list, as in 2/8; INDEX counts from 0.")
  private @Nullable String shard;

  @Option(
      names = "--run",
      paramLabel = "NAME",
      description =
          "The same for all parts of one run: the last of them leaves one lock for all of it.")
  private @Nullable String run;

  @Option(
      names = "--termination-log",
      paramLabel = "FILE",
      description = "Write a summary of at most 4096 bytes there on every ending.")
  private @Nullable Path terminationLog;

  @Option(
      names = "--approved",
      paramLabel = "HASH",
      description =
          "The plan that may be carried out; needed where the list says approval: Manual.")
  private @Nullable String approved;

  @Mixin private InUseOption inUse;
  @Mixin private LockOptions lock;
  @Mixin private ConnectionOptions connections;

  @Override
  public Integer call() {
    CountDownLatch ended = new CountDownLatch(1);
    AtomicBoolean stopped = new AtomicBoolean();
    Thread self = Thread.currentThread();
    Thread stop = new Thread(() -> stop(self, stopped, ended), "sync-stop");
    Runtime.getRuntime().addShutdownHook(stop);
    try {
      return reported();
    } catch (CommandException e) {
      if (!stopped.get()) {
        throw e;
      }
      // The process does not wait for whoever would tell it.
      PrintWriter err = spec.commandLine().getErr();
      err.println("error: " + e.getMessage());
      err.flush();
      return e.exitCode();
    } finally {
      ended.countDown();
      try {
        Runtime.getRuntime().removeShutdownHook(stop);
      } catch (IllegalStateException e) {
        // The process is ending already, and waits for this very moment.
      }
    }
  }

  /** A run that is told to stop still leaves its termination message. */
  private static void stop(Thread run, AtomicBoolean stopped, CountDownLatch ended) {
    stopped.set(true);
    run.interrupt();
    try {
      var _ = ended.await(GRACE_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private int reported() {
    try (ConnectionOptions open = connections) {
      return run(open);
    } catch (InvalidSpecException e) {
      terminate(Termination.of("InvalidSpec", String.valueOf(e.getMessage())));
      throw e;
    } catch (CommandException e) {
      terminate(Termination.of(reason(e.exitCode()), String.valueOf(e.getMessage())));
      throw e;
    } catch (RegistryException e) {
      terminate(Termination.of(e.reason().name(), String.valueOf(e.getMessage())));
      throw new CommandException(
          e.reason().isUnavailable() ? ExitCode.UNAVAILABLE : ExitCode.FAILED,
          String.valueOf(e.getMessage()));
    } catch (RuntimeException e) {
      terminate(Termination.of(Reason.Internal.name(), String.valueOf(e)));
      throw e;
    }
  }

  private static String reason(int exitCode) {
    return switch (exitCode) {
      case ExitCode.USAGE -> "InvalidSpec";
      case ExitCode.REFUSED -> Reason.GuardExceeded.name();
      case ExitCode.UNAVAILABLE -> Reason.ConnectionFailed.name();
      default -> Reason.Internal.name();
    };
  }

  private int run(ConnectionOptions open) {
    MirrorList resource = ListFile.read(file, list);
    MirrorListSpec wanted = resource.getSpec();
    Selector selector = Selector.compile(wanted);
    RegistryClient target = open.target(to, wanted);
    target.ping();
    open.shareSources(shard().count());
    SourceClients clients = new SourceClients(open, wanted);
    try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
      Selection selection =
          lock.find(wanted, target, open)
              .map(locked -> locked.select(wanted))
              .orElseGet(
                  () ->
                      selector.select(
                          source -> new Part(source, clients.of(source), wanted.layout(), shard()),
                          executor));
      Optional<Selection.Problem> refusal = selection.refusal();
      if (refusal.isPresent()) {
        return refuse(refusal.get().message());
      }
      Planner planner =
          new Planner(
              wanted,
              clients::of,
              target,
              recheck ? Planner.Depth.CONTENT : Planner.Depth.COPIES,
              executor);
      Copier copier = new Copier(target, wanted, executor);
      SyncRun engine =
          new SyncRun(
              new SyncRun.Settings(
                  ListFile.identity(resource, namespace), wanted, shard(), run, inUse.digests()),
              target,
              planner,
              copier,
              executor,
              Clock.systemUTC(),
              RandomGenerator.getDefault());
      SyncRun.Planned planned = engine.plan(selection);
      Plan plan = planned.plan();
      Quantity maxBytes = wanted.guard().maxBytes();
      if (maxBytes != null
          && Quantity.getAmountInBytes(maxBytes).longValue() < plan.totals().bytes()) {
        return refuse(
            "the selection has " + plan.totals().bytes() + " bytes, guard.maxBytes is " + maxBytes);
      }
      if (dryRun || wanted.dryRun()) {
        return showPlan(planned);
      }
      if (isWaiting(wanted, plan)) {
        return await(planned);
      }
      if (output == Output.json) {
        spec.commandLine()
            .getErr()
            .println(json(Map.of("hash", plan.hash(), "plan", plan.planned())));
      }
      plan.problems().forEach(this::warn);
      if (plan.totals().bytesToTransfer() >= MUCH) {
        Carriers.all();
      }
      SyncRun.Done done;
      try (Progress progress = progress(plan, planned.work().size(), copier)) {
        done = engine.run(planned, progress::done, () -> target.requests() + clients.requests());
      }
      done.problems().forEach(this::warn);
      show(done);
      terminate(
          done.report()
              .termination(plan, planned.selection().sources(), done.reportRef())
              .withLock(done.lockRef())
              .withQuotas(clients.quotas()));
      return exitCode(done.report());
    }
  }

  /** Whether somebody has to approve the plan first; not when it changes nothing. */
  private boolean isWaiting(MirrorListSpec wanted, Plan plan) {
    boolean prunes =
        wanted.prune().mode() == MirrorListSpec.PruneMode.Delete
            && plan.totals().pruneCandidates() > 0;
    return wanted.approval() == MirrorListSpec.Approval.Manual
        && (plan.totals().copy() > 0 || prunes)
        && !plan.hash().equals(approved);
  }

  private int await(SyncRun.Planned planned) {
    Plan plan = planned.plan();
    Selection selection = planned.selection();
    String message =
        "plan "
            + plan.hash()
            + " waits for approval: "
            + plan.totals().images()
            + " images, "
            + plan.totals().copy()
            + " to copy, at most "
            + plan.totals().bytesToTransfer()
            + " bytes";
    terminate(
        Report.of(List.of(), 0, selection.complete())
            .termination(plan, selection.sources(), null)
            .failed(Termination.AWAITING_APPROVAL, message));
    PrintWriter out = spec.commandLine().getOut();
    if (output == Output.json) {
      out.println(json(plan));
    }
    out.flush();
    spec.commandLine().getErr().println("refused: " + message + "; give it with --approved");
    return ExitCode.REFUSED;
  }

  private Progress progress(Plan plan, int images, Copier copier) {
    return new Progress(
        connections.progress(),
        images,
        plan.totals().bytesToTransfer(),
        copier::settledBytes,
        spec.commandLine().getErr(),
        System::nanoTime);
  }

  private void warn(Selection.Problem problem) {
    spec.commandLine()
        .getErr()
        .println(
            "warning: " + problem.object() + ": " + problem.reason() + ": " + problem.message());
  }

  private Shard shard() {
    try {
      return shard == null ? Shard.whole() : Shard.parse(shard);
    } catch (IllegalArgumentException e) {
      throw new CommandException(ExitCode.USAGE, "--shard: " + e.getMessage());
    }
  }

  /** A source's lists, as far as one part of the list needs them. */
  private record Part(
      MirrorListSpec.Source source,
      RegistryClient client,
      MirrorListSpec.Layout layout,
      Shard shard)
      implements Catalog {
    @Override
    public Listing repositories() {
      return client.catalog();
    }

    @Override
    public Listing tags(String repository) {
      if (!shard.owns(
          Planner.targetRepository(layout, new Repository(source.registry(), repository)))) {
        return new Listing(List.of(), List.of());
      }
      return client.tags(repository);
    }
  }

  private static int exitCode(Report report) {
    if (report.isSuccessful()) {
      return ExitCode.OK;
    }
    boolean nothing =
        !report.images().isEmpty()
            && report.images().stream()
                .allMatch(image -> image.reason() != null && image.reason().isUnavailable());
    return nothing ? ExitCode.UNAVAILABLE : ExitCode.FAILED;
  }

  private int refuse(String why) {
    terminate(Termination.of(Reason.GuardExceeded.name(), why));
    spec.commandLine().getErr().println("error: " + why);
    return ExitCode.REFUSED;
  }

  private int showPlan(SyncRun.Planned planned) {
    Plan plan = planned.plan();
    PrintWriter out = spec.commandLine().getOut();
    if (output == Output.json) {
      out.println(json(plan));
    } else {
      plan.images().forEach(i -> out.println(i.action() + "\t" + i.target() + "\t" + i.digest()));
      plan.problems()
          .forEach(p -> out.println(p.reason() + "\t" + p.object() + "\t" + p.message()));
    }
    out.flush();
    Report report = Report.of(planned.settled(), 0, planned.selection());
    terminate(report.termination(plan, planned.selection().sources(), null));
    return exitCode(report);
  }

  private void show(SyncRun.Done done) {
    Report report = done.report();
    PrintWriter out = spec.commandLine().getOut();
    if (output == Output.json) {
      out.println(json(Map.of("summary", report.summary(), "images", report.images())));
    } else {
      for (Outcome image : report.images()) {
        if (image.result() == Outcome.Result.Failed || image.result() == Outcome.Result.Drifted) {
          out.println(
              image.result()
                  + (image.reason() == null ? "" : " " + image.reason())
                  + " "
                  + image.source()
                  + ": "
                  + image.message());
        }
      }
      Termination.Summary sum = report.summary();
      out.printf(
          "%d copied, %d skipped, %d failed, %d drifted, %d pruned, %d referrers; %d bytes, %d requests%n",
          sum.copied(),
          sum.skipped(),
          sum.failed(),
          sum.drifted(),
          sum.pruned(),
          sum.referrers(),
          sum.bytes(),
          sum.requests());
      sum.sparseRefused().ifPresent(out::println);
    }
    out.flush();
  }

  private static String json(Object value) {
    try {
      return JSON.writeValueAsString(value);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  private void terminate(Termination termination) {
    if (terminationLog == null) {
      return;
    }
    try {
      Files.write(terminationLog, termination.toJson());
    } catch (IOException e) {
      spec.commandLine().getErr().println("warning: " + terminationLog + " cannot be written");
    }
  }
}
