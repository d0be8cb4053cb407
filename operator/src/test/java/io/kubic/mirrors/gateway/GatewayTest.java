package io.kubic.mirrors.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.pki.CertificateAuthority;
import io.kubic.mirrors.pki.CertifiedKey;
import io.kubic.mirrors.pki.KeySpec;
import io.kubic.mirrors.pki.LeafRequest;
import io.kubic.mirrors.pki.SubjectNames;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;
import org.bouncycastle.crypto.generators.OpenBSDBCrypt;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The gateway on loopback, before a registry that knows one blob. */
@Timeout(60)
class GatewayTest {
  private static final String BLOB = "/v2/a/blobs/sha256:" + "0".repeat(64);
  private static final Limits LIMITS =
      new Limits(
          Duration.ofSeconds(1),
          Duration.ofSeconds(1),
          1024,
          Duration.ofMillis(200),
          Duration.ofMillis(50),
          64);
  private final SecureRandom random = new SecureRandom();
  private final Clock clock = Clock.systemUTC();
  private final ByteArrayOutputStream audit = new ByteArrayOutputStream();
  private final CertificateAuthority ca =
      CertificateAuthority.create("test", KeySpec.DEFAULT, Duration.ofDays(30), random, clock);
  @TempDir Path directory;
  private FakeRegistry registry;
  private Gateway gateway;
  private SSLContext trust;
  private HttpClient http;

  @BeforeEach
  void prepare() throws Exception {
    registry = new FakeRegistry();
    for (String name : List.of("tls", "keys", "users")) {
      Files.createDirectories(directory.resolve(name));
    }
    leaf(Duration.ofDays(10));
    Files.write(directory.resolve("keys/keys.json"), TokenKeys.generate(random, clock));
    Files.writeString(directory.resolve("users/ann"), "ann-secret");
    config(", \"users\": [{\"name\": \"ann\", \"role\": \"Push\", \"passwordFiles\": [\"ann\"]}]");
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null);
    store.setCertificateEntry("ca", ca.certificate());
    TrustManagerFactory factory =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    factory.init(store);
    trust = SSLContext.getInstance("TLS");
    trust.init(null, factory.getTrustManagers(), null);
    http = HttpClient.newBuilder().sslContext(trust).version(HttpClient.Version.HTTP_1_1).build();
  }

  @AfterEach
  void stop() {
    if (gateway != null) {
      gateway.close();
    }
    registry.close();
  }

  @Test
  void slowReadersHoldNoReadOfTheRegistryAndStillGetEveryByte() throws Exception {
    start();
    List<Socket> slow = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      Socket socket = connect(16 * 1024);
      send(
          socket, "GET " + BLOB + " HTTP/1.1\r\nHost: x\r\nAuthorization: " + token() + "\r\n\r\n");
      slow.add(socket);
    }
    TimeUnit.MILLISECONDS.sleep(300);

    long began = System.nanoTime();
    assertThat(Arrays.equals(bytes(BLOB, null).body(), registry.blob)).isTrue();
    assertThat(Duration.ofNanos(System.nanoTime() - began)).isLessThan(Duration.ofSeconds(10));

    for (Socket socket : slow) {
      InputStream in = socket.getInputStream();
      assertThat(head(in)).contains("200 OK", "Content-Length: " + registry.blob.length);
      assertThat(Arrays.equals(in.readNBytes(registry.blob.length), registry.blob)).isTrue();
      socket.close();
    }
    assertThat(registry.asked).anyMatch(line -> line.contains(" bytes=") && line.startsWith("GET"));
    double served = 7.0 * registry.blob.length;
    assertThat(admin("/metrics").body())
        .contains("mirror_gateway_served_bytes_total{repository=\"a\"} " + served);
  }

  @Test
  void manyReadersAtOnceAllGetEveryByte() throws Exception {
    start();
    List<CompletableFuture<byte[]>> all = new ArrayList<>();
    String token = token();
    for (int i = 0; i < 24; i++) {
      HttpRequest.Builder request = request(BLOB, token);
      if (i % 2 == 1) {
        request.header("Range", "bytes=" + (i * 1000) + "-");
      }
      all.add(
          http.sendAsync(request.build(), HttpResponse.BodyHandlers.ofByteArray())
              .thenApply(HttpResponse::body));
    }
    for (int i = 0; i < all.size(); i++) {
      int from = i % 2 == 1 ? i * 1000 : 0;
      byte[] expected = Arrays.copyOfRange(registry.blob, from, registry.blob.length);
      assertThat(Arrays.equals(all.get(i).join(), expected)).as("reader %d", i).isTrue();
    }
  }

  @Test
  void rangesConditionsAndHeadsAreTheRegistrysOwn() throws Exception {
    start();
    HttpResponse<byte[]> part = bytes(BLOB, "bytes=5-9");
    assertThat(part.statusCode()).isEqualTo(206);
    assertThat(part.body()).isEqualTo(Arrays.copyOfRange(registry.blob, 5, 10));
    assertThat(part.headers().firstValue("ETag")).hasValue("\"blob\"");
    // Several ranges may be ignored (RFC 9110, 14.2).
    assertThat(bytes(BLOB, "bytes=0-1,5-6").statusCode()).isEqualTo(200);
    HttpResponse<String> same =
        http.send(
            request(BLOB, token()).header("If-None-Match", "\"blob\"").build(),
            HttpResponse.BodyHandlers.ofString());
    assertThat(same.statusCode()).isEqualTo(304);
    HttpResponse<String> head =
        http.send(request(BLOB, token()).HEAD().build(), HttpResponse.BodyHandlers.ofString());
    assertThat(head.headers().firstValue("Content-Length"))
        .hasValue(String.valueOf(registry.blob.length));
    assertThat(registry.asked).noneMatch(line -> line.endsWith("SECRET"));
  }

  @Test
  void aRegistryThatDoesNotAnswerIs502InTheSpecsWords() throws Exception {
    start();
    String token = token();
    registry.close();
    for (String path : List.of("/v2/a/tags/list", BLOB)) {
      HttpResponse<String> answer =
          http.send(request(path, token).build(), HttpResponse.BodyHandlers.ofString());
      assertThat(answer.statusCode()).isEqualTo(502);
      assertThat(answer.headers().firstValue("Content-Type")).hasValue("application/json");
      assertThat(answer.body()).contains("\"errors\"", "\"UNAVAILABLE\"").doesNotContain("Jetty");
    }
    assertThat(admin("/readyz").statusCode()).isEqualTo(503);
  }

  @Test
  void filesThatComeLateAreWaitedForAndNamed() throws Exception {
    Files.delete(directory.resolve("tls/tls.key"));
    Files.delete(directory.resolve("keys/keys.json"));
    start();
    assertThat(admin("/livez").statusCode()).isEqualTo(200);
    assertThat(admin("/readyz").body())
        .contains("waiting for files", "certificate: ", "tls.key is not there", "token-keys: ");

    leaf(Duration.ofDays(10));
    Files.write(directory.resolve("keys/keys.json"), TokenKeys.generate(random, clock));

    eventually(() -> admin("/readyz").statusCode() == 200);
    assertThat(get("/v2/", token()).statusCode()).isEqualTo(200);
  }

  @Test
  void damagedFilesLeaveTheOldInForceAndDoNotHoldUpTheOthers() throws Exception {
    start();
    Files.writeString(directory.resolve("tls/tls.crt"), "rubbish");
    Files.writeString(directory.resolve("keys/keys.json"), "{\"keys\": []}");
    Files.writeString(directory.resolve("users/ann"), "other-secret");
    eventually(() -> admin("/readyz").body().contains("certificate: "));

    assertThat(admin("/readyz").statusCode()).isEqualTo(200);
    assertThat(admin("/metrics").body())
        .contains(
            "mirror_gateway_files_refused{part=\"certificate\"} 1.0",
            "mirror_gateway_files_refused{part=\"token-keys\"} 1.0",
            "mirror_gateway_files_refused{part=\"users\"} 0.0");
    assertThat(get("/v2/", basic("ann", "ann-secret")).statusCode()).isEqualTo(401);
    assertThat(get("/v2/", basic("ann", "other-secret")).statusCode()).isEqualTo(200);

    Files.writeString(directory.resolve("users/ann"), "ann:$apr1$salt$hash");
    eventually(() -> admin("/readyz").body().contains("user ann"));
    assertThat(admin("/readyz").body()).doesNotContain("$hash");
    assertThat(get("/v2/", basic("ann", "other-secret")).statusCode()).isEqualTo(200);

    leaf(Duration.ofDays(5));
    eventually(() -> !admin("/readyz").body().contains("certificate: "));
  }

  @Test
  void usersRulesAndKeysChangeWithoutClosingAConnection() throws Exception {
    start();
    try (Socket socket = connect(0)) {
      String old = token();
      assertThat(roundTrip(socket, "/v2/a/tags/list", old)).contains("200 OK");

      Files.write(
          directory.resolve("keys/keys.json"),
          TokenKeys.successor(
              Files.readAllBytes(directory.resolve("keys/keys.json")), random, clock));
      Files.writeString(directory.resolve("users/bob"), "bob-secret");
      config(
          ", \"users\": [{\"name\": \"bob\", \"role\": \"Pull\", \"passwordFiles\": [\"bob\"]}],"
              + " \"acl\": [{\"account\": \"bob\", \"name\": \"closed/*\", \"actions\": []}]");
      eventually(() -> get("/v2/", basic("bob", "bob-secret")).statusCode() == 200);

      assertThat(roundTrip(socket, "/v2/a/tags/list", old)).contains("200 OK");
      assertThat(roundTrip(socket, "/v2/a/tags/list", basic("ann", "ann-secret"))).contains("401");
      assertThat(roundTrip(socket, "/v2/closed/a/tags/list", basic("bob", "bob-secret")))
          .contains("401");
      assertThat(roundTrip(socket, "/v2/open/a/tags/list", basic("bob", "bob-secret")))
          .contains("200 OK");
      Files.write(directory.resolve("keys/keys.json"), TokenKeys.generate(random, clock));
      eventually(() -> roundTrip(socket, "/v2/a/tags/list", old).contains("401"));
    }
  }

  @Test
  void headsAndBodiesThatDripInAreClosedAndIdleConnectionsAreNot() throws Exception {
    start();
    try (Socket idle = connect(0);
        Socket head = connect(0);
        Socket body = connect(0)) {
      assertThat(roundTrip(idle, "/v2/a/tags/list", token())).contains("200 OK");
      assertThat(drips(head, "GET /v2/ HTTP/1.1\r\nX: ", "x")).isTrue();
      String upload =
          "PATCH /v2/a/blobs/uploads/u HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
              + "Authorization: "
              + basic("ann", "ann-secret")
              + "\r\n\r\n";
      assertThat(drips(body, upload, "x")).isTrue();
      assertThat(roundTrip(idle, "/v2/a/tags/list", token())).contains("200 OK");
    }
    eventually(() -> admin("/metrics").body().contains("mirror_gateway_writes_in_flight 0.0"));
  }

  @Test
  void whatIsTooLargeIsRefusedInTheSpecsWords() throws Exception {
    start();
    try (Socket socket = connect(0)) {
      send(socket, "GET /v2/ HTTP/1.1\r\nHost: x\r\nX: " + "y".repeat(70_000) + "\r\n\r\n");
      assertThat(all(socket)).contains("431", "SIZE_INVALID");
    }
    try (Socket socket = connect(0)) {
      send(socket, "GET /v2/" + "y".repeat(40_000) + " HTTP/1.1\r\nHost: x\r\n\r\n");
      assertThat(all(socket)).contains("414", "SIZE_INVALID");
    }
    HttpResponse<String> manifest =
        http.send(
            request("/v2/a/manifests/x", basic("ann", "ann-secret"))
                .PUT(HttpRequest.BodyPublishers.ofByteArray(new byte[4 * 1024 * 1024 + 1]))
                .build(),
            HttpResponse.BodyHandlers.ofString());
    assertThat(manifest.statusCode()).isEqualTo(413);
    HttpResponse<String> form =
        http.send(
            request("/auth/token", null)
                .POST(HttpRequest.BodyPublishers.ofByteArray(new byte[70_000]))
                .build(),
            HttpResponse.BodyHandlers.ofString());
    assertThat(form.statusCode()).isEqualTo(413);
  }

  @Test
  void aFormGivesATokenWithItsScopeAndRefreshTokensAreNotKnown() throws Exception {
    start();
    String form =
        "grant_type=password&service=it&client_id=x&username=ann&password=ann-secret"
            + "&scope=repository:a:pull,push,delete+unknown:thing:x&scope=rubbish";
    HttpResponse<String> answer = post(form);
    assertThat(answer.statusCode()).isEqualTo(200);
    assertThat(answer.body())
        .contains(
            "\"access_token\":\"",
            "\"expires_in\":900",
            "\"scope\":\"repository:a:pull,push\"",
            "\"token_type\":\"Bearer\"")
        .doesNotContain("refresh_token");
    assertThat(post("grant_type=refresh_token&refresh_token=x").statusCode()).isEqualTo(400);
    assertThat(post("grant_type=password&username=ann&password=no").statusCode()).isEqualTo(401);
    assertThat(audit.toString(StandardCharsets.UTF_8))
        .contains("\"request\":\"TOKEN\"")
        .doesNotContain("ann-secret", "eyJ");
  }

  @Test
  void passwordsThatCostMuchDoNotHoldUpOtherRequests() throws Exception {
    Files.writeString(
        directory.resolve("users/ann"),
        OpenBSDBCrypt.generate("2b", "ann-secret".toCharArray(), new byte[16], 12));
    start();
    String token = token();
    assertThat(get("/v2/", token).statusCode()).isEqualTo(200);
    List<CompletableFuture<HttpResponse<String>>> logins = new ArrayList<>();
    for (int i = 0; i < 40; i++) {
      logins.add(
          http.sendAsync(
              request("/v2/", basic("ann", "ann-secret")).build(),
              HttpResponse.BodyHandlers.ofString()));
    }
    long began = System.nanoTime();
    for (int i = 0; i < 20; i++) {
      assertThat(get("/v2/", token).statusCode()).isEqualTo(200);
    }
    assertThat(Duration.ofNanos(System.nanoTime() - began)).isLessThan(Duration.ofSeconds(5));
    logins.forEach(login -> assertThat(login.join().statusCode()).isEqualTo(200));
  }

  @Test
  void whatRunsEndsWhileTheGatewayStops() throws Exception {
    start();
    try (Socket socket = connect(16 * 1024)) {
      send(
          socket, "GET " + BLOB + " HTTP/1.1\r\nHost: x\r\nAuthorization: " + token() + "\r\n\r\n");
      InputStream in = socket.getInputStream();
      String head = head(in);
      gateway.linger();
      assertThat(admin("/readyz").body()).isEqualTo("stopping\n");
      HttpResponse<String> answer = get("/v2/", token());
      assertThat(answer.statusCode()).isEqualTo(200);
      assertThat(answer.headers().firstValue("Connection")).hasValue("close");
      CompletableFuture<Void> stopped = CompletableFuture.runAsync(gateway::close);

      assertThat(head).contains("200 OK");
      assertThat(Arrays.equals(in.readNBytes(registry.blob.length), registry.blob)).isTrue();
      stopped.get(20, TimeUnit.SECONDS);
    }
  }

  @Test
  void everyDecisionLeavesALineAndNoSecret() throws Exception {
    start();
    get("/v2/a/tags/list", null);
    get("/nowhere?password=hidden", null);
    get("/v2/a/tags/list", basic("ann", "wrong-one"));
    get("/v2/a/tags/list", token());
    get("/v2/a/tags/list", "Bearer eyJrubbish");

    String lines = audit.toString(StandardCharsets.UTF_8);
    assertThat(lines)
        .contains(
            "authentication required",
            "no such path",
            "wrong password",
            "granted repository:a:pull",
            "\"decision\":\"allowed\"",
            "the token is not valid")
        .doesNotContain("eyJ", "hidden", "wrong-one", "ann-secret");
    assertThat(admin("/metrics").body())
        .contains(
            "mirror_gateway_denials_total{reason=\"not_found\"} 1.0",
            "mirror_gateway_denials_total{reason=\"login\"} 1.0");
  }

  private void start() throws Exception {
    gateway =
        new Gateway(
            directory.resolve("gateway.json"),
            new PrintStream(audit, true, StandardCharsets.UTF_8),
            random,
            clock,
            LIMITS);
  }

  private void config(String more) throws IOException {
    Path next = directory.resolve("gateway.json.next");
    Files.writeString(
        next,
        """
        {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "backend": "http://127.0.0.1:%d",
         "service": "it", "tlsDirectory": "%s", "tokenKeysDirectory": "%s",
         "usersDirectory": "%s", "maxBlobReads": 2, "drainSeconds": 30%s}
        """
            .formatted(
                registry.port(),
                directory.resolve("tls"),
                directory.resolve("keys"),
                directory.resolve("users"),
                more));
    Files.move(
        next,
        directory.resolve("gateway.json"),
        java.nio.file.StandardCopyOption.ATOMIC_MOVE,
        java.nio.file.StandardCopyOption.REPLACE_EXISTING);
  }

  private void leaf(Duration lifetime) throws IOException {
    CertifiedKey leaf =
        ca.issue(
            new LeafRequest("it", SubjectNames.of(List.of("127.0.0.1")), lifetime, KeySpec.DEFAULT),
            random,
            clock);
    Files.writeString(directory.resolve("tls/tls.crt"), leaf.chainPem());
    Files.writeString(directory.resolve("tls/tls.key"), leaf.keyPem());
  }

  private String token() throws Exception {
    String body = get("/auth/token?scope=repository:a:pull&scope=repository:b:pull", null).body();
    int at = body.indexOf("\"token\":\"") + 9;
    return "Bearer " + body.substring(at, body.indexOf('"', at));
  }

  private static String basic(String name, String password) {
    return "Basic "
        + Base64.getEncoder()
            .encodeToString((name + ":" + password).getBytes(StandardCharsets.UTF_8));
  }

  private HttpRequest.Builder request(String path, String authorization) {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create("https://127.0.0.1:" + gateway.port() + path));
    if (authorization != null) {
      request.header("Authorization", authorization);
    }
    return request;
  }

  private HttpResponse<String> get(String path, String authorization) throws Exception {
    return http.send(request(path, authorization).build(), HttpResponse.BodyHandlers.ofString());
  }

  private HttpResponse<String> post(String form) throws Exception {
    return http.send(
        request("/auth/token", null)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(HttpRequest.BodyPublishers.ofString(form))
            .build(),
        HttpResponse.BodyHandlers.ofString());
  }

  private HttpResponse<byte[]> bytes(String path, String range) throws Exception {
    HttpRequest.Builder request = request(path, token());
    if (range != null) {
      request.header("Range", range);
    }
    return http.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
  }

  private HttpResponse<String> admin(String path) throws Exception {
    return HttpClient.newHttpClient()
        .send(
            HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + gateway.adminPort() + path))
                .build(),
            HttpResponse.BodyHandlers.ofString());
  }

  private Socket connect(int receiveBuffer) throws IOException {
    Socket plain = new Socket();
    if (receiveBuffer > 0) {
      plain.setReceiveBufferSize(receiveBuffer);
    }
    plain.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), gateway.port()));
    SSLSocket tls =
        (SSLSocket) trust.getSocketFactory().createSocket(plain, "127.0.0.1", gateway.port(), true);
    tls.setSoTimeout(20_000);
    tls.startHandshake();
    return tls;
  }

  private static void send(Socket socket, String text) throws IOException {
    OutputStream out = socket.getOutputStream();
    out.write(text.getBytes(StandardCharsets.ISO_8859_1));
    out.flush();
  }

  private static String head(InputStream in) throws IOException {
    StringBuilder head = new StringBuilder();
    while (head.indexOf("\r\n\r\n") < 0) {
      int c = in.read();
      if (c < 0) {
        throw new IOException("closed after: " + head);
      }
      head.append((char) c);
    }
    return head.toString();
  }

  private static String all(Socket socket) throws IOException {
    return new String(socket.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
  }

  private static String roundTrip(Socket socket, String path, String authorization)
      throws IOException {
    send(
        socket,
        "GET " + path + " HTTP/1.1\r\nHost: x\r\nAuthorization: " + authorization + "\r\n\r\n");
    InputStream in = socket.getInputStream();
    String head = head(in);
    for (String line : head.split("\r\n")) {
      if (line.toLowerCase(java.util.Locale.ROOT).startsWith("content-length: ")) {
        in.readNBytes(Integer.parseInt(line.substring(16)));
      }
    }
    return head;
  }

  /** Whether the other side closes, in a few seconds, on a client that sends byte after byte. */
  private static boolean drips(Socket socket, String begin, String more) throws Exception {
    send(socket, begin);
    socket.setSoTimeout(200);
    for (int i = 0; i < 40; i++) {
      try {
        send(socket, more);
        if (socket.getInputStream().read() < 0) {
          return true;
        }
      } catch (java.net.SocketTimeoutException e) {
        continue;
      } catch (IOException e) {
        return true;
      }
    }
    return false;
  }

  private static void eventually(Callable<Boolean> condition) throws Exception {
    for (int i = 0; i < 100; i++) {
      if (condition.call()) {
        return;
      }
      TimeUnit.MILLISECONDS.sleep(100);
    }
    throw new AssertionError("never true");
  }
}
