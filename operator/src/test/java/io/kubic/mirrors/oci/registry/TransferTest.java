package io.kubic.mirrors.oci.registry;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageStore.BlobWrite;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.time.Clock;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Large blobs over connections that break or crawl. */
class TransferTest {
  private static final byte[] BYTES = new byte[400_000];
  private static final Descriptor BLOB;
  private static final Duration STALL = Duration.ofMillis(500);

  static {
    new Random(3).nextBytes(BYTES);
    BLOB = new Descriptor("application/x", Digest.of(BYTES), BYTES.length);
  }

  private final Transport transport =
      new Transport(Clock.systemUTC(), new Random(1), pause -> {}, "test");
  private HostileRegistry registry = new HostileRegistry(null, x -> false);

  @AfterEach
  void stop() {
    transport.close();
    registry.close();
  }

  private RegistryClient client(int retries) {
    return client(transport, retries);
  }

  private RegistryClient client(Transport by, int retries) {
    return by.connect(
        Connection.to("registry.test")
            .withEndpoints(List.of(URI.create("http://127.0.0.1:" + registry.port())))
            .withRetry(new Retry(retries, Duration.ofMillis(1), Duration.ofSeconds(1), STALL))
            .withPush());
  }

  @Test
  void anUploadThatBreaksGoesOnAtTheOffsetThatTheTargetKept() {
    AtomicInteger breaks = new AtomicInteger();
    registry.script(
        x -> {
          boolean body = x.method.equals("PUT") || x.method.equals("PATCH");
          if (body && x.path().contains("/uploads/") && breaks.getAndIncrement() < 2) {
            String id = x.path().substring(x.path().lastIndexOf('/') + 1);
            registry.keep(id, x.part(150_000));
            return x.reset();
          }
          return false;
        });
    List<Long> opened = new CopyOnWriteArrayList<>();
    BlobWrite write =
        client(3)
            .putBlob(
                "app",
                BLOB,
                null,
                offset -> {
                  opened.add(offset);
                  return new ByteArrayInputStream(
                      BYTES, Math.toIntExact(offset), BYTES.length - Math.toIntExact(offset));
                });
    assertThat(write).isEqualTo(BlobWrite.WRITTEN);
    assertThat(registry.blobs.get("app@" + BLOB.digest())).isEqualTo(BYTES);
    assertThat(opened).as("read from the source").containsExactly(0L, 150_000L, 300_000L);
    assertThat(registry.seen)
        .filteredOn(x -> x.method.equals("PATCH"))
        .extracting(x -> x.headers.get("Content-Range"))
        .containsExactly("150000-399999", "300000-399999");
  }

  /** Sends the first bytes of the body, and no more; to whoever asks for the rest, nothing. */
  private static boolean begins(HostileRegistry.Exchange x, int sent) throws Exception {
    if (!x.asks("/v2/app/blobs/") || from(x) > 0) {
      return false;
    }
    x.raw("HTTP/1.1 200 X\r\nContent-Length: " + BYTES.length + "\r\n\r\n");
    // The headers are read by then, and the body starts with a segment of its own; if they are not,
    // the same has to come of it, by way of a segment that is not whole.
    Thread.sleep(50);
    x.raw(Arrays.copyOf(BYTES, sent));
    return true;
  }

  @Test
  void aTransferThatEndsAfterWholeSegmentsGoesOnWithTheNextByte() throws Exception {
    int sent = 5 * 8192;
    registry.addBlob("app", BYTES);
    registry.script(x -> begins(x, sent) && x.end());
    byte[] found = new byte[BYTES.length];
    try (InputStream in = client(1).blob("app", BLOB, 0)) {
      assertThat(in.readNBytes(found, 0, found.length)).isEqualTo(found.length);
      assertThat(in.read()).isNegative();
    }
    assertThat(found).isEqualTo(BYTES);
    assertThat(registry.seen).extracting(TransferTest::from).containsExactly(0, sent);
  }

  @Test
  void aTransferThatStopsAfterAWholeSegmentIsAskedForAnew() throws IOException {
    registry.addBlob("app", BYTES);
    registry.script(x -> begins(x, 8192) && x.stall());
    try (InputStream in = client(1).blob("app", BLOB, 0)) {
      assertThat(in.readAllBytes()).isEqualTo(BYTES);
    }
    assertThat(registry.seen).extracting(TransferTest::from).containsExactly(0, 8192);
  }

  @Test
  void aPauseOfTheOtherEndIsNoStallOfThisOne() throws Exception {
    registry.addBlob("app", BYTES);
    byte[] found = new byte[BYTES.length];
    try (InputStream in = client(0).blob("app", BLOB, 0)) {
      int first = 1000;
      assertThat(in.readNBytes(found, 0, first)).isEqualTo(first);
      Thread.sleep(STALL.multipliedBy(3)); // The other end's pause, which is what is tested.
      assertThat(in.readNBytes(found, first, BYTES.length - first)).isEqualTo(BYTES.length - first);
    }
    assertThat(found).isEqualTo(BYTES);
    assertThat(registry.seen).hasSize(1);
  }

  @Test
  void aPauseOfTheOtherEndBetweenTwoSmallPiecesIsNoTrickle() throws Exception {
    registry.addBlob("app", BYTES);
    registry.script(
        x -> {
          if (!x.asks("/v2/app/blobs/")) {
            return false;
          }
          x.raw("HTTP/1.1 200 X\r\nContent-Length: " + BYTES.length + "\r\n\r\n");
          x.raw(Arrays.copyOf(BYTES, 100));
          Thread.sleep(STALL.multipliedBy(3)); // As long as the other end.
          x.raw(Arrays.copyOfRange(BYTES, 100, 200));
          Thread.sleep(100); // So that it is a read of its own.
          x.raw(Arrays.copyOfRange(BYTES, 200, BYTES.length));
          return x.end();
        });
    byte[] found = new byte[BYTES.length];
    try (InputStream in = client(0).blob("app", BLOB, 0)) {
      assertThat(in.readNBytes(found, 0, 100)).isEqualTo(100);
      Thread.sleep(STALL.multipliedBy(3)); // The other end's pause, which is what is tested.
      assertThat(in.readNBytes(found, 100, BYTES.length - 100)).isEqualTo(BYTES.length - 100);
    }
    assertThat(found).isEqualTo(BYTES);
    assertThat(registry.seen).hasSize(1);
  }

  @Test
  void aTargetThatClaimsBytesThatItWasNotSentIsRefused() {
    byte[] large = new byte[32 << 20]; // More than the kernel keeps for a connection.
    Descriptor blob = new Descriptor("application/x", Digest.of(large), large.length);
    registry.script(
        x -> {
          if (x.method.equals("PUT")) {
            x.part(150_000);
            return x.reset();
          }
          return x.method.equals("GET")
              && x.path().contains("/uploads/")
              && x.respond(204, "Range: 0-" + (large.length - 1) + "\r\n", "");
        });
    RegistryException e =
        catchThrowableOfType(
            RegistryException.class,
            () -> client(3).putBlob("app", blob, null, BlobContent.of(large)));
    assertThat(e.reason()).isEqualTo(Reason.MalformedResponse);
    assertThat(e.getMessage()).contains("claims more bytes than it got");
  }

  @Test
  void aTargetThatTakesNothingMoreIsStalled() {
    byte[] large = new byte[32 << 20]; // More than the kernel keeps for a connection.
    Descriptor blob = new Descriptor("application/x", Digest.of(large), large.length);
    registry.script(x -> x.method.equals("PUT") && x.stall());
    RegistryException e =
        catchThrowableOfType(
            RegistryException.class,
            () -> client(0).putBlob("app", blob, null, BlobContent.of(large)));
    assertThat(e.reason()).isEqualTo(Reason.Stalled);
    assertThat(e.getMessage()).contains(" bytes in ");
  }

  /** A body of 100 bytes a second. */
  private static boolean crawl(HostileRegistry.Exchange x, int from) throws Exception {
    x.raw(
        (from == 0
                ? "HTTP/1.1 200 X\r\n"
                : "HTTP/1.1 206 X\r\nContent-Range: bytes %d-%d/%d\r\n"
                    .formatted(from, BYTES.length - 1, BYTES.length))
            + "Content-Length: "
            + (BYTES.length - from)
            + "\r\n\r\n");
    for (int i = from; i < BYTES.length; i++) {
      x.raw(new byte[] {BYTES[i]});
      Thread.sleep(10);
    }
    return x.end();
  }

  private static int from(HostileRegistry.Exchange x) {
    String range = x.headers.get("Range");
    return range == null ? 0 : Integer.parseInt(range.substring(6, range.length() - 1));
  }

  @Test
  void aTransferThatCrawlsIsBrokenOffAndGoesOnWhereItWas() throws Exception {
    registry.addBlob("app", BYTES);
    registry.script(x -> x.asks("/v2/app/blobs/") && from(x) == 0 && crawl(x, 0));
    try (InputStream in = client(2).blob("app", BLOB, 0)) {
      assertThat(in.readAllBytes()).isEqualTo(BYTES);
    }
    assertThat(registry.seen)
        .extracting(TransferTest::from)
        .satisfiesExactly(first -> {}, second -> assertThat(second).isBetween(1, 2000));
  }

  @Test
  void aTransferThatOnlyCrawlsIsStalledInTheEnd() {
    registry.addBlob("app", BYTES);
    registry.script(x -> x.asks("/v2/app/blobs/") && crawl(x, from(x)));
    RegistryException e =
        catchThrowableOfType(
            RegistryException.class,
            () -> {
              try (InputStream in = client(1).blob("app", BLOB, 0)) {
                var _ = in.readAllBytes();
              }
            });
    assertThat(e.reason()).isEqualTo(Reason.Stalled);
    assertThat(e.getMessage()).contains("bytes in");
    assertThat(registry.seen).hasSize(2);
  }

  @Test
  void aTargetThatWantsToBeLeftAloneForYearsEndsAnUploadAtOnce() {
    TestNetwork.Hurry clock = new TestNetwork.Hurry();
    registry.script(
        x -> x.method.equals("PUT") && x.respond(429, "Retry-After: 1000000000\r\n", ""));
    try (Transport patient = new Transport(clock, new Random(1), clock, "test")) {
      RegistryException e =
          catchThrowableOfType(
              RegistryException.class,
              () -> client(patient, 3).putBlob("app", BLOB, null, BlobContent.of(BYTES)));
      assertThat(e.reason()).isEqualTo(Reason.RateLimited);
    }
    assertThat(registry.seen).filteredOn(x -> x.method.equals("PUT")).hasSize(1);
    assertThat(clock.pauses).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "\r\n", "\r\n10"})
  void aTransferInChunksThatEndsBetweenTwoOfThemGoesOnWithTheNextByte(String last)
      throws Exception {
    int sent = 100_000;
    registry.addBlob("app", BYTES);
    registry.script(
        x ->
            x.asks("/v2/app/blobs/")
                && from(x) == 0
                && x.raw("HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n")
                && x.raw(Integer.toHexString(sent) + "\r\n")
                && x.raw(Arrays.copyOf(BYTES, sent))
                && x.raw(last)
                && x.end());
    byte[] found = new byte[BYTES.length];
    try (InputStream in = client(1).blob("app", BLOB, 0)) {
      assertThat(in.readNBytes(found, 0, found.length)).isEqualTo(found.length);
    }
    assertThat(found).isEqualTo(BYTES);
    assertThat(registry.seen).extracting(TransferTest::from).containsExactly(0, sent);
  }

  @Test
  void aTargetThatCannotTellHowFarItGotIsSentAllAnew() {
    AtomicInteger puts = new AtomicInteger();
    registry.script(
        x ->
            x.method.equals("GET")
                ? x.respond(405, "", "")
                : x.method.equals("PUT") && puts.getAndIncrement() == 0 && x.reset());
    assertThat(client(1).putBlob("app", BLOB, null, BlobContent.of(BYTES)))
        .isEqualTo(BlobWrite.WRITTEN);
    assertThat(registry.blobs.get("app@" + BLOB.digest())).isEqualTo(BYTES);
  }
}
