package io.kubic.mirrors.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** {@code sync} of the how-to's list into registries of several origins, judged by crane. */
@ExtendWith(ApiServer.class)
class TargetsIT {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String HOW_TO =
      "      repositories: {include: ['(^kubic|^opensuse/([^/]+)$)']}\n"
          + "      tags: {select: LatestBuild}";
  @TempDir private Path directory;

  /** A registry that is filled. */
  private record Target(String host, Path ca, Path authFile) {}

  @BeforeAll
  static void install(ApiServer server) {
    RegistryWorld.install(server);
  }

  @Test
  void aBucketBehindAGatewayTakesTheList(ApiServer server) throws Exception {
    try (Registries registries = new Registries(directory);
        RegistryWorld world = new RegistryWorld(server.kubeconfig(), "targets-bucket");
        GatewayLab lab =
            new GatewayLab(
                Files.createDirectories(directory.resolve("gateway")),
                world.onBucket(registries.bucket("images"), 1),
                Duration.ofSeconds(20))) {
      Target target =
          new Target(
              lab.host(),
              lab.directory.resolve("ca.crt"),
              authFile(lab.host(), "push", "push-secret"));
      copied(registries, target);
      sparse(registries, target, true);
    }
  }

  @Test
  void distribution28TakesTheList() throws Exception {
    try (Registries registries = new Registries(directory)) {
      String host = registries.distribution2("d2", registries.withPassword());
      Target target =
          new Target(
              host, registries.caFile(), authFile(host, Registries.USER, Registries.PASSWORD));
      copied(registries, target);
      sparse(registries, target, false);
    }
  }

  @Test
  void aRegistryThatMountsNothingTakesTheList() throws Exception {
    try (Registries registries = new Registries(directory)) {
      String host = registries.ggcr("ggcr", true);
      Target target =
          new Target(
              host, registries.caFile(), authFile(host, Registries.USER, Registries.PASSWORD));
      copied(registries, target);
      sparse(registries, target, false);
    }
  }

  /** Copies everything, then nothing. */
  private void copied(Registries registries, Target target) throws Exception {
    String source = source(registries);
    Path list = list(source, HOW_TO, "");
    JsonNode first = result(sync(registries, list, target).orFail());
    Map<String, String> expected = new TreeMap<>();
    Map<String, String> found = new TreeMap<>();
    for (JsonNode truth : JSON.readTree(directory.resolve("truth.json").toFile())) {
      String image = truth.get("repository").asText() + ":" + truth.get("tag").asText();
      if (truth.get("selected").asBoolean()) {
        expected.put(image, truth.get("digest").asText());
        found.put(image, crane(target, "digest", target.host() + "/" + image));
      }
    }
    assertThat(found).isEqualTo(expected).hasSizeGreaterThan(25);
    String index = "/kubic/demo:latest";
    assertThat(crane(target, "digest", "--platform", "linux/arm64", target.host() + index))
        .isEqualTo(
            crane(
                new Target(source, registries.caFile(), target.authFile()),
                "digest",
                "--platform",
                "linux/arm64",
                source + index));
    crane(target, "validate", "--remote", target.host() + "/opensuse/busybox:latest");
    long reads = reads(registries);
    Lab.Result second = sync(registries, list, target).orFail();
    assertThat(second.out()).contains("\"copied\":0", "\"failed\":0", "\"bytes\":0");
    assertThat(reads(registries)).as("a second run reads no blob").isEqualTo(reads);
    System.out.println(target.host() + ": " + first);
  }

  /** One platform of two: the index is kept as it is, or the list says what it wants instead. */
  private void sparse(Registries registries, Target target, boolean taken) throws Exception {
    String source = directory.resolve("source").toFile().exists() ? host : source(registries);
    String one = "      images: ['devel/kubic/demo:1.0']\n      platforms: [linux/arm64]";
    String image = target.host() + "/devel/kubic/demo:1.0";
    if (!taken) {
      Lab.Result refused = sync(registries, list(source, one, "  indexPolicy: Fail"), target);
      assertThat(refused.code()).isNotZero();
      assertThat(refused.out()).contains("SparseIndexRejected");
    }
    sync(registries, list(source, one, ""), target).orFail();
    assertThat(crane(target, "digest", image))
        .isEqualTo(
            crane(
                new Target(source, registries.caFile(), target.authFile()),
                "digest",
                source + "/devel/kubic/demo:1.0"));
    crane(target, "manifest", "--platform", "linux/arm64", image);
    Lab.Result other = run(target, List.of("manifest", "--platform", "linux/amd64", image));
    assertThat(other.code() == 0).as("the other platform is there").isEqualTo(!taken);
  }

  private String host = "";

  /** The upstream of the demo, as a registry of its own. */
  private String source(Registries registries) throws IOException {
    host = registries.distribution3("source", "");
    Lab.run(
            Duration.ofMinutes(3),
            Map.of(),
            List.of("e2e/tools/build-own.sh", "e2e/tools/lab", Lab.TOOLS.toString()))
        .orFail();
    Lab.run(
            Duration.ofSeconds(60),
            Map.of(),
            List.of(
                Lab.tool("lab"),
                "seed",
                "-to",
                "https://" + host,
                "-ca",
                registries.caFile().toString(),
                "-truth",
                directory.resolve("truth.json").toString()))
        .orFail();
    return host;
  }

  private static long reads(Registries registries) throws IOException {
    return registries
        .log("source")
        .lines()
        .filter(line -> line.contains("\"GET /v2/") && line.contains("/blobs/"))
        .count();
  }

  private Path list(String source, String what, String more) throws IOException {
    return Files.writeString(
        directory.resolve("list.yaml"),
        """
        apiVersion: mirrors.kubic.io/v1alpha1
        kind: MirrorList
        metadata: {name: it, namespace: test}
        spec:
          registryRef: {name: mirror}
          layout: Flat
        %s
          retry: {limit: 2, minBackoff: 100ms}
          sources:
            - registry: "%s"
        %s
        """
            .formatted(more, source, what));
  }

  private Path authFile(String host, String user, String password) throws IOException {
    return Files.writeString(
        directory.resolve("auth.json"), Registries.dockerConfig(host, user, password));
  }

  private Lab.Result sync(Registries registries, Path list, Target target) {
    return Lab.run(
        Duration.ofMinutes(2),
        Map.of(),
        Lab.mirror(
            List.of("-XX:+UseSerialGC"),
            "sync",
            "-f",
            list.toString(),
            "--to",
            target.host(),
            "--ca",
            target.ca().toString(),
            "--authfile",
            target.authFile().toString(),
            "--source-ca",
            registries.caFile().toString(),
            "-o",
            "json"));
  }

  private static JsonNode result(Lab.Result run) throws IOException {
    List<String> lines = new ArrayList<>(run.out().strip().lines().toList());
    return JSON.readTree(lines.getLast()).path("summary");
  }

  private String crane(Target target, String... arguments) {
    return run(target, List.of(arguments)).orFail().line();
  }

  private Lab.Result run(Target target, List<String> arguments) {
    try {
      Path home = Files.createDirectories(directory.resolve("docker"));
      Files.copy(
          target.authFile(),
          home.resolve("config.json"),
          java.nio.file.StandardCopyOption.REPLACE_EXISTING);
      return Lab.run(
          Duration.ofSeconds(60),
          Map.of("SSL_CERT_FILE", target.ca().toString(), "DOCKER_CONFIG", home.toString()),
          Lab.join(List.of(Lab.tool("crane")), arguments.toArray(String[]::new)));
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }
}
