package io.kubic.mirrors.oci.registry;

import java.util.concurrent.TimeUnit;
import okio.AsyncTimeout;

/**
 * Lets the thread of Okio's timeouts sleep while a body moves. It is woken by each timeout that
 * starts while none is under way, which is by nearly every read and write of a fast transfer; one
 * that ends before all of them, and is renewed as the bytes come, leaves nothing to be woken for.
 * Both ends of a transfer have one, as either may be a file.
 */
final class QuietTimer implements AutoCloseable {
  private static final long RENEWED_AFTER = 8 << 20;

  private final AsyncTimeout first = new AsyncTimeout();
  private long moved;

  QuietTimer() {
    first.timeout(1, TimeUnit.SECONDS);
    first.enter();
  }

  void moved(int bytes) {
    moved += bytes;
    if (moved >= RENEWED_AFTER) {
      moved = 0;
      first.exit();
      first.enter();
    }
  }

  @Override
  public void close() {
    first.exit();
  }
}
