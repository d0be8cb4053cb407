package io.kubic.mirrors.controller.list;

import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.kubic.mirrors.api.v1alpha1.LocalRef;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Whether the Secrets of a list's sources hold what they are named for. A Job is given the keys
 * that are there, since a Secret may be of either type: without any it would ask a source as
 * nobody, who may see fewer repositories, and what nobody sees would count as gone.
 */
final class SourceSecrets {
  private SourceSecrets() {}

  /** The first that is not as it should be; empty when all are. */
  static Optional<Target.Unresolved> missing(MirrorList list, KubernetesClient client) {
    for (MirrorListSpec.Source source : list.getSpec().sources()) {
      Optional<Target.Unresolved> missing =
          missing(
                  list,
                  source.credentialsSecretRef(),
                  client,
                  Set.of(".dockerconfigjson"),
                  Set.of("username", "password"))
              .or(
                  () ->
                      missing(
                          list,
                          source.tls().clientCertSecretRef(),
                          client,
                          Set.of("tls.crt", "tls.key")));
      if (missing.isPresent()) {
        return missing;
      }
    }
    return Optional.empty();
  }

  @SafeVarargs
  private static Optional<Target.Unresolved> missing(
      MirrorList list,
      @Nullable LocalRef reference,
      KubernetesClient client,
      Set<String>... choices) {
    if (reference == null) {
      return Optional.empty();
    }
    Secret secret =
        client
            .secrets()
            .inNamespace(list.getMetadata().getNamespace())
            .withName(reference.name())
            .get();
    Map<String, String> data =
        secret == null || secret.getData() == null ? Map.of() : secret.getData();
    for (Set<String> keys : choices) {
      if (data.keySet().containsAll(keys)) {
        return Optional.empty();
      }
    }
    return Optional.of(
        new Target.Unresolved(
            "CredentialsNotFound",
            secret == null
                ? "Secret " + reference.name() + " does not exist in this namespace; create it"
                : "Secret "
                    + reference.name()
                    + (choices.length > 1
                        ? " has neither .dockerconfigjson nor username and password"
                        : " lacks tls.crt or tls.key")));
  }
}
