package io.kubic.mirrors.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Storage that rots and storage that is full, under a real registry and by the real commands. */
class StorageIT {
  private static final String MANIFEST = "application/vnd.oci.image.manifest.v1+json";
  private static final String AUTHORIZATION =
      "Basic "
          + Base64.getEncoder()
              .encodeToString("admin:admin-secret".getBytes(StandardCharsets.UTF_8));
  private final Random random = new Random(4);
  private HttpClient http = HttpClient.newHttpClient();
  @TempDir private Path directory;

  @BeforeEach
  void storage() throws IOException {
    Files.createDirectories(directory.resolve("lab/storage"));
  }

  private GatewayLab lab() throws Exception {
    GatewayLab lab = new GatewayLab(directory.resolve("lab"));
    http = lab.client();
    Files.writeString(
        lab.directory.resolve("auth.json"),
        "{\"auths\": {\"%s\": {\"auth\": \"%s\"}}}"
            .formatted(lab.host(), AUTHORIZATION.substring("Basic ".length())));
    return lab;
  }

  /** What rots is found, gone, and brought back from the source by the next sync. */
  @Test
  void aFlippedBitIsFoundAndTheContentComesBackFromTheSource() throws Exception {
    int port = Lab.freePort();
    Process source = source(port);
    try (GatewayLab lab = lab()) {
      String origin = "http://127.0.0.1:" + port;
      await(origin + "/v2/");
      List<String> blobs = new ArrayList<>();
      for (int i = 0; i < 20; i++) {
        blobs.addAll(push(origin, "app", "v" + i, bytes(20_000), bytes(30_000)));
      }
      Files.writeString(
          directory.resolve("list.yaml"),
          """
          apiVersion: mirrors.kubic.io/v1alpha1
          kind: MirrorList
          metadata: {name: it, namespace: it}
          spec:
            registryRef: {name: mirror}
            layout: Flat
            sources:
            - registry: 127.0.0.1:%d
              images: [app]
              tags: {include: ["^v"]}
              tls: {plainHTTP: true}
          """
              .formatted(port));
      assertThat(sync(lab)).isZero();
      String base = "https://" + lab.host();
      for (String blob : blobs) {
        assertThat(sha256(get(base + "/v2/app/blobs/" + blob).body())).isEqualTo(blob);
      }
      List<String> rotten = blobs.stream().filter(blob -> random.nextInt(3) == 0).toList();
      assertThat(rotten).isNotEmpty();
      for (String blob : rotten) {
        rot(lab, blob);
      }
      assertThat(sync(lab)).as("nobody notices by itself").isZero();
      assertThat(sha256(get(base + "/v2/app/blobs/" + rotten.getFirst()).body()))
          .isNotEqualTo(rotten.getFirst());

      assertThat(run("scrub", lab.directory.resolve("storage").toString(), "-q")).isZero();
      assertThat(output()).contains("\"corrupt\":" + rotten.size());
      for (String blob : rotten) {
        assertThat(get(base + "/v2/app/blobs/" + blob).statusCode()).isEqualTo(404);
      }
      assertThat(sync(lab, "--recheck")).isZero();
      for (String blob : blobs) {
        assertThat(sha256(get(base + "/v2/app/blobs/" + blob).body())).isEqualTo(blob);
      }
      assertThat(run("scrub", lab.directory.resolve("storage").toString(), "-q")).isZero();
      assertThat(output()).contains("\"corrupt\":0");
      System.out.printf(
          "scrub: %d of %d blobs had a bit flipped; all found, all good again after a sync%n",
          rotten.size(), blobs.size());
    } finally {
      source.destroy();
      source.onExit().orTimeout(10, TimeUnit.SECONDS).join();
    }
  }

  private static void rot(GatewayLab lab, String digest) throws IOException {
    String hex = digest.substring("sha256:".length());
    Path data =
        lab.directory.resolve(
            "storage/docker/registry/v2/blobs/sha256/" + hex.substring(0, 2) + "/" + hex + "/data");
    byte[] content = Files.readAllBytes(data);
    content[content.length / 2] ^= 1;
    Files.write(data, content);
    Files.setLastModifiedTime(data, FileTime.from(Instant.now().minusSeconds(3600)));
  }

  /** A volume without one free byte still lets delete and collect. */
  @Test
  void aFullVolumeServesLetsDeleteAndIsEmptiedByACollection() throws Exception {
    Path volume = directory.resolve("lab/storage");
    mount(volume);
    try (GatewayLab lab = lab()) {
      String base = "https://" + lab.host();
      List<String> kept = push(base, "app", "kept", bytes(1 << 20), bytes(1 << 20));
      push(base, "app", "old", bytes(6 << 20), bytes(6 << 20));
      fill(volume.resolve("junk"));
      assertThat(free(volume)).isZero();
      assertThat(tryBlob(base, "app", bytes(1 << 20))).as("no room").isGreaterThanOrEqualTo(500);
      for (String blob : kept) {
        assertThat(sha256(get(base + "/v2/app/blobs/" + blob).body())).isEqualTo(blob);
      }
      assertThat(send(request(base + "/v2/app/manifests/old").DELETE()).statusCode())
          .as("a tag is deleted")
          .isEqualTo(202);
      Files.writeString(lab.directory.resolve("in-use"), "");
      assertThat(run(lab.collection(volume).toArray(String[]::new))).as(output()).isZero();
      assertThat(free(volume)).isGreaterThanOrEqualTo(12L << 20);
      assertThat(tryBlob(base, "app", bytes(1 << 20))).as("room again").isEqualTo(201);
      for (String blob : kept) {
        assertThat(sha256(get(base + "/v2/app/blobs/" + blob).body())).isEqualTo(blob);
      }
      System.out.printf("full volume: %d bytes free after a collection%n", free(volume));
    } finally {
      new ProcessBuilder("umount", "-l", volume.toString()).start().waitFor();
    }
  }

  private static void mount(Path volume) throws Exception {
    int code =
        new ProcessBuilder("mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", volume.toString())
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start()
            .waitFor();
    if (code != 0) {
      if (Boolean.getBoolean("mirror.noSkip")) {
        throw new AssertionError("a tmpfs cannot be mounted; run as root");
      }
      Assumptions.abort("a tmpfs cannot be mounted: not root");
    }
  }

  private static void fill(Path file) {
    byte[] page = new byte[4096];
    try (var out = Files.newOutputStream(file)) {
      while (true) {
        out.write(page);
      }
    } catch (IOException e) {
      // No space left on device: that is what was wanted.
    }
  }

  private static long free(Path volume) throws IOException {
    return Files.getFileStore(volume).getUsableSpace();
  }

  // --- processes ---

  private Process source(int port) throws IOException {
    Path config = directory.resolve("source.yml");
    Files.writeString(
        config,
        """
        version: 0.1
        log: {level: error, accesslog: {disabled: true}}
        storage: {filesystem: {rootdirectory: "%s"}}
        http: {addr: "127.0.0.1:%d", secret: it}
        """
            .formatted(directory.resolve("source"), port));
    ProcessBuilder builder =
        new ProcessBuilder(GatewayLab.tool("registry").toString(), "serve", config.toString())
            .redirectErrorStream(true)
            .redirectOutput(directory.resolve("source.log").toFile());
    builder.environment().put("OTEL_TRACES_EXPORTER", "none");
    return builder.start();
  }

  private int sync(GatewayLab lab, String... further) throws Exception {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "sync",
                "-f",
                directory.resolve("list.yaml").toString(),
                "--to",
                lab.host(),
                "--authfile",
                lab.directory.resolve("auth.json").toString(),
                "--ca",
                lab.directory.resolve("ca.crt").toString()));
    arguments.addAll(Arrays.asList(further));
    int code = run(arguments.toArray(String[]::new));
    assertThat(code).as(output()).isZero();
    return code;
  }

  private int run(String... arguments) throws Exception {
    return new ProcessBuilder(Lab.mirror(List.of(), arguments))
        .redirectErrorStream(true)
        .redirectOutput(directory.resolve("out").toFile())
        .start()
        .waitFor();
  }

  private String output() throws IOException {
    Path out = directory.resolve("out");
    return Files.exists(out) ? Files.readString(out) : "";
  }

  // --- the registry's API ---

  private byte[] bytes(int size) {
    byte[] bytes = new byte[size];
    random.nextBytes(bytes);
    return bytes;
  }

  /** An image of these layers; its blobs. */
  private List<String> push(String base, String repository, String tag, byte[]... layers)
      throws Exception {
    List<String> blobs = new ArrayList<>();
    StringBuilder list = new StringBuilder();
    for (byte[] layer : layers) {
      assertThat(tryBlob(base, repository, layer)).isEqualTo(201);
      blobs.add(sha256(layer));
      list.append(list.isEmpty() ? "" : ",")
          .append(descriptor("application/vnd.oci.image.layer.v1.tar", layer));
    }
    byte[] config = ("{\"n\": " + random.nextLong() + "}").getBytes(StandardCharsets.UTF_8);
    assertThat(tryBlob(base, repository, config)).isEqualTo(201);
    blobs.add(sha256(config));
    String text =
        "{\"schemaVersion\":2,\"mediaType\":\""
            + MANIFEST
            + "\",\"config\":"
            + descriptor("application/vnd.oci.image.config.v1+json", config)
            + ",\"layers\":["
            + list
            + "]}";
    assertThat(
            send(request(base + "/v2/" + repository + "/manifests/" + tag)
                    .header("Content-Type", MANIFEST)
                    .PUT(HttpRequest.BodyPublishers.ofString(text)))
                .statusCode())
        .isEqualTo(201);
    return blobs;
  }

  private static String descriptor(String type, byte[] content) throws Exception {
    return "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%d}"
        .formatted(type, sha256(content), content.length);
  }

  /** Uploads a blob; the last answer. */
  private int tryBlob(String base, String repository, byte[] content) throws Exception {
    HttpResponse<byte[]> begun =
        send(
            request(base + "/v2/" + repository + "/blobs/uploads/")
                .POST(HttpRequest.BodyPublishers.noBody()));
    if (begun.statusCode() != 202) {
      return begun.statusCode();
    }
    String location = begun.headers().firstValue("Location").orElseThrow();
    return send(request(
                URI.create(base).resolve(location)
                    + (location.contains("?") ? "&" : "?")
                    + "digest="
                    + sha256(content))
            .PUT(HttpRequest.BodyPublishers.ofByteArray(content)))
        .statusCode();
  }

  private void await(String url) throws Exception {
    Instant end = Instant.now().plusSeconds(30);
    while (true) {
      try {
        if (get(url).statusCode() == 200) {
          return;
        }
      } catch (IOException e) {
        assertThat(Instant.now()).isBefore(end);
      }
      TimeUnit.MILLISECONDS.sleep(100);
    }
  }

  private HttpResponse<byte[]> get(String url) throws Exception {
    return send(request(url).header("Accept", MANIFEST).GET());
  }

  private static HttpRequest.Builder request(String url) {
    HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url));
    return url.startsWith("https:") ? request.header("Authorization", AUTHORIZATION) : request;
  }

  private HttpResponse<byte[]> send(HttpRequest.Builder request) throws Exception {
    return http.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
  }

  private static String sha256(byte[] content) throws Exception {
    return "sha256:"
        + HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
  }
}
