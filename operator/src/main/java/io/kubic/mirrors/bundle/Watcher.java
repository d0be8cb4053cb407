package io.kubic.mirrors.bundle;

import io.kubic.mirrors.sync.Outcome;
import io.kubic.mirrors.sync.Plan;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/** Is told how far an export or import is; from several threads. */
public interface Watcher {
  /**
   * Once, before the first byte.
   *
   * @param plan what will be done; null when the bundle says it
   * @param images that are to come
   * @param bytes of all of them, what they share counted once
   * @param settled how many of these bytes need no more work, to be asked now and then
   */
  void begin(@Nullable Plan plan, int images, long bytes, LongSupplier settled);

  /** An image is done. */
  void image(Outcome outcome);
}
