package io.kubic.mirrors.pki;

import java.math.BigInteger;
import java.security.KeyPair;
import java.security.NoSuchAlgorithmException;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x500.X500NameBuilder;
import org.bouncycastle.asn1.x500.style.BCStyle;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.KeyUsage;
import org.bouncycastle.cert.CertIOException;
import org.bouncycastle.cert.jcajce.JcaX509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509ExtensionUtils;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.operator.OperatorCreationException;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;

/**
 * A self-signed root of one registry with its key: it signs server certificates and nothing else.
 */
public final class CertificateAuthority {
  /** Certificates begin this long before they are made, for nodes whose clock is behind. */
  public static final Duration BACK_DATED = Duration.ofHours(1);

  private final X509Certificate certificate;
  private final PrivateKey key;

  private CertificateAuthority(X509Certificate certificate, PrivateKey key) {
    this.certificate = certificate;
    this.key = key;
  }

  /**
   * Makes a new root: path length 0, certSign and crlSign only, a serial of 127 random bits.
   *
   * @param name common name; a generation is added, so that two roots of one registry never share a
   *     subject and every TLS library picks the right one
   * @param duration how long it is good from now
   */
  public static CertificateAuthority create(
      String name, KeySpec keySpec, Duration duration, SecureRandom random, Clock clock) {
    KeyPair pair = keySpec.generate(random);
    BigInteger serial = serial(random);
    String generation = serial.toString(16);
    generation = generation.substring(0, Math.min(8, generation.length()));
    String base = name.length() > 55 ? name.substring(0, 55) : name;
    X500Name subject = commonName(base + " " + generation);
    Instant now = clock.instant().truncatedTo(ChronoUnit.SECONDS);
    var builder =
        new JcaX509v3CertificateBuilder(
            subject,
            serial,
            Date.from(now.minus(BACK_DATED)),
            Date.from(now.plus(duration)),
            subject,
            pair.getPublic());
    try {
      JcaX509ExtensionUtils extensions = new JcaX509ExtensionUtils();
      builder
          .addExtension(Extension.basicConstraints, true, new BasicConstraints(0))
          .addExtension(
              Extension.keyUsage, true, new KeyUsage(KeyUsage.keyCertSign | KeyUsage.cRLSign))
          .addExtension(
              Extension.subjectKeyIdentifier,
              false,
              extensions.createSubjectKeyIdentifier(pair.getPublic()));
    } catch (CertIOException | NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
    return new CertificateAuthority(
        sign(builder, pair.getPublic(), pair.getPrivate(), random), pair.getPrivate());
  }

  /**
   * Reads a root that was written by {@link #certificatePem} and {@link #keyPem}.
   *
   * @throws InvalidCertificateException when it cannot be read, is no CA, or the key is another's
   */
  public static CertificateAuthority parse(String certificatePem, String keyPem)
      throws InvalidCertificateException {
    CertifiedKey pair = CertifiedKey.parse(certificatePem, keyPem);
    if (pair.leaf().getBasicConstraints() < 0) {
      throw new InvalidCertificateException("the certificate is not that of a CA");
    }
    return new CertificateAuthority(pair.leaf(), pair.key());
  }

  /**
   * Signs a server certificate with a new key: serverAuth only, back-dated by {@link #BACK_DATED}
   * but never before the CA, and never beyond its end.
   *
   * @return the leaf alone; the root is in the trust bundle and need not travel with it
   */
  public CertifiedKey issue(LeafRequest request, SecureRandom random, Clock clock) {
    KeyPair pair = request.keySpec().generate(random);
    Instant now = clock.instant().truncatedTo(ChronoUnit.SECONDS);
    Instant begin = later(now.minus(BACK_DATED), certificate.getNotBefore().toInstant());
    Instant end = earlier(now.plus(request.duration()), notAfter());
    List<GeneralName> names = new ArrayList<>();
    request.names().dns().forEach(n -> names.add(new GeneralName(GeneralName.dNSName, n)));
    request.names().ips().forEach(n -> names.add(new GeneralName(GeneralName.iPAddress, n)));
    try {
      JcaX509ExtensionUtils extensions = new JcaX509ExtensionUtils();
      int usage = KeyUsage.digitalSignature;
      if (request.keySpec().algorithm() == KeySpec.Algorithm.RSA) {
        usage |= KeyUsage.keyEncipherment;
      }
      var builder =
          new JcaX509v3CertificateBuilder(
              new JcaX509CertificateHolder(certificate).getSubject(),
              serial(random),
              Date.from(begin),
              Date.from(end),
              commonName(request.commonName()),
              pair.getPublic());
      builder
          .addExtension(Extension.basicConstraints, true, new BasicConstraints(false))
          .addExtension(Extension.keyUsage, true, new KeyUsage(usage))
          .addExtension(
              Extension.extendedKeyUsage,
              false,
              new ExtendedKeyUsage(KeyPurposeId.id_kp_serverAuth))
          .addExtension(
              Extension.subjectKeyIdentifier,
              false,
              extensions.createSubjectKeyIdentifier(pair.getPublic()))
          .addExtension(
              Extension.authorityKeyIdentifier,
              false,
              extensions.createAuthorityKeyIdentifier(certificate.getPublicKey()))
          .addExtension(
              Extension.subjectAlternativeName,
              false,
              new GeneralNames(names.toArray(GeneralName[]::new)));
      return new CertifiedKey(
          List.of(sign(builder, certificate.getPublicKey(), key, random)), pair.getPrivate());
    } catch (CertIOException
        | NoSuchAlgorithmException
        | java.security.cert.CertificateEncodingException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Whether a certificate was signed by a root, whatever the time. */
  public static boolean signed(X509Certificate root, X509Certificate leaf) {
    if (!leaf.getIssuerX500Principal().equals(root.getSubjectX500Principal())) {
      return false;
    }
    try {
      leaf.verify(root.getPublicKey());
      return true;
    } catch (java.security.GeneralSecurityException e) {
      return false;
    }
  }

  public X509Certificate certificate() {
    return certificate;
  }

  public String fingerprint() {
    return CertificateBundle.fingerprint(certificate);
  }

  public Instant notAfter() {
    return certificate.getNotAfter().toInstant();
  }

  public String certificatePem() {
    return Pem.encode(certificate);
  }

  /** The key in PKCS#8, unencrypted: a secret. */
  public String keyPem() {
    return Pem.encode(key);
  }

  @Override
  public String toString() {
    return "CertificateAuthority[" + fingerprint() + ", key=***]";
  }

  private static X509Certificate sign(
      JcaX509v3CertificateBuilder builder,
      PublicKey signer,
      PrivateKey signingKey,
      SecureRandom random) {
    try {
      return Pem.toJca(
          builder.build(
              new JcaContentSignerBuilder(KeySpec.signatureOf(signer))
                  .setSecureRandom(random)
                  .build(signingKey)));
    } catch (OperatorCreationException | InvalidCertificateException e) {
      throw new IllegalStateException(e);
    }
  }

  private static BigInteger serial(SecureRandom random) {
    return new BigInteger(127, random).setBit(126);
  }

  private static X500Name commonName(String name) {
    return new X500NameBuilder(BCStyle.INSTANCE).addRDN(BCStyle.CN, name).build();
  }

  private static Instant later(Instant a, Instant b) {
    return a.isAfter(b) ? a : b;
  }

  private static Instant earlier(Instant a, Instant b) {
    return a.isBefore(b) ? a : b;
  }
}
