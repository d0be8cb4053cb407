package io.kubic.mirrors.ops;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.BooleanSupplier;

/** Whether a person sees what is written. */
public final class Terminal {
  private Terminal() {}

  /**
   * Whether standard error is a terminal. A console tells only of standard input and output, so
   * that it is asked only where there is no {@code /proc} (macOS, Windows).
   */
  public static boolean isStandardError() {
    return is(
        Path.of("/proc/self/fd/2"),
        () -> System.console() != null && System.console().isTerminal());
  }

  /**
   * Whether a stream is a terminal: by its name, since to call {@code isatty(3)} takes the JVM more
   * time than many a command.
   *
   * @param descriptor a link to what is open, as proc_pid_fd(5) says
   * @param otherwise is asked when there is no such link
   */
  static boolean is(Path descriptor, BooleanSupplier otherwise) {
    try {
      String open = Files.readSymbolicLink(descriptor).toString();
      return open.startsWith("/dev/pts/")
          || open.startsWith("/dev/tty")
          || open.equals("/dev/console");
    } catch (IOException e) {
      return otherwise.getAsBoolean();
    }
  }
}
