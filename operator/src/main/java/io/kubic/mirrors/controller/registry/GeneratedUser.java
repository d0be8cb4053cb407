package io.kubic.mirrors.controller.registry;

import io.kubic.mirrors.api.v1alpha1.MirrorRegistrySpec.Role;
import java.util.Locale;

/** The users that every registry has; their passwords are generated. */
public enum GeneratedUser {
  ADMIN(Role.Admin),
  PUSH(Role.Push),
  PULL(Role.Pull);

  private final Role role;

  GeneratedUser(Role role) {
    this.role = role;
  }

  public Role role() {
    return role;
  }

  /** As it is typed at login. */
  public String user() {
    return name().toLowerCase(Locale.ROOT);
  }
}
