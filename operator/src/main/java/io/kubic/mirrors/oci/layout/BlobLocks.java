package io.kubic.mirrors.oci.layout;

import io.kubic.mirrors.oci.Digest;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;

/** Lets each blob be written by one thread at a time. */
public final class BlobLocks {
  private final Map<Digest, ReentrantLock> busy = new ConcurrentHashMap<>();

  /** Runs while nobody else does with the same blob, and returns what that returns. */
  public boolean alone(Digest blob, BooleanSupplier work) {
    ReentrantLock lock = busy.computeIfAbsent(blob, d -> new ReentrantLock());
    lock.lock();
    try {
      return work.getAsBoolean();
    } finally {
      lock.unlock();
      busy.remove(blob, lock);
    }
  }
}
