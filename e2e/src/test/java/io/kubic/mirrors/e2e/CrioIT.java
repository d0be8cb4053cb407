package io.kubic.mirrors.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.node.agent.Agent;
import io.kubic.mirrors.node.agent.HostCommand;
import io.kubic.mirrors.node.agent.HttpProber;
import io.kubic.mirrors.node.agent.NodeReason;
import io.kubic.mirrors.node.agent.NodeState;
import io.kubic.mirrors.node.apply.HostRoot;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/**
 * CRI-O itself, with the host of an agent as its /etc/containers: what it pulls tells what it has
 * read. The source is a name that nobody has (RFC 6761), so every image comes from a mirror. Not
 * one with an address on loopback: for such a name CRI-O verifies no certificate, not the mirror's
 * either.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class CrioIT {
  private static final Duration LIMIT = Duration.ofSeconds(30);
  private static final int CHANGES = Integer.getInteger("mirror.rounds", 20);
  private static final String SOURCE = "source.invalid";
  private static final String BROKEN = "etc/containers/registries.conf.d/10-own.conf";

  private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();
  private final List<Node> nodes = new ArrayList<>();
  private Path directory;
  private Registries theirs;
  private Registries others;
  private String first;
  private String second;
  private String closed;

  @BeforeAll
  void start(@TempDir Path temporary) throws Exception {
    Lab.require(System.getProperty("user.name").equals("root"), "mounts need root");
    for (String tool : List.of("crio", "pinns", "crictl")) {
      Lab.tool(tool);
    }
    directory = temporary;
    theirs = new Registries(Files.createDirectories(directory.resolve("theirs-of-first")));
    others = new Registries(Files.createDirectories(directory.resolve("theirs-of-second")));
    first = theirs.distribution3("first", "");
    second = others.distribution3("second", "");
    closed = theirs.distribution3("closed", theirs.withPassword());
    Path layout = GatewayIT.imageLayout(directory.resolve("layout"));
    for (String tag : List.of("1", "both")) {
      push(theirs, layout, first, tag);
    }
    for (String tag : List.of("2", "3", "both")) {
      push(others, layout, second, tag);
    }
    push(theirs, layout, closed, "4");
  }

  @AfterEach
  void endNodes() throws Exception {
    for (Node node : nodes) {
      node.close();
    }
    nodes.clear();
  }

  @AfterAll
  void stop() {
    executor.close();
    if (theirs != null) {
      theirs.close();
    }
    if (others != null) {
      others.close();
    }
  }

  @Test
  void readsMirrorsAndAuthoritiesWithoutARestart() throws Exception {
    Node node = new Node(true);
    assertThat(node.pull("1")).as("nobody has it").contains("lookup source.invalid");

    node.configure(source(first), authority(first, theirs));
    NodeState state = node.round();
    assertThat(state.ready()).as(state.toJson()).isTrue();
    assertThat(state.runtime()).isEqualTo("crio");
    node.pulls("1");

    node.configure(source(second), authority(second, others));
    node.round();
    node.pulls("2");

    // Trust alone: the drop-in stays as it is.
    Files.delete(node.host.resolve("etc/containers/certs.d/" + second + "/mirror-operator.crt"));
    assertThat(node.pull("3")).contains("certificate signed by unknown authority");
    node.round();
    assertThat(node.pull("3")).as("at once").isEmpty();

    node.configure("", "");
    node.round();
    Lab.eventually(LIMIT, "the mirror is forgotten", () -> !node.pull("both").isEmpty());
    node.configure(source(first), authority(first, theirs));
    node.round();
    node.pulls("both");
    node.configure("", ", \"remove\": true");
    node.round();
    Lab.eventually(LIMIT, "everything is forgotten", () -> !node.pull("both").isEmpty());
    assertThat(node.isAsStarted()).isTrue();
  }

  @Test
  void logsInAtTheMirrorWithTheFileOfTheAgent() throws Exception {
    Node node = new Node(true);
    Files.writeString(
        node.directory.resolve("logins.json"),
        Registries.dockerConfig(closed, Registries.PASSWORD));
    node.configure(source(closed), authority(closed, theirs) + ", \"credentials\": \"1\"");
    NodeState state = node.round();
    assertThat(state.ready()).as(state.toJson()).isTrue();
    node.pulls("4");
    Files.delete(node.host.resolve("run/containers/0/auth.json"));
    assertThat(node.pull("4")).contains("authentication required");
    node.round();
    assertThat(node.pull("4")).as("at once").isEmpty();
  }

  @Test
  void doesNotLookByItselfUnlessItIsTold() throws Exception {
    Node node = new Node(false);
    node.configure(source(first), authority(first, theirs));
    NodeState state = node.round();
    assertThat(state.reason()).isEqualTo(NodeReason.RuntimeConfigRequired);
    assertThat(state.message()).contains("auto_reload_registries = true");
    Thread.sleep(1000); // five times what its watcher would wait
    assertThat(node.pull("1")).as("not by itself").contains("lookup source.invalid");
    node.hangUp();
    node.pulls("1");
    assertThat(node.isAsStarted()).isTrue();
  }

  @Test
  void isToldWhatIsNewWhereARestartWouldBeAllowed() throws Exception {
    Node node = new Node(false);
    Files.createDirectories(node.host.resolve("run/systemd/system"));
    String allowed = ", \"runtimeRestart\": \"IfRequired\"";
    node.configure(source(first), authority(first, theirs) + allowed);
    NodeState state = node.round();
    assertThat(state.ready()).as(state.toJson()).isTrue();
    node.pulls("1");
    assertThat(node.commands).containsExactly("systemctl is-active crio", "systemctl reload crio");
    node.round();
    assertThat(node.commands).as("nothing is new").hasSize(2);

    node.configure(source(second), authority(second, others) + allowed);
    node.round();
    node.pulls("2");

    node.configure("", ", \"remove\": true" + allowed);
    node.round();
    Lab.eventually(LIMIT, "everything is forgotten", () -> !node.pull("both").isEmpty());
    assertThat(node.isAsStarted()).isTrue();
  }

  @Test
  void goesOnWithWhatItHadBesideABrokenFileButDoesNotStart() throws Exception {
    Node node = new Node(true);
    node.configure(source(first), authority(first, theirs));
    node.round();
    node.pulls("1");
    Files.writeString(node.host.resolve(BROKEN), "[[registry]\n");
    Lab.eventually(LIMIT, "it has seen it", () -> node.log().contains("Failed to reload registry"));
    assertThat(node.pull("both")).isEmpty();
    node.configure(source(second), authority(second, others));
    assertThat(node.round().reason()).isEqualTo(NodeReason.PreexistingInvalid);
    node.hangUp();
    Lab.eventually(
        LIMIT, "it refuses", () -> node.log().contains("Unable to reload configuration"));
    assertThat(node.pull("both")).isEmpty();

    Node late = new Node(true, node.host);
    assertThat(late.crio.waitFor()).isNotZero();
    assertThat(late.log()).contains("invalid registries");

    Files.delete(node.host.resolve(BROKEN));
    assertThat(node.round().ready()).isTrue();
    node.pulls("2");
    assertThat(node.isAsStarted()).isTrue();
  }

  @Test
  void noPullFailsWhileMirrorsAndAuthoritiesChange() throws Exception {
    Node node = new Node(true);
    node.configure(source(first), authority(first, theirs));
    node.round();
    node.pulls("both");
    AtomicInteger pulls = new AtomicInteger();
    List<String> failures = java.util.Collections.synchronizedList(new ArrayList<>());
    AtomicBoolean end = new AtomicBoolean();
    var loop =
        executor.submit(
            () -> {
              while (!end.get()) {
                String problem = node.pull("both");
                pulls.incrementAndGet();
                if (!problem.isEmpty()) {
                  failures.add(problem);
                }
              }
            });
    for (int i = 1; i <= CHANGES; i++) {
      boolean odd = i % 2 == 1;
      node.configure(
          source(odd ? second : first),
          authority(odd ? second : first, odd ? others : theirs, "x.example:" + i));
      assertThat(node.round().ready()).as(node.agent.state().toJson()).isTrue();
      // An agent's next round is a second away at the soonest.
      int before = pulls.get();
      Lab.eventually(LIMIT, "pulls go on", () -> pulls.get() > before + 2);
      node.round();
    }
    end.set(true);
    loop.get();
    assertThat(failures).as("%d pulls", pulls.get()).isEmpty();
    assertThat(pulls.get()).isGreaterThan(2 * CHANGES);
    assertThat(node.isAsStarted()).isTrue();
  }

  private static String source(String mirror) {
    return "{\"source\": \"%s\", \"policy\": \"NeverContactSource\", \"endpoints\": [{\"location\": \"%s\"}]}"
        .formatted(SOURCE, mirror);
  }

  private static String authority(String mirror, Registries registries, String... more) {
    String pem = registries.ca.certificatePem().replace("\n", "\\n");
    StringBuilder all = new StringBuilder("\"" + mirror + "\": \"" + pem + "\"");
    for (String host : more) {
      all.append(", \"").append(host).append("\": \"").append(pem).append('"');
    }
    return ", \"authorities\": {" + all + "}";
  }

  private void push(Registries registries, Path layout, String registry, String tag)
      throws IOException {
    Path certificates = Files.createDirectories(directory.resolve("skopeo-" + registry));
    Files.writeString(certificates.resolve("ca.crt"), registries.ca.certificatePem());
    List<String> command =
        Lab.join(
            List.of("skopeo", "--insecure-policy", "copy", "--dest-cert-dir"),
            certificates.toString());
    if (registry.equals(closed)) {
      Path login = certificates.resolve("auth.json");
      Files.writeString(login, Registries.dockerConfig(registry, Registries.PASSWORD));
      command.addAll(List.of("--dest-authfile", login.toString()));
    }
    Lab.run(
            LIMIT,
            Map.of(),
            Lab.join(command, "oci:" + layout, "docker://" + registry + "/app:" + tag))
        .orFail();
  }

  /** A CRI-O that runs, and the agent of its host. */
  private final class Node implements AutoCloseable {
    final Path directory = Files.createTempDirectory(CrioIT.this.directory, "node");
    final Path host;
    final Process crio;
    final Agent agent;
    final List<String> commands = new ArrayList<>();
    private final Path config = directory.resolve("nodeconfig.json");
    private final String socket = "unix://" + directory.resolve("crio.sock");

    Node(boolean reload) throws IOException {
      this(reload, null);
      Lab.eventually(LIMIT, "CRI-O answers; " + directory, () -> crictl("version").code() == 0);
    }

    Node(boolean reload, Path existing) throws IOException {
      nodes.add(this);
      host = existing == null ? directory.resolve("host") : existing;
      Path configuration = directory.resolve("crio.conf");
      Files.writeString(configuration, configuration(reload));
      if (existing == null) {
        for (String made :
            List.of(
                "etc/containers/registries.conf.d",
                "etc/containers/certs.d",
                "etc/crio/crio.conf.d",
                "run/containers/0")) {
          Files.createDirectories(host.resolve(made));
        }
        Files.writeString(
            host.resolve("etc/containers/policy.json"),
            "{\"default\": [{\"type\": \"insecureAcceptAnything\"}]}");
        Files.createFile(host.resolve("etc/resolv.conf"));
        Files.copy(configuration, host.resolve("etc/crio/crio.conf.d/10-crio.conf"));
      }
      ProcessBuilder builder =
          new ProcessBuilder(
                  "unshare",
                  "--mount",
                  "sh",
                  "-c",
                  "mount --bind $0/etc/containers /etc/containers && mount --bind $0/etc/resolv.conf"
                      + " /etc/resolv.conf && mount -t tmpfs tmpfs /run && mkdir -p /run/containers/0"
                      + " && mount --bind $0/run/containers/0 /run/containers/0"
                      + " && exec \"$@\"",
                  host.toString(),
                  Lab.tool("crio"),
                  "--config",
                  configuration.toString(),
                  "--config-dir",
                  "")
              .redirectErrorStream(true)
              .redirectOutput(directory.resolve("crio.log").toFile());
      builder.environment().put("HOME", directory.toString());
      builder.environment().remove("XDG_RUNTIME_DIR");
      crio = builder.start();
      agent =
          new Agent(
              "n",
              config,
              directory.resolve("logins.json"),
              directory.resolve("none"),
              new HostRoot(host),
              this::systemctl,
              "",
              settings -> new HttpProber(settings.dial(), Duration.ofSeconds(3)),
              executor,
              Clock.systemUTC(),
              _ -> {});
    }

    /** Does what systemd would do, as CRI-O's unit says. */
    private HostCommand.Result systemctl(List<String> command) {
      commands.add(String.join(" ", command));
      switch (commands.getLast()) {
        case "systemctl is-active crio" -> {}
        case "systemctl reload crio" -> hangUp();
        default -> throw new IllegalStateException("no such command is needed: " + command);
      }
      return new HostCommand.Result(0, "");
    }

    private String configuration(boolean reload) {
      return """
      [crio]
      root = "@/root"
      runroot = "@/runroot"
      storage_driver = "vfs"
      log_dir = "@/logs"
      [crio.api]
      listen = "@/crio.sock"
      stream_port = "0"
      [crio.runtime]
      default_runtime = "runc"
      cgroup_manager = "cgroupfs"
      conmon_cgroup = "pod"
      pinns_path = "%s"
      hooks_dir = []
      [crio.runtime.runtimes.runc]
      runtime_path = "%s"
      [crio.image]
      auto_reload_registries = %s
      [crio.network]
      network_dir = "@/cni"
      [crio.nri]
      enable_nri = false
      """
          .formatted(Lab.tool("pinns"), runc(), reload)
          .replace("@", directory.toString());
    }

    private static String runc() {
      for (String at : List.of("/usr/sbin/runc", "/usr/bin/runc")) {
        if (Files.isExecutable(Path.of(at))) {
          return at;
        }
      }
      Lab.require(false, "runc is not installed");
      return "";
    }

    void configure(String source, String more) throws IOException {
      Files.writeString(
          config, "{\"name\": \"default\", \"sources\": [%s]%s}".formatted(source, more));
    }

    NodeState round() throws InterruptedException {
      agent.round();
      return agent.state();
    }

    private Lab.Result crictl(String... arguments) {
      return Lab.run(
          LIMIT,
          Map.of(),
          Lab.join(List.of(Lab.tool("crictl"), "-r", socket, "-i", socket), arguments));
    }

    /** Why an image is not pulled; empty when it is. */
    String pull(String tag) {
      Lab.Result result = crictl("pull", SOURCE + "/app:" + tag);
      return result.code() == 0 ? "" : result.err();
    }

    void pulls(String tag) {
      Lab.eventually(LIMIT, tag + " is pulled; " + directory, () -> pull(tag).isEmpty());
    }

    void hangUp() {
      Lab.run(LIMIT, Map.of(), List.of("kill", "-HUP", Long.toString(crio.pid()))).orFail();
    }

    String log() {
      try {
        return Files.readString(directory.resolve("crio.log"));
      } catch (IOException e) {
        throw new java.io.UncheckedIOException(e);
      }
    }

    /** One process, which has started once. */
    boolean isAsStarted() {
      return crio.isAlive() && log().split("Starting CRI-O", -1).length == 2;
    }

    @Override
    public void close() throws IOException {
      agent.close();
      crio.destroy();
      crio.onExit().orTimeout(10, TimeUnit.SECONDS).join();
    }
  }
}
