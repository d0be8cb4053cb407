package io.kubic.mirrors.e2e;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code sync} from one real registry to another, judged by what others read there. */
class RegistrySyncIT {
  private static final String OCI = "application/vnd.oci.image.manifest.v1+json";
  private static final String INDEX = "application/vnd.oci.image.index.v1+json";
  private static final String CONFIG = "application/vnd.oci.image.config.v1+json";
  private static final String LAYER = "application/vnd.oci.image.layer.v1.tar";
  private static final String DOCKER = "application/vnd.docker.distribution.manifest.v2+json";
  private static final String ALL =
      String.join(
          ", ", OCI, INDEX, DOCKER, "application/vnd.docker.distribution.manifest.list.v2+json");
  private static final Pattern DIGEST = Pattern.compile("sha256:[0-9a-f]{64}");

  private final HttpClient http = HttpClient.newHttpClient();
  private final Random random = new Random(7);
  private final List<LocalRegistry> registries = new ArrayList<>();
  private final List<Process> processes = new ArrayList<>();
  @TempDir private Path directory;
  private LocalRegistry source;

  /** A manifest as it was pushed. */
  private record Pushed(String digest, String type, byte[] bytes) {
    String descriptor() {
      return "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%d}"
          .formatted(type, digest, bytes.length);
    }
  }

  @BeforeEach
  void start() throws Exception {
    source = registry("source");
  }

  @AfterEach
  void stop() throws Exception {
    registries.forEach(LocalRegistry::close);
    for (Process process : processes) {
      process.destroyForcibly().waitFor(10, TimeUnit.SECONDS);
    }
  }

  private LocalRegistry registry(String name) throws IOException {
    registries.add(
        LocalRegistry.start(
            directory,
            name,
            "validation: {manifests: {urls: {allow: ['^https?://']}, "
                + "indexes: {platforms: none}}}"));
    return registries.getLast();
  }

  private int status(LocalRegistry registry, String path) {
    try {
      return get(registry, path).statusCode();
    } catch (UncheckedIOException e) {
      return 0;
    }
  }

  private HttpResponse<byte[]> send(HttpRequest.Builder request) {
    try {
      return http.send(
          request.timeout(Duration.ofSeconds(30)).build(), HttpResponse.BodyHandlers.ofByteArray());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }

  private HttpResponse<byte[]> get(LocalRegistry registry, String path) {
    return send(
        HttpRequest.newBuilder(URI.create("http://" + registry.host() + path))
            .header("Accept", ALL));
  }

  private static String sha256(byte[] bytes) {
    try {
      return "sha256:"
          + HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (java.security.NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  private String blob(String repository, String type, byte[] bytes) {
    return blob(repository, type, bytes, sha256(bytes));
  }

  private String blob(String repository, String type, byte[] bytes, String digest) {
    HttpResponse<byte[]> session =
        send(
            HttpRequest.newBuilder(
                    URI.create("http://" + source.host() + "/v2/" + repository + "/blobs/uploads/"))
                .POST(HttpRequest.BodyPublishers.noBody()));
    String location = session.headers().firstValue("Location").orElseThrow();
    HttpResponse<byte[]> put =
        send(
            HttpRequest.newBuilder(URI.create(location + "&digest=" + digest))
                .header("Content-Type", "application/octet-stream")
                .PUT(HttpRequest.BodyPublishers.ofByteArray(bytes)));
    assertThat(put.statusCode()).as(new String(put.body(), UTF_8)).isEqualTo(201);
    return "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%d}"
        .formatted(type, digest, bytes.length);
  }

  private Pushed manifest(String repository, String tag, String type, String json) {
    byte[] bytes = json.getBytes(UTF_8);
    String digest = sha256(bytes);
    HttpResponse<byte[]> put =
        send(
            HttpRequest.newBuilder(
                    URI.create(
                        "http://"
                            + source.host()
                            + "/v2/"
                            + repository
                            + "/manifests/"
                            + (tag == null ? digest : tag)))
                .header("Content-Type", type)
                .PUT(HttpRequest.BodyPublishers.ofByteArray(bytes)));
    assertThat(put.statusCode()).as(new String(put.body(), UTF_8)).isEqualTo(201);
    return new Pushed(digest, type, bytes);
  }

  private byte[] bytes(int count) {
    byte[] bytes = new byte[count];
    random.nextBytes(bytes);
    return bytes;
  }

  private String config(String repository) {
    return blob(
        repository,
        CONFIG,
        ("{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"author\":\""
                + random.nextLong()
                + "\"}")
            .getBytes(UTF_8));
  }

  /** An image of some layers, given as descriptors. */
  private Pushed image(String repository, String tag, String... layers) {
    return manifest(
        repository,
        tag,
        OCI,
        // The spaces and the order are ours: whoever writes it anew changes the digest.
        "{ \"schemaVersion\" : 2,\"mediaType\":\"%s\",\"layers\":[%s],\n\"config\":%s}"
            .formatted(OCI, String.join(",", layers), config(repository)));
  }

  private Pushed index(String repository, String tag, Map<String, Pushed> children) {
    List<String> entries = new ArrayList<>();
    children.forEach(
        (arch, child) ->
            entries.add(
                child
                    .descriptor()
                    .replace(
                        "}",
                        ",\"platform\":{\"os\":\"linux\",\"architecture\":\"" + arch + "\"}}")));
    return manifest(
        repository,
        tag,
        INDEX,
        "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[%s]}"
            .formatted(INDEX, String.join(",", entries)));
  }

  private static Path list(Path file, String host, String more, String ofSource)
      throws IOException {
    return Files.writeString(
        file,
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
              tls: {plainHTTP: true}
        %s
        """
            .formatted(more, host, ofSource));
  }

  private static List<String> command(Path list, LocalRegistry target, String... more) {
    List<String> command =
        new ArrayList<>(
            Lab.mirror(
                List.of("-XX:+UseSerialGC"),
                "sync",
                "-f",
                list.toString(),
                "--to",
                target.host(),
                "--plain-http",
                "-o",
                "json"));
    command.addAll(List.of(more));
    return command;
  }

  private Lab.Result sync(Path list, LocalRegistry target, String... more) {
    return Lab.run(Duration.ofMinutes(2), Map.of(), command(list, target, more));
  }

  private byte[] at(LocalRegistry registry, String repository, String identifier) {
    HttpResponse<byte[]> answer = get(registry, "/v2/" + repository + "/manifests/" + identifier);
    return answer.statusCode() == 200 ? answer.body() : new byte[0];
  }

  /** Everything below a manifest is there and is what its digest promises; gives all digests. */
  private Set<String> whole(LocalRegistry registry, String repository, String identifier) {
    Set<String> seen = new HashSet<>();
    byte[] top = at(registry, repository, identifier);
    assertThat(top).as("dangling: " + repository + ":" + identifier).isNotEmpty();
    Matcher digests = DIGEST.matcher(new String(top, UTF_8).replaceFirst("\"subject\".*", ""));
    boolean isIndex = new String(top, UTF_8).contains("\"manifests\"");
    while (digests.find()) {
      String digest = digests.group();
      if (new String(top, UTF_8).contains("foreign")
          && status(registry, "/v2/" + repository + "/blobs/" + digest) == 404) {
        continue;
      }
      if (isIndex) {
        seen.addAll(whole(registry, repository, digest));
      } else {
        HttpResponse<byte[]> blob = get(registry, "/v2/" + repository + "/blobs/" + digest);
        assertThat(blob.statusCode()).as(repository + "@" + digest).isEqualTo(200);
        assertThat(sha256(blob.body())).isEqualTo(digest);
        seen.add(digest);
      }
    }
    seen.add(sha256(top));
    return seen;
  }

  @Test
  void everyKindOfImageArrivesAsTheBytesItIs() throws Exception {
    String shared = blob("kinds", LAYER, bytes(200_000));
    Map<String, Pushed> wanted = new TreeMap<>();
    wanted.put("oci", image("kinds", "oci", shared));
    wanted.put(
        "docker",
        manifest(
            "kinds",
            "docker",
            DOCKER,
            "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":%s,\"layers\":[%s]}"
                .formatted(
                    DOCKER,
                    config("kinds")
                        .replace(CONFIG, "application/vnd.docker.container.image.v1+json"),
                    shared.replace(LAYER, "application/vnd.docker.image.rootfs.diff.tar.gzip"))));
    wanted.put("zstd", image("kinds", "zstd", blob("kinds", LAYER + "+zstd", bytes(70_000))));
    wanted.put("no-layers", image("kinds", "no-layers"));
    wanted.put(
        "foreign",
        manifest(
            "kinds",
            "foreign",
            DOCKER,
            "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":%s,\"layers\":[{\"mediaType\":\"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip\",\"digest\":\"%s\",\"size\":9,\"urls\":[\"https://vendor.example/layer\"]},%s]}"
                .formatted(
                    DOCKER,
                    config("kinds")
                        .replace(CONFIG, "application/vnd.docker.container.image.v1+json"),
                    sha256(new byte[9]),
                    shared.replace(LAYER, "application/vnd.docker.image.rootfs.diff.tar.gzip"))));
    Pushed amd = image("kinds", null, shared, blob("kinds", LAYER, bytes(10_000)));
    Pushed arm = image("kinds", null, blob("kinds", LAYER, bytes(10_000)));
    Pushed index = index("kinds", "index", new TreeMap<>(Map.of("amd64", amd, "arm64", arm)));
    wanted.put("index", index);
    wanted.put("nested", index("kinds", "nested", Map.of("amd64", index)));
    String empty = blob("kinds", "application/vnd.oci.empty.v1+json", "{}".getBytes(UTF_8));
    wanted.put(
        "artifact",
        manifest(
            "kinds",
            "artifact",
            OCI,
            "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"artifactType\":\"application/x-chart\",\"config\":%s,\"layers\":[%s]}"
                .formatted(OCI, empty, blob("kinds", "application/x-chart", bytes(5_000)))));
    // A signature of a child as cosign leaves it, and a bill of material of the index by subject.
    String signature = amd.digest().replace(':', '-') + ".sig";
    wanted.put(signature, image("kinds", signature, blob("kinds", LAYER, bytes(300))));
    Pushed sbom =
        manifest(
            "kinds",
            null,
            OCI,
            "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"artifactType\":\"application/x-sbom\",\"config\":%s,\"layers\":[%s],\"subject\":%s}"
                .formatted(OCI, empty, empty, index.descriptor()));
    String fallback = index.digest().replace(':', '-');
    wanted.put(
        fallback,
        manifest(
            "kinds",
            fallback,
            INDEX,
            "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[%s]}"
                .formatted(INDEX, sbom.descriptor())));

    LocalRegistry target = registry("target");
    Path list =
        list(
            directory.resolve("list.yaml"),
            source.host(),
            "",
            "      repositories: {include: ['^kinds$']}");
    sync(list, target).orFail();
    wanted.forEach(
        (tag, pushed) -> {
          assertThat(at(target, "kinds", tag)).as(tag).isEqualTo(pushed.bytes());
          whole(target, "kinds", tag);
        });
    String crane = Lab.tool("crane");
    for (String tag : List.of("oci", "docker", "index", "nested", "artifact")) {
      assertThat(
              Lab.run(
                      Duration.ofSeconds(30),
                      Map.of(),
                      List.of(crane, "digest", "--insecure", target.host() + "/kinds:" + tag))
                  .orFail()
                  .line())
          .isEqualTo(wanted.get(tag).digest());
    }
    Path skopeo = Path.of("/usr/bin/skopeo");
    Lab.require(Files.isExecutable(skopeo), "skopeo is not installed");
    Lab.run(
            Duration.ofSeconds(60),
            Map.of(),
            List.of(
                skopeo.toString(),
                "copy",
                "--all",
                "--preserve-digests",
                "--src-tls-verify=false",
                "docker://" + target.host() + "/kinds:index",
                "dir:" + directory.resolve("skopeo")))
        .orFail();

    int before = blobReads(source).size();
    Lab.Result again = sync(list, target).orFail();
    assertThat(again.out()).contains("\"copied\":0", "\"failed\":0", "\"bytes\":0");
    assertThat(blobReads(source)).hasSize(before);

    // What is signed later comes with the next run.
    String late = arm.digest().replace(':', '-') + ".sig";
    Pushed second = image("kinds", late, blob("kinds", LAYER, bytes(300)));
    sync(list, target).orFail();
    assertThat(at(target, "kinds", late)).isEqualTo(second.bytes());

    // What is not selected any more goes, by its tag: what shares its digest stays.
    manifest("kinds", "alias", OCI, new String(wanted.get("oci").bytes(), UTF_8));
    sync(list, target).orFail();
    assertThat(at(target, "kinds", "alias")).isNotEmpty();
    list(
        list,
        source.host(),
        "  blockedImages: [':alias$']\n  prune: {mode: Delete, gracePeriod: 0s, maxDeletePercent: 50, protectInUse: false}",
        "      repositories: {include: ['^kinds$']}");
    assertThat(sync(list, target).orFail().out()).contains("\"pruned\":1");
    assertThat(at(target, "kinds", "alias")).isEmpty();
    assertThat(at(target, "kinds", "oci")).isEqualTo(wanted.get("oci").bytes());
    assertThat(at(target, "mirror-operator/reports", "test.it")).isNotEmpty();
  }

  @Test
  void aPlatformFilterKeepsTheIndexAndItsDigest() throws Exception {
    Pushed amd = image("some", null, blob("some", LAYER, bytes(10_000)));
    Pushed arm = image("some", null, blob("some", LAYER, bytes(10_000)));
    Pushed index = index("some", "1", new TreeMap<>(Map.of("amd64", amd, "arm64", arm)));
    LocalRegistry target = registry("target");
    Path list =
        list(
            directory.resolve("list.yaml"),
            source.host(),
            "",
            "      images: ['some:1']\n      platforms: [linux/arm64]");
    sync(list, target).orFail();
    assertThat(at(target, "some", "1")).isEqualTo(index.bytes());
    whole(target, "some", arm.digest());
    assertThat(at(target, "some", amd.digest())).isEmpty();
  }

  private static List<String> looks(LocalRegistry registry) throws IOException {
    return logged(registry, "HEAD /v2/some/manifests/([^ ]*)");
  }

  @Test
  void aListThatComparesWithItsLedgerAsksTheTargetForFewTagsThatItLists() throws Exception {
    List<String> tags = IntStream.rangeClosed(1, 40).mapToObj(String::valueOf).toList();
    for (String tag : tags) {
      image("some", tag, blob("some", LAYER, bytes(10_000)));
    }
    LocalRegistry target = registry("target");
    Path list =
        list(
            directory.resolve("list.yaml"),
            source.host(),
            "  compare: Ledger",
            "      images: ['some']");
    sync(list, target).orFail();
    List<String> before = looks(target);
    assertThat(sync(list, target).orFail().out()).contains("\"skipped\":40");
    // One of eight, at random.
    assertThat(looks(target)).hasSizeLessThan(before.size() + 25);

    // Gone by its tag, and with its digest: a registry lists neither.
    for (String gone : List.of("1", sha256(at(target, "some", "2")))) {
      URI place = URI.create("http://" + target.host() + "/v2/some/manifests/" + gone);
      assertThat(send(HttpRequest.newBuilder(place).DELETE()).statusCode()).isEqualTo(202);
    }
    assertThat(sync(list, target).orFail().out()).contains("\"copied\":2", "\"skipped\":38");
    for (String tag : tags) {
      assertThat(at(target, "some", tag)).isEqualTo(at(source, "some", tag));
      whole(target, "some", tag);
    }
  }

  @Test
  void dockersSchema1IsRefusedByName() throws Exception {
    HttpServer old =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    old.createContext(
        "/v2/",
        exchange -> {
          byte[] body =
              exchange.getRequestURI().getPath().contains("/manifests/")
                  ? "{\"schemaVersion\":1,\"name\":\"old\",\"tag\":\"1\",\"fsLayers\":[]}"
                      .getBytes(UTF_8)
                  : "{\"name\":\"old\",\"tags\":[\"1\"]}".getBytes(UTF_8);
          exchange
              .getResponseHeaders()
              .set("Content-Type", "application/vnd.docker.distribution.manifest.v1+prettyjws");
          boolean head = exchange.getRequestMethod().equals("HEAD");
          exchange.sendResponseHeaders(200, head ? -1 : body.length);
          if (!head) {
            exchange.getResponseBody().write(body);
          }
          exchange.close();
        });
    old.start();
    try {
      LocalRegistry target = registry("target");
      Path list =
          list(
              directory.resolve("list.yaml"),
              "127.0.0.1:" + old.getAddress().getPort(),
              "",
              "      images: ['old:1']");
      Lab.Result result = sync(list, target);
      assertThat(result.code()).isEqualTo(1);
      assertThat(result.out()).contains("UnsupportedMediaType", "schema 1");
      assertThat(at(target, "old", "1")).isEmpty();
    } finally {
      old.stop(0);
    }
  }

  private static List<String> blobReads(LocalRegistry registry) throws IOException {
    return logged(registry, "GET /v2/[^ ]*/blobs/(sha256:[0-9a-f]{64}) HTTP");
  }

  /** What the group of a pattern is in the requests that a registry was sent, in their order. */
  private static List<String> logged(LocalRegistry registry, String request) throws IOException {
    return Pattern.compile('"' + request)
        .matcher(Files.readString(registry.log()))
        .results()
        .map(found -> found.group(1))
        .toList();
  }

  @Test
  void aKilledRunIsFinishedByTheNextOne() throws Exception {
    int rounds = Integer.getInteger("mirror.rounds", 3);
    long seed = Long.getLong("mirror.seed", 1);
    String base = null;
    byte[] shared = bytes(2_000_000);
    Map<String, Pushed> wanted = new TreeMap<>();
    for (int repository = 0; repository < 6; repository++) {
      for (int tag = 0; tag < 3; tag++) {
        String name = "app" + repository;
        base = blob(name, LAYER, shared);
        Pushed one = image(name, null, base, blob(name, LAYER, bytes(150_000)));
        Pushed two = image(name, null, base, blob(name, LAYER, bytes(150_000)));
        wanted.put(
            name + ":" + tag,
            index(name, "" + tag, new TreeMap<>(Map.of("amd64", one, "arm64", two))));
      }
    }
    Path list =
        list(
            directory.resolve("list.yaml"),
            source.host(),
            "  concurrency: {images: 2, blobs: 2}",
            "      repositories: {include: ['^app']}\n      limits: {requestsPerSecond: 150}");
    LocalRegistry first = registry("measure");
    long start = System.nanoTime();
    sync(list, first).orFail();
    long whole = (System.nanoTime() - start) / 1_000_000;
    first.close();
    int killed = 0;
    int repeated = 0;
    int round = 0;
    for (; killed < rounds; round++) {
      assertThat(round).as("runs that end before they are killed").isLessThan(3 * rounds + 10);
      Random moments = new Random(seed + round);
      LocalRegistry target = registry("target" + round);
      int reading = blobReads(source).size();
      Process run =
          new ProcessBuilder(command(list, target))
              .redirectErrorStream(true)
              .redirectOutput(directory.resolve("killed.log").toFile())
              .start();
      processes.add(run);
      long began = System.nanoTime();
      boolean ended = run.waitFor(whole / 5 + moments.nextLong(whole), TimeUnit.MILLISECONDS);
      if (ended) {
        // The machine was busier when it was measured.
        whole = Math.min(whole, (System.nanoTime() - began) / 1_000_000);
      }
      run.destroyForcibly().waitFor();
      String what = "seed " + (seed + round) + (ended ? ", ended" : ", killed");
      killed += ended ? 0 : 1;
      for (String image : wanted.keySet()) {
        String[] parts = image.split(":");
        if (at(target, parts[0], parts[1]).length > 0) {
          whole(target, parts[0], parts[1]);
        }
      }
      Set<String> there = target.stored();
      int before = blobReads(source).size();
      Set<String> started = new HashSet<>(blobReads(source).subList(reading, before));
      Lab.Result result = sync(list, target);
      assertThat(result.code()).as(what + ": " + result.err()).isZero();
      List<String> reads = blobReads(source);
      List<String> fetched = reads.subList(before, reads.size());
      assertThat(fetched)
          .as(what + ": a finished blob is fetched again")
          .noneMatch(there::contains);
      assertThat(fetched).as(what + ": a blob is fetched twice").doesNotHaveDuplicates();
      Set<String> again = new HashSet<>(fetched);
      again.retainAll(started);
      assertThat(again).as(what + ": more than one blob a worker is repeated").hasSizeLessThan(5);
      repeated += again.size();
      for (Map.Entry<String, Pushed> image : wanted.entrySet()) {
        String[] parts = image.getKey().split(":");
        assertThat(at(target, parts[0], parts[1])).as(what).isEqualTo(image.getValue().bytes());
        whole(target, parts[0], parts[1]);
      }
      target.close();
      delete(target.storage());
    }
    System.out.printf(
        "kill test: %d runs, %d of them killed in time, %d blobs repeated, %d ms a run%n",
        round, killed, repeated, whole);
  }

  private static void delete(Path tree) throws IOException {
    try (var files = Files.walk(tree)) {
      for (Path path : files.sorted(java.util.Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }
}
