package io.kubic.mirrors.oci.registry;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageStore.BlobWrite;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.net.URI;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Clock;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Content that is named by its sha512. */
class Sha512Test {
  private static final byte[] IMAGE =
      ("{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x/y\",\"digest\":\"sha256:"
              + "b".repeat(64)
              + "\",\"size\":2},\"layers\":[]}")
          .getBytes(UTF_8);
  private static final Digest IMAGE_DIGEST = sha512(IMAGE);
  private static final byte[] LAYER = new byte[300_000];
  private static final Descriptor BLOB;

  static {
    new Random(5).nextBytes(LAYER);
    BLOB = new Descriptor("application/x", sha512(LAYER), LAYER.length);
  }

  private final HostileRegistry source = new HostileRegistry(null, x -> false);
  private final HostileRegistry target = new HostileRegistry(null, x -> false);
  private final Transport transport =
      new Transport(Clock.systemUTC(), new Random(1), pause -> {}, "test");
  private final RegistryClient from = client("source.test", source);
  private final RegistryClient to = client("target.test", target);

  @AfterEach
  void stop() {
    transport.close();
    source.close();
    target.close();
  }

  private RegistryClient client(String name, HostileRegistry registry) {
    return transport.connect(
        Connection.to(name)
            .withEndpoints(List.of(URI.create("http://127.0.0.1:" + registry.port())))
            .withRetry(
                new Retry(0, Duration.ofMillis(1), Duration.ofSeconds(1), Duration.ofSeconds(5)))
            .withPush());
  }

  private static Digest sha512(byte[] bytes) {
    try {
      byte[] hash = MessageDigest.getInstance("SHA-512").digest(bytes);
      return Digest.parse("sha512:" + HexFormat.of().formatHex(hash));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  private static Reason reason(Runnable action) {
    return catchThrowableOfType(RegistryException.class, action::run).reason();
  }

  @Test
  void aManifestIsReadByIt() {
    source.manifests.put("app@" + IMAGE_DIGEST, IMAGE);
    Manifest manifest = from.manifest("app", IMAGE_DIGEST.toString());
    assertThat(manifest.bytes()).isEqualTo(IMAGE);
    assertThat(manifest.digest()).isEqualTo(IMAGE_DIGEST);
  }

  @Test
  void anotherManifestThanItSaysIsFound() {
    byte[] other = new String(IMAGE, UTF_8).replace("\"size\":2", "\"size\":3").getBytes(UTF_8);
    source.manifests.put("app@" + IMAGE_DIGEST, other);
    assertThat(reason(() -> from.manifest("app", IMAGE_DIGEST.toString())))
        .isEqualTo(Reason.DigestMismatch);
  }

  /** The header is to match the bytes, not the question: the specification names no algorithm. */
  @Test
  void aManifestIsThereThoughItsRegistryTellsTheSha256() {
    source.manifests.put("app@" + IMAGE_DIGEST, IMAGE);
    assertThat(from.resolve("app", IMAGE_DIGEST.toString()))
        .contains(new Descriptor(MediaTypes.OCI_MANIFEST, IMAGE_DIGEST, IMAGE.length));
  }

  @Test
  void aManifestIsWrittenUnderIt() {
    to.putManifest(
        "app", Manifest.parse(IMAGE, MediaTypes.OCI_MANIFEST, "app", IMAGE_DIGEST), null);
    assertThat(target.manifests.get("app@" + IMAGE_DIGEST)).isEqualTo(IMAGE);
  }

  @Test
  void aBlobPassesFromOneRegistryToAnother() {
    source.blobs.put("app@" + BLOB.digest(), LAYER);
    assertThat(to.putBlob("app", BLOB, null, offset -> from.blob("app", BLOB, offset)))
        .isEqualTo(BlobWrite.WRITTEN);
    assertThat(target.blobs.get("app@" + BLOB.digest())).isEqualTo(LAYER);
  }

  @Test
  void aWrongByteOfADownloadIsFoundOnTheWay() {
    byte[] wrong = LAYER.clone();
    wrong[wrong.length - 1] ^= 1;
    source.blobs.put("app@" + BLOB.digest(), wrong);
    assertThat(
            reason(() -> to.putBlob("app", BLOB, null, offset -> from.blob("app", BLOB, offset))))
        .isEqualTo(Reason.DigestMismatch);
    assertThat(target.blobs).isEmpty();
  }

  @Test
  void aWrongByteOfAnUploadIsFoundOnTheWay() {
    byte[] wrong = LAYER.clone();
    wrong[0] ^= 1;
    assertThat(reason(() -> to.putBlob("app", BLOB, null, BlobContent.of(wrong))))
        .isEqualTo(Reason.DigestMismatch);
    assertThat(target.blobs).isEmpty();
  }
}
