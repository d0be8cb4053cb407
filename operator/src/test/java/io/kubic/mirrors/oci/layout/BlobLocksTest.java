package io.kubic.mirrors.oci.layout;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

class BlobLocksTest {
  private static final Descriptor BLOB = new Descriptor("application/x", Digest.of(new byte[1]), 1);

  /** Nothing is there before somebody wrote it. */
  private static final class Empty implements Blobs {
    final AtomicBoolean written = new AtomicBoolean();

    @Override
    public OptionalLong size(Digest digest) {
      return written.get() ? OptionalLong.of(1) : OptionalLong.empty();
    }

    @Override
    public StoredFile file(Digest digest) {
      throw new UnsupportedOperationException();
    }

    @Override
    public List<Digest> list() {
      return List.of();
    }

    @Override
    public void remove(Digest digest) {}

    @Override
    public boolean put(Descriptor blob, BlobContent content) {
      throw new UnsupportedOperationException();
    }
  }

  private final BlobLocks locks = new BlobLocks();
  private final Empty blobs = new Empty();

  private Thread start(Runnable write) {
    return Thread.ofPlatform()
        .start(
            () -> {
              try {
                locks.unlessThere(blobs, BLOB, write);
              } catch (IllegalStateException e) {
                // It is to fail.
              }
            });
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  private static void untilItWaits(Thread thread) {
    while (thread.getState() != Thread.State.WAITING
        && thread.getState() != Thread.State.TERMINATED) {
      Thread.onSpinWait();
    }
  }

  @Test
  @Timeout(60)
  void afterAFailureTheNextOneWritesAloneWhoeverComesMeanwhile() throws InterruptedException {
    CountDownLatch fail = new CountDownLatch(1);
    CountDownLatch writing = new CountDownLatch(1);
    CountDownLatch end = new CountDownLatch(1);
    AtomicInteger others = new AtomicInteger();
    Thread first =
        start(
            () -> {
              await(fail);
              throw new IllegalStateException();
            });
    untilItWaits(first);
    Thread second =
        start(
            () -> {
              writing.countDown();
              await(end);
              blobs.written.set(true);
            });
    untilItWaits(second);
    fail.countDown();
    await(writing);
    Thread third = start(others::incrementAndGet);
    untilItWaits(third);
    assertThat(others).as("wrote while the second did").hasValue(0);
    end.countDown();
    for (Thread thread : List.of(first, second, third)) {
      thread.join();
    }
    assertThat(others).as("it was there").hasValue(0);
  }
}
