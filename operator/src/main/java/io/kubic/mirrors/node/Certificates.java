package io.kubic.mirrors.node;

import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.security.cert.CertificateEncodingException;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;

/** CA certificates as a runtime reads them from a PEM file. */
public final class Certificates {
  private static final String BEGIN = "-----BEGIN CERTIFICATE-----";
  private static final String END = "-----END CERTIFICATE-----";

  private Certificates() {}

  /**
   * The certificates of a bundle, in order. Text between them is passed over, as Go's {@code
   * AppendCertsFromPEM} does; other than Go a block that is no certificate makes the whole bundle
   * worthless, because a CA that is silently not trusted is found by failing pulls only.
   *
   * @return empty when there is no certificate, or a block that is none
   */
  public static List<X509Certificate> parse(String pem) {
    List<X509Certificate> found = new ArrayList<>();
    try {
      CertificateFactory factory = CertificateFactory.getInstance("X.509");
      int at = pem.indexOf(BEGIN);
      while (at >= 0) {
        int end = pem.indexOf(END, at);
        if (end < 0) {
          return List.of();
        }
        String block = pem.substring(at, end + END.length()) + "\n";
        found.add(
            (X509Certificate)
                factory.generateCertificate(
                    new ByteArrayInputStream(block.getBytes(StandardCharsets.US_ASCII))));
        at = pem.indexOf(BEGIN, end);
      }
      return List.copyOf(found);
    } catch (CertificateException e) {
      return List.of();
    }
  }

  /** SHA-256 of the certificate's DER, 64 hexadecimal digits. */
  public static String fingerprint(X509Certificate certificate) {
    try {
      return NodeConfig.sha256(certificate.getEncoded());
    } catch (CertificateEncodingException e) {
      throw new IllegalStateException(e); // it was parsed from its encoding
    }
  }

  /** The bundle as it is written: the certificates alone, without text around them. */
  public static String canonical(String pem) {
    StringBuilder text = new StringBuilder();
    parse(pem).forEach(certificate -> text.append(pem(certificate)));
    return text.toString();
  }

  /** One certificate. */
  public static String pem(X509Certificate certificate) {
    try {
      return BEGIN
          + "\n"
          + java.util.Base64.getMimeEncoder(64, "\n".getBytes(StandardCharsets.US_ASCII))
              .encodeToString(certificate.getEncoded())
          + "\n"
          + END
          + "\n";
    } catch (CertificateEncodingException e) {
      throw new IllegalStateException(e);
    }
  }
}
