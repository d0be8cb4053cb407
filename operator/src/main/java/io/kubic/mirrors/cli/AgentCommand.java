package io.kubic.mirrors.cli;

import io.kubic.mirrors.node.agent.Agent;
import io.kubic.mirrors.node.agent.AgentServer;
import io.kubic.mirrors.node.agent.Chroot;
import io.kubic.mirrors.node.agent.HttpProber;
import io.kubic.mirrors.node.apply.HostRoot;
import java.io.IOException;
import java.io.PrintWriter;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** The role that runs on every node. */
@Command(
    name = "agent",
    mixinStandardHelpOptions = true,
    description =
        "Keep this node's runtimes as a nodeconfig.json wants them (runs in a DaemonSet).")
final class AgentCommand implements Callable<Integer> {
  /** Longer than a mirror under load needs for its first byte, shorter than a look's interval. */
  private static final Duration ANSWER = Duration.ofSeconds(3);

  /** A trust store with many hooks, on a slow disk. */
  private static final Duration COMMAND = Duration.ofMinutes(2);

  @Option(
      names = "--config",
      required = true,
      paramLabel = "FILE",
      description = "The configuration, as the operator writes it.")
  private Path config;

  @Option(
      names = "--credentials",
      defaultValue = "/etc/mirror/credentials/config.json",
      paramLabel = "FILE",
      description =
          "Docker's config.json with the mirrors' logins, read when the configuration says that"
              + " there is one (default: ${DEFAULT-VALUE}).")
  private Path credentials;

  @Option(
      names = "--verdict",
      defaultValue = "/etc/mirror/pod/pull-failed",
      paramLabel = "FILE",
      description =
          "With verify.mode Pull: why this node's pull of the probe failed, once it did; the node's"
              + " former files come back then (default: ${DEFAULT-VALUE}).")
  private Path verdict;

  @Option(
      names = "--host-root",
      defaultValue = "/host",
      paramLabel = "DIR",
      description = "Where the host's directories are mounted (default: ${DEFAULT-VALUE}).")
  private Path hostRoot;

  @Option(
      names = "--listen",
      defaultValue = ":8081",
      paramLabel = "[HOST]:PORT",
      description = "For /livez and /readyz (default: ${DEFAULT-VALUE}).")
  private String listen;

  @Option(
      names = "--node-name",
      defaultValue = "${env:NODE_NAME:-}",
      paramLabel = "NAME",
      description = "The node's name, for messages (default: the variable NODE_NAME).")
  private String nodeName;

  @Option(
      names = "--once",
      description = "One round, then exit: 0 when the node is as configured, else 1.")
  private boolean once;

  @Spec private CommandSpec spec;

  @Override
  public Integer call() throws InterruptedException, IOException {
    PrintWriter out = spec.commandLine().getOut();
    CountDownLatch stop = new CountDownLatch(1);
    CountDownLatch stopped = new CountDownLatch(1);
    try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
      Agent agent =
          new Agent(
              nodeName,
              config,
              credentials,
              verdict,
              new HostRoot(hostRoot),
              new Chroot(hostRoot, COMMAND),
              Files.readString(Path.of("/proc/self/mountinfo")),
              settings -> new HttpProber(settings.dial(), ANSWER),
              executor,
              Clock.systemUTC(),
              line -> {
                out.println(line);
                out.flush();
              });
      if (once) {
        agent.round();
        agent.close();
        return agent.state().ready() ? ExitCode.OK : ExitCode.FAILED;
      }
      // A signal lets the round in progress end: files are never left half way.
      Thread onSignal =
          new Thread(
              () -> {
                stop.countDown();
                try {
                  var _ = stopped.await(20, TimeUnit.SECONDS);
                } catch (InterruptedException e) {
                  Thread.currentThread().interrupt();
                }
              });
      Runtime.getRuntime().addShutdownHook(onSignal);
      try (AgentServer _ = new AgentServer(address(), agent, Clock.systemUTC())) {
        Duration wait = Duration.ZERO;
        while (!stop.await(wait.toMillis(), TimeUnit.MILLISECONDS)) {
          wait = agent.round();
        }
        return ExitCode.OK;
      } finally {
        agent.close();
        stopped.countDown();
      }
    }
  }

  private InetSocketAddress address() {
    int colon = listen.lastIndexOf(':');
    try {
      int port = Integer.parseInt(listen.substring(colon + 1));
      String host = colon <= 0 ? "" : listen.substring(0, colon);
      return host.isEmpty() ? new InetSocketAddress(port) : new InetSocketAddress(host, port);
    } catch (IllegalArgumentException e) {
      throw new CommandException(
          ExitCode.USAGE, "--listen: '" + listen + "' is no [HOST]:PORT, as in :8081");
    }
  }
}
