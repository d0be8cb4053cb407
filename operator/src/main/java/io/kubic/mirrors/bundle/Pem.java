package io.kubic.mirrors.bundle;

import java.security.spec.ECParameterSpec;
import java.util.Base64;

/** The outer form of keys: RFC 7468. */
final class Pem {
  private static final int P256_BITS = 256;

  private Pem() {}

  static byte[] decode(String pem, String label, String name) {
    String begin = "-----BEGIN " + label + "-----";
    String end = "-----END " + label + "-----";
    int from = pem.indexOf(begin);
    int to = pem.indexOf(end);
    if (from < 0 || to < from) {
      throw new IllegalArgumentException(name + ": holds no PEM block '" + label + "'");
    }
    try {
      return Base64.getMimeDecoder().decode(pem.substring(from + begin.length(), to));
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(name + ": the PEM block is no base64", e);
    }
  }

  static boolean isP256(ECParameterSpec curve) {
    return curve.getOrder().bitLength() == P256_BITS;
  }

  static String signature(String kind) {
    return kind.equals("EC") ? "SHA256withECDSA" : kind;
  }
}
