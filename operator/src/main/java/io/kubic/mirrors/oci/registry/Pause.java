package io.kubic.mirrors.oci.registry;

import java.time.Duration;

/** Waits; a seam, so that tests do not. */
@FunctionalInterface
public interface Pause {
  void pause(Duration duration) throws InterruptedException;
}
