package io.kubic.mirrors.upkeep;

/**
 * Distribution's {@code garbage-collect} fails at a repository that has manifests and never had a
 * layer (seen with 3.1.2: it walks {@code _layers}, which is not there), as one that holds an index
 * whose images are in another repository.
 */
final class NoLayersException extends UpkeepException {
  private static final long serialVersionUID = 1L;
  private final String repository;

  NoLayersException(String repository, String message) {
    super(message);
    this.repository = repository;
  }

  /** The one that it met first. */
  String repository() {
    return repository;
  }
}
