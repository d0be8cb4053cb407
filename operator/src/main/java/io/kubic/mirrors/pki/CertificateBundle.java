package io.kubic.mirrors.pki;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.cert.CertificateEncodingException;
import java.security.cert.X509Certificate;
import java.util.Collection;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A set of certificates, as a trust bundle holds it: no doubles, oldest first, so that the same set
 * always is the same text.
 */
public record CertificateBundle(List<X509Certificate> certificates) {
  public CertificateBundle {
    TreeMap<String, X509Certificate> unique = new TreeMap<>();
    certificates.forEach(certificate -> unique.put(fingerprint(certificate), certificate));
    certificates =
        unique.entrySet().stream()
            .sorted(
                Comparator
                    .<java.util.Map.Entry<String, X509Certificate>, java.time.Instant>comparing(
                        entry -> entry.getValue().getNotBefore().toInstant())
                    .thenComparing(java.util.Map.Entry::getKey))
            .map(java.util.Map.Entry::getValue)
            .toList();
  }

  public static CertificateBundle empty() {
    return new CertificateBundle(List.of());
  }

  public static CertificateBundle of(Collection<X509Certificate> certificates) {
    return new CertificateBundle(List.copyOf(certificates));
  }

  /**
   * Reads all certificates of a PEM text. Text around the blocks and keys are passed over; no
   * certificate at all gives an empty bundle.
   *
   * @throws InvalidCertificateException when a block is damaged
   */
  public static CertificateBundle parse(String pem) throws InvalidCertificateException {
    return of(Pem.certificates(pem));
  }

  /** SHA-256 over the DER form, 64 lower-case hexadecimal digits. */
  public static String fingerprint(X509Certificate certificate) {
    try {
      return HexFormat.of()
          .formatHex(MessageDigest.getInstance("SHA-256").digest(certificate.getEncoded()));
    } catch (NoSuchAlgorithmException | CertificateEncodingException e) {
      throw new IllegalStateException(e);
    }
  }

  /** The fingerprints, oldest certificate first. */
  public List<String> fingerprints() {
    return certificates.stream().map(CertificateBundle::fingerprint).toList();
  }

  public Optional<X509Certificate> find(String fingerprint) {
    return certificates.stream().filter(c -> fingerprint(c).equals(fingerprint)).findFirst();
  }

  public boolean contains(X509Certificate certificate) {
    return certificates.contains(certificate);
  }

  /** These and the others. */
  public CertificateBundle merge(CertificateBundle others) {
    return of(Stream.concat(certificates.stream(), others.certificates.stream()).toList());
  }

  /** These without one. */
  public CertificateBundle without(String fingerprint) {
    return of(certificates.stream().filter(c -> !fingerprint(c).equals(fingerprint)).toList());
  }

  /** The PEM blocks, oldest first; the empty string for an empty bundle. */
  public String toPem() {
    return certificates.stream().map(Pem::encode).collect(Collectors.joining());
  }

  public boolean isEmpty() {
    return certificates.isEmpty();
  }
}
