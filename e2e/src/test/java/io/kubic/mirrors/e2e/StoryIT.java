package io.kubic.mirrors.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestMethodOrder;

/**
 * The demo on two nodes, and what must be true of the cluster it leaves. The tests build on each
 * other.
 */
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class StoryIT {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String NAME = System.getProperty("mirror.lab", "story");
  private static final Map<String, String> LAB = Map.of("LAB", NAME, "NODES", "2");
  private static final Path RUN = Lab.TREE.resolve("e2e/.run/" + NAME);
  private static final String NAMESPACE = "mirror-system";
  private static final String READY = "{.status.conditions[?(@.type=='Ready')].status}";

  /** A tag of the upstream, as the program that pushed it wrote it down. */
  private record Truth(
      String name, String digest, boolean selected, Map<String, String> platforms) {}

  @BeforeAll
  static void tellTheStory() throws IOException {
    Lab.require("root".equals(System.getProperty("user.name")), "a cluster needs root");
    Lab.tool("kubelet");
    Lab.Result demo =
        Lab.run(
            Duration.ofMinutes(12), LAB, List.of(Lab.TREE.resolve("e2e/demo.sh").toString(), "up"));
    System.out.println(demo.out());
    demo.orFail();
    String trust = get("mirrorregistry", "mirror", "{.status.trust.configMapRef.name}");
    Files.createDirectories(RUN.resolve("mirror-ca"));
    Files.writeString(RUN.resolve("mirror-ca/ca.crt"), get("configmap", trust, "{.data.ca\\.crt}"));
  }

  @AfterAll
  static void leaveNothing() {
    Lab.run(
        Duration.ofMinutes(2), LAB, List.of(Lab.TREE.resolve("e2e/demo.sh").toString(), "down"));
  }

  @Test
  @Order(1)
  void everySelectedTagAndPlatformHasTheUpstreamsDigestAndNothingElseIsThere() throws IOException {
    StringBuilder script = new StringBuilder("export SSL_CERT_FILE=" + RUN + "/mirror-ca/ca.crt\n");
    Map<String, String> expected = new TreeMap<>();
    for (Truth truth : truths()) {
      String image = mirror() + "/registry.opensuse.org/" + truth.name();
      ask(script, truth.name(), Lab.tool("crane") + " digest " + image);
      expected.put(truth.name(), truth.selected() ? truth.digest() : "absent");
      if (truth.selected() && truth.platforms().size() > 1) {
        truth
            .platforms()
            .forEach(
                (platform, digest) -> {
                  ask(
                      script,
                      truth.name() + " " + platform,
                      Lab.tool("crane") + " digest --platform " + platform + " " + image);
                  expected.put(truth.name() + " " + platform, digest);
                });
      }
    }
    assertThat(answers(script)).isEqualTo(expected);
  }

  @Test
  @Order(2)
  void skopeoReadsTheSameBytes() throws IOException {
    StringBuilder script = new StringBuilder();
    Map<String, String> expected = new TreeMap<>();
    for (Truth truth : truths()) {
      if (truth.selected()) {
        ask(
            script,
            truth.name(),
            "skopeo inspect --raw --cert-dir "
                + RUN
                + "/mirror-ca docker://"
                + mirror()
                + "/registry.opensuse.org/"
                + truth.name()
                + " | sha256sum | sed 's/^/sha256:/; s/ .*//'");
        expected.put(truth.name(), truth.digest());
      }
    }
    assertThat(answers(script)).isEqualTo(expected);
  }

  @Test
  @Order(3)
  void podmanOfANodePullsTheNameItKnowsThroughTheMirror() throws IOException {
    Truth demo =
        truths().stream().filter(t -> t.name().equals("kubic/demo:1.1")).findFirst().orElseThrow();
    node(1, "podman pull -q registry.opensuse.org/kubic/demo:1.1").orFail();
    String digests =
        node(
                1,
                "podman image inspect --format '{{.RepoDigests}}' registry.opensuse.org/kubic/demo:1.1")
            .orFail()
            .out();
    assertThat(digests)
        .containsAnyOf(
            Stream.concat(Stream.of(demo.digest()), demo.platforms().values().stream())
                .toArray(String[]::new));
  }

  @Test
  @Order(4)
  void anIdleMinuteSeesNoWriteOfTheOperator() throws IOException, InterruptedException {
    Path audit = RUN.resolve("log/audit.log");
    Lab.eventually(Duration.ofSeconds(90), "the agents' rollout is over", () -> allReady());
    long before = Files.size(audit);
    Thread.sleep(Duration.ofSeconds(60));
    byte[] all = Files.readAllBytes(audit);
    List<String> writes = new ArrayList<>();
    for (String line :
        new String(
                all,
                (int) before,
                (int) (all.length - before),
                java.nio.charset.StandardCharsets.UTF_8)
            .split("\n")) {
      if (!line.endsWith("}") || !line.startsWith("{")) {
        continue;
      }
      JsonNode event = JSON.readTree(line);
      // Renewing the lease is how the leader says that it lives.
      if (event.at("/user/username").asText().startsWith("system:serviceaccount:" + NAMESPACE + ":")
          && !event.at("/objectRef/resource").asText().equals("leases")) {
        writes.add(event.at("/verb").asText() + " " + event.at("/requestURI").asText());
      }
    }
    assertThat(writes).isEmpty();
  }

  @Test
  @Order(5)
  void operatorAndAgentStaySmall() {
    assertThat(residentMiB("operator")).isNotEmpty().allMatch(mib -> mib < 200, "below 200 MiB");
    assertThat(residentMiB("agent")).hasSize(2).allMatch(mib -> mib < 96, "below 96 MiB");
  }

  @Test
  @Order(6)
  void noPasswordIsInALogAnArgumentOrTheEnvironment() throws IOException {
    List<String> secrets = new ArrayList<>();
    for (JsonNode secret :
        JSON.readTree(kubectl("get", "secrets", "-A", "-o", "json").orFail().out()).get("items")) {
      secret
          .path("data")
          .properties()
          .forEach(
              entry -> {
                String value =
                    new String(
                            Base64.getDecoder().decode(entry.getValue().asText()),
                            java.nio.charset.StandardCharsets.UTF_8)
                        .strip();
                if (entry.getKey().contains("password")
                    && value.length() >= 8
                    && !value.contains("\n")) {
                  secrets.add(value);
                }
              });
    }
    assertThat(secrets).as("passwords of the generated users").hasSizeGreaterThanOrEqualTo(3);
    StringBuilder seen = new StringBuilder();
    try (Stream<Path> logs = Files.list(RUN.resolve("log"))) {
      for (Path log : logs.toList()) {
        seen.append(
            new String(Files.readAllBytes(log), java.nio.charset.StandardCharsets.ISO_8859_1));
      }
    }
    for (int n : List.of(1, 2)) {
      seen.append(
          node(
                  n,
                  "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; find /var/log/pods -type f -exec cat {} +")
              .out());
    }
    assertThat(secrets).noneMatch(secret -> seen.indexOf(secret) >= 0);
  }

  @Test
  @Order(7)
  void killingEveryPartDuringASyncOnlyDelaysIt() {
    script("e2e/cluster/upstream.sh", "start").orFail();
    kubectl(
            "-n",
            NAMESPACE,
            "annotate",
            "mirrorlist/kubic",
            "--overwrite",
            "mirrors.kubic.io/reconcile-at=again")
        .orFail();
    for (int n : List.of(1, 2)) {
      node(
          n,
          "for p in /proc/[0-9]*; do if tr '\\0' ' ' <$p/cmdline 2>/dev/null | "
              + "grep -qE '@/app/(operator|gateway|agent)[.]jvm|^registry serve'; then kill -9 ${p#/proc/}; fi; done");
    }
    Lab.eventually(
        Duration.ofMinutes(4),
        "the run is done and all is Ready again",
        () ->
            allReady()
                && get("mirrorlist", "kubic", "{.status.lastHandledReconcileAt}").equals("again"));
    script("e2e/cluster/upstream.sh", "stop").orFail();
    kubectl(
            "-n",
            "default",
            "run",
            "after",
            "--image=registry.opensuse.org/opensuse/busybox:1.35",
            "--restart=Never")
        .orFail();
    kubectl("-n", "default", "wait", "--for=condition=Ready", "--timeout=90s", "pod/after")
        .orFail();
  }

  @Test
  @Order(8)
  void deletingTheNodeConfigurationGivesTheNodesTheirFilesBack() {
    String files =
        "find /etc/containerd/certs.d /etc/containers/registries.conf.d /etc/containers/certs.d -type f 2>/dev/null";
    assertThat(node(2, files).out()).contains("registry.opensuse.org/hosts.toml");
    kubectl("delete", "noderegistryconfig", "mirror", "--timeout=120s").orFail();
    Lab.eventually(
        Duration.ofSeconds(60),
        "no file is left",
        () -> Stream.of(1, 2).allMatch(n -> node(n, files).out().isBlank()));
  }

  @Test
  @Order(9)
  void stoppingLeavesNothing() throws IOException {
    script("e2e/demo.sh", "down").orFail();
    assertThat(Lab.run(Duration.ofSeconds(5), LAB, List.of("ip", "netns", "list")).out())
        .doesNotContain("mo-" + NAME);
    assertThat(Files.readString(Path.of("/proc/self/mounts")))
        .doesNotContain("mo-" + NAME)
        .doesNotContain(RUN.toString());
    assertThat(
            Lab.run(
                    Duration.ofSeconds(5),
                    LAB,
                    List.of("sh", "-c", "find /sys/fs/cgroup -maxdepth 2 -name mo-" + NAME))
                .out())
        .isEmpty();
    assertThat(RUN).doesNotExist();
  }

  private static void ask(StringBuilder script, String what, String command) {
    script
        .append("printf '%s=%s\\n' '")
        .append(what)
        .append("' \"$(")
        .append(command)
        .append(" 2>/dev/null || echo absent)\"\n");
  }

  private static Map<String, String> answers(StringBuilder script) {
    Map<String, String> answers = new TreeMap<>();
    Lab.Result result =
        Lab.run(
            Duration.ofMinutes(4),
            LAB,
            List.of(
                Lab.TREE.resolve("e2e/cluster/cluster.sh").toString(),
                "lan",
                "sh",
                "-c",
                script.toString()));
    result
        .orFail()
        .out()
        .lines()
        .forEach(
            line ->
                answers.put(
                    line.substring(0, line.indexOf('=')), line.substring(line.indexOf('=') + 1)));
    return answers;
  }

  private static List<Truth> truths() throws IOException {
    List<Truth> all = new ArrayList<>();
    for (JsonNode t : JSON.readTree(RUN.resolve("upstream.json").toFile())) {
      Map<String, String> platforms = new TreeMap<>();
      t.get("platforms")
          .properties()
          .forEach(p -> platforms.put(p.getKey(), p.getValue().asText()));
      all.add(
          new Truth(
              t.get("repository").asText() + ":" + t.get("tag").asText(),
              t.get("digest").asText(),
              t.get("selected").asBoolean(),
              platforms));
    }
    return all;
  }

  private static List<Integer> residentMiB(String role) {
    List<Integer> found = new ArrayList<>();
    for (int n : List.of(1, 2)) {
      node(
              n,
              "for p in /proc/[0-9]*; do if tr '\\0' ' ' <$p/cmdline 2>/dev/null | grep -q '@/app/"
                  + role
                  + "[.]jvm'; then grep VmRSS $p/status; fi; done")
          .out()
          .lines()
          .map(line -> Integer.parseInt(line.replaceAll("[^0-9]", "")) / 1024)
          .forEach(found::add);
    }
    System.out.println(role + ": resident MiB " + found);
    return found;
  }

  private static boolean allReady() {
    return Stream.of("mirrorregistry/mirror", "mirrorlist/kubic", "noderegistryconfig/mirror")
        .allMatch(
            object ->
                kubectl("-n", NAMESPACE, "get", object, "-o", "jsonpath=" + READY)
                    .line()
                    .equals("True"));
  }

  private static String mirror() {
    return get("mirrorregistry", "mirror", "{.status.endpoint.url}").replace("https://", "");
  }

  private static String get(String kind, String name, String path) {
    return kubectl("-n", NAMESPACE, "get", kind, name, "-o", "jsonpath=" + path).orFail().line();
  }

  private static Lab.Result kubectl(String... arguments) {
    return Lab.run(
        Duration.ofMinutes(3),
        Map.of("KUBECONFIG", RUN.resolve("kubeconfig").toString()),
        Lab.join(List.of(Lab.tool("kubectl")), arguments));
  }

  private static Lab.Result script(String path, String argument) {
    return Lab.run(
        Duration.ofMinutes(2), LAB, List.of(Lab.TREE.resolve(path).toString(), argument));
  }

  private static Lab.Result node(int n, String command) {
    return Lab.run(
        Duration.ofMinutes(2),
        LAB,
        List.of(
            Lab.TREE.resolve("e2e/cluster/cluster.sh").toString(),
            "node",
            String.valueOf(n),
            "sh",
            "-c",
            command));
  }
}
