package io.kubic.mirrors.controller.registry;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.kubic.mirrors.api.v1alpha1.GoDuration;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistrySpec;
import io.kubic.mirrors.controller.support.Applier;
import io.kubic.mirrors.controller.support.ConfigMaps;
import io.kubic.mirrors.controller.support.Labels;
import io.kubic.mirrors.controller.support.Secrets;
import io.kubic.mirrors.pki.CertificateAuthority;
import io.kubic.mirrors.pki.CertificateBundle;
import io.kubic.mirrors.pki.CertifiedKey;
import io.kubic.mirrors.pki.InvalidCertificateException;
import io.kubic.mirrors.pki.KeySpec;
import io.kubic.mirrors.pki.Rotation;
import io.kubic.mirrors.pki.RotationEvidence;
import io.kubic.mirrors.pki.RotationPolicy;
import io.kubic.mirrors.pki.RotationStep;
import io.kubic.mirrors.pki.SubjectNames;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Carries out the steps that {@link Rotation} decides, one write each, and takes the evidence anew
 * before the next. CA keys are read live: a cache that lags behind must never mint a root twice.
 */
final class CertificateKeeper {
  private static final Logger LOG = LoggerFactory.getLogger(CertificateKeeper.class);
  private static final String CA_COMPONENT = "certificate-authority";
  private static final String TLS_TYPE = "kubernetes.io/tls";

  /** More steps than any rotation has in one go. */
  private static final int MAX_STEPS = 10;

  private final RegistryModel model;
  private final RotationRequests requests;
  private final KubernetesClient client;
  private final Applier applier;
  private final SecureRandom random;
  private final Clock clock;

  CertificateKeeper(
      RegistryModel model,
      RotationRequests requests,
      KubernetesClient client,
      Applier applier,
      SecureRandom random,
      Clock clock) {
    this.model = model;
    this.requests = requests;
    this.client = client;
    this.applier = applier;
    this.random = random;
    this.clock = clock;
  }

  /**
   * Where the certificates stand after everything that could be done was done.
   *
   * @param trust the published bundle
   * @param leaf the certificate that is to be served; null when there is none
   * @param last the step that could not be taken any further
   * @param problem of a certificate that somebody else issues; null: none
   */
  record Result(
      CertificateBundle trust,
      @Nullable CertifiedKey leaf,
      RotationStep last,
      @Nullable String problem) {}

  /**
   * @param served server certificates seen on the sockets of ready pods
   * @param acknowledged by fingerprint, how many nodes trust a root
   * @param nodes how many nodes take their trust from this registry
   */
  Result keep(
      List<String> names,
      List<X509Certificate> served,
      Map<String, Integer> acknowledged,
      int nodes) {
    SubjectNames wanted = subjectNames(names);
    RotationPolicy policy = policy(model.spec().certificates(), requests);
    List<RotationStep> taken = new ArrayList<>();
    for (int i = 0; i < MAX_STEPS; i++) {
      Map<String, CertificateAuthority> held = authorities();
      CertificateBundle published = published();
      Optional<CertifiedKey> leaf = leaf();
      RotationStep step =
          Rotation.next(
              policy,
              new RotationEvidence(
                  CertificateBundle.of(
                      held.values().stream().map(CertificateAuthority::certificate).toList()),
                  published,
                  leaf.map(CertifiedKey::leaf).orElse(null),
                  served,
                  wanted,
                  acknowledged,
                  nodes),
              clock.instant());
      taken.add(step);
      switch (step) {
        case RotationStep.None _, RotationStep.Wait _, RotationStep.CaKeyLost _ -> {
          return new Result(published, leaf.orElse(null), step, null);
        }
        case RotationStep.IntroduceCa introduce -> introduce(policy, introduce);
        case RotationStep.PublishTrust publish ->
            publish(published.merge(CertificateBundle.of(publish.roots())));
        case RotationStep.RenewLeaf renew -> {
          LOG.info("{}: new server certificate: {}", model.names().main(), renew.reason());
          issue(policy, wanted, held.get(CertificateBundle.fingerprint(renew.signer())));
        }
        case RotationStep.SwitchToCa to -> {
          LOG.info("{}: new server certificate by another CA", model.names().main());
          issue(policy, wanted, held.get(CertificateBundle.fingerprint(to.signer())));
        }
        case RotationStep.RetireCa retire ->
            publish(published.without(CertificateBundle.fingerprint(retire.root())));
        case RotationStep.ForgetCa forget -> forget(forget.root());
      }
    }
    throw new IllegalStateException(
        "certificates of "
            + model.names().main()
            + " did not settle: "
            + taken.stream().map(step -> step.getClass().getSimpleName()).toList());
  }

  static SubjectNames subjectNames(List<String> names) {
    try {
      return SubjectNames.of(names);
    } catch (IllegalArgumentException e) {
      throw new InvalidSpecException("spec.endpoint.extraNames", String.valueOf(e.getMessage()));
    }
  }

  static RotationPolicy policy(
      MirrorRegistrySpec.Certificates certificates, RotationRequests requests) {
    MirrorRegistrySpec.PrivateKey key = certificates.privateKey();
    String path = "spec.certificates";
    try {
      return new RotationPolicy(
          new KeySpec(
              key.algorithm() == MirrorRegistrySpec.KeyAlgorithm.RSA
                  ? KeySpec.Algorithm.RSA
                  : KeySpec.Algorithm.ECDSA,
              key.bits()),
          GoDuration.parse(certificates.duration(), path + ".duration"),
          GoDuration.parse(certificates.renewBefore(), path + ".renewBefore"),
          GoDuration.parse(certificates.ca().duration(), path + ".ca.duration"),
          GoDuration.parse(certificates.ca().renewBefore(), path + ".ca.renewBefore"),
          GoDuration.parse(certificates.ca().overlap(), path + ".ca.overlap"),
          RotationPolicy.DEFAULT_DEADLINE,
          requests.replaceLostCa(),
          requests.ca(),
          requests.certificate());
    } catch (InvalidSpecException e) {
      throw e;
    } catch (IllegalArgumentException e) {
      throw new InvalidSpecException(path, String.valueOf(e.getMessage()));
    }
  }

  /** By fingerprint, the roots whose key we hold; a Secret that cannot be read counts as none. */
  private Map<String, CertificateAuthority> authorities() {
    Map<String, CertificateAuthority> held = new LinkedHashMap<>();
    for (Secret secret :
        client
            .secrets()
            .inNamespace(model.names().namespace())
            .withLabels(Labels.of(RegistryResources.KIND, model.names().name()))
            .withLabel(Labels.COMPONENT, CA_COMPONENT)
            .list()
            .getItems()) {
      try {
        CertificateAuthority authority =
            CertificateAuthority.parse(
                Secrets.text(secret, "tls.crt"), Secrets.text(secret, "tls.key"));
        held.put(authority.fingerprint(), authority);
      } catch (InvalidCertificateException e) {
        LOG.warn(
            "Secret {}/{} holds no CA: {}",
            model.names().namespace(),
            secret.getMetadata().getName(),
            e.getMessage());
      }
    }
    return held;
  }

  /** The bundle that clients are given. */
  CertificateBundle published() {
    ConfigMap map =
        client
            .configMaps()
            .inNamespace(model.names().namespace())
            .withName(model.names().trust())
            .get();
    try {
      return CertificateBundle.parse(ConfigMaps.text(map, "ca.crt"));
    } catch (InvalidCertificateException e) {
      LOG.warn("ConfigMap {} is damaged and made anew: {}", model.names().trust(), e.getMessage());
      return CertificateBundle.empty();
    }
  }

  /** What the gateways are given. */
  Optional<CertifiedKey> leaf() {
    Secret secret =
        client.secrets().inNamespace(model.names().namespace()).withName(model.names().tls()).get();
    if (secret == null) {
      return Optional.empty();
    }
    try {
      return Optional.of(
          CertifiedKey.parse(Secrets.text(secret, "tls.crt"), Secrets.text(secret, "tls.key")));
    } catch (InvalidCertificateException e) {
      LOG.warn("Secret {} is damaged and made anew: {}", model.names().tls(), e.getMessage());
      return Optional.empty();
    }
  }

  private void introduce(RotationPolicy policy, RotationStep.IntroduceCa introduce) {
    LOG.info("{}: new CA: {}", model.names().main(), introduce.reason());
    CertificateAuthority authority =
        CertificateAuthority.create(
            "Mirror Operator " + model.names().service(),
            policy.keySpec(),
            policy.caDuration(),
            random,
            clock);
    Secret secret =
        RegistryResources.secret(
            model,
            caSecret(authority.fingerprint()),
            TLS_TYPE,
            Map.of("tls.crt", authority.certificatePem(), "tls.key", authority.keyPem()));
    secret.getMetadata().getLabels().put(Labels.COMPONENT, CA_COMPONENT);
    client.resource(secret).create();
  }

  void publish(CertificateBundle bundle) {
    applier.apply(
        RegistryResources.configMap(model, model.names().trust(), Map.of("ca.crt", bundle.toPem())),
        Optional.empty());
  }

  private void issue(
      RotationPolicy policy, SubjectNames wanted, @Nullable CertificateAuthority signer) {
    if (signer == null) {
      throw new IllegalStateException("the CA that shall sign has no key");
    }
    serve(signer.issue(Rotation.leafRequest(policy, wanted, model.names().main()), random, clock));
  }

  /** Gives the gateways a certificate. */
  void serve(CertifiedKey leaf) {
    applier.apply(
        RegistryResources.secret(
            model,
            model.names().tls(),
            TLS_TYPE,
            Map.of("tls.crt", leaf.chainPem(), "tls.key", leaf.keyPem())),
        Optional.empty());
  }

  private void forget(X509Certificate root) {
    client
        .secrets()
        .inNamespace(model.names().namespace())
        .withName(caSecret(CertificateBundle.fingerprint(root)))
        .delete();
  }

  private String caSecret(String fingerprint) {
    return model.names().ca() + "-" + fingerprint.substring(0, 10);
  }
}
