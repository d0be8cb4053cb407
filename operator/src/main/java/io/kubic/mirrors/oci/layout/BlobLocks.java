package io.kubic.mirrors.oci.layout;

import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;

/** Lets each blob be written by one thread at a time. */
public final class BlobLocks {
  private final Map<Digest, ReentrantLock> busy = new ConcurrentHashMap<>();

  /**
   * Writes a blob that is not there yet, while nobody else writes the same one.
   *
   * @return false when it was there, or is since somebody else wrote it
   */
  public boolean unlessThere(Blobs blobs, Descriptor blob, Runnable write) {
    if (blobs.has(blob)) {
      return false;
    }
    ReentrantLock lock = lock(blob.digest());
    try {
      if (blobs.has(blob)) {
        return false;
      }
      write.run();
      return true;
    } finally {
      busy.remove(blob.digest(), lock);
      lock.unlock();
    }
  }

  /** The lock that everybody else has to wait for, held. */
  private ReentrantLock lock(Digest digest) {
    while (true) {
      ReentrantLock lock = busy.computeIfAbsent(digest, d -> new ReentrantLock());
      lock.lock();
      // Who held it before has thrown it away: whoever comes now makes another one.
      if (busy.get(digest) == lock) {
        return lock;
      }
      lock.unlock();
    }
  }
}
