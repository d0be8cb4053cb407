package io.kubic.mirrors.controller.support;

import io.fabric8.kubernetes.api.model.Secret;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Map;
import java.util.TreeMap;

/** Members of Secrets as text. */
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

  /** Members in the form that a Secret's {@code data} has, sorted. */
  public static Map<String, String> encoded(Map<String, String> members) {
    Map<String, String> encoded = new TreeMap<>();
    members.forEach(
        (key, value) ->
            encoded.put(
                key, Base64.getEncoder().encodeToString(value.getBytes(StandardCharsets.UTF_8))));
    return encoded;
  }
}
