package io.kubic.mirrors.pki;

import java.security.GeneralSecurityException;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.cert.X509Certificate;
import java.security.interfaces.ECPublicKey;
import java.security.interfaces.RSAPublicKey;
import java.time.Instant;
import java.util.List;
import java.util.stream.Collectors;

/**
 * A certificate chain, leaf first, with the private key of the leaf: what a TLS server needs, and
 * what a {@code kubernetes.io/tls} Secret holds.
 */
public final class CertifiedKey {
  private final List<X509Certificate> chain;
  private final PrivateKey key;

  CertifiedKey(List<X509Certificate> chain, PrivateKey key) {
    this.chain = List.copyOf(chain);
    this.key = key;
  }

  /**
   * Reads the two members of a TLS Secret.
   *
   * @throws InvalidCertificateException when one cannot be read, or the key is not the leaf's
   */
  public static CertifiedKey parse(String chainPem, String keyPem)
      throws InvalidCertificateException {
    List<X509Certificate> chain = Pem.certificates(chainPem);
    if (chain.isEmpty()) {
      throw new InvalidCertificateException("there is no certificate in the chain");
    }
    PrivateKey key = Pem.privateKey(keyPem);
    if (!belong(chain.getFirst().getPublicKey(), key)) {
      throw new InvalidCertificateException(
          "the private key does not belong to the first certificate of the chain");
    }
    return new CertifiedKey(chain, key);
  }

  /** Leaf first. */
  public List<X509Certificate> chain() {
    return chain;
  }

  public X509Certificate leaf() {
    return chain.getFirst();
  }

  public PrivateKey key() {
    return key;
  }

  public String chainPem() {
    return chain.stream().map(Pem::encode).collect(Collectors.joining());
  }

  /** The key in PKCS#8, unencrypted: a secret. */
  public String keyPem() {
    return Pem.encode(key);
  }

  public Instant notAfter() {
    return leaf().getNotAfter().toInstant();
  }

  /** The serial number as certificate tools print it: hexadecimal, lower case. */
  public String serial() {
    return leaf().getSerialNumber().toString(16);
  }

  @Override
  public String toString() {
    return "CertifiedKey[" + CertificateBundle.fingerprint(leaf()) + ", key=***]";
  }

  static boolean belong(PublicKey publicKey, PrivateKey privateKey) {
    String algorithm =
        switch (publicKey) {
          case ECPublicKey _, RSAPublicKey _ -> KeySpec.signatureOf(publicKey);
          default -> publicKey.getAlgorithm();
        };
    try {
      byte[] proof = "belongs".getBytes(java.nio.charset.StandardCharsets.US_ASCII);
      Signature signature = Signature.getInstance(algorithm);
      signature.initSign(privateKey);
      signature.update(proof);
      byte[] signed = signature.sign();
      signature.initVerify(publicKey);
      signature.update(proof);
      return signature.verify(signed);
    } catch (GeneralSecurityException e) {
      return false;
    }
  }
}
