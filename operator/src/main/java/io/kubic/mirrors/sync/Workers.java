package io.kubic.mirrors.sync;

import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.Function;

/**
 * Asks many things, some at a time. A thread for each of a hundred thousand tags would mostly wait
 * for its turn at the registry, and waiting costs memory and wake-ups.
 */
final class Workers {
  private final ExecutorService executor;
  private final int atOnce;
  private final String stopped;

  /**
   * @param atOnce how many things of one group are asked at once
   * @param stopped what is said to have been stopped when the thread is interrupted
   */
  Workers(ExecutorService executor, int atOnce, String stopped) {
    this.executor = executor;
    this.atOnce = atOnce;
    this.stopped = stopped;
  }

  /**
   * The answers in the order of the questions. What one throws ends all.
   *
   * @param object what it is about, for the message of a cancellation
   * @param group things of different groups do not wait for each other
   * @throws RegistryException Cancelled when this thread is interrupted
   */
  <T, R> List<R> each(
      String object, Collection<T> all, Function<T, String> group, Function<T, R> question) {
    List<T> things = List.copyOf(all);
    Map<String, List<Integer>> groups = new LinkedHashMap<>();
    for (int i = 0; i < things.size(); i++) {
      groups.computeIfAbsent(group.apply(things.get(i)), any -> new ArrayList<>()).add(i);
    }
    AtomicReferenceArray<R> answers = new AtomicReferenceArray<>(things.size());
    List<Future<?>> running = new ArrayList<>();
    try {
      for (List<Integer> of : groups.values()) {
        AtomicInteger next = new AtomicInteger();
        for (int worker = 0; worker < Math.min(atOnce, of.size()); worker++) {
          running.add(
              executor.submit(
                  () -> {
                    for (int at = next.getAndIncrement();
                        at < of.size() && !Thread.currentThread().isInterrupted();
                        at = next.getAndIncrement()) {
                      int index = of.get(at);
                      answers.set(index, question.apply(things.get(index)));
                    }
                  }));
        }
      }
      for (Future<?> future : running) {
        await(future, object);
      }
      List<R> inOrder = new ArrayList<>(things.size());
      for (int i = 0; i < things.size(); i++) {
        inOrder.add(answers.get(i));
      }
      return inOrder;
    } finally {
      running.forEach(future -> future.cancel(true));
    }
  }

  /**
   * The answers to different questions, all asked at once, in their order. What one throws ends
   * all.
   *
   * @param object what it is about, for the message of a cancellation
   * @throws RegistryException Cancelled when this thread is interrupted
   */
  <R> List<R> all(String object, List<Callable<R>> questions) {
    List<Future<R>> running = new ArrayList<>();
    try {
      questions.forEach(question -> running.add(executor.submit(question)));
      List<R> inOrder = new ArrayList<>();
      for (Future<R> future : running) {
        inOrder.add(await(future, object));
      }
      return inOrder;
    } finally {
      running.forEach(future -> future.cancel(true));
    }
  }

  /**
   * An answer that somebody else asked for.
   *
   * @throws RegistryException Cancelled when this thread is interrupted
   */
  <R> R await(Future<R> future, String object) {
    try {
      return future.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new RegistryException(Reason.Cancelled, object, stopped + " was stopped");
    } catch (ExecutionException e) {
      if (e.getCause() instanceof Error grave) {
        throw grave;
      }
      throw e.getCause() instanceof RuntimeException known
          ? known
          : new IllegalStateException(e.getCause());
    }
  }
}
