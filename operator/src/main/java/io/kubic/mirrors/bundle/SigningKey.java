package io.kubic.mirrors.bundle;

import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.interfaces.ECPrivateKey;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;

/** Signs the checksums of a bundle. It never shows itself. */
public final class SigningKey {
  private final PrivateKey key;
  private final String algorithm;

  private SigningKey(PrivateKey key, String algorithm) {
    this.key = key;
    this.algorithm = algorithm;
  }

  /**
   * Reads a private key: PEM, PKCS #8 without a password (RFC 5958), Ed25519 or ECDSA on P-256.
   *
   * @param name what the file is called in messages
   * @throws IllegalArgumentException when it is anything else
   */
  public static SigningKey parse(String pem, String name) {
    byte[] der = Pem.decode(pem, "PRIVATE KEY", name);
    for (String kind : new String[] {"Ed25519", "EC"}) {
      try {
        PrivateKey key = KeyFactory.getInstance(kind).generatePrivate(new PKCS8EncodedKeySpec(der));
        if (key instanceof ECPrivateKey ec && !Pem.isP256(ec.getParams())) {
          break;
        }
        return new SigningKey(key, Pem.signature(kind));
      } catch (GeneralSecurityException e) {
        // The next kind, or none.
      }
    }
    throw new IllegalArgumentException(
        name + ": no Ed25519 or ECDSA P-256 key in PKCS #8; openssl genpkey -algorithm ed25519");
  }

  /** The signature in base64 with a line end: DER for ECDSA, as cosign has it. */
  String sign(byte[] content) {
    try {
      Signature signature = Signature.getInstance(algorithm);
      signature.initSign(key);
      signature.update(content);
      return Base64.getEncoder().encodeToString(signature.sign()) + "\n";
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("cannot sign with " + algorithm, e);
    }
  }

  @Override
  public String toString() {
    return "***";
  }
}
