package io.kubic.mirrors.controller.registry;

import io.kubic.mirrors.api.v1alpha1.GoDuration;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistrySpec;
import io.kubic.mirrors.controller.support.Hash;
import io.kubic.mirrors.gateway.AclRule;
import io.kubic.mirrors.gateway.GatewayConfig;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * The files of the gateway: {@code gateway.json} without a secret, and one file for each user's
 * password, all members of one Secret, so that a new user needs no new volume and no restart.
 */
final class GatewayFiles {
  /** The member that names the state of the others. */
  static final String VERSION = "version";

  /** A generated user has two passwords while one follows the other. */
  private static final int GENERATED = 2;

  private GatewayFiles() {}

  /**
   * The members of the users' Secret. One of them, {@code version}, names the state: a gateway that
   * tells it has these files in force. It is keyed, so that it tells nothing of the passwords.
   *
   * @param passwords by user, the good ones
   * @param key a secret
   */
  static Map<String, String> users(Map<String, List<String>> passwords, String key) {
    Map<String, String> data = new TreeMap<>();
    passwords.forEach(
        (user, good) -> {
          for (int i = 0; i < good.size(); i++) {
            data.put(file(user, i), good.get(i));
          }
        });
    data.put(VERSION, version(data, key));
    return data;
  }

  private static String version(Map<String, String> data, String key) {
    try {
      Mac mac = Mac.getInstance("HmacSHA256");
      mac.init(new SecretKeySpec(key.getBytes(StandardCharsets.UTF_8), "HmacSHA256"));
      data.forEach(
          (file, password) ->
              mac.update((file + "\n" + password + "\n").getBytes(StandardCharsets.UTF_8)));
      return HexFormat.of().formatHex(mac.doFinal(), 0, 16);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * {@code gateway.json}.
   *
   * @throws InvalidSpecException when a rule's pattern does not compile or the lifetime is out of
   *     bounds
   */
  static String config(RegistryModel model) {
    MirrorRegistrySpec.Auth auth = model.spec().auth();
    List<GatewayConfig.User> users = new ArrayList<>();
    for (GeneratedUser user : GeneratedUser.values()) {
      users.add(user(user.user(), user.role(), GENERATED));
    }
    for (MirrorRegistrySpec.User user : auth.users()) {
      users.add(user(user.name(), user.role(), 1));
    }
    long lifetime = GoDuration.parse(auth.tokenLifetime(), "spec.auth.tokenLifetime").toSeconds();
    if (lifetime < 60 || lifetime > 3600) {
      throw new InvalidSpecException(
          "spec.auth.tokenLifetime", "'" + auth.tokenLifetime() + "' is not within 1m and 1h");
    }
    try {
      return GatewayConfig.toJson(
          new GatewayConfig(
              ":5000",
              "http://127.0.0.1:5001",
              ":5002",
              model.names().service(),
              model.names().service(),
              switch (auth.mode()) {
                case Token -> GatewayConfig.AuthMode.Token;
                case None -> GatewayConfig.AuthMode.None;
              },
              auth.anonymousPull(),
              (int) lifetime,
              "/etc/mirror/tls",
              "/etc/mirror/token-keys",
              "/etc/mirror/users",
              "/etc/mirror/keys/freeze.token",
              model.spec().storage().s3() == null ? RegistryResources.STORAGE : null,
              users,
              auth.acl().stream()
                  .map(
                      rule ->
                          new AclRule(
                              rule.account(),
                              rule.type(),
                              rule.name(),
                              null,
                              rule.ip(),
                              rule.actions()))
                  .toList(),
              GatewayConfig.Audit.All,
              32,
              240,
              120,
              5,
              60));
    } catch (InvalidSpecException e) {
      throw e;
    } catch (IllegalArgumentException e) {
      throw new InvalidSpecException("spec.auth", String.valueOf(e.getMessage()));
    }
  }

  private static GatewayConfig.User user(String name, MirrorRegistrySpec.Role role, int passwords) {
    return new GatewayConfig.User(
        name,
        switch (role) {
          case Admin -> GatewayConfig.Role.Admin;
          case Push -> GatewayConfig.Role.Push;
          case Pull -> GatewayConfig.Role.Pull;
        },
        IntStream.range(0, passwords).mapToObj(i -> file(name, i)).toList());
  }

  /** A user's name may hold what a Secret's key may not. */
  private static String file(String user, int password) {
    return "user-" + Hash.of(user) + (password == 0 ? "" : "-" + password);
  }
}
