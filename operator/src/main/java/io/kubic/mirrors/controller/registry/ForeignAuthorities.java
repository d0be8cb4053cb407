package io.kubic.mirrors.controller.registry;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.KeyRef;
import io.kubic.mirrors.controller.support.ConfigMaps;
import io.kubic.mirrors.pki.CertificateBundle;
import io.kubic.mirrors.pki.InvalidCertificateException;

/** CA certificates in a ConfigMap that an administrator made. It is read, never written. */
final class ForeignAuthorities {
  private ForeignAuthorities() {}

  /**
   * Reads them.
   *
   * @param field where the spec refers to it, for messages
   * @throws InvalidSpecException when there is none, or what is there is no certificate
   */
  static CertificateBundle read(
      RegistryModel model, KubernetesClient client, KeyRef ref, String field) {
    ConfigMap map =
        client.configMaps().inNamespace(model.names().namespace()).withName(ref.name()).get();
    CertificateBundle authorities;
    try {
      authorities = CertificateBundle.parse(ConfigMaps.text(map, ref.keyOr("ca.crt")));
    } catch (InvalidCertificateException e) {
      throw new InvalidSpecException(field, String.valueOf(e.getMessage()));
    }
    if (authorities.isEmpty()) {
      throw new InvalidSpecException(
          field, "ConfigMap " + ref.name() + " has no certificate under " + ref.keyOr("ca.crt"));
    }
    return authorities;
  }
}
