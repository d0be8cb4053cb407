package io.kubic.mirrors.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.fabric8.kubernetes.api.model.Quantity;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.list.RegistryCatalog;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.list.Selector;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.registry.RegistryClient;
import io.kubic.mirrors.sync.Copier;
import io.kubic.mirrors.sync.Outcome;
import io.kubic.mirrors.sync.Plan;
import io.kubic.mirrors.sync.Planner;
import io.kubic.mirrors.sync.Report;
import io.kubic.mirrors.sync.Termination;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
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

  @Option(names = "--dry-run", description = "Plan only; nothing is written.")
  private boolean dryRun;

  @Option(
      names = {"-o", "--output"},
      paramLabel = "text|json",
      description = "Form of the result on standard output.")
  private Output output = Output.text;

  @Option(
      names = "--termination-log",
      paramLabel = "FILE",
      description = "Write a summary of at most 4096 bytes there on every ending.")
  private @Nullable Path terminationLog;

  @Mixin private ConnectionOptions connections;

  @Override
  public Integer call() {
    CountDownLatch ended = new CountDownLatch(1);
    Thread self = Thread.currentThread();
    Thread stop = new Thread(() -> stop(self, ended), "sync-stop");
    Runtime.getRuntime().addShutdownHook(stop);
    try {
      return reported();
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
  private static void stop(Thread run, CountDownLatch ended) {
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
    MirrorListSpec wanted = ListFile.read(file, list).getSpec();
    Selector selector = Selector.compile(wanted);
    RegistryClient target = open.target(to, wanted.retry());
    target.ping();
    Map<MirrorListSpec.Source, RegistryClient> clients = new ConcurrentHashMap<>();
    for (MirrorListSpec.Source source : wanted.sources()) {
      clients.put(source, open.source(source, wanted.retry()));
    }
    try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
      Selection selection =
          selector.select(source -> new RegistryCatalog(client(clients, source)), executor);
      if (selection.isRefused()) {
        return refuse(selection.problems().getFirst().message());
      }
      Planner.Result planned =
          new Planner(
                  wanted, source -> client(clients, source), target, Planner.Depth.COPIES, executor)
              .plan(selection);
      Plan plan = planned.plan();
      Quantity maxBytes = wanted.guard().maxBytes();
      if (maxBytes != null
          && Quantity.getAmountInBytes(maxBytes).longValue() < plan.totals().bytes()) {
        return refuse(
            "the selection has " + plan.totals().bytes() + " bytes, guard.maxBytes is " + maxBytes);
      }
      if (dryRun || wanted.dryRun()) {
        return showPlan(plan, selection, planned.settled());
      }
      for (Selection.Problem problem : plan.problems()) {
        spec.commandLine()
            .getErr()
            .println(
                "warning: "
                    + problem.object()
                    + ": "
                    + problem.reason()
                    + ": "
                    + problem.message());
      }
      Progress progress = new Progress(planned.work().size());
      Copier copier = new Copier(target, wanted, executor);
      List<Outcome> outcomes = new ArrayList<>(planned.settled());
      outcomes.addAll(copier.copy(planned.work(), progress::done));
      addUnlisted(outcomes, selection);
      long requests =
          target.requests() + clients.values().stream().mapToLong(c -> c.requests()).sum();
      Report report = Report.of(outcomes, requests, selection.complete());
      show(report);
      terminate(report.termination(plan, selection.sources(), null));
      return exitCode(report, selection);
    }
  }

  /** What could not be listed is not passed over: it is a failure of its source. */
  private static void addUnlisted(List<Outcome> outcomes, Selection selection) {
    if (selection.complete()) {
      return;
    }
    for (Selection.Problem problem : selection.problems()) {
      outcomes.add(
          new Outcome(
              problem.object(),
              "",
              null,
              Outcome.Result.Failed,
              problem.reason(),
              problem.message(),
              0,
              1));
    }
  }

  private static int exitCode(Report report, Selection selection) {
    if (report.isSuccessful()) {
      return ExitCode.OK;
    }
    boolean nothing =
        selection.images().isEmpty()
            && !selection.problems().isEmpty()
            && selection.problems().stream().allMatch(p -> p.reason().isUnavailable());
    return nothing ? ExitCode.UNAVAILABLE : ExitCode.FAILED;
  }

  private static RegistryClient client(
      Map<MirrorListSpec.Source, RegistryClient> clients, MirrorListSpec.Source source) {
    RegistryClient client = clients.get(source);
    if (client == null) {
      throw new IllegalStateException("no client for " + source.registry());
    }
    return client;
  }

  private int refuse(String why) {
    terminate(Termination.of(Reason.GuardExceeded.name(), why));
    spec.commandLine().getErr().println("error: " + why);
    return ExitCode.REFUSED;
  }

  private int showPlan(Plan plan, Selection selection, List<Outcome> settled) {
    PrintWriter out = spec.commandLine().getOut();
    if (output == Output.json) {
      out.println(json(plan));
    } else {
      plan.images().forEach(i -> out.println(i.action() + "\t" + i.target() + "\t" + i.digest()));
      plan.problems()
          .forEach(p -> out.println(p.reason() + "\t" + p.object() + "\t" + p.message()));
    }
    out.flush();
    Report report = Report.of(settled, 0, selection.complete());
    terminate(report.termination(plan, selection.sources(), null));
    return report.isSuccessful() ? ExitCode.OK : ExitCode.FAILED;
  }

  private void show(Report report) {
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
          "%d copied, %d skipped, %d failed, %d drifted, %d referrers; %d bytes, %d requests%n",
          sum.copied(),
          sum.skipped(),
          sum.failed(),
          sum.drifted(),
          sum.referrers(),
          sum.bytes(),
          sum.requests());
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

  /** Tells on standard error how far it is: a line that changes, or JSON lines. */
  private final class Progress {
    private final int total;
    private final AtomicInteger done = new AtomicInteger();
    private final boolean terminal = System.console() != null && System.console().isTerminal();

    Progress(int total) {
      this.total = total;
    }

    void done(Outcome outcome) {
      int count = done.incrementAndGet();
      if (connections.isQuiet()) {
        return;
      }
      PrintWriter err = spec.commandLine().getErr();
      if (terminal && !connections.isVerbose()) {
        err.print("\r" + count + "/" + total + (count == total ? "\n" : ""));
        err.flush();
      } else {
        err.println(json(Map.of("done", count, "total", total, "image", outcome)));
      }
    }
  }
}
