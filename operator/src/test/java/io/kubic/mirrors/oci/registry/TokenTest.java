package io.kubic.mirrors.oci.registry;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageStore.BlobWrite;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.io.ByteArrayInputStream;
import java.time.Clock;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Whose realm sees the credentials, and what becomes of a token that is not believed any more. */
class TokenTest {
  private static final byte[] IMAGE =
      ("{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x/y\",\"digest\":\"sha256:"
              + "b".repeat(64)
              + "\",\"size\":2},\"layers\":[]}")
          .getBytes(UTF_8);
  private static final byte[] LAYER = new byte[200_000];
  private static final Descriptor BLOB =
      new Descriptor("application/x", Digest.of(LAYER), LAYER.length);
  private static final String LOGIN =
      "Basic " + Base64.getEncoder().encodeToString("u:p".getBytes(UTF_8));

  /** Tokens are numbered: t1, t2 and so on. */
  private final AtomicInteger issued = new AtomicInteger();

  /** Up to this one they are not believed. */
  private final AtomicInteger revoked = new AtomicInteger();

  private String challenge;
  private final HostileRegistry registry = new HostileRegistry(null, this::answer);
  private final HostileRegistry elsewhere = new HostileRegistry(null, this::token);
  private final TestNetwork network = new TestNetwork().at("203.0.113.1", registry.port());
  private final Transport transport =
      new Transport(Clock.systemUTC(), new Random(1), pause -> {}, "test", network);

  @AfterEach
  void stop() {
    transport.close();
    registry.close();
    elsewhere.close();
  }

  private boolean token(HostileRegistry.Exchange x) throws Exception {
    return x.asks("/token")
        && x.json("{\"token\":\"t" + issued.incrementAndGet() + "\",\"expires_in\":3600}");
  }

  private boolean answer(HostileRegistry.Exchange x) throws Exception {
    String shown = x.headers.getOrDefault("Authorization", "");
    boolean believed =
        shown.startsWith("Bearer t") && Integer.parseInt(shown.substring(8)) > revoked.get();
    return token(x) || !believed && x.challenge(challenge);
  }

  private Connection connection(String host, String realm) {
    network.name(host, "203.0.113.1");
    challenge = "Bearer realm=\"http://" + realm + "/token\",service=\"s\"";
    registry.addManifest("app", "1", MediaTypes.OCI_MANIFEST, IMAGE);
    return Connection.to(host)
        .withPlainHttp()
        .withCredentials(Credentials.of(new Credentials.Login("u", new Secret("p"))))
        .withRetry(
            new Retry(0, Duration.ofMillis(1), Duration.ofSeconds(1), Duration.ofSeconds(5)));
  }

  private static Reason reason(Runnable action) {
    return catchThrowableOfType(RegistryException.class, action::run).reason();
  }

  // --- realms ---

  private Connection withRealm(String host, String realm, String... listed) {
    int colon = realm.indexOf(':');
    network.name(colon < 0 ? realm : realm.substring(0, colon), "203.0.113.2");
    network.at("203.0.113.2", elsewhere.port());
    return connection(host, realm)
        .withLimits(new Connection.Limits(4, null, 0, Duration.ofSeconds(5), List.of(listed)));
  }

  private void assertThatItGetsTheCredentials(Connection connection) {
    assertThat(transport.connect(connection).manifest("app", "1").bytes()).isEqualTo(IMAGE);
    assertThat(elsewhere.seen)
        .singleElement()
        .satisfies(x -> assertThat(x.headers).containsEntry("Authorization", LOGIN));
  }

  private void assertThatItIsRefused(Connection connection) {
    assertThat(reason(() -> transport.connect(connection).manifest("app", "1")))
        .isEqualTo(Reason.RealmRefused);
    assertThat(elsewhere.seen).isEmpty();
    assertThat(registry.seen).hasSize(1);
  }

  @ParameterizedTest
  @CsvSource({
    "registry.example.com, auth.example.com",
    "registry.example.com, example.com",
    "example.com, auth.example.com",
    "registry.example.co.uk, auth.example.co.uk"
  })
  void aRealmOfTheRegistrysDomainGetsTheCredentials(String host, String realm) {
    assertThatItGetsTheCredentials(withRealm(host, realm));
  }

  @ParameterizedTest
  @CsvSource({
    "registry.example.com, auth.example.org",
    "registry.example.com, auth.badexample.com",
    "registry.example.com, registry.example.com.evil.org",
    // Whose registrable domains only have a public suffix in common.
    "registry.example.co.uk, auth.evil.co.uk",
    // Two services of one cluster.
    "registry.one.svc.cluster.local, auth.two.svc.cluster.local"
  })
  void aRealmOfAnotherDomainIsRefusedAndHearsNothing(String host, String realm) {
    assertThatItIsRefused(withRealm(host, realm));
  }

  @ParameterizedTest
  @ValueSource(strings = {"auth.example.org", "auth.example.org:5001", "Auth.Example.ORG"})
  void aRealmThatIsListedGetsTheCredentials(String listed) {
    assertThatItGetsTheCredentials(
        withRealm("registry.example.com", "auth.example.org:5001", "x.example.org", listed));
  }

  @Test
  void aRealmThatIsAnAddressIsListedInBrackets() {
    network.at("2001:db8:0:0:0:0:0:1", elsewhere.port());
    String realm = "[2001:db8::1]:5001";
    assertThatItGetsTheCredentials(withRealm("registry.example.com", realm, realm));
  }

  @ParameterizedTest
  @ValueSource(strings = {"example.org", "auth.example.org:5002", "auth.example.org.evil.org"})
  void aRealmThatIsNotTheOneListedIsRefused(String listed) {
    assertThatItIsRefused(withRealm("registry.example.com", "auth.example.org:5001", listed));
  }

  // --- tokens that are refused in the middle of a run ---

  private RegistryClient client() {
    return transport.connect(connection("registry.test", "registry.test").withPush());
  }

  /** Method and last part of the path of the requests since the last time. */
  private List<String> asked() {
    List<String> all =
        registry.seen.stream()
            .map(x -> x.method + " " + x.path().substring(x.path().lastIndexOf('/') + 1))
            .toList();
    registry.seen.clear();
    return all;
  }

  @Test
  void aTokenThatHasExpiredUnderwayIsReplacedOnceAndTheRequestGoesOn() {
    RegistryClient client = client();
    client.manifest("app", "1");
    assertThat(asked()).containsExactly("GET 1", "GET token", "GET 1");
    revoked.set(1);
    assertThat(client.manifest("app", "1").bytes()).isEqualTo(IMAGE);
    assertThat(asked()).containsExactly("GET 1", "GET token", "GET 1");
    client.manifest("app", "1");
    assertThat(asked()).containsExactly("GET 1");
  }

  @Test
  void aFreshTokenThatIsRefusedTooIsUnauthorizedAndNothingIsRepeated() {
    RegistryClient client = client();
    client.manifest("app", "1");
    asked();
    revoked.set(Integer.MAX_VALUE);
    assertThat(reason(() -> client.manifest("app", "1"))).isEqualTo(Reason.Unauthorized);
    assertThat(asked()).containsExactly("GET 1", "GET token", "GET 1");
  }

  /** Refuses the bytes of an upload for want of a token that is believed. */
  private void refuseUploads(int times) {
    AtomicInteger refused = new AtomicInteger();
    registry.script(
        x -> {
          if (x.method.equals("PUT") && refused.getAndIncrement() < times) {
            revoked.set(issued.get());
          }
          return answer(x);
        });
  }

  @Test
  void anUploadWhoseTokenHasExpiredIsSentAgainWithAFreshOne() {
    refuseUploads(1);
    List<Long> opened = new CopyOnWriteArrayList<>();
    BlobWrite write =
        client()
            .putBlob(
                "app",
                BLOB,
                null,
                offset -> {
                  opened.add(offset);
                  return new ByteArrayInputStream(LAYER);
                });
    assertThat(write).isEqualTo(BlobWrite.WRITTEN);
    assertThat(registry.blobs.get("app@" + BLOB.digest())).isEqualTo(LAYER);
    assertThat(opened).containsExactly(0L, 0L);
    assertThat(registry.seen)
        .filteredOn(x -> x.method.equals("PUT"))
        .extracting(x -> x.headers.get("Authorization"))
        .containsExactly("Bearer t1", "Bearer t2");
  }

  @Test
  void anUploadWhoseFreshTokenIsRefusedTooIsUnauthorized() {
    refuseUploads(Integer.MAX_VALUE);
    assertThat(
            reason(
                () ->
                    client().putBlob("app", BLOB, null, offset -> new ByteArrayInputStream(LAYER))))
        .isEqualTo(Reason.Unauthorized);
    assertThat(registry.seen).filteredOn(x -> x.method.equals("PUT")).hasSize(2);
    assertThat(registry.blobs).isEmpty();
  }

  @Test
  void whoeverWaitsForATokenThatCannotBeHadFailsWithTheOneThatAsks() throws Exception {
    int others = 8;
    List<Thread> waiting = new CopyOnWriteArrayList<>();
    List<RegistryException> failures = new CopyOnWriteArrayList<>();
    Connection connection = connection("registry.test", "registry.test");
    RegistryClient client = transport.connect(connection);
    assertThat(client.resolve("app", "1")).isPresent();
    // From now on the realm is known, and every token is refused.
    AtomicInteger asked = new AtomicInteger();
    registry.script(
        x -> {
          if (!x.asks("/token")) {
            return answer(x);
          }
          if (asked.incrementAndGet() == 1) {
            for (int i = 0; i < others; i++) {
              String name = "t" + i;
              waiting.add(
                  Thread.ofPlatform()
                      .start(
                          () ->
                              failures.add(
                                  catchThrowableOfType(
                                      RegistryException.class,
                                      () -> client.resolve("other", name)))));
            }
            while (waiting.stream()
                .anyMatch(t -> t.isAlive() && t.getState() != Thread.State.WAITING)) {
              Thread.yield();
            }
          }
          return x.respond(500, "", "");
        });
    assertThat(reason(() -> client.resolve("other", "1"))).isEqualTo(Reason.ServerError);
    for (Thread one : waiting) {
      one.join();
    }
    assertThat(asked).hasValue(1);
    assertThat(failures)
        .hasSize(others)
        .allMatch(e -> e.reason() == Reason.ServerError)
        .extracting(RegistryException::object)
        .doesNotHaveDuplicates();
  }
}
