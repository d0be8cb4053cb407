package io.kubic.mirrors.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.sync.Termination;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
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

/**
 * {@code limits.requestsPerSecond} as the upstream sees it: with tokens of its own realm and
 * redirects, two sources, several repositories and everything at once.
 */
class RateLimitTest {
  private static final int PER_SECOND = 20;
  private static final String LAYER = "layer";
  private static final String MANIFEST =
      """
      {"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"application/x",\
      "digest":"%s","size":%d},"layers":[]}"""
          .formatted(MediaTypes.OCI_MANIFEST, Digest.of(LAYER.getBytes(UTF_8)), LAYER.length());

  @TempDir private Path directory;
  private final MockWebServer upstream = new MockWebServer();
  private final MockWebServer target = new MockWebServer();
  private final List<Long> arrivals = Collections.synchronizedList(new ArrayList<>());
  private final List<String> asked = Collections.synchronizedList(new ArrayList<>());
  private long began;
  private boolean told;

  @BeforeEach
  void start() throws IOException {
    answer(
        upstream,
        request -> {
          arrivals.add(System.nanoTime());
          asked.add(request.getUrl().encodedPath());
          MockResponse answer = upstream(request);
          return told
              ? answer
                  .newBuilder()
                  .addHeader("ratelimit-limit", "100;w=3600")
                  .addHeader("ratelimit-remaining", "77;w=3600")
                  .build()
              : answer;
        });
    answer(target, RateLimitTest::target);
    upstream.start();
    target.start();
  }

  @AfterEach
  void stop() {
    upstream.close();
    target.close();
  }

  private static void answer(MockWebServer server, Function<RecordedRequest, MockResponse> script) {
    server.setDispatcher(
        new Dispatcher() {
          @Override
          public MockResponse dispatch(RecordedRequest request) {
            return script.apply(request);
          }
        });
  }

  /** A registry with tokens of its own, whose blobs are elsewhere on the same host. */
  private MockResponse upstream(RecordedRequest request) {
    String path = request.getUrl().encodedPath();
    if (path.equals("/token")) {
      String scope = String.valueOf(request.getUrl().queryParameter("scope"));
      return json("{\"token\":\"" + scope.replaceAll("[^a-z0-9]", "-") + "\"}");
    }
    if (path.startsWith("/storage/")) {
      return new MockResponse.Builder().code(200).body(LAYER).build();
    }
    String repository = path.replaceAll("^/v2/([^/]*).*", "$1");
    String wanted = "Bearer repository-" + repository + "-pull";
    if (!path.equals("/v2/") && !wanted.equals(request.getHeaders().get("Authorization"))) {
      return status(401)
          .addHeader(
              "WWW-Authenticate",
              "Bearer realm=\""
                  + upstream.url("/token")
                  + "\",scope=\"repository:"
                  + repository
                  + ":pull\"")
          .build();
    }
    if (path.endsWith("/tags/list")) {
      return json("{\"tags\":[\"1\",\"2\",\"3\"]}");
    }
    if (path.contains("/blobs/")) {
      return status(307).addHeader("Location", "/storage/" + repository).build();
    }
    if (path.contains("/manifests/sha256-") || path.contains("/referrers/")) {
      return status(404).build();
    }
    MockResponse.Builder manifest =
        status(200)
            .addHeader("Content-Type", MediaTypes.OCI_MANIFEST)
            .addHeader("Docker-Content-Digest", Digest.of(MANIFEST.getBytes(UTF_8)).toString());
    return request.getMethod().equals("HEAD")
        ? manifest.addHeader("Content-Length", MANIFEST.length()).build()
        : manifest.body(MANIFEST).build();
  }

  /** Takes everything; of what it is asked for it has blobs only. */
  private static MockResponse target(RecordedRequest request) {
    String path = request.getUrl().encodedPath();
    return switch (request.getMethod()) {
      case "POST" -> status(202).addHeader("Location", path + "u").build();
      case "PATCH" -> status(202).addHeader("Location", path).build();
      case "PUT" -> {
        String digest = request.getUrl().queryParameter("digest");
        yield status(201)
            .addHeader(
                "Docker-Content-Digest",
                digest == null ? Digest.of(request.getBody().toByteArray()).toString() : digest)
            .build();
      }
      case "GET" ->
          path.equals("/v2/")
              ? json("{}")
              : path.contains("/blobs/")
                  ? new MockResponse.Builder().code(200).body(LAYER).build()
                  : status(404).build();
      default -> status(404).build();
    };
  }

  private static MockResponse.Builder status(int code) {
    return new MockResponse.Builder().code(code);
  }

  private static MockResponse json(String body) {
    return status(200).addHeader("Content-Type", "application/json").body(body).build();
  }

  private String list() throws IOException {
    String source =
        """
          - registry: "localhost:%d"
            name: %s
            images: [%s]
            tls: {plainHTTP: true}
            limits: {requestsPerSecond: %d}
        """;
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
          sources:
        """
            + source.formatted(upstream.getPort(), "one", "a, b, c", PER_SECOND)
            + source.formatted(upstream.getPort(), "two", "d, e", 2 * PER_SECOND));
    return file.toString();
  }

  private String to() {
    return "localhost:" + target.getPort();
  }

  private String run(String... arguments) {
    StringWriter written = new StringWriter();
    CommandLine line = CommandLines.create();
    line.setOut(new PrintWriter(written));
    line.setErr(new PrintWriter(written));
    arrivals.clear();
    asked.clear();
    began = System.nanoTime();
    int code = line.execute(arguments);
    assertThat(code).as(written.toString()).isZero();
    return written.toString();
  }

  /** No request came earlier than the budget allows, counted from the beginning. */
  private void assertPaced(double perSecond, int atLeast) {
    assertThat(arrivals).hasSizeGreaterThanOrEqualTo(atLeast);
    List<Long> sorted = arrivals.stream().sorted().toList();
    for (int i = 0; i < sorted.size(); i++) {
      Duration at = Duration.ofNanos(sorted.get(i) - began);
      assertThat(at)
          .as("request %d of %d: %s", i + 1, sorted.size(), asked)
          .isGreaterThanOrEqualTo(Duration.ofNanos((long) (i * 1e9 / perSecond)));
    }
  }

  @Test
  void aSyncNeverAsksMoreOfTheUpstreamThanTheStricterOfItsSourcesAllows() throws IOException {
    assertThat(run("sync", "-f", list(), "--to", to(), "--plain-http", "-q")).contains("15 copied");
    assertThat(asked).contains("/token").anyMatch(path -> path.startsWith("/storage/"));
    assertPaced(PER_SECOND, 30);
  }

  @Test
  void aRunTellsWhatTheRegistryToldOfItsLimits() throws IOException {
    told = true;
    Path log = directory.resolve("log");
    run("sync", "-f", list(), "--to", to(), "--plain-http", "-q", "--termination-log", "" + log);
    assertQuotas(log);
    Path other = directory.resolve("other");
    run(
        "export",
        "-f",
        list(),
        "--to",
        directory.resolve("bundle").toString(),
        "-q",
        "--termination-log",
        other.toString());
    assertQuotas(other);
  }

  private static void assertQuotas(Path log) throws IOException {
    assertThat(Termination.parse(Files.readString(log)).orElseThrow().sources())
        .hasSize(2)
        .extracting(Termination.Source::rateLimit)
        .allSatisfy(
            quota -> {
              assertThat(quota.limit()).isEqualTo(100);
              assertThat(quota.window()).isEqualTo(3600);
              // The last answer's word, less what was spent since.
              assertThat(quota.remaining()).isBetween(50, 77);
              assertThat(quota.throttled()).isZero();
            });
  }

  @Test
  void aPlanKeepsToItToo() throws IOException {
    run("plan", "-f", list());
    assertPaced(PER_SECOND, 30);
  }

  @Test
  void anExportKeepsToItToo() throws IOException {
    run("export", "-f", list(), "--to", directory.resolve("bundle").toString(), "-q");
    assertPaced(PER_SECOND, 30);
  }

  @Test
  void onePartOfARunKeepsToItsShare() throws IOException {
    for (int part = 0; part < 2; part++) {
      run("sync", "-f", list(), "--to", to(), "--plain-http", "-q", "--shard", part + "/2");
      assertPaced(PER_SECOND / 2.0, 9);
    }
  }
}
