package io.kubic.mirrors.oci.registry;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageStore.BlobWrite;
import java.net.URI;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What it costs to make a blob exist, request by request. */
class UploadsTest {
  /** From here on it is asked whether a blob is there. */
  private static final int LARGE = 1 << 20;

  private final Transport transport =
      new Transport(Clock.systemUTC(), new Random(1), pause -> {}, "test");

  /** Grants no mount unless told to. */
  private final HostileRegistry registry = new HostileRegistry(null, x -> false);

  private final RegistryClient client =
      transport.connect(
          Connection.to("registry.test")
              .withEndpoints(List.of(URI.create("http://127.0.0.1:" + registry.port())))
              .withRetry(
                  new Retry(0, Duration.ofMillis(1), Duration.ofSeconds(1), Duration.ofSeconds(5)))
              .withPush());

  private int seed;

  @AfterEach
  void stop() {
    transport.close();
    registry.close();
  }

  /** Mounts what is there, also from its own repository. */
  private boolean mounts(HostileRegistry.Exchange x) throws Exception {
    if (!x.method.equals("POST")) {
      return false;
    }
    byte[] bytes = registry.blobs.get(x.parameter("from") + "@" + x.parameter("mount"));
    if (bytes == null) {
      return false;
    }
    String repository = x.path().substring(4, x.path().indexOf("/blobs/"));
    registry.blobs.put(repository + "@" + x.parameter("mount"), bytes);
    return x.respond(201, "", "");
  }

  /** One that was not there before. */
  private byte[] bytes(int size) {
    byte[] bytes = new byte[size];
    new Random(seed++).nextBytes(bytes);
    return bytes;
  }

  private static Descriptor blob(byte[] bytes) {
    return new Descriptor("application/x", Digest.of(bytes), bytes.length);
  }

  private BlobWrite put(byte[] bytes, String mountFrom) {
    return client.putBlob("app", blob(bytes), mountFrom, BlobContent.of(bytes));
  }

  /** One that is there is not read. */
  private BlobWrite putKnown(byte[] bytes, String mountFrom) {
    return client.putBlob(
        "app",
        blob(bytes),
        mountFrom,
        offset -> {
          throw new AssertionError("nobody needs the bytes");
        });
  }

  private byte[] there(String repository, int size) {
    byte[] bytes = bytes(size);
    registry.addBlob(repository, bytes);
    return bytes;
  }

  /** The requests since the last time; of a start also where it would mount from. */
  private List<String> asked() {
    List<String> all =
        registry.seen.stream()
            .map(x -> x.method + (x.method.equals("POST") ? " " + x.parameter("from") : ""))
            .toList();
    registry.seen.clear();
    return all;
  }

  @Test
  void aBlobThatIsThereCostsOneRequest() {
    registry.script(this::mounts);
    assertThat(putKnown(there("app", LARGE), null)).isEqualTo(BlobWrite.PRESENT);
    assertThat(asked()).containsExactly("POST app");
    assertThat(putKnown(there("app", 10), null)).isEqualTo(BlobWrite.PRESENT);
    assertThat(asked()).containsExactly("POST app");
  }

  @Test
  void aBlobOfAnotherRepositoryCostsOneRequestAndNoByte() {
    registry.script(this::mounts);
    byte[] bytes = there("other", LARGE);
    assertThat(putKnown(bytes, "other")).isEqualTo(BlobWrite.MOUNTED);
    assertThat(asked()).containsExactly("POST other");
    assertThat(registry.blobs.get("app@" + Digest.of(bytes))).isEqualTo(bytes);
  }

  @Test
  void aSmallBlobIsSentWithoutAsking() {
    byte[] bytes = bytes(LARGE - 1);
    assertThat(put(bytes, null)).isEqualTo(BlobWrite.WRITTEN);
    assertThat(asked()).containsExactly("POST app", "PUT");
    assertThat(registry.blobs.get("app@" + Digest.of(bytes))).isEqualTo(bytes);
  }

  @Test
  void aLargeBlobIsAskedForAsLongAsNobodyKnowsWhatARefusedMountMeans() {
    byte[] bytes = bytes(LARGE);
    assertThat(put(bytes, null)).isEqualTo(BlobWrite.WRITTEN);
    assertThat(asked()).containsExactly("POST app", "HEAD", "PUT");
    assertThat(registry.blobs.get("app@" + Digest.of(bytes))).isEqualTo(bytes);
  }

  @Test
  void whereAMountFromItsOwnRepositoryIsRefusedABlobIsAskedForFirstFromThenOn() {
    assertThat(putKnown(there("app", LARGE), null)).isEqualTo(BlobWrite.PRESENT);
    assertThat(asked()).as("found out").containsExactly("POST app", "HEAD", "DELETE");
    assertThat(putKnown(there("app", LARGE), null)).isEqualTo(BlobWrite.PRESENT);
    assertThat(asked()).containsExactly("HEAD");
    assertThat(putKnown(there("app", 10), null)).isEqualTo(BlobWrite.PRESENT);
    assertThat(asked()).containsExactly("HEAD");
    assertThat(put(bytes(LARGE), null)).isEqualTo(BlobWrite.WRITTEN);
    assertThat(asked()).containsExactly("HEAD", "POST app", "PUT");
  }

  @Test
  void whatWasSentBeforeTellsOnceThatARefusedMountMeansThatABlobIsMissing() {
    registry.script(this::mounts);
    put(bytes(10), null);
    asked();
    put(bytes(LARGE), null);
    assertThat(asked())
        .as("the second one mounts the first")
        .containsExactly("POST app", "POST app", "PUT");
    put(bytes(LARGE), null);
    assertThat(asked()).containsExactly("POST app", "PUT");
  }

  @Test
  void whatWasSentBeforeTellsOnceThatARefusedMountMeansNothing() {
    put(bytes(10), null);
    asked();
    put(bytes(LARGE), null);
    assertThat(asked()).containsExactly("POST app", "POST app", "DELETE", "HEAD", "PUT");
    put(bytes(LARGE), null);
    assertThat(asked()).containsExactly("HEAD", "POST app", "PUT");
  }

  @Test
  void aMountFromElsewhereThatIsRefusedSaysNothingOfItsOwnRepository() {
    assertThat(putKnown(there("app", LARGE), "other")).isEqualTo(BlobWrite.PRESENT);
    assertThat(asked()).containsExactly("POST other", "HEAD", "DELETE");
    assertThat(put(bytes(LARGE), "other")).isEqualTo(BlobWrite.WRITTEN);
    assertThat(asked()).containsExactly("POST other", "HEAD", "PUT");
    registry.script(this::mounts);
    assertThat(putKnown(there("app", LARGE), null)).isEqualTo(BlobWrite.PRESENT);
    assertThat(asked()).containsExactly("POST app");
  }
}
