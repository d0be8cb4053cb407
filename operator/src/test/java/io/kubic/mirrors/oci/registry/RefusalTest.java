package io.kubic.mirrors.oci.registry;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.time.Clock;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What will not get better by itself is asked for once, however often others are tried again. */
class RefusalTest {
  private static final byte[] IMAGE =
      ("{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x/y\",\"digest\":\"sha256:"
              + "b".repeat(64)
              + "\",\"size\":2},\"layers\":[]}")
          .getBytes(UTF_8);
  private static final byte[] LAYER = new byte[300_000];
  private static final Descriptor BLOB;

  static {
    new Random(9).nextBytes(LAYER);
    BLOB = new Descriptor("application/x", Digest.of(LAYER), LAYER.length);
  }

  private final HostileRegistry registry = new HostileRegistry(null, x -> false);
  private final Transport transport =
      new Transport(Clock.systemUTC(), new Random(1), pause -> {}, "test");
  private final RegistryClient client =
      transport.connect(
          Connection.to("registry.test")
              .withEndpoints(List.of(URI.create("http://127.0.0.1:" + registry.port())))
              .withRetry(
                  new Retry(3, Duration.ofMillis(1), Duration.ofSeconds(1), Duration.ofSeconds(5)))
              .withPush());

  @AfterEach
  void stop() {
    transport.close();
    registry.close();
  }

  private void assertThatItFailsAfterOne(String method, Reason reason, Runnable action) {
    RegistryException e = catchThrowableOfType(RegistryException.class, action::run);
    assertThat(e.reason()).isEqualTo(reason);
    assertThat(e.attempts()).isEqualTo(1);
    assertThat(registry.seen).filteredOn(x -> x.method.equals(method)).hasSize(1);
  }

  private void download() {
    try (InputStream in = client.blob("app", BLOB, 0)) {
      in.transferTo(OutputStream.nullOutputStream());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void upload() {
    client.putBlob("app", BLOB, null, BlobContent.of(LAYER));
  }

  @ParameterizedTest
  @CsvSource({"404, NotFound", "403, Forbidden"})
  void aManifestIsAskedForOnce(int status, Reason reason) {
    registry.script(x -> x.respond(status, "", ""));
    assertThatItFailsAfterOne("GET", reason, () -> client.manifest("app", "1"));
  }

  @Test
  void aTagThatMustNotBeSeenIsAskedForOnce() {
    registry.script(x -> x.respond(403, "", ""));
    assertThatItFailsAfterOne("HEAD", Reason.Forbidden, () -> client.resolve("app", "1"));
  }

  @Test
  void aManifestOfOtherBytesIsAskedForOnce() {
    registry.manifests.put("app@" + BLOB.digest(), IMAGE);
    assertThatItFailsAfterOne(
        "GET", Reason.DigestMismatch, () -> client.manifest("app", BLOB.digest().toString()));
  }

  @ParameterizedTest
  @CsvSource({"404, NotFound", "403, Forbidden"})
  void aBlobIsAskedForOnce(int status, Reason reason) {
    registry.script(x -> x.respond(status, "", ""));
    assertThatItFailsAfterOne("GET", reason, this::download);
  }

  @Test
  void aBlobOfAnotherLengthIsAskedForOnce() {
    registry.blobs.put("app@" + BLOB.digest(), Arrays.copyOf(LAYER, 1000));
    assertThatItFailsAfterOne("GET", Reason.DigestMismatch, this::download);
  }

  @Test
  void aBlobThatIsLongerThanItWasSaidToBeIsAskedForOnce() {
    registry.script(
        x ->
            x.raw("HTTP/1.1 200 X\r\nConnection: close\r\n\r\n")
                && x.raw(LAYER)
                && x.raw("more")
                && x.end());
    assertThatItFailsAfterOne("GET", Reason.DigestMismatch, this::download);
  }

  @Test
  void aBlobOfOtherBytesIsReadOnceOnItsWayToAnotherRegistry() {
    byte[] wrong = LAYER.clone();
    wrong[100] ^= 1;
    registry.blobs.put("app@" + BLOB.digest(), wrong);
    AtomicInteger opened = new AtomicInteger();
    assertThatItFailsAfterOne(
        "GET",
        Reason.DigestMismatch,
        () ->
            client.putBlob(
                "copy",
                BLOB,
                null,
                offset -> {
                  opened.incrementAndGet();
                  return client.blob("app", BLOB, offset);
                }));
    assertThat(opened).hasValue(1);
    assertThat(registry.blobs).doesNotContainKey("copy@" + BLOB.digest());
  }

  @ParameterizedTest
  @CsvSource({"403, Forbidden", "400, TargetRejected"})
  void anUploadThatMayNotBeginIsNotTriedAgain(int status, Reason reason) {
    registry.script(x -> x.method.equals("POST") && x.respond(status, "", ""));
    assertThatItFailsAfterOne("POST", reason, this::upload);
    assertThat(registry.seen).hasSize(1);
  }

  @ParameterizedTest
  @CsvSource({"403, Forbidden", "400, TargetRejected"})
  void anUploadThatIsRefusedIsNotSentAgain(int status, Reason reason) {
    registry.script(x -> x.method.equals("PUT") && x.respond(status, "", ""));
    assertThatItFailsAfterOne("PUT", reason, this::upload);
    assertThat(registry.seen).extracting(x -> x.method).containsExactly("POST", "PUT", "DELETE");
  }

  @ParameterizedTest
  @CsvSource({"403, Forbidden", "400, TargetRejected"})
  void aManifestThatIsRefusedIsNotSentAgain(int status, Reason reason) {
    registry.script(x -> x.method.equals("PUT") && x.respond(status, "", ""));
    Manifest manifest = Manifest.parse(IMAGE, MediaTypes.OCI_MANIFEST, "app");
    assertThatItFailsAfterOne("PUT", reason, () -> client.putManifest("app", manifest, "1"));
    assertThat(registry.seen).hasSize(1);
  }
}
