package io.kubic.mirrors.controller.registry;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.Map;
import java.util.TreeMap;

/** A user with a password, as a Secret that kubelets, Jobs and people can use alike. */
record Credentials(String user, String password) {
  static final String SECRET_TYPE = "kubernetes.io/dockerconfigjson";
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int PASSWORD_BYTES = 24;

  /** A new password of 192 random bits. */
  static Credentials generate(String user, SecureRandom random) {
    return new Credentials(user, randomText(random));
  }

  /** 192 random bits in 32 characters of the URL-safe Base64 alphabet. */
  static String randomText(SecureRandom random) {
    byte[] bytes = new byte[PASSWORD_BYTES];
    random.nextBytes(bytes);
    return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
  }

  /**
   * The members of the Secret: {@code username}, {@code password} and {@code .dockerconfigjson}.
   *
   * @param authority {@code host:port} that they are for
   */
  Map<String, String> secretData(String authority) {
    String auth =
        Base64.getEncoder()
            .encodeToString((user + ":" + password).getBytes(StandardCharsets.UTF_8));
    Map<String, String> entry = new TreeMap<>();
    entry.put("username", user);
    entry.put("password", password);
    entry.put("auth", auth);
    try {
      return Map.of(
          "username",
          user,
          "password",
          password,
          ".dockerconfigjson",
          JSON.writeValueAsString(Map.of("auths", Map.of(authority, entry))));
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public String toString() {
    return user + ":***";
  }
}
