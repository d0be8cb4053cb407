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
    assertThat(watch.stalled()).isEmpty();
  }

  @Test
  void aReadThatTakesTooLongEndsTheCall() throws InterruptedException {
    watch.start();
    watch.enter();
    assertThat(ended.await(30, TimeUnit.SECONDS)).isTrue();
    assertThat(watch.stalled()).hasValue(0);
  }

  @Test
  void aTrickleEndsTheCall() throws InterruptedException {
    watch.start();
    watch.enter();
    while (!ended.await(10, TimeUnit.MILLISECONDS)) { // At most 100 bytes a second.
      watch.exit(1);
      watch.enter();
    }
    assertThat(watch.stalled()).isPresent();
    assertThat(watch.stalled().getAsLong()).isBetween(1L, 60L);
  }

  @Test
  void aTrickleThatTheOtherEndIsToBlameForIsOfNoConcern() throws InterruptedException {
    watch.start();
    for (int i = 0; i < 20; i++) {
      watch.enter();
      watch.exit(1);
      Thread.sleep(TIMEOUT.toMillis() / 5); // The other end.
    }
    isLeftAlone();
  }

  @Test
  void timeBetweenTwoReadsIsOfNoConcern() throws InterruptedException {
    watch.start();
    watch.enter();
    watch.exit(1);
    isLeftAlone();
  }

  @Test
  void aBodyThatMovesIsNotEndedHoweverLongItTakes() throws InterruptedException {
    watch.start();
    watch.enter();
    for (long left = TIMEOUT.toMillis() * 5; left > 0; left--) {
      Thread.sleep(1); // A hundred bytes at once, each time in a fraction of the timeout.
      watch.exit(100);
      watch.enter();
    }
    watch.exit(-1);
    assertThat(watch.stalled()).isEmpty();
  }

  @Test
  void oneThatIsOverIsNotLookedAt() throws InterruptedException {
    watch.start();
    watch.enter();
    watch.close();
    isLeftAlone();
  }
}
