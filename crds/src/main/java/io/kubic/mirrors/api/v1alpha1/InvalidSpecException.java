package io.kubic.mirrors.api.v1alpha1;

/**
 * A field holds what only a parser could find wrong. The message is one line: the field's path,
 * what is wrong with it, and what to write instead; it never holds a secret.
 */
public final class InvalidSpecException extends IllegalArgumentException {
  private static final long serialVersionUID = 1L;
  private final String path;

  /**
   * @param path path of the field as a user writes it, as in {@code spec.sources[0].tags.semver}
   * @param problem what is wrong and the remedy, one line
   */
  public InvalidSpecException(String path, String problem) {
    super(path + ": " + problem);
    this.path = path;
  }

  public String path() {
    return path;
  }
}
