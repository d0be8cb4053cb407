package io.kubic.mirrors.controller.registry;

import io.kubic.mirrors.api.v1alpha1.GoDuration;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistrySpec;
import io.kubic.mirrors.controller.support.Hash;
import io.kubic.mirrors.gateway.AclRule;
import io.kubic.mirrors.gateway.GatewayConfig;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The files of the gateway: {@code gateway.json} without a secret, and one file for each user's
 * password, all members of one Secret, so that a new user needs no new volume and no restart.
 */
final class GatewayFiles {
  private GatewayFiles() {}

  /** The members of the users' Secret. */
  static Map<String, String> users(Map<String, String> passwords) {
    Map<String, String> data = new TreeMap<>();
    passwords.forEach((user, password) -> data.put(file(user), password));
    return data;
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
      users.add(user(user.user(), user.role()));
    }
    for (MirrorRegistrySpec.User user : auth.users()) {
      users.add(user(user.name(), user.role()));
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
              64,
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

  private static GatewayConfig.User user(String name, MirrorRegistrySpec.Role role) {
    return new GatewayConfig.User(
        name,
        switch (role) {
          case Admin -> GatewayConfig.Role.Admin;
          case Push -> GatewayConfig.Role.Push;
          case Pull -> GatewayConfig.Role.Pull;
        },
        List.of(file(name)));
  }

  /** A user's name may hold what a Secret's key may not. */
  private static String file(String user) {
    return "user-" + Hash.of(user);
  }
}
