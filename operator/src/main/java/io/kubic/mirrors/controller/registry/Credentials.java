package io.kubic.mirrors.controller.registry;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** A user with a password, as a Secret that kubelets, Jobs and people can use alike. */
record Credentials(String user, String password) {
  static final String SECRET_TYPE = "kubernetes.io/dockerconfigjson";
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int PASSWORD_BYTES = 24;

  /** 192 random bits in 32 characters of the URL-safe Base64 alphabet. */
  static String randomText(SecureRandom random) {
    byte[] bytes = new byte[PASSWORD_BYTES];
    random.nextBytes(bytes);
    return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
  }

  /**
   * The members of the Secret: {@code username}, {@code password} and {@code .dockerconfigjson}.
   *
   * @param authorities {@code host:port} that they are for
   */
  Map<String, String> secretData(List<String> authorities) {
    String auth =
        Base64.getEncoder()
            .encodeToString((user + ":" + password).getBytes(StandardCharsets.UTF_8));
    Map<String, String> entry = new TreeMap<>();
    entry.put("username", user);
    entry.put("password", password);
    entry.put("auth", auth);
    Map<String, Map<String, String>> auths = new TreeMap<>();
    authorities.forEach(authority -> auths.put(authority, entry));
    try {
      return Map.of(
          "username",
          user,
          "password",
          password,
          ".dockerconfigjson",
          JSON.writeValueAsString(Map.of("auths", auths)));
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public String toString() {
    return user + ":***";
  }
}
