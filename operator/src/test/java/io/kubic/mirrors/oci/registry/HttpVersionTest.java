package io.kubic.mirrors.oci.registry;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.pki.CertificateAuthority;
import io.kubic.mirrors.pki.CertifiedKey;
import io.kubic.mirrors.pki.KeySpec;
import io.kubic.mirrors.pki.LeafRequest;
import io.kubic.mirrors.pki.SubjectNames;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.security.KeyStore;
import java.security.SecureRandom;
import java.security.cert.Certificate;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import mockwebserver3.Dispatcher;
import mockwebserver3.MockResponse;
import mockwebserver3.MockWebServer;
import mockwebserver3.RecordedRequest;
import okhttp3.Protocol;
import okio.Buffer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Which HTTP is spoken: many questions share a connection, each blob has one of its own. */
class HttpVersionTest {
  private static final String HOST = "registry.test";
  private static final String IMAGE =
      "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x/y\",\"digest\":\"sha256:"
          + "b".repeat(64)
          + "\",\"size\":2},\"layers\":[]}";
  private static final byte[] LAYER = "layer".getBytes(UTF_8);
  private static final Descriptor BLOB =
      new Descriptor("application/x", Digest.of(LAYER), LAYER.length);

  private final SecureRandom random = new SecureRandom();
  private final CertificateAuthority ca =
      CertificateAuthority.create(
          "test", KeySpec.DEFAULT, Duration.ofDays(90), random, Clock.systemUTC());
  private final MockWebServer server = new MockWebServer();
  private final TestNetwork network = new TestNetwork().name(HOST, "203.0.113.1");
  private final Transport transport =
      new Transport(Clock.systemUTC(), new Random(1), pause -> {}, "test", network);

  /** Version, method and path of each request. */
  private final List<String> seen = new CopyOnWriteArrayList<>();

  @BeforeEach
  void offerTls() throws Exception {
    CertifiedKey leaf =
        ca.issue(
            new LeafRequest(
                HOST, SubjectNames.of(List.of(HOST)), Duration.ofDays(10), KeySpec.DEFAULT),
            random,
            Clock.systemUTC());
    KeyStore keys = KeyStore.getInstance(KeyStore.getDefaultType());
    keys.load(null, null);
    keys.setKeyEntry("k", leaf.key(), new char[0], leaf.chain().toArray(new Certificate[0]));
    KeyManagerFactory factory =
        KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    factory.init(keys, new char[0]);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(factory.getKeyManagers(), null, random);
    server.useHttps(context.getSocketFactory());
    server.setDispatcher(
        new Dispatcher() {
          @Override
          public MockResponse dispatch(RecordedRequest request) {
            seen.add(request.getVersion() + " " + request.getMethod() + " " + path(request));
            return answer(request);
          }
        });
  }

  @AfterEach
  void stop() {
    transport.close();
    server.close();
  }

  private static String path(RecordedRequest request) {
    return request.getUrl().encodedPath();
  }

  private static MockResponse answer(RecordedRequest request) {
    MockResponse.Builder answer = new MockResponse.Builder();
    if (path(request).contains("/manifests/")) {
      return answer
          .addHeader("Content-Type", MediaTypes.OCI_MANIFEST)
          .addHeader("Docker-Content-Digest", Digest.of(IMAGE.getBytes(UTF_8)))
          .body(IMAGE)
          .build();
    }
    return switch (request.getMethod()) {
      case "POST" -> answer.code(202).addHeader("Location", "/v2/app/blobs/uploads/s1").build();
      case "PUT" -> answer.code(201).build();
      default -> answer.body(new Buffer().write(LAYER)).build();
    };
  }

  private RegistryClient client() throws Exception {
    server.start(InetAddress.getByName("127.0.0.1"), 0);
    network.at("203.0.113.1", server.getPort());
    return transport.connect(
        Connection.to(HOST)
            .withTrust(new Trust(List.of(ca.certificate()), null, false))
            .withRetry(
                new Retry(0, Duration.ofMillis(1), Duration.ofSeconds(1), Duration.ofSeconds(5)))
            .withPush());
  }

  @Test
  void questionsAreAskedOverHttp2() throws Exception {
    RegistryClient client = client();
    client.resolve("app", "1");
    client.manifest("app", "1");
    assertThat(seen)
        .containsExactly("HTTP/2 HEAD /v2/app/manifests/1", "HTTP/2 GET /v2/app/manifests/1");
  }

  @Test
  void aBlobComesOverHttp1AlsoFromARegistryThatSpokeHttp2() throws Exception {
    RegistryClient client = client();
    client.manifest("app", "1");
    try (InputStream in = client.blob("app", BLOB, 0)) {
      assertThat(in.readAllBytes()).isEqualTo(LAYER);
    }
    assertThat(seen.getFirst()).startsWith("HTTP/2 ");
    assertThat(seen.getLast()).isEqualTo("HTTP/1.1 GET /v2/app/blobs/" + BLOB.digest());
  }

  @Test
  void anUploadIsStartedOverHttp2AndItsBytesGoOverHttp1() throws Exception {
    client().putBlob("app", BLOB, null, BlobContent.of(LAYER));
    assertThat(seen)
        .containsExactly(
            "HTTP/2 POST /v2/app/blobs/uploads/", "HTTP/1.1 PUT /v2/app/blobs/uploads/s1");
  }

  @Test
  void aRegistryThatOffersHttp1OnlyIsAskedOverThat() throws Exception {
    server.setProtocols(List.of(Protocol.HTTP_1_1));
    client().manifest("app", "1");
    assertThat(seen).containsExactly("HTTP/1.1 GET /v2/app/manifests/1");
  }

  /** On the way to the server: what is lost here nobody hears of. */
  private static final class Relay implements AutoCloseable {
    private final ServerSocket door = new ServerSocket(0, 50, InetAddress.getByName("127.0.0.1"));
    private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
    private final List<Socket> open = new CopyOnWriteArrayList<>();
    private final Set<Socket> lost = ConcurrentHashMap.newKeySet();

    Relay(int behind) throws IOException {
      threads.submit(
          () -> {
            while (true) {
              Socket client = door.accept();
              Socket server = new Socket("127.0.0.1", behind);
              open.addAll(List.of(client, server));
              threads.submit(() -> pass(client, server));
              threads.submit(() -> pass(server, client));
            }
          });
    }

    private Void pass(Socket from, Socket to) throws IOException {
      byte[] bytes = new byte[8192];
      for (int n = 0; n >= 0; n = from.getInputStream().read(bytes)) {
        if (!lost.contains(from)) {
          to.getOutputStream().write(bytes, 0, n);
        }
      }
      to.shutdownOutput();
      return null;
    }

    /** From now on nothing passes by the connections that there are. */
    void lose() {
      lost.addAll(open);
    }

    @Override
    public void close() throws IOException {
      door.close();
      for (Socket one : open) {
        one.close();
      }
      threads.shutdownNow();
    }
  }

  @Test
  void aConnectionThatIsDeadWithoutAWordIsNotUsedForEver() throws Exception {
    server.start(InetAddress.getByName("127.0.0.1"), 0);
    try (Relay relay = new Relay(server.getPort())) {
      network.at("203.0.113.1", relay.door.getLocalPort());
      RegistryClient client =
          transport.connect(
              Connection.to(HOST)
                  .withTrust(new Trust(List.of(ca.certificate()), null, false))
                  .withLimits(new Connection.Limits(4, null, 0, Duration.ofSeconds(2), List.of()))
                  .withRetry(
                      new Retry(
                          3, Duration.ofMillis(1), Duration.ofSeconds(1), Duration.ofSeconds(5))));
      client.manifest("app", "1");
      relay.lose();
      client.manifest("app", "1");
      assertThat(seen).allMatch(request -> request.startsWith("HTTP/2 "));
    }
  }
}
