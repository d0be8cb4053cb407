package io.kubic.mirrors.controller.support;

import io.fabric8.kubernetes.api.model.Secret;
import java.nio.charset.StandardCharsets;
import java.util.Base64;

/** Reads members of Secrets. */
public final class Secrets {
  private Secrets() {}

  /** The member as text; the empty string where there is none or it is no Base64. */
  public static String text(Secret secret, String key) {
    String encoded = secret.getData() == null ? null : secret.getData().get(key);
    try {
      return encoded == null
          ? ""
          : new String(Base64.getDecoder().decode(encoded), StandardCharsets.UTF_8);
    } catch (IllegalArgumentException e) {
      return "";
    }
  }
}
