package io.kubic.mirrors.oci.registry;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Clock;
import java.time.Duration;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class StallWatchTest {
  private static final Duration TIMEOUT = Duration.ofMillis(400);

  private final Transport transport =
      new Transport(Clock.systemUTC(), new Random(1), pause -> {}, "test");
  private final CountDownLatch ended = new CountDownLatch(1);
  private final StallWatch watch = new StallWatch(transport, TIMEOUT, ended::countDown);

  @AfterEach
  void stop() {
    watch.close();
    transport.close();
  }

  private void isLeftAlone() throws InterruptedException {
    assertThat(ended.await(TIMEOUT.toMillis() * 5, TimeUnit.MILLISECONDS)).isFalse();
    assertThat(watch.hasStalled()).isFalse();
  }

  @Test
  void aReadThatTakesTooLongEndsTheCall() throws InterruptedException {
    watch.start();
    watch.enter();
    assertThat(ended.await(30, TimeUnit.SECONDS)).isTrue();
    assertThat(watch.hasStalled()).isTrue();
  }

  @Test
  void timeBetweenTwoReadsIsOfNoConcern() throws InterruptedException {
    watch.start();
    watch.enter();
    watch.exit();
    isLeftAlone();
  }

  @Test
  void aBodyThatMovesIsNotEndedHoweverLongItTakes() throws InterruptedException {
    watch.start();
    watch.enter();
    for (long left = TIMEOUT.toMillis() * 5; left > 0; left--) {
      Thread.sleep(1); // Bytes that come one by one, each in a fraction of the timeout.
      watch.exit();
      watch.enter();
    }
    watch.exit();
    assertThat(watch.hasStalled()).isFalse();
  }

  @Test
  void oneThatIsOverIsNotLookedAt() throws InterruptedException {
    watch.start();
    watch.enter();
    watch.close();
    isLeftAlone();
  }
}
