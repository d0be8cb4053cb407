package io.kubic.mirrors.node.rules;

/** A runtime would not load a file, or would load something else than its author meant. */
public final class InvalidFileException extends Exception {
  private static final long serialVersionUID = 1L;
  private final String file;

  /**
   * @param file path of the file
   * @param problem what is wrong and the remedy, one line
   */
  public InvalidFileException(String file, String problem) {
    super(file + ": " + problem);
    this.file = file;
  }

  public String file() {
    return file;
  }
}
