package io.kubic.mirrors.node.apply;

import java.util.List;

/** What became of files that were to be put on a host. */
public sealed interface Outcome {
  /** The host has exactly these files, and they are proven. */
  record Applied(List<String> changed) implements Outcome {}

  /** The files were there, did not prove themselves, and the former ones are back. */
  record RolledBack(String message) implements Outcome {}

  /**
   * They could not be written; the former ones are in place. When only the last entry of the
   * journal could not be written the new ones are, and the next round says so in the journal.
   *
   * @param message one line: the path and the system's answer
   */
  record Failed(String message) implements Outcome {}
}
