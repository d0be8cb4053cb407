package io.kubic.mirrors.bundle;

import io.kubic.mirrors.oci.Reason;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.Signature;
import java.security.interfaces.ECPublicKey;
import java.security.spec.X509EncodedKeySpec;
import java.util.Base64;

/**
 * Verifies the checksums of a bundle.
 *
 * @param algorithm of java.security.Signature
 */
public record VerifyingKey(PublicKey key, String algorithm) {
  /** More than any signature in base64. */
  static final long MAX_SIGNATURE = 4096;

  /**
   * Reads a public key: PEM, Ed25519 or ECDSA on P-256.
   *
   * @param name what the file is called in messages
   * @throws IllegalArgumentException when it is anything else
   */
  public static VerifyingKey parse(String pem, String name) {
    byte[] der = Pem.decode(pem, "PUBLIC KEY", name);
    for (String kind : new String[] {"Ed25519", "EC"}) {
      try {
        PublicKey key = KeyFactory.getInstance(kind).generatePublic(new X509EncodedKeySpec(der));
        if (key instanceof ECPublicKey ec && !Pem.isP256(ec.getParams())) {
          break;
        }
        return new VerifyingKey(key, Pem.signature(kind));
      } catch (GeneralSecurityException e) {
        // The next kind, or none.
      }
    }
    throw new IllegalArgumentException(
        name + ": no Ed25519 or ECDSA P-256 public key; openssl pkey -in KEY -pubout");
  }

  /**
   * Verifies.
   *
   * @param signature base64
   * @param object what is signed
   * @throws RefusedException SignatureInvalid
   */
  void verify(byte[] content, byte[] signature, String object) {
    try {
      Signature check = Signature.getInstance(algorithm);
      check.initVerify(key);
      check.update(content);
      String text = new String(signature, StandardCharsets.ISO_8859_1).strip();
      byte[] raw = Base64.getDecoder().decode(text);
      // One signature has one form: base64 has bits that mean nothing.
      if (Base64.getEncoder().encodeToString(raw).equals(text) && check.verify(raw)) {
        return;
      }
    } catch (GeneralSecurityException | IllegalArgumentException e) {
      // Bytes that are no signature at all: the same answer.
    }
    throw new RefusedException(
        Reason.SignatureInvalid, object, "the signature is not one of the given key");
  }
}
