package io.kubic.mirrors.controller.list;

import io.kubic.mirrors.api.v1alpha1.Condition;
import io.kubic.mirrors.api.v1alpha1.LocalRef;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistry;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus;
import io.kubic.mirrors.controller.support.Conditions;
import java.util.Optional;

/**
 * Where a list copies to, as the MirrorRegistry's status tells.
 *
 * @param authority {@code host:port}
 * @param pushSecret a Secret of the same namespace
 * @param trustConfigMap a ConfigMap of the same namespace
 */
record Target(String authority, String pushSecret, String trustConfigMap) {

  /** What came of looking the registry up. */
  sealed interface Resolution {}

  record Resolved(Target target) implements Resolution {}

  /** The reference leads nowhere yet. */
  record Unresolved(String reason, String message) implements Resolution {}

  /** No registry at all: the list goes into a bundle. */
  static Resolution none() {
    return new Resolved(new Target("", "", ""));
  }

  static Resolution resolve(String name, Optional<MirrorRegistry> found) {
    if (found.isEmpty()) {
      return new Unresolved(
          "RegistryNotFound",
          "MirrorRegistry " + name + " does not exist in this namespace; create it");
    }
    MirrorRegistryStatus status = found.get().getStatus();
    boolean ready =
        status != null
            && status.conditions().stream()
                // An empty volume where images had been: the lists are what fills it again.
                .anyMatch(
                    c ->
                        c.type().equals(Conditions.READY)
                            && (c.holds() || c.reason().equals("DataLost")));
    if (status == null || !ready) {
      String why =
          status == null
              ? "it has no status yet"
              : status.conditions().stream()
                  .filter(c -> c.type().equals(Conditions.READY))
                  .map(Condition::message)
                  .findFirst()
                  .orElse("it has no status yet");
      return new Unresolved(
          "RegistryNotReady", "waiting for MirrorRegistry " + name + " to be Ready: " + why);
    }
    MirrorRegistryStatus.Endpoint endpoint = status.endpoint();
    MirrorRegistryStatus.Credentials credentials = status.credentials();
    MirrorRegistryStatus.Trust trust = status.trust();
    String url = endpoint == null ? null : endpoint.url();
    LocalRef push = credentials == null ? null : credentials.pushSecretRef();
    LocalRef bundle = trust == null ? null : trust.configMapRef();
    if (url == null || push == null || bundle == null) {
      return new Unresolved(
          "RegistryNotReady",
          "MirrorRegistry " + name + " tells no endpoint, push credentials or trust yet");
    }
    return new Resolved(
        new Target(url.substring(url.indexOf("://") + 3), push.name(), bundle.name()));
  }
}
