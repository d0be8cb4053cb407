package io.kubic.mirrors.oci.layout;

import java.nio.file.Path;

/**
 * Is passed before every step that changes the disk. Nothing happens there in earnest; a test ends
 * the run there, as a broken cable would.
 */
@FunctionalInterface
public interface Checkpoint {
  /** The one for earnest. */
  Checkpoint NONE = (step, file) -> {};

  /** What is about to be done. */
  enum Step {
    CREATE,
    WRITE,
    SYNC,
    RENAME,
    REMOVE
  }

  /**
   * @param file that is about to change
   */
  void pass(Step step, Path file);
}
