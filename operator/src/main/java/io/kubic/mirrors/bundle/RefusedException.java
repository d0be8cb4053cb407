package io.kubic.mirrors.bundle;

import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;

/** A bundle, receipt or directory that is not taken; nothing was changed. */
public final class RefusedException extends RuntimeException {
  private static final long serialVersionUID = 1L;
  private final Reason reason;

  /**
   * @param object what it is about: a file, an image, a bundle
   * @param problem one line: what is wrong, and what a person can do
   */
  public RefusedException(Reason reason, String object, String problem) {
    super(object + ": " + problem);
    this.reason = reason;
  }

  RefusedException(RegistryException e) {
    super(String.valueOf(e.getMessage()), e);
    this.reason = e.reason();
  }

  public Reason reason() {
    return reason;
  }
}
