package io.kubic.mirrors.controller.registry;

import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.LocalRef;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistrySpec;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus;
import io.kubic.mirrors.controller.support.Secrets;
import io.kubic.mirrors.pki.CertificateBundle;

/**
 * A registry of somebody else's that {@code spec.external} names: how it is reached and trusted.
 *
 * @param trust what nodes and Jobs are to trust
 * @param target what a probe needs to ask it
 * @param mayPush whether there are credentials to write with
 */
record AdoptedRegistry(CertificateBundle trust, RegistryProbe.External target, boolean mayPush) {
  /**
   * Reads what the spec refers to.
   *
   * @throws InvalidSpecException when something that it names is missing or no certificate
   */
  static AdoptedRegistry read(
      RegistryModel model, MirrorRegistrySpec.External external, KubernetesClient client) {
    String namespace = model.names().namespace();
    CertificateBundle trust =
        ForeignAuthorities.read(model, client, external.caBundleRef(), "spec.external.caBundleRef");
    LocalRef push = external.pushSecretRef();
    Secret secret =
        push == null ? null : client.secrets().inNamespace(namespace).withName(push.name()).get();
    if (push != null && secret == null) {
      throw new InvalidSpecException(
          "spec.external.pushSecretRef", "Secret " + push.name() + " does not exist");
    }
    return new AdoptedRegistry(
        trust,
        new RegistryProbe.External(
            Endpoints.authority(external.url()),
            trust.toPem(),
            secret == null ? "" : Secrets.text(secret, ".dockerconfigjson")),
        push != null);
  }

  /** Whether it answers. */
  RegistryProbe.Outcome ping(RegistryProbe probe) {
    return probe.ping(target);
  }

  /** What it can do; writes into it where it may, and removes what it wrote. */
  MirrorRegistryStatus.Capabilities survey(RegistryProbe probe) {
    return probe.survey(target, mayPush);
  }
}
