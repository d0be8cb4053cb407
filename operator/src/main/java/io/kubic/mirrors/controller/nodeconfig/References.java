package io.kubic.mirrors.controller.nodeconfig;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.LocalRef;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistry;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfig;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec;
import io.kubic.mirrors.api.v1alpha1.ObjectRef;
import io.kubic.mirrors.controller.support.Conditions;
import io.kubic.mirrors.controller.support.ConfigMaps;
import io.kubic.mirrors.controller.support.Hash;
import io.kubic.mirrors.controller.support.Secrets;
import io.kubic.mirrors.node.NodeConfig;
import io.kubic.mirrors.node.NodeConfigs;
import io.kubic.mirrors.node.PullCredentials;
import io.kubic.mirrors.pki.CertificateBundle;
import io.kubic.mirrors.pki.InvalidCertificateException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** Looks up the registry, lists, CA certificates and credentials that a configuration names. */
final class References {
  private final KubernetesClient client;
  private final Function<ObjectRef, Optional<MirrorRegistry>> registries;
  private final Supplier<Collection<MirrorList>> lists;

  References(
      KubernetesClient client,
      Function<ObjectRef, Optional<MirrorRegistry>> registries,
      Supplier<Collection<MirrorList>> lists) {
    this.client = client;
    this.registries = registries;
    this.lists = lists;
  }

  /**
   * @throws InvalidSpecException naming the field that cannot be carried out
   */
  Resolution resolve(NodeRegistryConfig config) {
    NodeRegistryConfigSpec spec = config.getSpec();
    Map<String, String> derived = Map.of();
    Map<String, String> authorities = new TreeMap<>();
    List<String> caSha256 = new ArrayList<>();
    String authority = null;
    Optional<Resolution.Mirror> mirror = Optional.empty();
    ObjectRef ref = spec.registryRef();
    if (ref != null) {
      Optional<MirrorRegistry> registry = registries.apply(ref);
      String shown = "MirrorRegistry " + ref.namespace() + "/" + ref.name();
      if (registry.isEmpty()) {
        return new Resolution.Waiting("RegistryNotFound", shown + " does not exist; create it");
      }
      MirrorRegistryStatus status = registry.get().getStatus();
      MirrorRegistryStatus.Endpoint endpoint = status == null ? null : status.endpoint();
      MirrorRegistryStatus.Trust trust = status == null ? null : status.trust();
      String url = endpoint == null ? null : endpoint.url();
      LocalRef bundle = trust == null ? null : trust.configMapRef();
      boolean everReady =
          status != null
              && status.conditions().stream()
                  .anyMatch(c -> c.type().equals(Conditions.READY) && c.holds());
      if (url == null
          || bundle == null
          || !(everReady
              || config.getStatus() != null && config.getStatus().configHash() != null)) {
        return new Resolution.Waiting("RegistryNotReady", "waiting for " + shown + " to be Ready");
      }
      authority = url.substring(url.indexOf("://") + 3);
      derived = MirrorSources.of(ref, authority, lists.get());
      if (derived.isEmpty() && spec.mirrors().isEmpty()) {
        return new Resolution.Waiting(
            "NothingMirrored",
            "no MirrorList has filled " + shown + " yet; nodes stay as they are");
      }
      String pem = pem(bundle.name(), ref.namespace());
      if (spec.verify().mode() == NodeRegistryConfigSpec.VerifyMode.Pull) {
        mirror = Optional.of(new Resolution.Mirror(authority, pem, pushes(status, ref)));
      }
      if (spec.trust().includeRegistryCA()) {
        if (pem.isBlank()) {
          return new Resolution.Waiting(
              "TrustNotFound",
              "ConfigMap " + ref.namespace() + "/" + bundle.name() + " has no ca.crt");
        }
        authorities.put(authority, pem);
        try {
          caSha256.addAll(CertificateBundle.parse(pem).fingerprints());
        } catch (InvalidCertificateException e) {
          return new Resolution.Waiting(
              "TrustNotFound", "ConfigMap " + bundle.name() + ": " + e.getMessage());
        }
      }
    }
    for (NodeRegistryConfigSpec.AdditionalCa ca : spec.trust().additionalCAs()) {
      ObjectRef from = ca.configMapRef();
      String pem = pem(from.name(), from.namespace());
      if (pem.isBlank()) {
        return new Resolution.Waiting(
            "TrustNotFound",
            "ConfigMap " + from.namespace() + "/" + from.name() + " has no key ca.crt");
      }
      authorities.merge(ca.host(), pem, (a, b) -> a + b);
    }
    String name = config.getMetadata().getName();
    ObjectRef login = spec.credentialsSecretRef();
    if (login == null) {
      return new Resolution.Resolved(
          NodeConfigs.of(name, spec, derived, authorities, null),
          caSha256,
          PullCredentials.NONE,
          mirror);
    }
    String shown = "Secret " + login.namespace() + "/" + login.name();
    Secret secret = client.secrets().inNamespace(login.namespace()).withName(login.name()).get();
    if (secret == null) {
      return new Resolution.Waiting(
          "CredentialsNotFound", shown + " does not exist; nodes stay as they are");
    }
    NodeConfig anonymous = NodeConfigs.of(name, spec, derived, authorities, null);
    PullCredentials credentials =
        logins(secret, authority)
            .restrictedTo(
                anonymous.endpoints().stream().map(NodeConfig.Endpoint::location).toList());
    if (credentials.isEmpty()) {
      throw new InvalidSpecException(
          "spec.credentialsSecretRef",
          shown
              + " has no login for any mirror of this configuration; its .dockerconfigjson must"
              + " name them by host:port");
    }
    // The Secret's uid, which only its readers know, keeps anybody from guessing by the hash.
    String content = Hash.of(secret.getMetadata().getUid() + "\n" + credentials.toJson());
    return new Resolution.Resolved(
        NodeConfigs.of(name, spec, derived, authorities, content), caSha256, credentials, mirror);
  }

  private String pushes(MirrorRegistryStatus status, ObjectRef registry) {
    MirrorRegistryStatus.Credentials credentials = status.credentials();
    LocalRef ref = credentials == null ? null : credentials.pushSecretRef();
    Secret secret =
        ref == null
            ? null
            : client.secrets().inNamespace(registry.namespace()).withName(ref.name()).get();
    return secret == null ? "" : Secrets.text(secret, ".dockerconfigjson");
  }

  /** Of either type that Kubernetes knows; a plain pair is for the registry of registryRef only. */
  private static PullCredentials logins(Secret secret, @Nullable String authority) {
    String json = Secrets.text(secret, ".dockerconfigjson");
    if (!json.isEmpty()) {
      return PullCredentials.parse(json, "spec.credentialsSecretRef");
    }
    String user = Secrets.text(secret, "username");
    String password = Secrets.text(secret, "password");
    if (user.isEmpty() || authority == null) {
      throw new InvalidSpecException(
          "spec.credentialsSecretRef",
          "the Secret must have .dockerconfigjson, or username and password for the registry of"
              + " spec.registryRef");
    }
    return PullCredentials.of(authority, user, password);
  }

  private String pem(String name, String namespace) {
    ConfigMap map = client.configMaps().inNamespace(namespace).withName(name).get();
    return ConfigMaps.text(map, "ca.crt");
  }
}
