package io.kubic.mirrors.oci.registry;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.Function;
import mockwebserver3.Dispatcher;
import mockwebserver3.MockResponse;
import mockwebserver3.MockWebServer;
import mockwebserver3.RecordedRequest;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class RegistryClientTest {
  private static final String D = "sha256:" + "b".repeat(64);
  private static final String IMAGE =
      "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x/y\",\"digest\":\""
          + D
          + "\",\"size\":2},\"layers\":[]}";

  private final MockWebServer server = new MockWebServer();
  private final TestNetwork.Hurry clock = new TestNetwork.Hurry();
  private final Transport transport = new Transport(clock, new Random(1), clock, "test");

  @BeforeEach
  void start() throws IOException {
    server.start();
  }

  @AfterEach
  void stop() {
    transport.close();
    server.close();
  }

  private Connection connection() {
    return Connection.to("registry.example")
        .withEndpoints(List.of(URI.create("http://localhost:" + server.getPort())))
        .withRetry(
            new Retry(2, Duration.ofMillis(10), Duration.ofSeconds(5), Duration.ofSeconds(2)));
  }

  private RegistryClient client() {
    return transport.connect(connection());
  }

  private void answer(Function<RecordedRequest, MockResponse> script) {
    server.setDispatcher(
        new Dispatcher() {
          @Override
          public MockResponse dispatch(RecordedRequest request) {
            return script.apply(request);
          }
        });
  }

  private static MockResponse json(String body) {
    return new MockResponse.Builder()
        .code(200)
        .addHeader("Content-Type", "application/json")
        .body(body)
        .build();
  }

  private static MockResponse manifest(String body) {
    return new MockResponse.Builder()
        .code(200)
        .addHeader("Content-Type", MediaTypes.OCI_MANIFEST)
        .addHeader("Docker-Content-Digest", Digest.of(body.getBytes(UTF_8)))
        .body(body)
        .build();
  }

  private static MockResponse status(int code) {
    return new MockResponse.Builder().code(code).build();
  }

  private static Reason reason(Runnable action) {
    return catchThrowableOfType(RegistryException.class, action::run).reason();
  }

  @Test
  void pagesAreFollowedInAnyFormOfLink() {
    answer(
        request -> {
          String query = String.valueOf(request.getUrl().query());
          if (query.contains("last=a")) {
            return json("{\"repositories\":[\"b\"]}")
                .newBuilder()
                .addHeader(
                    "Link",
                    "<"
                        + server.url("/v2/_catalog?last=b%2Fx&n=1")
                        + ">;  title=\"x\"; rel = next, <http://other.example/>; rel=prev")
                .build();
          }
          if (query.contains("last=b")) {
            return json("{\"repositories\":[\"c/d\", \"../evil\", \"UPPER\"]}");
          }
          return json("{\"repositories\":[\"a\"]}")
              .newBuilder()
              .addHeader("Link", "</v2/_catalog?last=a&n=1000>; rel=\"next\"")
              .build();
        });
    var listing = client().catalog();
    assertThat(listing.names()).containsExactly("a", "b", "c/d");
    assertThat(listing.malformed()).containsExactly("../evil", "UPPER");
  }

  @Test
  void aPageSizeThatIsTooLargeIsGivenUp() {
    answer(
        request ->
            request.getUrl().queryParameter("n") != null
                ? status(400)
                : json("{\"name\":\"a\",\"tags\":[\"1\",\"2\"]}"));
    assertThat(client().tags("a").names()).containsExactly("1", "2");
  }

  @Test
  void pagesWithoutEndAreMalformed() {
    answer(
        request ->
            json("{\"tags\":[\"1\"]}")
                .newBuilder()
                .addHeader("Link", "</v2/a/tags/list?last=" + System.nanoTime() + ">; rel=next")
                .build());
    assertThat(reason(() -> client().tags("a"))).isEqualTo(Reason.MalformedResponse);
  }

  @Test
  void aNextPageAtAnotherHostIsMalformed() {
    answer(
        request ->
            json("{\"tags\":[\"1\"]}")
                .newBuilder()
                .addHeader("Link", "<http://other.example/v2/a/tags/list>; rel=next")
                .build());
    assertThat(reason(() -> client().tags("a"))).isEqualTo(Reason.MalformedResponse);
  }

  @Test
  void aMissingCatalogNamesTheAlternative() {
    answer(request -> status(404));
    RegistryException failure =
        catchThrowableOfType(RegistryException.class, () -> client().catalog());
    assertThat(failure.reason()).isEqualTo(Reason.DiscoveryUnsupported);
    assertThat(failure).hasMessageContaining("images");
  }

  @Test
  void aHeadTellsDigestAndSize() {
    answer(
        request -> {
          assertThat(request.getHeaders().get("Accept")).contains(MediaTypes.ACCEPTED);
          return manifest(IMAGE);
        });
    assertThat(client().resolve("a", "1"))
        .contains(
            new Descriptor(
                MediaTypes.OCI_MANIFEST, Digest.of(IMAGE.getBytes(UTF_8)), IMAGE.length()));
  }

  @Test
  void aHeadThatTellsNothingIsFollowedByAGet() {
    answer(request -> request.getMethod().equals("HEAD") ? status(200) : manifest(IMAGE));
    assertThat(client().resolve("a", "1")).isPresent();
    assertThat(client().resolve("a", "1").orElseThrow().size()).isEqualTo(IMAGE.length());
  }

  @Test
  void aMissingTagIsNoFailure() {
    answer(request -> status(404));
    assertThat(client().resolve("a", "1")).isEmpty();
  }

  @Test
  void aLyingDigestHeaderIsFound() {
    answer(request -> manifest(IMAGE).newBuilder().setHeader("Docker-Content-Digest", D).build());
    assertThat(reason(() -> client().manifest("a", "1"))).isEqualTo(Reason.DigestMismatch);
  }

  @Test
  void wrongBytesForADigestAreFound() {
    answer(request -> manifest(IMAGE));
    assertThat(reason(() -> client().manifest("a", D))).isEqualTo(Reason.DigestMismatch);
  }

  @Test
  void transientFailuresAreTriedAgainAndOthersAreNot() {
    int[] count = {0};
    answer(request -> count[0]++ < 2 ? status(503) : manifest(IMAGE));
    client().manifest("a", "1");
    assertThat(count[0]).isEqualTo(3);
    count[0] = 0;
    answer(
        request -> {
          count[0]++;
          return status(403);
        });
    assertThat(reason(() -> client().manifest("a", "1"))).isEqualTo(Reason.Forbidden);
    assertThat(count[0]).isEqualTo(1);
  }

  @Test
  void retryAfterIsHonouredWithinReason() {
    int[] count = {0};
    answer(
        request ->
            count[0]++ == 0
                ? status(429).newBuilder().addHeader("Retry-After", "3").build()
                : manifest(IMAGE));
    client().manifest("a", "1");
    assertThat(clock.pauses).contains(Duration.ofSeconds(3));
    count[0] = 0;
    clock.pauses.clear();
    answer(
        request -> {
          count[0]++;
          return status(429).newBuilder().addHeader("Retry-After", "1000000000").build();
        });
    assertThat(reason(() -> client().manifest("a", "1"))).isEqualTo(Reason.RateLimited);
    assertThat(count[0]).isEqualTo(1);
    assertThat(clock.pauses).isEmpty();
  }

  @Test
  void aTokenIsFetchedOnceForEachSetOfScopes() {
    List<String> tokens = new ArrayList<>();
    answer(
        request -> {
          if (request.getUrl().encodedPath().equals("/token")) {
            synchronized (tokens) {
              tokens.add(String.join(" ", request.getUrl().queryParameterValues("scope")));
            }
            assertThat(request.getHeaders().get("Authorization")).startsWith("Basic ");
            return json("{\"token\":\"t\",\"expires_in\":300}");
          }
          return "Bearer t".equals(request.getHeaders().get("Authorization"))
              ? manifest(IMAGE)
              : status(401)
                  .newBuilder()
                  .addHeader(
                      "WWW-Authenticate",
                      "Bearer realm=\""
                          + server.url("/token")
                          + "\",service=\"r\",scope=\"repository:a:pull\"")
                  .build();
        });
    RegistryClient client =
        transport.connect(
            connection()
                .withCredentials(Credentials.of(new Credentials.Login("u", new Secret("p")))));
    client.manifest("a", "1");
    client.manifest("a", "2");
    client.manifest("b", "1");
    assertThat(tokens).containsExactly("repository:a:pull", "repository:b:pull");
    assertThat(client.requests()).isEqualTo(6);
  }

  @Test
  void credentialsDoNotGoToAForeignRealm() {
    List<String> asked = new ArrayList<>();
    answer(
        request -> {
          asked.add(request.getUrl().encodedPath());
          return status(401)
              .newBuilder()
              .addHeader("WWW-Authenticate", "Bearer realm=\"https://evil.example/token\"")
              .build();
        });
    RegistryClient client =
        transport.connect(
            connection()
                .withCredentials(Credentials.of(new Credentials.Login("u", new Secret("p")))));
    assertThat(reason(() -> client.manifest("a", "1"))).isEqualTo(Reason.RealmRefused);
    assertThat(asked).hasSize(1);
  }

  @Test
  void aBlobGoesOnWhereItBroke() throws IOException {
    byte[] bytes = new byte[300_000];
    new Random(7).nextBytes(bytes);
    List<String> ranges = new ArrayList<>();
    answer(
        request -> {
          String range = request.getHeaders().get("Range");
          ranges.add(String.valueOf(range));
          int from = range == null ? 0 : Integer.parseInt(range.substring(6, range.length() - 1));
          okio.Buffer body = new okio.Buffer().write(bytes, from, bytes.length - from);
          var response = new MockResponse.Builder().code(from == 0 ? 200 : 206).body(body);
          if (from > 0) {
            response.addHeader(
                "Content-Range", "bytes " + from + "-" + (bytes.length - 1) + "/" + bytes.length);
          } else {
            response.onResponseBody(new mockwebserver3.SocketEffect.CloseSocket(true, false, true));
          }
          return response.build();
        });
    var blob = new Descriptor("x", Digest.of(bytes), bytes.length);
    try (var in = client().blob("a", blob, 0)) {
      assertThat(in.readAllBytes()).isEqualTo(bytes);
    }
    assertThat(ranges).hasSizeGreaterThan(1);
  }

  @Test
  void aDockerConfigIsMatchedByItsLongestPrefix() {
    Credentials credentials =
        Credentials.fromDockerConfig(
            "{\"auths\":{\"r.example\":{\"auth\":\"YTpi\"},\"r.example/team\":{\"username\":\"t\","
                + "\"password\":\"p\"},\"https://index.docker.io/v1/\":{\"auth\":\"ZDpk\"}}}",
            "config.json");
    assertThat(credentials.find("r.example", "x").orElseThrow().username()).isEqualTo("a");
    assertThat(credentials.find("r.example", "team/x").orElseThrow().username()).isEqualTo("t");
    assertThat(credentials.find("r.example", "teams").orElseThrow().username()).isEqualTo("a");
    assertThat(credentials.find("docker.io", "library/x").orElseThrow().username()).isEqualTo("d");
    assertThat(credentials.find("other.example", "x")).isEmpty();
    assertThat(credentials.toString() + credentials.find("r.example", "x"))
        .doesNotContain("b\"")
        .contains("***");
  }

  @Test
  void aTargetsQuotaOfRequestsIsNoSpaceThatIsUsedUp() {
    int[] count = {0};
    answer(
        request ->
            count[0]++ == 0
                ? status(429)
                    .newBuilder()
                    .body(
                        "{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"Quota exceeded"
                            + " for quota metric 'Requests per project per minute'\"}]}")
                    .build()
                : status(201)
                    .newBuilder()
                    .addHeader("Docker-Content-Digest", Digest.of(IMAGE.getBytes(UTF_8)))
                    .build());
    client()
        .putManifest("a", Manifest.parse(IMAGE.getBytes(UTF_8), MediaTypes.OCI_MANIFEST, "a"), "1");
    assertThat(count[0]).isEqualTo(2);
  }

  @Test
  void aRegistryThatWantsToBeAskedAgainAtOnceIsNot() {
    for (String now : List.of("0", "Thu, 01 Jan 2015 00:00:00 GMT")) {
      clock.pauses.clear();
      int[] count = {0};
      answer(
          request ->
              count[0]++ == 0
                  ? status(429).newBuilder().addHeader("Retry-After", now).build()
                  : manifest(IMAGE));
      client().manifest("a", "1");
      assertThat(clock.pauses).as(now).singleElement().matches(Duration::isPositive);
    }
  }

  @Test
  void aListOfReferrersThatBreaksOffIsNotOneThatIsNotThere() {
    String referrer =
        "{\"mediaType\":\"" + MediaTypes.OCI_MANIFEST + "\",\"digest\":\"" + D + "\",\"size\":1}";
    for (int status : List.of(400, 404, 405)) {
      answer(
          request ->
              request.getUrl().query() != null
                  ? status(status)
                  : json("{\"schemaVersion\":2,\"manifests\":[" + referrer + "]}")
                      .newBuilder()
                      .setHeader("Content-Type", MediaTypes.OCI_INDEX)
                      .addHeader("Link", "<" + request.getUrl().encodedPath() + "?p=2>; rel=next")
                      .build());
      assertThatThrownBy(() -> client().referrers("a", Digest.parse(D)))
          .as("%s", status)
          .isInstanceOf(RegistryException.class);
    }
  }

  @Test
  void aNextPageThatCannotBeFoundIsNotTheEndOfTheList() {
    for (String link :
        List.of(
            "/v2/a/tags/list?last=1; rel=\"next\"",
            "</v2/a/tags/list?last=1; rel=\"next\"",
            "http://x/v2/a/tags/list?last=1;rel=next")) {
      answer(request -> json("{\"tags\":[\"1\"]}").newBuilder().addHeader("Link", link).build());
      assertThat(reason(() -> client().tags("a"))).as(link).isEqualTo(Reason.MalformedResponse);
    }
  }

  @Test
  void aNextPageMayBeSomethingElseToo() {
    answer(
        request ->
            request.getUrl().queryParameter("last") != null
                ? json("{\"tags\":[\"2\"]}")
                : json("{\"tags\":[\"1\"]}")
                    .newBuilder()
                    .addHeader("Link", "</v2/a/tags/list?last=1>; rel=\"last next\"")
                    .build());
    assertThat(client().tags("a").names()).containsExactly("1", "2");
  }

  @Test
  void aLoginForARepositoryThatIsCalledLikeAVersionIsForNoOther() {
    Credentials credentials =
        Credentials.fromDockerConfig(
            "{\"auths\":{\"r.test/team/v2\":{\"auth\":\"YTpi\"},\"https://s.test/v1/\":{\"auth\":\"YTpi\"}}}",
            "config.json");
    assertThat(credentials.find("r.test", "team/v2")).isPresent();
    assertThat(credentials.find("r.test", "team/v2/app")).isPresent();
    assertThat(credentials.find("r.test", "team/app")).isEmpty();
    assertThat(credentials.find("s.test", "app")).isPresent();
  }
}
