package io.kubic.mirrors.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import mockwebserver3.Dispatcher;
import mockwebserver3.MockResponse;
import mockwebserver3.MockWebServer;
import mockwebserver3.RecordedRequest;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** Every command that looks into registries, against one that is played. */
class ListingCommandsTest {
  private static final String TYPE = "application/vnd.oci.image.manifest.v1+json";

  @TempDir private Path directory;
  private final MockWebServer server = new MockWebServer();
  private final List<String> requests = Collections.synchronizedList(new ArrayList<>());
  private final Map<String, Map<String, String>> tags = new HashMap<>();
  private Function<String, MockResponse> special = any -> null;
  private String out = "";
  private String err = "";

  @BeforeEach
  void start() throws IOException {
    server.setDispatcher(
        new Dispatcher() {
          @Override
          public MockResponse dispatch(RecordedRequest request) {
            return answer(request.getMethod() + " " + request.getTarget());
          }
        });
    server.start();
    for (String tag : List.of("1.0", "1.0-1", "1.0-2", "latest")) {
      image("kubic/demo", tag, tag.equals("1.0") || tag.equals("latest") ? "1.0-2" : tag);
    }
    image("opensuse/leap", "15.2", "leap");
  }

  @AfterEach
  void stop() {
    server.close();
  }

  private void image(String repository, String tag, String content) {
    tags.computeIfAbsent(repository, any -> new java.util.TreeMap<>())
        .put(
            tag,
            """
            {"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"application/x",\
            "digest":"sha256:%s","size":10},"layers":[]}"""
                .formatted(TYPE, hex(content.getBytes(StandardCharsets.UTF_8))));
  }

  private static String hex(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (java.security.NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  private static String digest(String manifest) {
    return "sha256:" + hex(manifest.getBytes(StandardCharsets.UTF_8));
  }

  private MockResponse answer(String request) {
    requests.add(request);
    MockResponse other = special.apply(request);
    return other != null ? other : usual(request);
  }

  private MockResponse usual(String request) {
    String path = request.substring(request.indexOf(' ') + 1);
    if (path.equals("/v2/")) {
      return json("{}");
    }
    if (path.startsWith("/v2/_catalog")) {
      return json("{\"repositories\":[\"" + String.join("\",\"", tags.keySet()) + "\"]}");
    }
    for (Map.Entry<String, Map<String, String>> one : tags.entrySet()) {
      String base = "/v2/" + one.getKey() + "/";
      if (path.startsWith(base + "tags/list")) {
        return json(
            "{\"name\":\"x\",\"tags\":[\""
                + String.join("\",\"", one.getValue().keySet())
                + "\"]}");
      }
      for (Map.Entry<String, String> image : one.getValue().entrySet()) {
        String digest = digest(image.getValue());
        if (path.equals(base + "manifests/" + image.getKey())
            || path.equals(base + "manifests/" + digest)) {
          if (request.startsWith("DELETE")) {
            return new MockResponse.Builder().code(202).build();
          }
          MockResponse.Builder answer =
              new MockResponse.Builder()
                  .code(200)
                  .addHeader("Content-Type", TYPE)
                  .addHeader("Docker-Content-Digest", digest);
          return request.startsWith("HEAD")
              ? answer
                  .addHeader("Content-Length", String.valueOf(image.getValue().length()))
                  .build()
              : answer.body(image.getValue()).build();
        }
      }
    }
    return new MockResponse.Builder().code(404).body("{\"errors\":[]}").build();
  }

  /** The usual answer, with the quota as Docker Hub tells it. */
  private MockResponse metered(String request, int remaining) {
    return usual(request)
        .newBuilder()
        .addHeader("ratelimit-limit", "100;w=21600")
        .addHeader("ratelimit-remaining", remaining + ";w=21600")
        .build();
  }

  private static MockResponse json(String body) {
    return new MockResponse.Builder()
        .code(200)
        .addHeader("Content-Type", "application/json")
        .body(body)
        .build();
  }

  private String host() {
    return "localhost:" + server.getPort();
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

  private String list(String source) throws IOException {
    return list("", source);
  }

  private String list(String spec, String source) throws IOException {
    Path file = directory.resolve("list.yaml");
    Files.writeString(
        file,
        """
        apiVersion: mirrors.kubic.io/v1alpha1
        kind: MirrorList
        metadata: {name: kubic}
        spec:
          registryRef: {name: mirror}
          retry: {limit: 0}
        %s
          sources:
          - registry: "%s"
            tls: {plainHTTP: true}
        %s
        """
            .formatted(spec.indent(2), host(), source.indent(4)));
    return file.toString();
  }

  private static final String KUBIC =
      """
      repositories: {include: ["^kubic"]}
      tags: {select: LatestBuild}
      """;

  @Test
  void aPlanAnswersWhatHowManyHowBigHowLongInEightyColumns() throws Exception {
    assertThat(run("plan", "-f", list(KUBIC))).as(err).isZero();
    assertThat(out.lines()).allMatch(line -> line.length() <= 80);
    assertThat(out)
        .contains("kubic/demo", "1.0-2", "latest", "copy")
        .doesNotContain("1.0-1 ")
        .contains("what:     3 images in 1 repository, 1 different digest")
        .contains("how many: 3 to copy")
        .contains("how big:")
        .contains("how long: about")
        .contains("1 repository of 2, 3 images of 4 tags selected")
        .contains("plan:     ");
  }

  @Test
  void requestsAreCountedAndOneListingServesSelectionAndSignatures() throws Exception {
    assertThat(run("plan", "-f", list(KUBIC), "-o", "json")).isZero();
    JsonNode cost = new ObjectMapper().readTree(out).path("cost");
    assertThat(cost.path("listingRequests").asInt()).isEqualTo(2);
    // One for each tag, and one that finds that there is no referrers API.
    assertThat(cost.path("sourceRequests").asInt()).isEqualTo(4);
    assertThat(requests).filteredOn(r -> r.contains("tags/list")).hasSize(1);
    requests.clear();
    assertThat(run("plan", "-f", list(KUBIC), "-o", "json", "--sizes", "none")).isZero();
    assertThat(new ObjectMapper().readTree(out).at("/cost/requestsPerImage").asText())
        .isEqualTo("1.000");
    assertThat(requests).filteredOn(r -> r.startsWith("HEAD")).hasSize(3);
    assertThat(requests).noneMatch(r -> r.startsWith("GET") && r.contains("manifests"));
  }

  @Test
  void theFooterTellsRequestsForEachSelectedTag() throws Exception {
    assertThat(run("plan", "-f", list(KUBIC), "--sizes", "none")).isZero();
    assertThat(out.lines())
        .anyMatch(l -> l.matches("asked: +2 requests to list, 3 to look \\(1.00 per image\\).*"));
  }

  @Test
  void aPlanLeavesOthersTheirPartOfTheQuotaAndSaysWhatItCouldNotSee() throws Exception {
    for (int i = 0; i < 20; i++) {
      image("hub/many" + i % 4, "t" + i, "content " + i);
    }
    AtomicInteger left = new AtomicInteger(12);
    special =
        request -> {
          if (!request.contains("/manifests/")) {
            return null;
          }
          // As at Docker Hub: a GET of a manifest counts, a HEAD does not.
          int remaining = request.startsWith("GET") ? left.decrementAndGet() : left.get();
          return metered(request, remaining);
        };
    assertThat(
            run(
                "plan",
                "-f",
                list(
                    """
                    repositories: {include: ["^hub/"]}
                    limits: {minRemaining: 4}
                    includeReferrers: false
                    """)))
        .as(err)
        .isOne();
    assertThat(left.get()).isEqualTo(4);
    assertThat(requests.stream().filter(r -> r.startsWith("GET") && r.contains("/manifests/")))
        .hasSize(8);
    assertThat(err).contains("RateLimited", "limits.minRemaining keeps them for others");
    assertThat(out).contains("20 images", "12 that cannot be planned", "INCOMPLETE");
  }

  @Test
  void aRegistryThatAsksForAPauseGetsItOnceForAllRepositories() throws Exception {
    for (int i = 0; i < 10; i++) {
      image("hub/many" + i, "1", "content " + i);
    }
    AtomicBoolean refused = new AtomicBoolean();
    special =
        request ->
            request.contains("/manifests/") && refused.compareAndSet(false, true)
                ? new MockResponse.Builder().code(429).addHeader("Retry-After", "1").build()
                : null;
    long start = System.nanoTime();
    String file = list("repositories: {include: [\"^hub/\"]}\nlimits: {maxConcurrent: 1}\n");
    Files.writeString(
        Path.of(file), Files.readString(Path.of(file)).replace("limit: 0", "limit: 1"));
    assertThat(run("plan", "-f", file, "--sizes", "none")).as(err).isZero();
    assertThat(System.nanoTime() - start).isBetween(1_000_000_000L, 8_000_000_000L);
    assertThat(requests.stream().filter(r -> r.startsWith("HEAD"))).hasSize(11);
  }

  @Test
  void theJsonOfAPlanIsALockThatReplaysIt() throws Exception {
    assertThat(run("plan", "-f", list(KUBIC), "-o", "json")).isZero();
    JsonNode plan = new ObjectMapper().readTree(out);
    Path lock = Files.writeString(directory.resolve("lock.json"), out);
    image("kubic/demo", "latest", "moved");
    image("kubic/demo", "1.0-3", "moved");
    requests.clear();
    assertThat(run("plan", "-f", list(KUBIC), "-o", "yaml", "--lock", lock.toString())).isZero();
    assertThat(out).contains("hash: \"" + plan.path("hash").asText() + "\"");
    assertThat(requests).noneMatch(r -> r.contains("_catalog"));
  }

  @Test
  void aListThatCannotBeReadWholeIsNoSuccess() throws Exception {
    special =
        request ->
            request.contains("kubic/demo/tags")
                ? new MockResponse.Builder().code(500).build()
                : null;
    assertThat(run("plan", "-f", list("repositories: {include: [\".\"]}"))).isOne();
    assertThat(out).contains("INCOMPLETE", "opensuse/leap");
    assertThat(err).contains("kubic/demo", "ServerError");
  }

  @Test
  void aRegistryWithoutACatalogNamesTheWayOut() throws Exception {
    special =
        request ->
            request.contains("_catalog") ? new MockResponse.Builder().code(404).build() : null;
    assertThat(run("plan", "-f", list(KUBIC))).isNotZero();
    assertThat(err).contains("DiscoveryUnsupported", "spec.sources[0].images");
  }

  @Test
  void anExplodingSelectionIsRefusedBeforeAnyManifestIsAskedFor() throws Exception {
    assertThat(run("plan", "-f", list("guard: {maxImages: 2}", KUBIC))).isEqualTo(3);
    assertThat(err).contains("GuardExceeded");
    assertThat(requests).noneMatch(r -> r.contains("manifests"));
  }

  @Test
  void controlCharactersOfARegistryNeverReachTheTerminal() throws Exception {
    special =
        request ->
            request.contains("kubic/demo/tags")
                ? json("{\"tags\":[\"1.0\",\"1.0\",\"e\\u001b[31mvil\",\"a\\nb\"]}")
                : null;
    assertThat(run("plan", "-f", list(KUBIC))).isOne();
    assertThat(err).contains("MalformedResponse").doesNotContain("\u001b");
    assertThat(err.lines()).hasSize(1);
    assertThat(out).contains("1 image ");
  }

  @Test
  void hostilePatternsAreRefusedByTheirPath() throws Exception {
    for (String pattern :
        List.of("(", "(?=x)", "\\\\1", "((a{1,1000}){1,1000}){1,1000}", "x".repeat(5000))) {
      assertThat(run("plan", "-f", list("repositories: {include: [\"" + pattern + "\"]}")))
          .as(pattern)
          .isEqualTo(2);
      assertThat(err).contains("spec.sources[0].repositories.include[0]");
    }
    assertThat(requests).isEmpty();
  }

  @Test
  void lsListsAsATableAsJsonAndAsRegDoes() throws Exception {
    assertThat(run("ls", host(), "--plain-http")).isZero();
    assertThat(out).contains("kubic/demo     4     1.0-2");
    assertThat(run("ls", host(), "^kubic", "--plain-http", "-o", "json")).isZero();
    assertThat(new ObjectMapper().readTree(out).at("/repositories/0/tags")).hasSize(4);
    assertThat(run("ls", host(), "--plain-http", "-o", "reg")).isZero();
    assertThat(out)
        .isEqualTo(
            """
            Repositories for %s
            REPO                TAGS
            kubic/demo          1.0, 1.0-1, 1.0-2, latest
            opensuse/leap       15.2
            """
                .formatted(host()));
  }

  @Test
  void tagsDigestAndManifestTellOfOneImage() {
    assertThat(run("tags", host() + "/kubic/demo", "--plain-http")).isZero();
    assertThat(out.lines()).contains("1.0", "latest");
    String manifest = tags.get("kubic/demo").get("1.0");
    assertThat(run("digest", host() + "/kubic/demo:1.0", "--plain-http")).isZero();
    assertThat(out.strip()).isEqualTo(digest(manifest));
    assertThat(run("manifest", host() + "/kubic/demo:1.0", "--plain-http")).isZero();
    assertThat(out).contains("application/x");
    assertThat(run("digest", host() + "/kubic/demo:none", "--plain-http")).isNotZero();
  }

  @Test
  void aRegistryAloneIsNoImageOfDockerHub() {
    for (String command : List.of("tags", "digest", "manifest", "rm")) {
      for (String registry : List.of("127.0.0.1:5000", "localhost:5000", "mirror.lan:5000")) {
        assertThat(run(command, registry)).isEqualTo(2);
        assertThat(err)
            .contains("'" + registry + "' is a registry; name a repository: " + registry + "/");
      }
    }
    assertThat(run("tags", "127.0.0.1:1/demo", "--plain-http")).isEqualTo(4);
    assertThat(err).contains("127.0.0.1:1/demo");
  }

  @Test
  void rmRemovesATagOrAManifestAndNothingByDefault() {
    assertThat(run("rm", host() + "/kubic/demo", "--plain-http")).isEqualTo(2);
    assertThat(requests).noneMatch(r -> r.startsWith("DELETE"));
    assertThat(run("rm", host() + "/kubic/demo:1.0", "--plain-http")).isZero();
    assertThat(requests).contains("DELETE /v2/kubic/demo/manifests/1.0");
    assertThat(run("rm", "--manifest", host() + "/kubic/demo:1.0", "--plain-http")).isZero();
    assertThat(requests)
        .contains("DELETE /v2/kubic/demo/manifests/" + digest(tags.get("kubic/demo").get("1.0")));
    assertThat(run("rm", host() + "/kubic/demo:none", "--plain-http")).isZero();
    assertThat(out).contains("Not there");
  }

  @Test
  void convertListReadsTheToolsAndSkopeosFiles() throws Exception {
    Path old =
        Files.writeString(
            directory.resolve("kubic-small.yaml"),
            """
            registry.opensuse.org:
              tls-verify: true
              images:
                kubic/demo:
                  - 1.10
                  - latest
            """);
    assertThat(run("convert-list", old.toString())).isZero();
    assertThat(out).contains("kubic/demo:1.10").contains("kubic/demo:latest");
    Path skopeo =
        Files.writeString(
            directory.resolve("skopeo.yaml"),
            """
            quay.io:
              credentials: {username: u, password: secret}
              images-by-tag-regex: {coreos/etcd: "^v3"}
              images-by-semver: {a/b: ">= 1.0"}
            """);
    assertThat(run("convert-list", skopeo.toString())).isZero();
    assertThat(out).contains("^v3", ">= 1.0").doesNotContain("secret");
    assertThat(err).contains("credentials are not copied").doesNotContain("secret");
    Path converted = Files.writeString(directory.resolve("converted.yaml"), out);
    // What comes out is a list that the other commands read.
    assertThat(run("why", "quay.io/other:1", "-f", converted.toString())).isOne();
    assertThat(out).contains("no: images does not name it");
  }

  @Test
  void whyWalksThroughTheRules() throws Exception {
    String file =
        list(
            "blockedImages: [\"demo:latest\"]",
            """
            repositories: {include: ["^kubic"]}
            tags: {select: LatestBuild, exclude: ["^0"]}
            """);
    assertThat(run("why", host() + "/kubic/demo:1.0-2", "-f", file)).isZero();
    assertThat(out).contains("yes: it is selected");
    assertThat(run("why", host() + "/kubic/demo:1.0-1", "-f", file)).isOne();
    assertThat(out).contains("LatestBuild keeps the newer build 1.0-2");
    assertThat(run("why", host() + "/kubic/demo:latest", "-f", file)).isOne();
    assertThat(out).contains("blockedImages[0]");
    assertThat(run("why", host() + "/opensuse/leap:15.2", "-f", file)).isOne();
    assertThat(out).contains("repositories.include");
    assertThat(run("why", host() + "/kubic/demo:9", "-f", file)).isOne();
    assertThat(out).contains("lists no tag 9");
    assertThat(run("why", "other.example/a:1", "-f", file)).isOne();
    assertThat(out).contains("has no source other.example");
  }

  @Test
  void aManualListIsNotCopiedWithoutItsHash() throws Exception {
    String file = list("approval: Manual", KUBIC);
    Path told = directory.resolve("termination");
    assertThat(
            run(
                "sync",
                "-f",
                file,
                "--to",
                host(),
                "--plain-http",
                "--approved",
                "00",
                "--termination-log",
                told.toString()))
        .isEqualTo(3);
    assertThat(Files.readString(told)).contains("AwaitingApproval", "\"images\":3");
    assertThat(requests).noneMatch(r -> r.startsWith("PUT") || r.startsWith("POST"));
    assertThat(err).contains("waits for approval");
  }

  @Test
  void verifyComparesARegistryWithWhatTheListSelects() throws Exception {
    String file = list("layout: Flat", KUBIC);
    assertThat(run("verify", host(), "--plain-http", "-f", file)).as(err).isZero();
    assertThat(out).contains("3 images as the source has them, 0 missing");
    assertThat(run("verify", host(), "--plain-http", "-f", list(KUBIC))).isOne();
    assertThat(out).contains("missing or different: " + host() + "/localhost_");
    file = list("layout: Flat", KUBIC);
    assertThat(run("verify", host(), "--plain-http", "-f", file, "-o", "json")).isZero();
    assertThat(new ObjectMapper().readTree(out).path("same").asInt()).isEqualTo(3);
  }

  @Test
  void aLockedListNeedsItsLock() throws Exception {
    assertThat(run("plan", "-f", list("lock: {configMapRef: {name: kubic-lock}}", KUBIC)))
        .isEqualTo(2);
    assertThat(err).contains("--lock");
  }
}
