package io.kubic.mirrors.controller.registry;

import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.api.model.GenericKubernetesResourceBuilder;
import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.dsl.base.ResourceDefinitionContext;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistrySpec;
import io.kubic.mirrors.controller.support.Secrets;
import io.kubic.mirrors.pki.CertificateAuthority;
import io.kubic.mirrors.pki.CertificateBundle;
import io.kubic.mirrors.pki.CertifiedKey;
import io.kubic.mirrors.pki.InvalidCertificateException;
import io.kubic.mirrors.pki.RotationStep;
import io.kubic.mirrors.pki.SubjectNames;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * A certificate that somebody else issues: a Secret of the user's, or one that cert-manager keeps.
 * It is copied into the Secret that the gateways read once it is found good and its root is trusted
 * by all nodes; what is not good changes nothing and is told.
 */
final class IssuedCertificate {
  private static final ResourceDefinitionContext CERTIFICATES =
      new ResourceDefinitionContext.Builder()
          .withGroup("cert-manager.io")
          .withVersion("v1")
          .withKind("Certificate")
          .withPlural("certificates")
          .withNamespaced(true)
          .build();

  private final RegistryModel model;
  private final KubernetesClient client;
  private final String fieldManager;
  private final CertificateKeeper keeper;
  private final Clock clock;

  IssuedCertificate(
      RegistryModel model,
      KubernetesClient client,
      String fieldManager,
      CertificateKeeper keeper,
      Clock clock) {
    this.model = model;
    this.client = client;
    this.fieldManager = fieldManager;
    this.keeper = keeper;
    this.clock = clock;
  }

  /** A certificate that was found good, with the roots that a client needs for it. */
  private record Good(CertifiedKey certificate, CertificateBundle roots) {}

  /**
   * @param names all names that are wanted; cert-manager is asked for them
   * @param hosts those by which nodes come; any certificate must have them
   * @param served what the pods show now
   */
  CertificateKeeper.Result keep(
      List<String> names, List<String> hosts, List<X509Certificate> served, NodeTrust nodes) {
    Optional<CertifiedKey> present = keeper.leaf();
    CertificateBundle published = keeper.published();
    Good good;
    try {
      good = examine(secret(names), hosts);
    } catch (InvalidCertificateException e) {
      return new CertificateKeeper.Result(
          published, present.orElse(null), until(present), String.valueOf(e.getMessage()));
    }
    CertificateBundle both = published.merge(good.roots());
    if (!both.equals(published)) {
      keeper.publish(both);
    }
    X509Certificate leaf = good.certificate().leaf();
    if (present.isEmpty() || !present.get().leaf().equals(leaf)) {
      boolean trusted =
          good.roots().fingerprints().stream()
              .allMatch(root -> nodes.acknowledged().getOrDefault(root, 0) >= nodes.nodes());
      boolean nothingToLose =
          present.isEmpty() || !clock.instant().isBefore(present.get().notAfter());
      if (!trusted && !nothingToLose) {
        return new CertificateKeeper.Result(
            both, present.get(), new RotationStep.Wait(RotationStep.Hold.NODES), null);
      }
      keeper.serve(good.certificate());
    } else if (!both.equals(good.roots())
        && !served.isEmpty()
        && served.stream().allMatch(leaf::equals)) {
      both = good.roots();
      keeper.publish(both);
    }
    return new CertificateKeeper.Result(
        both, good.certificate(), until(Optional.of(good.certificate())), null);
  }

  private RotationStep until(Optional<CertifiedKey> certificate) {
    return new RotationStep.None(
        certificate.map(CertifiedKey::notAfter).orElse(clock.instant().plusSeconds(60)));
  }

  private Secret secret(List<String> names) throws InvalidCertificateException {
    MirrorRegistrySpec.Issuer issuer = model.spec().certificates().issuer();
    MirrorRegistrySpec.CertManager manager = issuer.certManager();
    String name;
    if (manager != null) {
      name = model.names().certManager();
      ask(manager, name, names);
    } else {
      name = Objects.requireNonNull(issuer.secretRef()).name();
    }
    Secret secret = client.secrets().inNamespace(model.names().namespace()).withName(name).get();
    if (secret == null) {
      throw new InvalidCertificateException(
          "Secret "
              + name
              + " does not exist"
              + (manager == null
                  ? "; create it with tls.crt, tls.key and the root in ca.crt"
                  : " yet; look at the Certificate of that name and at "
                      + manager.kind()
                      + " "
                      + manager.name()));
    }
    return secret;
  }

  /** Asks cert-manager for a certificate, and writes only where the request differs. */
  private void ask(MirrorRegistrySpec.CertManager manager, String name, List<String> names)
      throws InvalidCertificateException {
    if (!client.supports("cert-manager.io/v1", "Certificate")) {
      throw new InvalidCertificateException(
          "this cluster has no cert-manager: install it, or choose another issuer");
    }
    MirrorRegistrySpec.Certificates wanted = model.spec().certificates();
    SubjectNames subject = CertificateKeeper.subjectNames(names);
    Map<String, Object> spec = new LinkedHashMap<>();
    spec.put("secretName", name);
    spec.put("dnsNames", new ArrayList<>(subject.dns()));
    spec.put("ipAddresses", new ArrayList<>(subject.ips()));
    spec.put("duration", wanted.duration());
    spec.put("renewBefore", wanted.renewBefore());
    spec.put("usages", List.of("digital signature", "server auth"));
    spec.put(
        "privateKey",
        Map.of(
            "algorithm",
            wanted.privateKey().algorithm().name(),
            "size",
            wanted.privateKey().bits(),
            "encoding",
            "PKCS8",
            "rotationPolicy",
            "Always"));
    spec.put(
        "issuerRef",
        Map.of("name", manager.name(), "kind", manager.kind(), "group", manager.group()));
    GenericKubernetesResource certificate =
        new GenericKubernetesResourceBuilder()
            .withApiVersion("cert-manager.io/v1")
            .withKind("Certificate")
            .withMetadata(RegistryResources.meta(model, name))
            .addToAdditionalProperties("spec", spec)
            .build();
    var resource =
        client
            .genericKubernetesResources(CERTIFICATES)
            .inNamespace(model.names().namespace())
            .resource(certificate);
    GenericKubernetesResource live = resource.get();
    if (live == null || !holds(live, spec)) {
      resource.fieldManager(fieldManager).forceConflicts().serverSideApply();
    }
  }

  private static boolean holds(GenericKubernetesResource live, Map<String, Object> wanted) {
    return live.getAdditionalProperties().get("spec") instanceof Map<?, ?> present
        && wanted.entrySet().stream()
            .allMatch(entry -> entry.getValue().equals(present.get(entry.getKey())));
  }

  private Good examine(Secret secret, List<String> hosts) throws InvalidCertificateException {
    String name = "Secret " + secret.getMetadata().getName() + ": ";
    CertifiedKey certificate;
    CertificateBundle roots;
    try {
      certificate =
          CertifiedKey.parse(Secrets.text(secret, "tls.crt"), Secrets.text(secret, "tls.key"));
      String ca = Secrets.text(secret, "ca.crt");
      roots = ca.isBlank() ? root(certificate) : CertificateBundle.parse(ca);
    } catch (InvalidCertificateException e) {
      throw new InvalidCertificateException(name + e.getMessage());
    }
    Instant now = clock.instant();
    X509Certificate leaf = certificate.leaf();
    if (!now.isBefore(certificate.notAfter())) {
      throw new InvalidCertificateException(
          name + "the certificate ended " + certificate.notAfter());
    }
    if (now.isBefore(leaf.getNotBefore().toInstant())) {
      throw new InvalidCertificateException(
          name + "the certificate begins only " + leaf.getNotBefore().toInstant());
    }
    for (String host : hosts) {
      if (!SubjectNames.of(leaf).cover(SubjectNames.of(List.of(host)))) {
        throw new InvalidCertificateException(
            name
                + "the certificate does not name "
                + host
                + ", by which nodes come; have it issued with that name, or set endpoint.hostname");
      }
    }
    List<X509Certificate> chain = certificate.chain();
    for (int i = 0; i + 1 < chain.size(); i++) {
      if (!CertificateAuthority.signed(chain.get(i + 1), chain.get(i))) {
        throw new InvalidCertificateException(
            name + "certificate " + (i + 1) + " of tls.crt was not signed by the one after it");
      }
    }
    X509Certificate last = chain.getLast();
    if (!roots.contains(last)
        && roots.certificates().stream()
            .noneMatch(root -> CertificateAuthority.signed(root, last))) {
      throw new InvalidCertificateException(
          name + "no certificate in ca.crt signed the chain in tls.crt");
    }
    return new Good(certificate, roots);
  }

  private static CertificateBundle root(CertifiedKey certificate)
      throws InvalidCertificateException {
    X509Certificate last = certificate.chain().getLast();
    if (!CertificateAuthority.signed(last, last)) {
      throw new InvalidCertificateException(
          "ca.crt is missing and tls.crt does not end in a root; put the root into ca.crt");
    }
    return CertificateBundle.of(List.of(last));
  }
}
