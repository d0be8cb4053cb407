package io.kubic.mirrors.cli;

/** Ends a command with an exit code and one line on standard error. */
public final class CommandException extends RuntimeException {
  private static final long serialVersionUID = 1L;
  private final int exitCode;

  /**
   * @param exitCode one of {@link ExitCode}
   * @param message one line: the object, what is wrong with it, and the remedy; no secrets
   */
  public CommandException(int exitCode, String message) {
    super(message, null, false, false);
    this.exitCode = exitCode;
  }

  public int exitCode() {
    return exitCode;
  }
}
