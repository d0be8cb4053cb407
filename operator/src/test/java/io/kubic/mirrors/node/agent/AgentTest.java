package io.kubic.mirrors.node.agent;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.node.ImageName;
import io.kubic.mirrors.node.NodeConfig.Endpoint;
import io.kubic.mirrors.node.apply.HostRoot;
import io.kubic.mirrors.node.render.NodeFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AgentTest {
  private static final String HOSTS = "etc/containerd/certs.d/registry.opensuse.org/hosts.toml";
  private static final String DROP_IN = "etc/containers/registries.conf.d/50-mirror-operator.conf";
  private static final String AUTH = "run/containers/0/auth.json";
  private static final String CONFIG_PATH =
      "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = \"/etc/containerd/certs.d\"\n";

  @TempDir private Path directory;
  private final List<String> lines = new ArrayList<>();
  private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();
  private HostCommand commands = line -> new HostCommand.Result(1, "none");
  private boolean mirrorAnswers = true;
  private boolean mirrorLetsIn = true;
  private Duration starvation = Duration.ZERO;
  private Duration starved = Duration.ZERO;
  private Prober.@Nullable Login asked;
  private Instant now = Instant.parse("2026-01-01T00:00:00Z");
  private @Nullable Agent agent;

  @BeforeEach
  void aNodeWithContainerdAndPodman() throws IOException {
    put("etc/containerd/config.toml", CONFIG_PATH);
    Files.createDirectories(host().resolve("etc/containerd/certs.d"));
    put("etc/containers/registries.conf", "unqualified-search-registries = [\"docker.io\"]\n");
    put("etc/containers/policy.json", "{}");
    configure("AllowContactingSource", "");
  }

  @AfterEach
  void end() throws IOException {
    if (agent != null) {
      agent.close();
    }
    executor.close();
  }

  @Test
  void writesTheFilesOfEveryRuntimeAndIsReady() throws Exception {
    NodeState state = round();
    assertThat(state.ready()).as(state.toJson()).isTrue();
    assertThat(state.runtime()).isEqualTo("containerd,podman");
    assertThat(text(HOSTS))
        .contains("[host.\"https://10.96.1.2:5000/v2/registry.opensuse.org\"]")
        .contains("override_path = true")
        .doesNotContain("server");
    assertThat(text(DROP_IN)).contains("location = \"10.96.1.2:5000/registry.opensuse.org\"");
    assertThat(lines).hasSize(2);
    round();
    assertThat(lines).as("an idle round says nothing").hasSize(2);
  }

  @Test
  void removalLeavesTheHostAsItWas() throws Exception {
    Map<String, String> before = tree();
    round();
    assertThat(tree()).isNotEqualTo(before);
    configure("AllowContactingSource", ", \"remove\": true");
    assertThat(round().ready()).isTrue();
    assertThat(tree()).isEqualTo(before);
  }

  @Test
  void removalWorksWithoutTheJournal() throws Exception {
    Map<String, String> before = tree();
    round();
    Files.delete(host().resolve("var/lib/mirror-operator/journal.json"));
    configure("AllowContactingSource", ", \"remove\": true");
    assertThat(round().ready()).isTrue();
    assertThat(tree().keySet()).containsAll(before.keySet());
    assertThat(tree()).doesNotContainKeys(HOSTS, DROP_IN);
  }

  @Test
  void aMirrorThatFailsThreeTimesIsWithdrawnAndComesBackAfterTwoAnswers() throws Exception {
    round();
    mirrorAnswers = false;
    assertThat(round().ready()).isTrue();
    round();
    NodeState out = round();
    assertThat(out.ready()).isFalse();
    assertThat(out.reason()).isEqualTo(NodeReason.MirrorUnreachable);
    assertThat(out.withdrawn()).containsExactly("10.96.1.2:5000/registry.opensuse.org");
    assertThat(host().resolve(HOSTS)).doesNotExist();
    assertThat(host().resolve(DROP_IN)).doesNotExist();
    mirrorAnswers = true;
    round();
    assertThat(round().ready()).isTrue();
    assertThat(host().resolve(HOSTS)).exists();
  }

  @Test
  void anAgentThatHadNoCpuDoesNotSayThatAMirrorDidNotAnswer() throws Exception {
    round();
    mirrorAnswers = false;
    starvation = Duration.ofSeconds(2);
    for (int i = 0; i < 5; i++) {
      assertThat(round().withdrawn()).isEmpty();
      assertThat(host().resolve(HOSTS)).exists();
    }
    starvation = Duration.ofMillis(20);
    round();
    round();
    assertThat(round().withdrawn()).isNotEmpty();
  }

  @Test
  void aForbiddenSourceIsNotCutOffBeforeAMirrorAnsweredAndStaysForbiddenAfterwards()
      throws Exception {
    configure("NeverContactSource", "");
    mirrorAnswers = false;
    NodeState waiting = round();
    assertThat(waiting.reason()).isEqualTo(NodeReason.MirrorUnreachable);
    assertThat(host().resolve(HOSTS)).doesNotExist();
    mirrorAnswers = true;
    round();
    assertThat(round().ready()).isTrue();
    assertThat(text(HOSTS))
        .contains("server = \"https://10.96.1.2:5000/v2/registry.opensuse.org\"");
    assertThat(text(DROP_IN)).contains("blocked = true");
    mirrorAnswers = false;
    for (int i = 0; i < 5; i++) {
      round();
    }
    assertThat(round().ready()).isFalse();
    assertThat(host().resolve(HOSTS)).exists();
  }

  @Test
  void aForeignFileIsNamedAndUntouched() throws Exception {
    put(HOSTS, "server = \"https://elsewhere\"\n");
    NodeState state = round();
    assertThat(state.reason()).isEqualTo(NodeReason.ForeignConflict);
    assertThat(state.message()).contains("/" + HOSTS);
    assertThat(text(HOSTS)).isEqualTo("server = \"https://elsewhere\"\n");
    configure("AllowContactingSource", ", \"remove\": true");
    round();
    assertThat(text(HOSTS)).isEqualTo("server = \"https://elsewhere\"\n");
  }

  @Test
  void aTableOfSomebodyElseIsNotOverridden() throws Exception {
    put(
        "etc/containers/registries.conf.d/10-own.conf",
        "[[registry]]\nlocation = \"registry.opensuse.org\"\n");
    NodeState state = round();
    assertThat(state.reason()).isEqualTo(NodeReason.ForeignConflict);
    assertThat(state.message()).contains("10-own.conf");
    assertThat(host().resolve(DROP_IN)).doesNotExist();
  }

  @Test
  void nothingIsWrittenBesideABrokenConfiguration() throws Exception {
    put("etc/containers/registries.conf.d/10-own.conf", "[[registry]\n");
    NodeState state = round();
    assertThat(state.reason()).isEqualTo(NodeReason.PreexistingInvalid);
    assertThat(host().resolve(DROP_IN)).doesNotExist();
  }

  @Test
  void aRuntimeThatReadsNoDirectoryIsNamedWithTheSnippet() throws Exception {
    put("etc/containerd/config.toml", "version = 2\n");
    NodeState state = round();
    assertThat(state.reason()).isEqualTo(NodeReason.RuntimeConfigRequired);
    assertThat(state.message())
        .contains("[plugins.\"io.containerd.grpc.v1.cri\".registry]")
        .contains("config_path = \"/etc/containerd/certs.d\"");
    assertThat(host().resolve(HOSTS)).doesNotExist();
  }

  @Test
  void aChangedFileIsPutBackAndTheChangeIsKeptAside() throws Exception {
    round();
    String ours = text(HOSTS);
    put(HOSTS, "server = \"https://drift\"\n");
    assertThat(round().ready()).isTrue();
    assertThat(text(HOSTS)).isEqualTo(ours);
    try (Stream<Path> kept = Files.list(host().resolve("var/lib/mirror-operator/kept"))) {
      assertThat(kept)
          .singleElement()
          .satisfies(p -> assertThat(p).hasContent("server = \"https://drift\""));
    }
  }

  @Test
  void aChangeIsOnlyReportedWhereThePolicySaysSo() throws Exception {
    configure("AllowContactingSource", ", \"driftPolicy\": \"Report\"");
    round();
    put(HOSTS, "server = \"https://drift\"\n");
    assertThat(round().reason()).isEqualTo(NodeReason.Drifted);
    assertThat(text(HOSTS)).contains("drift");
  }

  @Test
  void certificatesThatLayThereAreStillUsedForTheSource() throws Exception {
    put("etc/containerd/certs.d/registry.opensuse.org/own.crt", "x");
    round();
    assertThat(text(HOSTS)).contains("ca = [\"own.crt\"]");
  }

  @Test
  void theRuntimeIsFoundByTheFileSystemTheAgentRunsOn() throws Exception {
    Files.delete(host().resolve("etc/containers/policy.json"));
    Files.delete(host().resolve("etc/containers/registries.conf"));
    Files.delete(host().resolve("etc/containerd/config.toml"));
    NodeState none = round();
    assertThat(none.message()).contains("no container runtime");
    agent.close();
    agent =
        new Agent(
            "n",
            directory.resolve("nodeconfig.json"),
            directory.resolve("config.json"),
            directory.resolve("verdict"),
            new HostRoot(host()),
            commands,
            "1 2 0:1 / / rw - overlay overlay rw,lowerdir=/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs\n",
            _ -> new Fake(),
            executor,
            Clock.systemUTC(),
            lines::add);
    assertThat(round().runtime()).isEqualTo("containerd");
  }

  @Test
  void loginsAreWrittenForRootAloneAndSaidNowhere() throws Exception {
    put(AUTH, "{\"auths\": {\"other.example\": {\"auth\": \"b3RoZXI6eA==\"}}}");
    Files.setPosixFilePermissions(
        host().resolve(AUTH), PosixFilePermissions.fromString("rw-r-----"));
    Map<String, String> before = tree();
    login("cHVsbDpzZWNyZXQ=", "1");
    NodeState state = round();
    assertThat(state.ready()).as(state.toJson()).isTrue();
    assertThat(text(HOSTS))
        .contains("[host.\"https://10.96.1.2:5000/v2/registry.opensuse.org\".header]")
        .contains("Authorization = \"Basic cHVsbDpzZWNyZXQ=\"");
    assertThat(text(AUTH)).contains("10.96.1.2:5000").contains("b3RoZXI6eA==");
    for (String path : List.of(HOSTS, AUTH, "var/lib/mirror-operator/journal.json")) {
      assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(host().resolve(path))))
          .as(path)
          .isEqualTo("rw-------");
    }
    assertThat(text(DROP_IN)).doesNotContain("cHVsbDpzZWNyZXQ=");
    assertThat(Objects.requireNonNull(asked).basic()).isEqualTo("Basic cHVsbDpzZWNyZXQ=");
    assertThat(lines + state.toString() + asked).doesNotContain("cHVsbDpzZWNyZXQ=");

    login("cHVsbDpvdGhlcg==", "2");
    round();
    assertThat(text(AUTH)).contains("cHVsbDpvdGhlcg==").doesNotContain("cHVsbDpzZWNyZXQ=");
    configure("AllowContactingSource", ", \"remove\": true");
    assertThat(round().ready()).isTrue();
    assertThat(tree()).isEqualTo(before);
  }

  @Test
  void aLoginOfSomebodyElseIsNeverTouched() throws Exception {
    put(AUTH, "{\"auths\": {\"10.96.1.2:5000\": {\"auth\": \"bWU6eA==\"}}}");
    Map<String, String> before = tree();
    login("cHVsbDpzZWNyZXQ=", "1");
    NodeState state = round();
    assertThat(state.reason()).isEqualTo(NodeReason.ForeignConflict);
    assertThat(state.message()).contains("podman logout 10.96.1.2:5000").doesNotContain("bWU6eA");
    configure("AllowContactingSource", ", \"remove\": true");
    round();
    assertThat(tree()).isEqualTo(before);
  }

  @Test
  void whoLogsInMeanwhileStaysLoggedIn() throws Exception {
    login("cHVsbDpzZWNyZXQ=", "1");
    round();
    put(
        AUTH,
        text(AUTH).replace("\"auths\" : {", "\"auths\" : {\"x.example\": {\"auth\": \"eDp5\"},"));
    assertThat(round().ready()).isTrue();
    configure("AllowContactingSource", "");
    round();
    assertThat(text(AUTH)).contains("eDp5").doesNotContain("10.96.1.2");
    assertThat(text(HOSTS)).doesNotContain("Authorization");
    login("cHVsbDpzZWNyZXQ=", "1");
    Files.writeString(host().resolve(AUTH), "no json");
    assertThat(round().reason()).isEqualTo(NodeReason.PreexistingInvalid);
    assertThat(text(AUTH)).isEqualTo("no json");
  }

  @Test
  void aPullThatFailsBringsTheFormerFilesBack() throws Exception {
    configure("AllowContactingSource", "");
    round();
    Map<String, String> former = tree();
    configure("NeverContactSource", ", \"verify\": {\"mode\": \"Pull\"}");
    assertThat(round().ready()).isTrue();
    assertThat(tree()).isNotEqualTo(former);
    Files.writeString(directory.resolve("verdict"), "");
    assertThat(round().ready()).as("no news").isTrue();
    Files.writeString(
        directory.resolve("verdict"), "2026-01-01T00:00:00Z the runtime pulled something else");
    for (int i = 0; i < 2; i++) {
      NodeState state = round();
      assertThat(state.ready()).isFalse();
      assertThat(state.reason()).isEqualTo(NodeReason.ProbeFailed);
      assertThat(state.message()).startsWith("the runtime pulled something else");
      assertThat(tree()).isEqualTo(former);
    }
    Files.delete(directory.resolve("verdict"));
    assertThat(round().ready()).as("another chance").isTrue();
    assertThat(tree()).isNotEqualTo(former);
  }

  @Test
  void aRuntimeIsSetUpAndRestartedOnceWhereItMayBe() throws Exception {
    Files.delete(host().resolve("etc/containers/policy.json"));
    Files.delete(host().resolve("etc/containers/registries.conf"));
    put(
        "etc/containerd/config.toml",
        "version = 3\nimports = [\"/etc/containerd/conf.d/*.toml\"]\n");
    put("etc/containerd/conf.d/own.toml", "version = 3\n");
    Files.createDirectories(host().resolve("run/systemd/system"));
    String setup = "etc/containerd/conf.d/50-mirror-operator.toml";
    Map<String, String> before = tree();
    NodeState never = round();
    assertThat(never.reason()).isEqualTo(NodeReason.RuntimeConfigRequired);
    assertThat(never.message()).contains("config_path = \"/etc/containerd/certs.d\"");
    assertThat(host().resolve(setup)).doesNotExist();

    List<String> ran = new ArrayList<>();
    boolean[] reads = {false};
    agent.close();
    agent = null;
    commands =
        line -> {
          ran.add(String.join(" ", line));
          return new HostCommand.Result(
              0, reads[0] ? "config_path = '/etc/containerd/certs.d'" : "");
        };
    configure("AllowContactingSource", ", \"runtimeRestart\": \"IfRequired\"");
    assertThat(round().reason()).isEqualTo(NodeReason.RolledBack);
    assertThat(ran).as("no restart").containsExactly("containerd config dump");
    assertThat(host().resolve(setup)).doesNotExist();

    reads[0] = true;
    ran.clear();
    round();
    assertThat(ran)
        .containsExactly(
            "containerd config dump",
            "systemctl restart containerd",
            "systemctl is-active containerd");
    assertThat(round().ready()).isTrue();
    assertThat(text(HOSTS)).contains("10.96.1.2:5000");
    round();
    assertThat(ran).as("once").hasSize(3);
    configure("AllowContactingSource", "");
    round();
    assertThat(host().resolve(setup)).as("pulls depend on it").exists();
    configure("AllowContactingSource", ", \"remove\": true");
    assertThat(round().ready()).isTrue();
    assertThat(tree()).isEqualTo(before);
  }

  @Test
  void aRuntimeThatDoesNotRestartHasItsFormerConfigurationAgainAndIsLeftAlone() throws Exception {
    Files.delete(host().resolve("etc/containers/policy.json"));
    Files.delete(host().resolve("etc/containers/registries.conf"));
    put(
        "etc/containerd/config.toml",
        "version = 3\nimports = [\"/etc/containerd/conf.d/*.toml\"]\n");
    Files.createDirectories(host().resolve("etc/containerd/conf.d"));
    Files.createDirectories(host().resolve("run/systemd/system"));
    Path setup = host().resolve("etc/containerd/conf.d/50-mirror-operator.toml");
    List<String> ran = new ArrayList<>();
    commands =
        line -> {
          String command = String.join(" ", line);
          ran.add(command + (Files.exists(setup) ? "" : " as before"));
          return command.equals("systemctl restart containerd") && Files.exists(setup)
              ? new HostCommand.Result(1, "Job for containerd.service failed")
              : new HostCommand.Result(0, "/etc/containerd/certs.d");
        };
    configure("AllowContactingSource", ", \"runtimeRestart\": \"IfRequired\"");
    NodeState failed = round();
    assertThat(failed.reason()).isEqualTo(NodeReason.RolledBack);
    assertThat(failed.message()).contains("Job for containerd.service failed");
    assertThat(ran)
        .containsExactly(
            "containerd config dump",
            "systemctl restart containerd",
            "systemctl restart containerd as before",
            "systemctl is-active containerd as before");
    assertThat(setup).doesNotExist();

    NodeState later = round();
    assertThat(later.ready()).isFalse();
    assertThat(later.reason()).isEqualTo(NodeReason.RuntimeConfigRequired);
    assertThat(later.message()).contains("Job for containerd.service failed");
    assertThat(ran).as("not tried again").hasSize(4);

    configure("NeverContactSource", ", \"runtimeRestart\": \"IfRequired\"");
    round();
    assertThat(ran).as("but with a later configuration").hasSizeGreaterThan(4);
  }

  @Test
  void aRuntimeThatNobodyOutsideTheAgentsContainerCanRestartIsNotSetUp() throws Exception {
    put(
        "etc/containerd/config.toml",
        "version = 3\nimports = [\"/etc/containerd/conf.d/*.toml\"]\n");
    Files.createDirectories(host().resolve("etc/containerd/conf.d"));
    List<String> ran = new ArrayList<>();
    commands =
        line -> {
          ran.add(String.join(" ", line));
          return new HostCommand.Result(0, "/etc/containerd/certs.d");
        };
    configure("AllowContactingSource", ", \"runtimeRestart\": \"IfRequired\"");
    assertThat(round().reason()).isEqualTo(NodeReason.RuntimeConfigRequired);
    assertThat(ran).isEmpty();
    assertThat(host().resolve("etc/containerd/conf.d")).isEmptyDirectory();
  }

  @Test
  void aCrioThatLooksForNoChangesIsToldOfEachAndOfNothingElse() throws Exception {
    put("etc/crio/crio.conf", "");
    Files.createDirectories(host().resolve("run/systemd/system"));
    boolean[] refuses = {true};
    List<String> ran = new ArrayList<>();
    commands =
        line -> {
          ran.add(String.join(" ", line));
          return line.contains("reload") && refuses[0]
              ? new HostCommand.Result(
                  1, "Job type reload is not applicable for unit crio.service.")
              : new HostCommand.Result(0, "active");
        };
    assertThat(round().reason()).as("not allowed").isEqualTo(NodeReason.RuntimeConfigRequired);
    assertThat(ran).isEmpty();
    String allowed = ", \"runtimeRestart\": \"IfRequired\"";
    configure("NeverContactSource", allowed);
    Map<String, String> before = tree();
    NodeState refused = round();
    assertThat(refused.reason()).isEqualTo(NodeReason.RolledBack);
    assertThat(refused.message()).contains("CRI-O does not take up").contains("not applicable");
    assertThat(tree()).isEqualTo(before);

    refuses[0] = false;
    assertThat(round().ready()).isTrue();
    assertThat(ran).hasSize(4).endsWith("systemctl is-active crio", "systemctl reload crio");
    round();
    assertThat(ran).as("nothing is new").hasSize(4);
    put(DROP_IN, NodeFile.MARKER + " but somebody changed it\n");
    assertThat(round().ready()).isTrue();
    assertThat(ran).as("what is put back counts").hasSize(6);
    configure("NeverContactSource", allowed + ", \"remove\": true");
    assertThat(round().ready()).isTrue();
    assertThat(round().ready()).isTrue();
    assertThat(ran).as("once").hasSize(8).endsWith("systemctl reload crio");
    assertThat(host().resolve(DROP_IN)).doesNotExist();
  }

  @Test
  void aConfigurationWithWhichAMirrorLetsNobodyInIsNotWritten() throws Exception {
    round();
    Map<String, String> former = tree();
    login("d3Jvbmc6d3Jvbmc=", "1");
    mirrorLetsIn = false;
    for (int i = 0; i < 2; i++) {
      NodeState state = round();
      assertThat(state.ready()).isFalse();
      assertThat(state.reason()).isEqualTo(NodeReason.ProbeFailed);
      assertThat(state.message()).contains("no entry").contains("keeps its former files");
      assertThat(tree()).isEqualTo(former);
    }
    mirrorLetsIn = true;
    assertThat(round().ready()).isTrue();
    assertThat(text(HOSTS)).contains("Authorization");
    Map<String, String> proven = tree();
    mirrorLetsIn = false;
    now = now.plusSeconds(600);
    assertThat(round().reason()).isEqualTo(NodeReason.ProbeFailed);
    assertThat(tree()).as("what was proven once stays").isEqualTo(proven);
  }

  @Test
  void aMirrorThatWasAwayComesBackOnlyWhenItLetsTheNodeIn() throws Exception {
    mirrorAnswers = false;
    login("d3Jvbmc6d3Jvbmc=", "1");
    assertThat(round().withdrawn()).isNotEmpty();
    mirrorAnswers = true;
    mirrorLetsIn = false;
    for (int i = 0; i < 5; i++) {
      assertThat(round().withdrawn()).isNotEmpty();
      assertThat(host().resolve(HOSTS)).doesNotExist();
    }
    assertThat(round().message()).contains("no entry");
    mirrorLetsIn = true;
    round();
    assertThat(round().withdrawn()).isEmpty();
    assertThat(text(HOSTS)).contains("Authorization");
  }

  @Test
  void whatK3sMakesOfItsRegistriesYamlIsNamed() throws Exception {
    Files.delete(host().resolve("etc/containerd/config.toml"));
    String k3s = "var/lib/rancher/k3s/agent/etc/containerd";
    put(
        k3s + "/config.toml",
        CONFIG_PATH.replace("/etc/containerd/certs.d", "/" + k3s + "/certs.d"));
    put(
        k3s + "/certs.d/registry.opensuse.org/hosts.toml",
        "# File generated by k3s. DO NOT EDIT.\n[host.\"https://x.example\"]\n");
    NodeState state = round();
    assertThat(state.reason()).isEqualTo(NodeReason.ForeignConflict);
    assertThat(state.message())
        .contains("/etc/rancher/k3s/registries.yaml; take registry.opensuse.org out there");
  }

  @Test
  void alreadyReadableLoginsAreClosedAgain() throws Exception {
    login("cHVsbDpzZWNyZXQ=", "1");
    round();
    Files.setPosixFilePermissions(
        host().resolve(HOSTS), PosixFilePermissions.fromString("rw-r--r--"));
    round();
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(host().resolve(HOSTS))))
        .isEqualTo("rw-------");
  }

  private void login(String auth, String version) throws IOException {
    configure("AllowContactingSource", ", \"credentials\": \"" + version + "\"");
    Files.writeString(
        directory.resolve("config.json"),
        "{\"auths\": {\"10.96.1.2:5000\": {\"auth\": \"" + auth + "\"}}}");
  }

  @Test
  void twoAgentsDoNotWorkOnOneHost() throws Exception {
    round();
    Agent first = agent;
    agent = null;
    assertThat(round().reason()).isEqualTo(NodeReason.Conflicted);
    first.close();
    assertThat(round().ready()).isTrue();
  }

  @Test
  void anAgentThatStartsAnewDoesNotWithdrawAMirrorForOneFailure() throws Exception {
    round();
    restart();
    mirrorAnswers = false;
    assertThat(round().withdrawn()).isEmpty();
    assertThat(host().resolve(HOSTS)).exists();
    round();
    assertThat(round().withdrawn()).isNotEmpty();
    assertThat(host().resolve(HOSTS)).doesNotExist();
    restart();
    mirrorAnswers = true;
    assertThat(round().withdrawn()).as("one answer does not bring it back").isNotEmpty();
    assertThat(round().ready()).isTrue();
  }

  @Test
  void aRuntimeWhoseConfigurationCannotBeReadKeepsItsFiles() throws Exception {
    round();
    Map<String, String> before = tree();
    put("etc/containerd/config.toml", "version = ");
    NodeState state = round();
    assertThat(state.ready()).isFalse();
    assertThat(state.reason()).isEqualTo(NodeReason.RuntimeConfigRequired);
    put("etc/containerd/config.toml", CONFIG_PATH);
    assertThat(tree()).isEqualTo(before);
    assertThat(round().ready()).isTrue();
  }

  @Test
  void theCaOfAWithdrawnMirrorStaysTrusted() throws Exception {
    configure(
        "AllowContactingSource", ", \"authorities\": {\"10.96.1.2:5000\": \"" + pem() + "\"}");
    List<String> trusted = round().caSha256();
    assertThat(trusted).hasSize(1);
    mirrorAnswers = false;
    for (int i = 0; i < 4; i++) {
      round();
    }
    assertThat(host().resolve(HOSTS)).doesNotExist();
    assertThat(round().caSha256()).isEqualTo(trusted);
  }

  /** It looks at changed files 0.2 seconds later (server.go, debounceDuration). */
  @Test
  void aRunningCrioFindsTheCaOfItsFormerMirrorUntilItHasReadTheNewFiles() throws Exception {
    put("etc/crio/crio.conf.d/10.conf", "[crio.image]\nauto_reload_registries = true\n");
    String former = "etc/containers/certs.d/10.96.1.2:5000/mirror-operator.crt";
    String another = "etc/containers/certs.d/x.example/mirror-operator.crt";
    String authorities =
        "{\"10.96.1.2:5000\": \"" + pem() + "\", \"x.example\": \"" + pem() + "\"}";
    configure("NeverContactSource", ", \"authorities\": " + authorities);
    assertThat(round().ready()).isTrue();
    assertThat(host().resolve(another)).exists();
    configure("NeverContactSource", ", \"authorities\": {\"10.96.1.2:5000\": \"" + pem() + "\"}");
    Path config = directory.resolve("nodeconfig.json");
    Files.writeString(config, Files.readString(config).replace("10.96.1.2", "10.96.1.3"));
    assertThat(round().ready()).isTrue();
    assertThat(text(DROP_IN)).contains("10.96.1.3").doesNotContain("10.96.1.2");
    assertThat(host().resolve(former)).exists();
    assertThat(host().resolve(another)).as("no mirror of the former files").doesNotExist();
    assertThat(host().resolve("etc/containerd/certs.d/10.96.1.2:5000"))
        .as("containerd reads everything at every pull")
        .doesNotExist();
    assertThat(round().ready()).isTrue();
    assertThat(host().resolve(former).getParent()).doesNotExist();
  }

  @Test
  void aMirrorIsNeverWithdrawnWhereTheSourceMustNotBeContacted() throws Exception {
    configure("NeverContactSource", "");
    round();
    mirrorAnswers = false;
    for (int i = 0; i < 10; i++) {
      assertThat(round().withdrawn()).isEmpty();
    }
    assertThat(text(HOSTS)).contains("server = \"https://10.96.1.2:5000");
    assertThat(text(DROP_IN)).contains("blocked = true");
  }

  @Test
  void aRoundComesAtLeastTwiceAMinuteHoweverSeldomMirrorsAreLookedAt() throws Exception {
    configure("AllowContactingSource", ", \"health\": {\"interval\": \"1h\"}");
    round();
    assertThat(Objects.requireNonNull(agent).round()).isLessThanOrEqualTo(Duration.ofSeconds(30));
    put(DROP_IN, "# Managed by Mirror Operator, not quite\n");
    round();
    assertThat(text(DROP_IN)).contains("[[registry]]");
  }

  @Test
  void anAgentWhoseTurnHasNotComeTouchesNothing() throws Exception {
    Map<String, String> before = tree();
    configure("AllowContactingSource", ", \"hold\": true");
    NodeState state = round();
    assertThat(state.ready()).isTrue();
    assertThat(state.reason()).isEqualTo(NodeReason.Holding);
    assertThat(tree()).isEqualTo(before);
    assertThat(host().resolve("var")).doesNotExist();
  }

  @Test
  void removalOfAConfigurationThatNeverHadTheNodeIsDoneAtOnce() throws Exception {
    round();
    Agent owner = agent;
    agent = null;
    configure("AllowContactingSource", ", \"remove\": true");
    Path file = directory.resolve("nodeconfig.json");
    Files.writeString(file, Files.readString(file).replace("default", "other"));
    assertThat(round().reason()).isEqualTo(NodeReason.Removed);
    assertThat(host().resolve(HOSTS)).exists();
    owner.close();
  }

  private void restart() throws IOException {
    Objects.requireNonNull(agent).close();
    agent = null;
  }

  private NodeState round() throws InterruptedException {
    if (agent == null) {
      agent =
          new Agent(
              "n",
              directory.resolve("nodeconfig.json"),
              directory.resolve("config.json"),
              directory.resolve("verdict"),
              new HostRoot(host()),
              commands,
              "",
              _ -> new Fake(),
              executor,
              new Clock() {
                @Override
                public java.time.ZoneId getZone() {
                  return java.time.ZoneOffset.UTC;
                }

                @Override
                public Clock withZone(java.time.ZoneId zone) {
                  return this;
                }

                @Override
                public Instant instant() {
                  return now;
                }
              },
              lines::add);
    }
    now = now.plusSeconds(10);
    agent.round();
    return agent.state();
  }

  private void configure(String policy, String more) throws IOException {
    Files.writeString(
        directory.resolve("nodeconfig.json"),
        """
        {"name": "default", "sources": [{"source": "registry.opensuse.org", "policy": "%s",
          "endpoints": [{"location": "10.96.1.2:5000/registry.opensuse.org"}]}]%s}"""
            .formatted(policy, more));
  }

  /** A certificate as a JSON string's content. */
  private static String pem() throws IOException {
    return new String(
            Objects.requireNonNull(AgentTest.class.getResourceAsStream("../render/ca.pem"))
                .readAllBytes(),
            StandardCharsets.US_ASCII)
        .replace("\n", "\\n");
  }

  private Path host() {
    return directory.resolve("host");
  }

  private void put(String path, String content) throws IOException {
    Path file = host().resolve(path);
    Files.createDirectories(file.getParent());
    Files.writeString(file, content);
  }

  private String text(String path) throws IOException {
    return Files.readString(host().resolve(path));
  }

  /** Paths with mode and content, without the agent's own directory. */
  private Map<String, String> tree() throws IOException {
    Map<String, String> tree = new TreeMap<>();
    try (Stream<Path> paths = Files.walk(host())) {
      for (Path path : paths.toList()) {
        String name = host().relativize(path).toString();
        if (!name.startsWith("var")) {
          tree.put(
              name,
              PosixFilePermissions.toString(Files.getPosixFilePermissions(path))
                  + (Files.isDirectory(path)
                      ? ""
                      : new String(Files.readAllBytes(path), StandardCharsets.UTF_8)));
        }
      }
    }
    return tree;
  }

  private final class Fake implements Prober {
    @Override
    public Sight look(Endpoint endpoint, @Nullable String authorities) {
      starved = starved.plus(starvation);
      return mirrorAnswers ? new Sight.Good() : new Sight.Unreachable("no answer");
    }

    @Override
    public Duration starved() {
      return starved;
    }

    @Override
    public Sight resolve(
        Endpoint endpoint,
        @Nullable String authorities,
        @Nullable ImageName image,
        @Nullable Login login) {
      asked = login;
      return mirrorLetsIn ? look(endpoint, authorities) : new Sight.Refused("no entry");
    }
  }
}
