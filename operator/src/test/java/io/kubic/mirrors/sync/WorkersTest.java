package io.kubic.mirrors.sync;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class WorkersTest {
  @Test
  void answersComeInTheOrderOfTheQuestionsAndSomeAreAskedAtATime() {
    List<Integer> all = IntStream.range(0, 5000).boxed().toList();
    AtomicInteger now = new AtomicInteger();
    AtomicInteger most = new AtomicInteger();
    try (var executor = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Integer> answers =
          new Workers(executor, 64, "it")
              .each(
                  "all",
                  all,
                  one -> "a",
                  one -> {
                    most.accumulateAndGet(now.incrementAndGet(), Math::max);
                    Thread.yield();
                    now.decrementAndGet();
                    return -one;
                  });
      assertThat(answers).isEqualTo(all.stream().map(one -> -one).toList());
      assertThat(most.get()).isLessThanOrEqualTo(64);
    }
  }

  @Test
  void aGroupThatStandsStillHindersNoOther() throws Exception {
    List<Integer> all = IntStream.range(0, 1000).boxed().toList();
    Semaphore slow = new Semaphore(0);
    CountDownLatch quick = new CountDownLatch(500);
    try (var executor = Executors.newVirtualThreadPerTaskExecutor()) {
      var asked =
          executor.submit(
              () ->
                  new Workers(executor, 64, "it")
                      .each(
                          "all",
                          all,
                          one -> one % 2 == 0 ? "slow" : "quick",
                          one -> {
                            if (one % 2 == 0) {
                              slow.acquireUninterruptibly();
                            } else {
                              quick.countDown();
                            }
                            return one;
                          }));
      quick.await();
      slow.release(500);
      assertThat(asked.get()).isEqualTo(all);
    }
  }

  @Test
  void whatOneThrowsEndsAll() {
    try (var executor = Executors.newVirtualThreadPerTaskExecutor()) {
      assertThatThrownBy(
              () ->
                  new Workers(executor, 64, "it")
                      .each(
                          "all",
                          List.of(1, 2, 3),
                          one -> "",
                          one -> {
                            if (one == 2) {
                              throw new IllegalArgumentException("two");
                            }
                            return one;
                          }))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("two");
    }
  }
}
