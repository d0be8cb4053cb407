package io.kubic.mirrors.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.pki.CertifiedKey;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** The gateway in front of a real registry, used by real clients. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class GatewayIT {
  private Path directory;
  private GatewayLab lab;
  private HttpClient http;
  private String host;
  private Path layout;

  @BeforeAll
  void start(@TempDir Path temporary) throws Exception {
    directory = temporary;
    lab = new GatewayLab(directory);
    host = lab.host();
    http = client();
    layout = imageLayout(directory.resolve("layout"));
  }

  @AfterAll
  void stop() {
    if (lab != null) {
      lab.close();
    }
  }

  @Test
  void cranePushesListsCopiesAndDeletesWithALogin() throws Exception {
    Path home = login("crane-home", "admin");
    Map<String, String> environment = environment(home);
    run(environment, crane(), "push", layout.toString(), host + "/crane/app:v1");
    assertThat(run(environment, crane(), "ls", host + "/crane/app")).contains("v1");
    run(environment, crane(), "copy", host + "/crane/app:v1", host + "/crane/copy:v1");
    assertThat(run(environment, crane(), "catalog", host)).contains("crane/app", "crane/copy");
    String digest = run(environment, crane(), "digest", host + "/crane/copy:v1").strip();
    run(environment, crane(), "delete", host + "/crane/copy@" + digest);
    assertThat(run(environment, crane(), "ls", host + "/crane/copy")).doesNotContain("v1");
  }

  @Test
  void anybodyPullsAndListsButNobodyPushesWithoutALogin() throws Exception {
    run(
        environment(login("seed", "push")),
        crane(),
        "push",
        layout.toString(),
        host + "/open/app:1");
    Map<String, String> nobody = environment(Files.createDirectories(directory.resolve("nobody")));

    assertThat(run(nobody, crane(), "digest", host + "/open/app:1")).startsWith("sha256:");
    assertThat(run(nobody, crane(), "catalog", host)).contains("open/app");
    assertThat(fails(nobody, crane(), "push", layout.toString(), host + "/open/app:2"))
        .containsIgnoringCase("unauthorized");
  }

  @Test
  void skopeoPushesAndPulls() throws Exception {
    Path certs = Files.createDirectories(directory.resolve("certs"));
    Files.writeString(certs.resolve("ca.crt"), lab.ca.certificatePem());
    Path auth = login("skopeo-home", "push").resolve("config.json");
    run(
        Map.of(),
        "skopeo",
        "--insecure-policy",
        "copy",
        "--authfile",
        auth.toString(),
        "--dest-cert-dir",
        certs.toString(),
        "oci:" + layout,
        "docker://" + host + "/skopeo/app:v1");
    run(
        Map.of(),
        "skopeo",
        "--insecure-policy",
        "copy",
        "--src-no-creds",
        "--src-cert-dir",
        certs.toString(),
        "docker://" + host + "/skopeo/app:v1",
        "dir:" + directory.resolve("pulled"));
    assertThat(directory.resolve("pulled").resolve("manifest.json")).exists();
  }

  @Test
  void aRequestWithoutATokenIsToldWhereToGetOneOnTheSameOrigin() throws Exception {
    HttpResponse<String> answer = get("/v2/a/b/manifests/latest", null);

    assertThat(answer.statusCode()).isEqualTo(401);
    assertThat(answer.headers().firstValue("www-authenticate"))
        .hasValue(
            "Bearer realm=\"https://%s/auth/token\",service=\"it\",scope=\"repository:a/b:pull\""
                .formatted(host));
  }

  @Test
  void whatTheSpecDoesNotNameNeverReachesTheRegistry() throws Exception {
    String admin = basic("admin");
    assertThat(get("/debug/health", admin).statusCode()).isEqualTo(404);
    assertThat(get("/v2/a/../b/manifests/x", admin).statusCode()).isIn(400, 404);
    assertThat(get("/v2/A/manifests/x", admin).statusCode()).isEqualTo(404);
    assertThat(send("PATCH", "/v2/a/manifests/x", admin, "").statusCode()).isEqualTo(405);
    assertThat(send("POST", "/v2/a/blobs/uploads/?from=b&from=c&mount=x", admin, "").statusCode())
        .isEqualTo(400);
  }

  @Test
  void aMountHiddenInAFormBodyIsNotSeenByTheRegistry() throws Exception {
    run(
        environment(login("mount", "push")),
        crane(),
        "push",
        layout.toString(),
        host + "/src/app:1");
    String digest = layer();
    HttpRequest request =
        HttpRequest.newBuilder(URI.create("https://" + host + "/v2/dst/app/blobs/uploads/"))
            .header("Authorization", basic("push"))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(HttpRequest.BodyPublishers.ofString("mount=" + digest + "&from=src/app"))
            .build();

    assertThat(http.send(request, HttpResponse.BodyHandlers.ofString()).statusCode())
        .isEqualTo(202);
  }

  @Test
  void aWrongPasswordIs401AndManyAre429WhileTheRightOneThatIsKnownStillWorks() throws Exception {
    assertThat(get("/auth/token", basic("pull")).statusCode()).isEqualTo(200);
    String wrong = "Basic " + encode("pull:guess");
    assertThat(get("/auth/token", wrong).statusCode()).isEqualTo(401);
    int last = 0;
    for (int i = 0; i < 6; i++) {
      last = get("/auth/token", wrong).statusCode();
    }
    assertThat(last).isEqualTo(429);
    assertThat(get("/auth/token", basic("pull")).statusCode()).isEqualTo(200);
  }

  @Test
  void aFreezeRefusesUploadsWith405AndLetsPullsThroughUntilItEnds() throws Exception {
    assertThat(admin("GET", "/freeze", null).statusCode()).isEqualTo(401);
    assertThat(admin("POST", "/freeze?ttl=soon", "freeze-secret").statusCode()).isEqualTo(400);
    assertThat(admin("POST", "/freeze?ttl=30s", "freeze-secret").body())
        .contains("\"frozen\":true");
    try {
      assertThat(send("POST", "/v2/x/blobs/uploads/", basic("push"), "").statusCode())
          .isEqualTo(405);
      assertThat(get("/v2/", basic("pull")).statusCode()).isEqualTo(200);
    } finally {
      admin("DELETE", "/freeze", "freeze-secret");
    }
    assertThat(send("POST", "/v2/x/blobs/uploads/", basic("push"), "").statusCode()).isEqualTo(202);
  }

  @Test
  void aNewCertificateIsServedWithoutARestart() throws Exception {
    CertifiedKey next = lab.writeLeaf();
    String served = "";
    for (int i = 0; i < 50 && !served.equals(next.serial()); i++) {
      TimeUnit.MILLISECONDS.sleep(100);
      HttpResponse<String> answer =
          client()
              .send(
                  HttpRequest.newBuilder(URI.create("https://" + host + "/v2/")).build(),
                  HttpResponse.BodyHandlers.ofString());
      served =
          ((java.security.cert.X509Certificate)
                  answer.sslSession().orElseThrow().getPeerCertificates()[0])
              .getSerialNumber()
              .toString(16);
    }
    assertThat(served).isEqualTo(next.serial());
  }

  @Test
  void noSecretIsInAuditOrMetrics() throws Exception {
    get("/auth/token?scope=repository:a:pull", basic("admin"));
    String metrics = admin("GET", "/metrics", null).body();
    assertThat(metrics).contains("mirror_gateway_tokens_total");
    assertThat(metrics + lab.audit.toString(StandardCharsets.UTF_8))
        .doesNotContain("admin-secret", "push-secret", "eyJ");
  }

  /** A blob that the repository links; a manifest's digest would not mount in any case. */
  private String layer() throws IOException {
    try (var files = Files.list(layout.resolve("blobs/sha256"))) {
      for (Path file : files.toList()) {
        if (Files.readAllBytes(file)[0] == 0x1f) {
          return "sha256:" + file.getFileName();
        }
      }
    }
    throw new AssertionError("the layout has no layer");
  }

  private HttpClient client() throws Exception {
    return Lab.trusting(lab.ca.certificate());
  }

  private HttpResponse<String> get(String path, String authorization) throws Exception {
    return send("GET", path, authorization, "");
  }

  private HttpResponse<String> send(String method, String path, String authorization, String body)
      throws Exception {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create("https://" + host + path))
            .method(
                method,
                body.isEmpty()
                    ? HttpRequest.BodyPublishers.noBody()
                    : HttpRequest.BodyPublishers.ofString(body));
    if (authorization != null) {
      request.header("Authorization", authorization);
    }
    return http.send(request.build(), HttpResponse.BodyHandlers.ofString());
  }

  private HttpResponse<String> admin(String method, String path, String secret) throws Exception {
    return lab.admin(method, path, secret);
  }

  private static String basic(String user) {
    return "Basic " + encode(user + ":" + user + "-secret");
  }

  private static String encode(String text) {
    return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
  }

  private Path login(String name, String user) throws IOException {
    Path home = Files.createDirectories(directory.resolve(name));
    Files.writeString(
        home.resolve("config.json"),
        "{\"auths\": {\"%s\": {\"auth\": \"%s\"}}}"
            .formatted(host, encode(user + ":" + user + "-secret")));
    return home;
  }

  private Map<String, String> environment(Path home) {
    return Map.of(
        "DOCKER_CONFIG", home.toString(), "SSL_CERT_FILE", directory.resolve("ca.crt").toString());
  }

  private String crane() {
    return GatewayLab.tool("crane").toString();
  }

  private static String run(Map<String, String> environment, String... command) throws Exception {
    StringBuilder out = new StringBuilder();
    int code = execute(environment, out, command);
    assertThat(code).as("%s: %s", String.join(" ", command), out).isZero();
    return out.toString();
  }

  private static String fails(Map<String, String> environment, String... command) throws Exception {
    StringBuilder out = new StringBuilder();
    assertThat(execute(environment, out, command)).isNotZero();
    return out.toString();
  }

  private static int execute(Map<String, String> environment, StringBuilder out, String... command)
      throws Exception {
    ProcessBuilder builder = new ProcessBuilder(new ArrayList<>(List.of(command)));
    builder.environment().putAll(environment);
    Process process = builder.redirectErrorStream(true).start();
    out.append(new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
    return process.waitFor();
  }

  static Path imageLayout(Path layout) throws Exception {
    Path blobs = Files.createDirectories(layout.resolve("blobs/sha256"));
    ByteArrayOutputStream compressed = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(compressed)) {
      new ByteArrayInputStream(new byte[10240]).transferTo(gzip);
    }
    byte[] layer = compressed.toByteArray();
    String diff = sha256(new byte[10240]);
    String layerDigest = blob(blobs, layer);
    byte[] config =
        ("{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},\"rootfs\":"
                + "{\"type\":\"layers\",\"diff_ids\":[\"sha256:"
                + diff
                + "\"]}}")
            .getBytes(StandardCharsets.UTF_8);
    String configDigest = blob(blobs, config);
    byte[] manifest =
        ("{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
                + "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\""
                + configDigest
                + "\",\"size\":"
                + config.length
                + "},\"layers\":[{\"mediaType\":"
                + "\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\""
                + layerDigest
                + "\",\"size\":"
                + layer.length
                + "}]}")
            .getBytes(StandardCharsets.UTF_8);
    String manifestDigest = blob(blobs, manifest);
    Files.writeString(layout.resolve("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}");
    Files.writeString(
        layout.resolve("index.json"),
        "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":"
            + "\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\""
            + manifestDigest
            + "\",\"size\":"
            + manifest.length
            + "}]}");
    return layout;
  }

  private static String blob(Path blobs, byte[] content) throws Exception {
    String hash = sha256(content);
    Files.write(blobs.resolve(hash), content);
    return "sha256:" + hash;
  }

  private static String sha256(byte[] content) throws Exception {
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
  }
}
