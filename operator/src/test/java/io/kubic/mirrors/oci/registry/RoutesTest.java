package io.kubic.mirrors.oci.registry;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.pki.CertificateAuthority;
import io.kubic.mirrors.pki.CertifiedKey;
import io.kubic.mirrors.pki.KeySpec;
import io.kubic.mirrors.pki.LeafRequest;
import io.kubic.mirrors.pki.SubjectNames;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.security.KeyStore;
import java.security.SecureRandom;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The ways to a registry: certificates of both sides, proxies, several endpoints, logins. */
class RoutesTest {
  private static final String HOST = "registry.test";
  private static final byte[] IMAGE =
      ("{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x/y\",\"digest\":\"sha256:"
              + "b".repeat(64)
              + "\",\"size\":2},\"layers\":[]}")
          .getBytes(UTF_8);

  private final SecureRandom random = new SecureRandom();
  private final TestNetwork network = new TestNetwork().name(HOST, "203.0.113.1");
  private final Transport transport =
      new Transport(Clock.systemUTC(), new Random(1), pause -> {}, "test", network);
  private final List<AutoCloseable> open = new CopyOnWriteArrayList<>();

  @AfterEach
  void stop() throws Exception {
    transport.close();
    for (AutoCloseable one : open) {
      one.close();
    }
  }

  private HostileRegistry registry(SSLContext tls, HostileRegistry.Script script) {
    HostileRegistry registry = new HostileRegistry(tls, script);
    registry.addManifest("app", "1", MediaTypes.OCI_MANIFEST, IMAGE);
    open.add(registry);
    return registry;
  }

  private static Connection plain() {
    return Connection.to(HOST)
        .withPlainHttp()
        .withRetry(
            new Retry(1, Duration.ofMillis(1), Duration.ofSeconds(1), Duration.ofSeconds(2)));
  }

  private Manifest fetch(Connection connection) {
    return transport.connect(connection).manifest("app", "1");
  }

  private Reason refusal(Connection connection) {
    return catchThrowableOfType(RegistryException.class, () -> fetch(connection)).reason();
  }

  // --- TLS ---

  private final CertificateAuthority ca =
      CertificateAuthority.create(
          "test", KeySpec.DEFAULT, Duration.ofDays(90), random, Clock.systemUTC());

  private CertifiedKey leaf(CertificateAuthority by, String host) {
    return by.issue(
        new LeafRequest(host, SubjectNames.of(List.of(host)), Duration.ofDays(10), KeySpec.DEFAULT),
        random,
        Clock.systemUTC());
  }

  /** What a server needs; it believes client certificates of the authority only. */
  private SSLContext serverContext() throws Exception {
    return serverContext(HOST);
  }

  private SSLContext serverContext(String host) throws Exception {
    CertifiedKey leaf = leaf(ca, host);
    KeyStore keys = KeyStore.getInstance(KeyStore.getDefaultType());
    keys.load(null, null);
    keys.setKeyEntry("k", leaf.key(), new char[0], leaf.chain().toArray(new Certificate[0]));
    KeyManagerFactory factory =
        KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    factory.init(keys, new char[0]);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(
        factory.getKeyManagers(),
        new TrustManager[] {
          new X509TrustManager() {
            @Override
            public void checkClientTrusted(X509Certificate[] chain, String type)
                throws CertificateException {
              if (!CertificateAuthority.signed(ca.certificate(), chain[0])) {
                throw new CertificateException("nobody knows it");
              }
            }

            @Override
            public void checkServerTrusted(X509Certificate[] chain, String type) {}

            @Override
            public X509Certificate[] getAcceptedIssuers() {
              return new X509Certificate[] {ca.certificate()};
            }
          }
        },
        random);
    return context;
  }

  /** Asks whoever connects for a certificate, before the first request is answered. */
  private static boolean insistsOnACertificate(HostileRegistry.Exchange x) throws Exception {
    SSLSocket socket = (SSLSocket) x.socket;
    try {
      return socket.getSession().getPeerCertificates().length == 0;
    } catch (javax.net.ssl.SSLPeerUnverifiedException e) {
      return x.respond(403, "", "a certificate is wanted");
    }
  }

  private Connection secure(Trust.ClientCertificate client) {
    return Connection.to(HOST)
        .withRetry(new Retry(0, Duration.ofMillis(1), Duration.ofSeconds(1), Duration.ofSeconds(2)))
        .withTrust(new Trust(List.of(ca.certificate()), client, false));
  }

  @Test
  void aClientShowsTheCertificateOfItsSourceAndNoOther() throws Exception {
    HostileRegistry registry = registry(serverContext(), RoutesTest::insistsOnACertificate);
    network.at("203.0.113.1", registry.port());
    CertifiedKey ours = leaf(ca, "client.test");
    var certificate = Trust.ClientCertificate.parse(ours.chainPem(), ours.keyPem(), "tls.key");
    assertThat(fetch(secure(certificate)).bytes()).isEqualTo(IMAGE);
    assertThat(refusal(secure(null))).isEqualTo(Reason.Forbidden);
    CertificateAuthority other =
        CertificateAuthority.create(
            "other", KeySpec.DEFAULT, Duration.ofDays(90), random, Clock.systemUTC());
    CertifiedKey foreign = leaf(other, "client.test");
    assertThat(
            refusal(
                secure(
                    Trust.ClientCertificate.parse(
                        foreign.chainPem(), foreign.keyPem(), "tls.key"))))
        .isIn(Reason.Forbidden, Reason.TLSVerification, Reason.ConnectionFailed);
    assertThat(certificate.toString()).doesNotContain("PRIVATE");
  }

  @Test
  void whereARegistryLeadsToNoCertificateOfOursIsShown() throws Exception {
    HostileRegistry registry =
        registry(
            serverContext(), x -> x.asks("/v2/app/") && x.redirect("https://cdn.test/v2/app/x"));
    List<Boolean> shown = new CopyOnWriteArrayList<>();
    HostileRegistry elsewhere =
        registry(
            serverContext("cdn.test"),
            x -> {
              try {
                shown.add(((SSLSocket) x.socket).getSession().getPeerCertificates().length > 0);
              } catch (javax.net.ssl.SSLPeerUnverifiedException e) {
                shown.add(false);
              }
              return x.respond(
                  200,
                  "Content-Type: " + MediaTypes.OCI_MANIFEST + "\r\n",
                  new String(IMAGE, UTF_8));
            });
    network.name("cdn.test", "203.0.113.2");
    network.at("203.0.113.1", registry.port()).at("203.0.113.2", elsewhere.port());
    CertifiedKey ours = leaf(ca, "client.test");
    assertThat(
            fetch(secure(Trust.ClientCertificate.parse(ours.chainPem(), ours.keyPem(), "tls.key")))
                .bytes())
        .isEqualTo(IMAGE);
    assertThat(shown).containsExactly(false);
  }

  @Test
  void theQuotaOfAPlaceThatARegistryLeadsToIsNotTheRegistrys() {
    HostileRegistry registry =
        registry(null, x -> x.asks("/v2/app/") && x.redirect("http://cdn.test/v2/app/x"));
    HostileRegistry elsewhere =
        registry(
            null,
            x ->
                x.respond(
                    200,
                    "RateLimit-Remaining: 0\r\nContent-Type: " + MediaTypes.OCI_MANIFEST + "\r\n",
                    new String(IMAGE, UTF_8)));
    network.name("cdn.test", "203.0.113.2");
    network.at("203.0.113.1", registry.port()).at("203.0.113.2", elsewhere.port());
    for (int i = 0; i < 2; i++) {
      assertThat(fetch(plain()).bytes()).isEqualTo(IMAGE);
    }
  }

  @Test
  void aPrivateAuthorityIsBelievedForItsSourceOnly() throws Exception {
    network.at("203.0.113.1", registry(serverContext(), x -> false).port());
    assertThat(fetch(secure(null)).bytes()).isEqualTo(IMAGE);
    Connection usual = secure(null).withTrust(Trust.system());
    assertThat(refusal(usual)).isEqualTo(Reason.TLSVerification);
    assertThat(fetch(usual.withTrust(new Trust(List.of(), null, true))).bytes()).isEqualTo(IMAGE);
  }

  @Test
  void aRegistryWithoutTlsMayLeadToAPlaceThatHasIt() throws Exception {
    HostileRegistry registry =
        registry(null, x -> x.asks("/v2/app/") && x.redirect("https://cdn.test/v2/app/x"));
    HostileRegistry secured = registry(serverContext(), x -> false);
    network.name("cdn.test", "203.0.113.2");
    network.at("203.0.113.1", registry.port()).at("203.0.113.2", secured.port());
    // Nobody the system knows has signed its certificate: TLS was spoken to find that out.
    assertThat(refusal(plain())).isEqualTo(Reason.TLSVerification);
    assertThat(secured.seen).isEmpty();
  }

  @Test
  void aRegistryWithoutTlsMayHaveItsTokensFromAPlaceThatHasIt() throws Exception {
    HostileRegistry registry =
        registry(
            null,
            x ->
                x.asks("/v2/")
                    && x.challenge("Bearer realm=\"https://" + HOST + "/token\",service=\"s\""));
    HostileRegistry secured = registry(serverContext(), x -> false);
    network.name(HOST, "203.0.113.1", "203.0.113.2");
    network.at("203.0.113.1", registry.port()).at("203.0.113.2", secured.port());
    assertThat(refusal(plain())).isEqualTo(Reason.TLSVerification);
    assertThat(secured.seen).isEmpty();
  }

  // --- proxies ---

  /** A proxy that wants a password, for plain requests and for tunnels. */
  private static final class PlayedProxy implements AutoCloseable {
    static final String LOGIN =
        "Basic " + Base64.getEncoder().encodeToString("u:secret".getBytes(UTF_8));
    final List<String> seen = new CopyOnWriteArrayList<>();
    private final ServerSocket server;
    private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
    private final int behind;

    PlayedProxy(int behind) throws IOException {
      this.behind = behind;
      this.server = new ServerSocket(0, 50, InetAddress.getByName("127.0.0.1"));
      threads.execute(
          () -> {
            while (!server.isClosed()) {
              try {
                Socket socket = server.accept();
                threads.execute(() -> serve(socket));
              } catch (IOException e) {
                return;
              }
            }
          });
    }

    int port() {
      return server.getLocalPort();
    }

    private static String head(InputStream in) throws IOException {
      ByteArrayOutputStream head = new ByteArrayOutputStream();
      while (!head.toString(ISO_8859_1).endsWith("\r\n\r\n")) {
        int c = in.read();
        if (c < 0) {
          return "";
        }
        head.write(c);
      }
      return head.toString(ISO_8859_1);
    }

    private void serve(Socket socket) {
      try (socket) {
        while (true) {
          String head = head(socket.getInputStream());
          if (head.isEmpty()) {
            return;
          }
          seen.add(head);
          if (!head.contains(LOGIN)) {
            socket
                .getOutputStream()
                .write(
                    "HTTP/1.1 407 X\r\nProxy-Authenticate: Basic realm=\"p\"\r\nContent-Length: 0\r\n\r\n"
                        .getBytes(ISO_8859_1));
            continue;
          }
          try (Socket registry = new Socket("127.0.0.1", behind)) {
            if (head.startsWith("CONNECT ")) {
              socket.getOutputStream().write("HTTP/1.1 200 X\r\n\r\n".getBytes(ISO_8859_1));
            } else {
              registry
                  .getOutputStream()
                  .write(head.replace("http://" + HOST, "").getBytes(ISO_8859_1));
            }
            var back =
                threads.submit(
                    () -> registry.getInputStream().transferTo(socket.getOutputStream()));
            socket.getInputStream().transferTo(registry.getOutputStream());
            back.cancel(true);
          }
          return;
        }
      } catch (IOException e) {
        // Somebody has gone.
      }
    }

    @Override
    public void close() throws IOException {
      server.close();
      threads.shutdownNow();
    }
  }

  private PlayedProxy proxy(HostileRegistry registry) throws IOException {
    PlayedProxy proxy = new PlayedProxy(registry.port());
    open.add(proxy);
    return proxy;
  }

  @Test
  void aProxyIsUsedWithItsPasswordForPlainRequestsAndTunnels() throws Exception {
    PlayedProxy plain = proxy(registry(null, x -> false));
    Proxies proxies =
        Proxies.fromEnvironment(
            Map.of(
                "HTTP_PROXY", "http://u:secret@127.0.0.1:" + plain.port(), "NO_PROXY", "x.test"));
    assertThat(fetch(plain().withProxies(proxies)).bytes()).isEqualTo(IMAGE);
    assertThat(plain.seen).anyMatch(head -> head.startsWith("GET http://registry.test/v2/app/"));

    HostileRegistry secure = registry(serverContext(), x -> false);
    PlayedProxy tunnel = proxy(secure);
    proxies = Proxies.fromEnvironment(Map.of("https_proxy", "u:secret@127.0.0.1:" + tunnel.port()));
    Connection through =
        secure(null)
            .withProxies(proxies)
            .withCredentials(Credentials.of(new Credentials.Login("me", new Secret("mine"))));
    assertThat(fetch(through).bytes()).isEqualTo(IMAGE);
    assertThat(tunnel.seen).allMatch(head -> head.startsWith("CONNECT registry.test:443 "));
    // The proxy's password is the proxy's, and ours is not for it.
    assertThat(secure.seen).noneMatch(x -> x.headers.containsKey("Proxy-Authorization"));
    assertThat(tunnel.seen).noneMatch(head -> head.contains("\r\nAuthorization:"));
    assertThat(network.reached)
        .noneMatch(address -> address.getHostAddress().equals("203.0.113.1"));
    assertThat(proxies.toString()).doesNotContain("secret");
  }

  @Test
  void aHostOfNoProxyIsReachedWithoutOne() throws Exception {
    HostileRegistry registry = registry(null, x -> false);
    network.at("203.0.113.1", registry.port());
    PlayedProxy proxy = proxy(registry);
    Proxies proxies =
        Proxies.fromEnvironment(
            Map.of("HTTP_PROXY", "http://127.0.0.1:" + proxy.port(), "NO_PROXY", " .test "));
    assertThat(fetch(plain().withProxies(proxies)).bytes()).isEqualTo(IMAGE);
    assertThat(proxy.seen).isEmpty();
  }

  @Test
  void noProxyKnowsNamesPortsAndNetworks() {
    Proxies proxies =
        Proxies.fromEnvironment(
            Map.of(
                "HTTPS_PROXY",
                "http://proxy.test:8080",
                "NO_PROXY",
                "a.test,.b.test,*.c.test,d.test:5000,10.0.0.0/8,fd00::/8,192.0.2.7"));
    for (String direct :
        List.of("a.test", "x.a.test", "x.b.test", "x.c.test", "10.1.2.3", "fd00::1", "192.0.2.7")) {
      assertThat(proxies.to(true, direct, 443)).as(direct).isEmpty();
    }
    assertThat(proxies.to(true, "d.test", 5000)).isEmpty();
    for (String by : List.of("d.test", "nota.test", "11.0.0.1", "192.0.2.8", "10.test")) {
      assertThat(proxies.to(true, by, 443)).as(by).isPresent();
    }
    assertThat(proxies.to(false, "e.test", 80)).as("no HTTP_PROXY").isEmpty();
    assertThat(
            Proxies.fromEnvironment(Map.of("HTTPS_PROXY", "p", "no_proxy", "*"))
                .to(true, "e.test", 443))
        .isEmpty();
  }

  // --- endpoints ---

  @Test
  void anEndpointThatFailsIsFollowedByTheNextWhichThenStays() throws Exception {
    int dead;
    try (ServerSocket socket = new ServerSocket(0)) {
      dead = socket.getLocalPort();
    }
    HostileRegistry broken = registry(null, x -> x.respond(503, "", ""));
    HostileRegistry good = registry(null, x -> false);
    RegistryClient client =
        transport.connect(
            plain()
                .withRetry(
                    new Retry(
                        0, Duration.ofMillis(1), Duration.ofSeconds(1), Duration.ofSeconds(2)))
                .withEndpoints(
                    List.of(
                        URI.create("http://127.0.0.1:" + dead),
                        URI.create("http://127.0.0.1:" + broken.port()),
                        URI.create("http://127.0.0.1:" + good.port()))));
    assertThat(client.manifest("app", "1").bytes()).isEqualTo(IMAGE);
    assertThat(broken.seen).hasSize(1);
    client.manifest("app", "1");
    client.resolve("app", "1");
    assertThat(broken.seen).as("not asked again").hasSize(1);
    assertThat(good.seen).hasSize(3);
    // What is not there is not looked for elsewhere.
    assertThat(client.resolve("app", "none")).isEmpty();
    assertThat(broken.seen).hasSize(1);
  }

  // --- logins ---

  @Test
  void anIdentityTokenIsExchangedAndNeverSentToTheRegistry() throws Exception {
    HostileRegistry registry =
        registry(
            null,
            x -> {
              if (x.asks("/token")) {
                String form = new String(x.body(), UTF_8);
                return form.contains("grant_type=refresh_token")
                        && form.contains("refresh_token=identity-of-me")
                        && form.contains("service=s")
                        && form.contains("scope=repository%3Aapp%3Apull")
                    ? x.json("{\"access_token\":\"access\"}")
                    : x.respond(400, "", form);
              }
              return !"Bearer access".equals(x.headers.get("Authorization"))
                  && x.challenge("Bearer realm=\"http://" + HOST + "/token\",service=\"s\"");
            });
    network.at("203.0.113.1", registry.port());
    Credentials credentials =
        Credentials.fromDockerConfig(
            "{\"auths\":{\"registry.test\":{\"auth\":\"MDAwOg==\",\"identitytoken\":\"identity-of-me\"}}}",
            "config.json");
    assertThat(fetch(plain().withCredentials(credentials)).bytes()).isEqualTo(IMAGE);
    assertThat(registry.seen)
        .filteredOn(x -> !x.asks("/token"))
        .noneMatch(x -> x.toString().contains("identity-of-me"));
    assertThat(registry.seen)
        .filteredOn(x -> x.asks("/token"))
        .singleElement()
        .satisfies(x -> assertThat(x.target).doesNotContain("identity"));
  }

  @Test
  void aRegistryBehindATunnelThatAsksForTheProxysPasswordDoesNotGetIt() throws Exception {
    HostileRegistry registry =
        registry(
            serverContext(), x -> x.respond(407, "Proxy-Authenticate: Basic realm=\"p\"\r\n", ""));
    Proxies proxies =
        Proxies.fromEnvironment(
            Map.of("HTTPS_PROXY", "http://u:secret@127.0.0.1:" + proxy(registry).port()));
    assertThat(refusal(secure(null).withProxies(proxies))).isEqualTo(Reason.Unauthorized);
    assertThat(registry.seen)
        .isNotEmpty()
        .noneMatch(x -> x.headers.containsKey("Proxy-Authorization"));
  }

  @Test
  void aProxyThatDoesNotTakeThePasswordIsShownItOnce() throws Exception {
    for (boolean tls : List.of(true, false)) {
      PlayedProxy proxy = proxy(registry(tls ? serverContext() : null, x -> false));
      Proxies proxies =
          Proxies.of(Proxies.Server.parse("http://u:wrong@127.0.0.1:" + proxy.port()));
      Connection through =
          (tls ? secure(null) : plain())
              .withProxies(proxies)
              .withLimits(new Connection.Limits(1, null, 0, Duration.ofSeconds(3), List.of()));
      assertThat(refusal(through)).isEqualTo(Reason.Unauthorized);
      assertThat(proxy.seen).filteredOn(head -> head.contains("Proxy-Authorization")).hasSize(1);
    }
  }

  @Test
  void aPlaceThatARegistryLeadsToSpeaksForItselfWhenItWantsToBeLeftAlone() {
    HostileRegistry registry =
        registry(null, x -> x.asks("/v2/app/blobs/") && x.redirect("http://cdn.test/blob"));
    HostileRegistry elsewhere = registry(null, x -> x.respond(503, "Retry-After: 1000000\r\n", ""));
    network.name("cdn.test", "203.0.113.2");
    network.at("203.0.113.1", registry.port()).at("203.0.113.2", elsewhere.port());
    RegistryClient client = transport.connect(plain());
    assertThat(
            catchThrowableOfType(
                    RegistryException.class,
                    () -> client.hasBlob("app", Manifest.parse(IMAGE, null, "x").blobs().get(0)))
                .reason())
        .isEqualTo(Reason.ServerError);
    assertThat(client.manifest("app", "1").bytes()).isEqualTo(IMAGE);
  }

  @Test
  void aRealmThatRepeatsAnIdentityTokenDoesNotGetItIntoAMessage() {
    HostileRegistry registry =
        registry(
            null,
            x ->
                x.asks("/token")
                    ? x.respond(
                        400,
                        "",
                        "{\"errors\":[{\"code\":\"X\",\"message\":\""
                            + new String(x.body(), UTF_8)
                            + " identity-of+me\"}]}")
                    : x.challenge("Bearer realm=\"http://" + HOST + "/token\",service=\"s\""));
    network.at("203.0.113.1", registry.port());
    Credentials credentials =
        Credentials.of(new Credentials.Login("", new Secret(""), new Secret("identity-of+me")));
    assertThatThrownBy(() -> fetch(plain().withCredentials(credentials)))
        .hasMessageContaining("400")
        .message()
        .doesNotContain("identity");
  }
}
