package io.kubic.mirrors.pki;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.StringReader;
import java.io.StringWriter;
import java.security.PrivateKey;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.openssl.PEMException;
import org.bouncycastle.openssl.PEMKeyPair;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.openssl.jcajce.JcaPEMKeyConverter;
import org.bouncycastle.util.io.pem.PemObject;
import org.bouncycastle.util.io.pem.PemWriter;

/** Text form of certificates and keys (RFC 7468). */
final class Pem {
  private Pem() {}

  /**
   * All certificates of a text, in its order; other blocks and text around them are passed over.
   */
  static List<X509Certificate> certificates(String text) throws InvalidCertificateException {
    List<X509Certificate> found = new ArrayList<>();
    for (Object block : blocks(text)) {
      if (block instanceof X509CertificateHolder holder) {
        found.add(toJca(holder));
      }
    }
    return found;
  }

  /** The first private key of a text: PKCS#8, or PKCS#1 and SEC1 as official CAs hand them out. */
  static PrivateKey privateKey(String text) throws InvalidCertificateException {
    for (Object block : blocks(text)) {
      try {
        switch (block) {
          case PrivateKeyInfo key -> {
            return new JcaPEMKeyConverter().getPrivateKey(key);
          }
          case PEMKeyPair pair -> {
            return new JcaPEMKeyConverter().getPrivateKey(pair.getPrivateKeyInfo());
          }
          default -> {
            // EC PARAMETERS, certificates
          }
        }
      } catch (PEMException e) {
        throw new InvalidCertificateException("the private key is of no known kind");
      }
    }
    throw new InvalidCertificateException(
        "there is no unencrypted private key in PEM form (BEGIN PRIVATE KEY)");
  }

  static String encode(X509Certificate certificate) {
    try {
      return block("CERTIFICATE", certificate.getEncoded());
    } catch (CertificateException e) {
      throw new IllegalStateException("a parsed certificate always encodes", e);
    }
  }

  static String encode(PrivateKey key) {
    return block("PRIVATE KEY", key.getEncoded());
  }

  static X509Certificate toJca(X509CertificateHolder holder) throws InvalidCertificateException {
    try {
      return (X509Certificate)
          CertificateFactory.getInstance("X.509")
              .generateCertificate(new ByteArrayInputStream(holder.getEncoded()));
    } catch (CertificateException | IOException e) {
      throw new InvalidCertificateException("a certificate cannot be parsed");
    }
  }

  private static List<Object> blocks(String text) throws InvalidCertificateException {
    List<Object> found = new ArrayList<>();
    try (PEMParser parser = new PEMParser(new StringReader(text))) {
      for (Object block = parser.readObject(); block != null; block = parser.readObject()) {
        found.add(block);
      }
      return found;
    } catch (IOException | RuntimeException e) {
      // The parser's own message may quote what it read.
      throw new InvalidCertificateException("the text is not PEM, or a block of it is damaged");
    }
  }

  private static String block(String type, byte[] der) {
    StringWriter text = new StringWriter();
    try (PemWriter writer = new PemWriter(text)) {
      writer.writeObject(new PemObject(type, der));
    } catch (IOException e) {
      throw new IllegalStateException("writing into memory does not fail", e);
    }
    return text.toString().replace("\r\n", "\n");
  }
}
