package io.kubic.mirrors.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.Jvm;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.sync.Termination;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import mockwebserver3.Dispatcher;
import mockwebserver3.MockResponse;
import mockwebserver3.MockWebServer;
import mockwebserver3.RecordedRequest;
import mockwebserver3.SocketEffect;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

/** How a sync ends, and what its termination message says, against one registry for all. */
class SyncEndingsTest {
  private static final String BLOB = "{}";
  private static final String MANIFEST =
      """
      {"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"application/x",\
      "digest":"%s","size":%d},"layers":[]}"""
          .formatted(
              MediaTypes.OCI_MANIFEST,
              Digest.of(BLOB.getBytes(StandardCharsets.UTF_8)),
              BLOB.length());

  @TempDir private Path directory;
  private final MockWebServer server = new MockWebServer();
  private Function<String, MockResponse> special = any -> null;
  private String written = "";

  @BeforeEach
  void start() throws IOException {
    server.setDispatcher(
        new Dispatcher() {
          @Override
          public MockResponse dispatch(RecordedRequest request) {
            MockResponse other = special.apply(request.getMethod() + " " + request.getTarget());
            return other != null ? other : usual(request);
          }
        });
    server.start();
  }

  @AfterEach
  void stop() {
    server.close();
  }

  /** Has every repository below {@code up}, each with tag 1, and takes everything. */
  private static MockResponse usual(RecordedRequest request) {
    String path = request.getUrl().encodedPath();
    String method = request.getMethod();
    if (path.equals("/v2/")) {
      return json("{}");
    }
    if (method.equals("POST")) {
      return status(202).addHeader("Location", path + "u").build();
    }
    if (method.equals("PATCH")) {
      return status(202).addHeader("Location", path).build();
    }
    if (method.equals("PUT")) {
      String digest = request.getUrl().queryParameter("digest");
      return status(201)
          .addHeader(
              "Docker-Content-Digest",
              digest == null ? Digest.of(request.getBody().toByteArray()).toString() : digest)
          .build();
    }
    if (path.startsWith("/v2/up/") && path.endsWith("/tags/list")) {
      return json("{\"tags\":[\"1\"]}");
    }
    if (method.equals("GET") && path.contains("/blobs/")) {
      return status(200).body(BLOB).build();
    }
    if (path.startsWith("/v2/up/") && path.matches(".*/manifests/(1|sha256:.*)")) {
      MockResponse.Builder manifest =
          status(200)
              .addHeader("Content-Type", MediaTypes.OCI_MANIFEST)
              .addHeader(
                  "Docker-Content-Digest",
                  Digest.of(MANIFEST.getBytes(StandardCharsets.UTF_8)).toString());
      return method.equals("HEAD")
          ? manifest.addHeader("Content-Length", MANIFEST.length()).build()
          : manifest.body(MANIFEST).build();
    }
    return status(404).build();
  }

  private static MockResponse.Builder status(int code) {
    return new MockResponse.Builder().code(code);
  }

  private static MockResponse json(String body) {
    return status(200).addHeader("Content-Type", "application/json").body(body).build();
  }

  private String host() {
    return "127.0.0.1:" + server.getPort();
  }

  private Path list(String more, String images) throws IOException {
    return Files.writeString(
        directory.resolve("list.yaml"),
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
              images: [%s]
              tls: {plainHTTP: true}
              includeReferrers: false
        """
            .formatted(more, host(), images));
  }

  private Path log() {
    return directory.resolve("termination");
  }

  private Termination told() throws IOException {
    return Termination.parse(Files.readString(log())).orElseThrow();
  }

  private int sync(Path list, String... more) {
    StringWriter text = new StringWriter();
    CommandLine line = CommandLines.create();
    line.setOut(new PrintWriter(text));
    line.setErr(new PrintWriter(text));
    List<String> arguments = new ArrayList<>(arguments(list));
    arguments.addAll(List.of(more));
    int code = line.execute(arguments.toArray(String[]::new));
    written = text.toString();
    return code;
  }

  private List<String> arguments(Path list) {
    return List.of(
        "sync",
        "-f",
        list.toString(),
        "--to",
        host(),
        "--plain-http",
        "-q",
        "--termination-log",
        log().toString());
  }

  /** Where the thread of the command itself waits for an answer. */
  @ParameterizedTest
  @CsvSource({"GET /v2/,up/a:1", "GET /v2/_catalog,''"})
  void aRunThatIsToldToStopWhileNothingAnswersSaysSo(String request, String images)
      throws Exception {
    CountDownLatch asked = new CountDownLatch(1);
    special =
        question -> {
          if (!question.replaceAll("\\?.*", "").equals(request)) {
            return null;
          }
          asked.countDown();
          return status(200).onResponseStart(SocketEffect.Stall.INSTANCE).build();
        };
    Path list = list("", images);
    if (images.isEmpty()) {
      Files.writeString(
          list,
          Files.readString(list).replace("images: []", "repositories: {include: [\"^up/\"]}"));
    }
    List<String> command = Jvm.command(List.of(), "io.kubic.mirrors.Main");
    command.addAll(arguments(list));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.redirectOutput(directory.resolve("out").toFile());
    builder.environment().keySet().removeIf(name -> name.toLowerCase().endsWith("_proxy"));
    Process process = builder.start();
    try {
      assertThat(asked.await(60, TimeUnit.SECONDS)).as("it asks").isTrue();
      process.destroy();
      assertThat(process.waitFor(60, TimeUnit.SECONDS)).as("it ends").isTrue();
      assertThat(process.exitValue()).isNotZero();
      assertThat(log()).as(Files.readString(directory.resolve("out"))).exists();
      assertThat(told().leadingReason()).isEqualTo("Cancelled");
      assertThat(Files.readString(directory.resolve("out")))
          .contains("error: ")
          .contains("stopped");
    } finally {
      process.destroyForcibly();
    }
  }

  @Test
  void aDryRunThatCannotSeeEverythingSaysWhy() throws IOException {
    special = question -> question.contains("/up/b/tags/list") ? status(403).build() : null;
    assertThat(sync(list("", "up/a, up/b"), "--dry-run")).isEqualTo(ExitCode.FAILED);
    assertThat(told().successful()).isFalse();
    assertThat(told().leadingReason()).isEqualTo("Forbidden");
    assertThat(told().summary().failed()).isEqualTo(1);
  }

  @ParameterizedTest
  @CsvSource({"GET /v2/up/a/tags/list,up/a", "GET /v2/up/a/manifests/1,up/a:1"})
  void aRunThatIsLetInNowhereSaysSoHoweverItsImagesAreNamed(String refused, String image)
      throws IOException {
    special =
        question -> question.replaceAll("\\?.*", "").equals(refused) ? status(401).build() : null;
    Path list = list("", "\"" + image + "\"");
    assertThat(sync(list)).as(written).isEqualTo(ExitCode.UNAVAILABLE);
    assertThat(sync(list, "--dry-run")).as(written).isEqualTo(ExitCode.UNAVAILABLE);
    assertThat(sync(list("", "\"" + image + "\", \"up/b:1\""))).isEqualTo(ExitCode.FAILED);
  }

  @Test
  void whatIsOnlyRemarkedIsNoFailureOfARunThatCannotSeeSomethingElse() throws IOException {
    special =
        question -> {
          if (question.contains("_catalog")) {
            return json("{\"repositories\":[\"up/a\",\"up/b\",\"up/empty\",\"up/void\"]}");
          }
          return question.contains("/up/empty/") || question.contains("/up/void/")
              ? status(404).build()
              : question.contains("/up/b/tags/list") ? status(403).build() : null;
        };
    Path list = list("", "");
    Files.writeString(
        list, Files.readString(list).replace("images: []", "repositories: {include: [\"^up/\"]}"));
    assertThat(sync(list)).isEqualTo(ExitCode.FAILED);
    assertThat(told().summary().copied()).as(written).isEqualTo(1);
    assertThat(told().reasons()).isEqualTo(Map.of("Forbidden", 1));
    assertThat(told().leadingReason()).isEqualTo("Forbidden");
  }

  @Test
  void aGuardThatRefusesIsToldAndNotWhatElseIsWrong() throws IOException {
    special = question -> question.contains("/up/b/tags/list") ? status(403).build() : null;
    assertThat(sync(list("guard: {maxImages: 1}", "up/a, up/b, up/c"))).isEqualTo(ExitCode.REFUSED);
    assertThat(Optional.ofNullable(told().error()).orElseThrow().message())
        .contains("2 images are selected, at most 1");
    assertThat(written).contains("2 images are selected, at most 1");
  }

  @Test
  void thePartsOfARunCountTheirOwnImagesOfASource() throws IOException {
    Path list = list("", "\"up/a:1\", \"up/b:1\", \"up/c:1\", \"up/d:1\", \"up/e:1\"");
    int selected = 0;
    for (int part = 0; part < 3; part++) {
      assertThat(sync(list, "--shard", part + "/3")).as(written).isZero();
      Termination told = told();
      assertThat(told.sources().getFirst().selected()).isEqualTo(told.total());
      selected += told.sources().getFirst().selected();
    }
    assertThat(selected).isEqualTo(5);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "concurrency: {blobs: 0} | spec.concurrency.blobs",
        "concurrency: {images: 0} | spec.concurrency.images",
        "prune: {maxDeletePercent: 500} | spec.prune.maxDeletePercent",
        "prune: {maxDeletePercent: -1} | spec.prune.maxDeletePercent",
        "retry: {limit: -1} | spec.retry: ",
        "retry: {minBackoff: 10m} | spec.retry: ",
        "retry: {stallTimeout: 0s} | spec.retry: ",
      })
  @Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void whatIsOutOfRangeIsInvalidAndNoDefect(String more, String field) throws IOException {
    Path list = list("", "\"up/a:1\"");
    Files.writeString(list, Files.readString(list).replaceFirst("retry: \\{limit: 0}", more));
    assertThat(sync(list)).as(written).isEqualTo(ExitCode.USAGE);
    assertThat(written).contains(field).doesNotContain("Exception");
    assertThat(told().leadingReason()).isEqualTo("InvalidSpec");
  }

  @Test
  void aTimeoutOfNothingIsInvalidAndNoDefect() throws IOException {
    Path list = list("", "\"up/a:1\"");
    Files.writeString(list, Files.readString(list) + "      limits: {timeout: 0s}\n");
    assertThat(sync(list)).as(written).isEqualTo(ExitCode.USAGE);
    assertThat(written).contains(host() + ": limits: ").doesNotContain("Exception");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "endpoints: ['https://user:word@a.example'] | an endpoint is no URL",
        "endpoints: ['https://a b'] | an endpoint is no URL",
        "proxy: {} | proxy.url: is missing",
        "proxy: {url: 'https://a'} | the proxy is no URL",
      })
  void whatASourceSaysWronglyIsInvalidAndNoDefect(String more, String message) throws IOException {
    Path list = list("", "\"up/a:1\"");
    Files.writeString(list, Files.readString(list) + "      " + more + "\n");
    assertThat(sync(list)).as(written).isEqualTo(ExitCode.USAGE);
    assertThat(written).contains(message).doesNotContain("Exception", "word");
  }

  @Test
  void aListOfNoSourceCopiesNothingAndSaysSo() throws IOException {
    Path list = list("", "\"up/a:1\"");
    Files.writeString(list, Files.readString(list).replaceFirst("(?s)sources:.*", "sources: []\n"));
    assertThat(sync(list)).as(written).isEqualTo(ExitCode.USAGE);
    assertThat(written).contains("spec.sources: is empty");
  }

  @Test
  void aGuardThatIsNoNumberOfBytesIsInvalid() throws IOException {
    assertThat(sync(list("guard: {maxBytes: 1zz}", "\"up/a:1\""))).isEqualTo(ExitCode.USAGE);
    assertThat(written).contains("spec.guard.maxBytes: ").doesNotContain("Exception");
  }

  @Test
  void nothingAtOnceIsNoConcurrency() throws IOException {
    assertThat(sync(list("", "\"up/a:1\""), "--concurrency", "0")).isEqualTo(ExitCode.USAGE);
    assertThat(written).contains("--concurrency").doesNotContain("Exception");
  }
}
