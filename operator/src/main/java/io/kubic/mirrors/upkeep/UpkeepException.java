package io.kubic.mirrors.upkeep;

/** Why a collection stopped. What had been deleted by then was needed by nothing. */
public class UpkeepException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /**
   * @param message one line, without secrets
   */
  public UpkeepException(String message) {
    super(message);
  }

  /** The same, with what led to it. */
  public UpkeepException(String message, Throwable cause) {
    super(message, cause);
  }

  @Override
  public String getMessage() {
    return String.valueOf(super.getMessage());
  }
}
