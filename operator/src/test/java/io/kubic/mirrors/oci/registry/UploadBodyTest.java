package io.kubic.mirrors.oci.registry;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.oci.BlobVerifier;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.RegistryException;
import java.io.InputStream;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import okio.BufferedSink;
import okio.Okio;
import org.junit.jupiter.api.Test;

class UploadBodyTest {
  private static final Descriptor ENDLESS =
      new Descriptor("application/x", Digest.of(new byte[0]), Long.MAX_VALUE >> 1);

  /** Always there at once, so that no read ever lets go of the thread. */
  private static final class Zeros extends InputStream {
    private final AtomicBoolean enough;

    Zeros(AtomicBoolean enough) {
      this.enough = enough;
    }

    @Override
    public int read() {
      return enough.get() ? -1 : 0;
    }

    @Override
    public int read(byte[] buffer, int offset, int length) {
      return enough.get() ? -1 : length;
    }
  }

  @Test
  void largeBlobsOnAllThreadsThatCarryVirtualOnesLetOthersGoOn() throws InterruptedException {
    AtomicBoolean enough = new AtomicBoolean();
    CountDownLatch turn = new CountDownLatch(1);
    List<Thread> copies = new ArrayList<>();
    try (Transport transport =
        new Transport(Clock.systemUTC(), new Random(1), pause -> {}, "test")) {
      CountDownLatch running = new CountDownLatch(Runtime.getRuntime().availableProcessors());
      for (long i = running.getCount(); i > 0; i--) {
        UploadBody body =
            new UploadBody(
                ENDLESS,
                0,
                offset -> {
                  running.countDown();
                  return new Zeros(enough);
                },
                new BlobVerifier(ENDLESS, "endless"));
        body.under(new StallWatch(transport, Duration.ofMinutes(1), () -> {}), () -> {}, () -> {});
        copies.add(
            Thread.ofVirtual()
                .start(
                    () -> {
                      try (BufferedSink sink = Okio.buffer(Okio.blackhole())) {
                        body.writeTo(sink);
                      } catch (RegistryException | java.io.IOException e) {
                        // It ends early, as it has to.
                      }
                    }));
      }
      assertThat(running.await(30, TimeUnit.SECONDS)).isTrue();
      Thread.ofVirtual().start(turn::countDown);
      assertThat(turn.await(30, TimeUnit.SECONDS)).as("somebody else's turn").isTrue();
    } finally {
      enough.set(true);
      for (Thread copy : copies) {
        copy.join();
      }
    }
  }
}
