package io.kubic.mirrors.pki;

/** Text that should hold a certificate or key does not; the message never holds key material. */
public final class InvalidCertificateException extends Exception {
  private static final long serialVersionUID = 1L;

  public InvalidCertificateException(String message) {
    super(message);
  }
}
