package io.kubic.mirrors.node.agent;

import java.io.IOException;
import java.util.List;

/** Runs a program of the host as the host would: only where a configuration asks for that power. */
public interface HostCommand {
  /**
   * What came of it.
   *
   * @param output the beginning of what it said, standard error included
   */
  record Result(int code, String output) {
    /** The last line that says something, for a message. */
    String lastLine() {
      return output.lines().filter(line -> !line.isBlank()).reduce((_, last) -> last).orElse("");
    }
  }

  /**
   * @param command name and arguments; the name is looked for in the usual directories of the host
   * @throws IOException when it cannot be started, or does not end in time
   */
  Result run(List<String> command) throws IOException, InterruptedException;
}
