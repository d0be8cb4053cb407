package io.kubic.mirrors.cli;

/** The exit codes of every command; a contract, documented in the README. */
public final class ExitCode {
  /** All as asked. */
  public static final int OK = 0;

  /** Something failed; the rest was done. */
  public static final int FAILED = 1;

  /** Usage or invalid input; nothing was done. */
  public static final int USAGE = 2;

  /** Refused by a guard, a verification or a conflict; nothing was changed. */
  public static final int REFUSED = 3;

  /** Source or target cannot be reached or does not let us in; nothing was done. */
  public static final int UNAVAILABLE = 4;

  private ExitCode() {}
}
