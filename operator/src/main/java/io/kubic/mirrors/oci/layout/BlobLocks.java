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
    ReentrantLock lock = busy.computeIfAbsent(blob.digest(), d -> new ReentrantLock());
    lock.lock();
    try {
      if (blobs.has(blob)) {
        return false;
      }
      write.run();
      return true;
    } finally {
      lock.unlock();
      busy.remove(blob.digest(), lock);
    }
  }
}
