package io.kubic.mirrors.pki;

import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.interfaces.ECPublicKey;
import java.security.interfaces.RSAPublicKey;
import java.security.spec.ECGenParameterSpec;

/**
 * Kind and size of a key pair.
 *
 * @param bits 256 or 384 for ECDSA (NIST curves), 2048, 3072 or 4096 for RSA
 */
public record KeySpec(Algorithm algorithm, int bits) {
  /** What every client of a registry understands and what costs least. */
  public static final KeySpec DEFAULT = new KeySpec(Algorithm.ECDSA, 256);

  /** Kinds of keys. */
  public enum Algorithm {
    ECDSA,
    RSA
  }

  public KeySpec {
    boolean known =
        switch (algorithm) {
          case ECDSA -> bits == 256 || bits == 384;
          case RSA -> bits == 2048 || bits == 3072 || bits == 4096;
        };
    if (!known) {
      throw new IllegalArgumentException(
          algorithm + " keys of " + bits + " bits are not supported");
    }
  }

  /** A new key pair. */
  public KeyPair generate(SecureRandom random) {
    try {
      KeyPairGenerator generator =
          KeyPairGenerator.getInstance(algorithm == Algorithm.RSA ? "RSA" : "EC");
      switch (algorithm) {
        case ECDSA -> generator.initialize(new ECGenParameterSpec("secp" + bits + "r1"), random);
        case RSA -> generator.initialize(bits, random);
      }
      return generator.generateKeyPair();
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("this Java has no " + algorithm + " keys", e);
    }
  }

  /** Whether a public key is of this kind and size. */
  public boolean describes(PublicKey key) {
    return switch (key) {
      case ECPublicKey ec ->
          algorithm == Algorithm.ECDSA && ec.getParams().getOrder().bitLength() == bits;
      case RSAPublicKey rsa -> algorithm == Algorithm.RSA && rsa.getModulus().bitLength() == bits;
      default -> false;
    };
  }

  /** The signature that suits a signer's public key, by its JCA name. */
  static String signatureOf(PublicKey signer) {
    return switch (signer) {
      case ECPublicKey ec ->
          ec.getParams().getOrder().bitLength() > 256 ? "SHA384withECDSA" : "SHA256withECDSA";
      default -> "SHA256withRSA";
    };
  }
}
