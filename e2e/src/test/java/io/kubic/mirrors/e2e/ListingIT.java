package io.kubic.mirrors.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.kubic.mirrors.cli.CommandLines;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** The commands that look into registries, against the real distribution and the real skopeo. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ListingIT {
  private static final String OCI = "application/vnd.oci.image.";
  private static final String DOCKER = "application/vnd.docker.distribution.manifest.";

  private final HttpClient http = HttpClient.newHttpClient();
  private final List<LocalRegistry> registries = new ArrayList<>();
  private Path directory;
  private String source;
  private String out = "";
  private String err = "";

  @BeforeAll
  void start(@TempDir Path temporary) throws Exception {
    directory = temporary;
    source = registry("source");
    String amd = image("kubic/demo", null, "amd64", false);
    String arm = image("kubic/demo", null, "arm64", false);
    index("kubic/demo", "1.0-rev1-build1.9", false, amd);
    index("kubic/demo", "1.0-rev1-build1.10", false, amd, arm);
    index("kubic/demo", "1.0", false, amd, arm);
    String docker = image("kubic/pause", "3.1-1.1", "amd64", true);
    image("kubic/pause", "3.1-1.2", "arm64", true);
    index("kubic/pause", "latest", true, docker);
    image("other/thing", "1", "amd64", false);
    // A signature, as cosign names it.
    image("kubic/pause", docker.substring(0, 71).replace(':', '-') + ".sig", "amd64", false);
  }

  @AfterAll
  void stop() {
    registries.forEach(LocalRegistry::close);
  }

  private String registry(String name) throws Exception {
    registries.add(LocalRegistry.start(directory, name, ""));
    return registries.getLast().host();
  }

  private static String digest(byte[] bytes) throws Exception {
    return "sha256:" + HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
  }

  private String put(String repository, String text) throws Exception {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    HttpResponse<Void> begun =
        http.send(
            HttpRequest.newBuilder(
                    URI.create("http://" + source + "/v2/" + repository + "/blobs/uploads/"))
                .POST(HttpRequest.BodyPublishers.noBody())
                .build(),
            HttpResponse.BodyHandlers.discarding());
    String location = begun.headers().firstValue("Location").orElseThrow();
    URI at = URI.create("http://" + source).resolve(location);
    HttpResponse<String> done =
        http.send(
            HttpRequest.newBuilder(
                    URI.create(
                        at + (at.getRawQuery() == null ? "?" : "&") + "digest=" + digest(bytes)))
                .PUT(HttpRequest.BodyPublishers.ofByteArray(bytes))
                .build(),
            HttpResponse.BodyHandlers.ofString());
    assertThat(done.statusCode()).as(done.body()).isEqualTo(201);
    return digest(bytes);
  }

  /** Stores a manifest and returns its descriptor's beginning: digest, type, size. */
  private String manifest(String repository, String tag, String type, String text)
      throws Exception {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    HttpResponse<String> done =
        http.send(
            HttpRequest.newBuilder(
                    URI.create(
                        "http://"
                            + source
                            + "/v2/"
                            + repository
                            + "/manifests/"
                            + (tag == null ? digest(bytes) : tag)))
                .header("Content-Type", type)
                .PUT(HttpRequest.BodyPublishers.ofByteArray(bytes))
                .build(),
            HttpResponse.BodyHandlers.ofString());
    assertThat(done.statusCode()).as(done.body()).isEqualTo(201);
    return digest(bytes) + " " + type + " " + bytes.length;
  }

  private String image(String repository, String tag, String architecture, boolean docker)
      throws Exception {
    String config =
        "{\"os\":\"linux\",\"architecture\":\"%s\",\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]},\"made\":\"%s\"}"
            .formatted(architecture, digest(tar()), tag);
    byte[] layer = tar();
    String type = docker ? DOCKER + "v2+json" : OCI + "manifest.v1+json";
    return manifest(
            repository,
            tag,
            type,
            "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%d},\"layers\":[{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%d}]}"
                .formatted(
                    type,
                    docker
                        ? "application/vnd.docker.container.image.v1+json"
                        : OCI + "config.v1+json",
                    put(repository, config),
                    config.length(),
                    docker ? "application/vnd.docker.image.rootfs.diff.tar" : OCI + "layer.v1.tar",
                    put(repository, new String(layer, StandardCharsets.UTF_8)),
                    layer.length))
        + " "
        + architecture;
  }

  private static byte[] tar() {
    return new byte[1024];
  }

  private void index(String repository, String tag, boolean docker, String... children)
      throws Exception {
    List<String> entries = new ArrayList<>();
    for (String child : children) {
      String[] words = child.split(" ");
      entries.add(
          "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%s,\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}}"
              .formatted(words[1], words[0], words[2], words[3]));
    }
    String type = docker ? DOCKER + "list.v2+json" : OCI + "index.v1+json";
    manifest(
        repository,
        tag,
        type,
        "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[%s]}"
            .formatted(type, String.join(",", entries)));
  }

  private int run(String... arguments) {
    StringWriter written = new StringWriter();
    StringWriter told = new StringWriter();
    CommandLine line = CommandLines.create();
    line.setOut(new PrintWriter(written));
    line.setErr(new PrintWriter(told));
    int code = line.execute(arguments);
    out = written.toString();
    err = told.toString();
    return code;
  }

  private String list(String more) throws Exception {
    return list(more, source);
  }

  private String list(String more, String registry) throws Exception {
    return Files.writeString(
            directory.resolve("list.yaml"),
            """
            apiVersion: mirrors.kubic.io/v1alpha1
            kind: MirrorList
            metadata: {name: kubic}
            spec:
              registryRef: {name: mirror}
              sources:
              - registry: "%s"
                repositories: {include: ["^kubic"]}
                tags: {select: LatestBuild}
                tls: {plainHTTP: true}
            %s
            """
                .formatted(registry, more.indent(4)))
        .toString();
  }

  /** Every tag of a registry with its digest, below a prefix. */
  private Map<String, String> contents(String host, String prefix) throws Exception {
    Map<String, String> all = new TreeMap<>();
    assertThat(run("ls", host, "--plain-http", "-o", "json")).as(err).isZero();
    for (JsonNode repository : new ObjectMapper().readTree(out).path("repositories")) {
      String name = repository.path("name").asText();
      for (JsonNode tag : repository.path("tags")) {
        assertThat(run("digest", host + "/" + name + ":" + tag.asText(), "--plain-http")).isZero();
        assertThat(name).startsWith(prefix);
        all.put(name.substring(prefix.length()) + ":" + tag.asText(), out.strip());
      }
    }
    return all;
  }

  @Test
  void skopeoSyncsThePlansFileToTheSameResultAsOurSync() throws Exception {
    Lab.require(Files.isExecutable(Path.of("/usr/bin/skopeo")), "skopeo is not installed");
    // A name without a port, which skopeo can put in front as we do.
    String file = list("endpoints: [\"http://" + source + "\"]", "registry.example");
    Path containers = Files.createDirectories(directory.resolve(".config/containers"));
    Files.writeString(
        containers.resolve("registries.conf"),
        "[[registry]]\nprefix = \"registry.example\"\nlocation = \"%s\"\ninsecure = true\n"
            .formatted(source));
    String ours = registry("ours");
    String theirs = registry("theirs");
    assertThat(run("sync", "-f", file, "--to", ours, "--plain-http", "-q")).as(err).isZero();
    assertThat(run("plan", "-f", file, "-o", "skopeo")).as(err).isZero();
    Path yaml = Files.writeString(directory.resolve("skopeo.yaml"), out);
    Lab.run(
            Duration.ofSeconds(60),
            Map.of("HOME", directory.toString()),
            List.of(
                "/usr/bin/skopeo",
                "sync",
                "--all",
                "--scoped",
                "--preserve-digests",
                "--src",
                "yaml",
                "--dest",
                "docker",
                "--dest-tls-verify=false",
                yaml.toString(),
                theirs))
        .orFail();
    Map<String, String> byUs = new TreeMap<>(contents(ours, ""));
    byUs.keySet().removeIf(name -> name.startsWith("mirror-operator/"));
    Map<String, String> bySkopeo = contents(theirs, "");
    assertThat(byUs).isEqualTo(bySkopeo);
    assertThat(byUs.keySet())
        .contains(
            "registry.example/kubic/demo:1.0-rev1-build1.10",
            "registry.example/kubic/pause:3.1-1.2")
        .doesNotContain(
            "registry.example/kubic/demo:1.0-rev1-build1.9",
            "registry.example/kubic/pause:3.1-1.1");
    assertThat(run("verify", ours, "--plain-http", "-f", file)).as(out + err).isZero();
    assertThat(run("rm", ours + "/" + byUs.keySet().iterator().next(), "--plain-http")).isZero();
    assertThat(run("verify", ours, "--plain-http", "-f", file)).isOne();
  }

  @Test
  void platformsFilterOciAndDockerIndexesAndSingleImages() throws Exception {
    assertThat(run("plan", "-f", list("platforms: [linux/arm64]"), "-o", "json")).as(err).isZero();
    JsonNode plan = new ObjectMapper().readTree(out);
    Map<String, String> found = new TreeMap<>();
    for (JsonNode image : plan.path("images")) {
      found.put(
          image.path("source").asText().substring(source.length() + 1),
          image.path("platforms").toString());
    }
    assertThat(found)
        .isEqualTo(
            Map.of(
                "kubic/demo:1.0", "[\"linux/arm64\"]",
                "kubic/demo:1.0-rev1-build1.10", "[\"linux/arm64\"]",
                "kubic/pause:3.1-1.2", "[]"));
    assertThat(err).contains("kubic/pause:latest", "linux/amd64");
  }

  @Test
  void lsTagsDigestManifestAndRmSpeakToARealRegistry() throws Exception {
    assertThat(run("ls", source, "^other", "--plain-http", "-o", "reg")).isZero();
    assertThat(out).contains("Repositories for " + source, "other/thing         1");
    assertThat(run("tags", source + "/kubic/demo", "--plain-http")).isZero();
    assertThat(out.lines()).contains("1.0-rev1-build1.9");
    assertThat(run("manifest", source + "/kubic/pause:latest", "--plain-http")).isZero();
    assertThat(out).contains("manifest.list.v2");
    image("other/gone", "1", "amd64", false);
    assertThat(run("rm", source + "/other/gone:1", "--plain-http")).as(err).isZero();
    assertThat(run("digest", source + "/other/gone:1", "--plain-http")).isNotZero();
  }
}
