package io.kubic.mirrors.controller.registry;

import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.apps.DeploymentCondition;
import io.fabric8.kubernetes.api.model.apps.DeploymentStatus;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.LocalRef;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistry;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus.TrustPhase;
import io.kubic.mirrors.controller.support.Conditions;
import io.kubic.mirrors.pki.CertificateAuthority;
import io.kubic.mirrors.pki.CertificateBundle;
import io.kubic.mirrors.pki.CertifiedKey;
import io.kubic.mirrors.pki.RotationStep;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Computes the status of a registry; pure but for the clock. */
final class RegistryStatus {
  static final String AVAILABLE = "Available";
  static final String CERTIFICATES_READY = "CertificatesReady";
  static final String CA_ROTATING = "CARotating";
  private static final Set<String> TYPES =
      Set.of(
          Conditions.READY,
          Conditions.RECONCILING,
          Conditions.STALLED,
          AVAILABLE,
          CERTIFICATES_READY,
          CA_ROTATING);

  private final MirrorRegistryStatus old;
  private final long generation;
  private final @Nullable String handled;
  private final Conditions conditions;

  RegistryStatus(MirrorRegistry registry, @Nullable String request, Clock clock) {
    old = registry.getStatus() == null ? empty() : registry.getStatus();
    generation = registry.getMetadata().getGeneration();
    handled = request;
    conditions = new Conditions(old.conditions(), generation, clock);
  }

  static MirrorRegistryStatus empty() {
    return new MirrorRegistryStatus(
        null, null, List.of(), null, null, null, null, null, null, null, null);
  }

  /** What stands in the status now, without the conditions of others. */
  static MirrorRegistryStatus comparable(@Nullable MirrorRegistryStatus status) {
    MirrorRegistryStatus s = status == null ? empty() : status;
    return new MirrorRegistryStatus(
        s.observedGeneration(),
        s.lastHandledReconcileAt(),
        Conditions.only(s.conditions(), TYPES),
        s.endpoint(),
        s.trust(),
        s.certificate(),
        s.nodesTrusting(),
        s.credentials(),
        s.replicas(),
        s.readyReplicas(),
        s.version());
  }

  /** The spec cannot be carried out; what runs is not touched. */
  MirrorRegistryStatus invalid(InvalidSpecException e) {
    conditions.stalled("InvalidSpec", String.valueOf(e.getMessage()));
    return unchanged();
  }

  MirrorRegistryStatus suspended() {
    conditions.stalled("Suspended", "spec.suspend is true: nothing is changed; set it to false");
    return unchanged();
  }

  private MirrorRegistryStatus unchanged() {
    old.conditions().stream()
        .filter(c -> c.type().equals(AVAILABLE) || c.type().equals(CERTIFICATES_READY))
        .forEach(c -> conditions.set(c.type(), c.status(), c.reason(), c.message()));
    return new MirrorRegistryStatus(
        generation,
        handled,
        conditions.list(),
        old.endpoint(),
        old.trust(),
        old.certificate(),
        old.nodesTrusting(),
        old.credentials(),
        old.replicas(),
        old.readyReplicas(),
        old.version());
  }

  /**
   * The registry as it was seen.
   *
   * @param authority {@code host:port}
   * @param nextRotation when generated passwords are replaced next; null: on request only
   * @param probe null while no pod is ready
   */
  MirrorRegistryStatus observed(
      RegistryModel model,
      String authority,
      CertificateKeeper.Result certificates,
      @Nullable String nextRotation,
      Deployment deployment,
      RegistryProbe.@Nullable Outcome probe,
      MirrorRegistryStatus.NodesTrusting nodes) {
    DeploymentStatus state =
        deployment.getStatus() == null ? new DeploymentStatus() : deployment.getStatus();
    int ready = state.getReadyReplicas() == null ? 0 : state.getReadyReplicas();
    certificates(certificates);
    boolean rolledOut =
        state.getObservedGeneration() != null
            && state.getObservedGeneration().equals(deployment.getMetadata().getGeneration())
            && zero(state.getUpdatedReplicas()) == model.spec().replicas()
            && zero(state.getReplicas()) == model.spec().replicas()
            && ready == model.spec().replicas();
    String waiting = ready + " of " + model.spec().replicas() + " pods are ready";
    switch (probe) {
      case null -> {
        String why = failure(state, waiting);
        conditions.set(AVAILABLE, false, "NoPodReady", why);
        conditions.progressing("NoPodReady", why);
      }
      case RegistryProbe.Unhealthy(String reason, String message) -> {
        conditions.set(AVAILABLE, false, reason, message);
        conditions.progressing(reason, message);
      }
      case RegistryProbe.Healthy _ -> {
        String serving = "https://" + authority + " answers with a trusted certificate and tokens";
        conditions.set(AVAILABLE, true, "Serving", serving);
        if (certificates.last() instanceof RotationStep.CaKeyLost) {
          conditions.ready("CAKeyLost", caKeyLost(certificates));
        } else if (rolledOut) {
          conditions.ready("Serving", serving);
        } else {
          // The old pods serve on while new ones start: that is no outage.
          conditions.ready("Serving", serving);
          conditions.set(Conditions.RECONCILING, true, "RollingOut", failure(state, waiting));
        }
      }
    }
    CertifiedKey leaf = certificates.leaf();
    RegistryNames names = model.names();
    String image = model.image();
    return new MirrorRegistryStatus(
        generation,
        handled,
        conditions.list(),
        new MirrorRegistryStatus.Endpoint(
            "https://" + authority, model.spec().endpoint().hostname()),
        new MirrorRegistryStatus.Trust(new LocalRef(names.trust()), trusted(certificates)),
        leaf == null
            ? null
            : new MirrorRegistryStatus.Certificate(
                leaf.serial(),
                leaf.notAfter().toString(),
                certificates.last() instanceof RotationStep.None(Instant until)
                    ? until.toString()
                    : null),
        nodes,
        new MirrorRegistryStatus.Credentials(
            new LocalRef(names.credentials(GeneratedUser.ADMIN)),
            new LocalRef(names.credentials(GeneratedUser.PUSH)),
            new LocalRef(names.credentials(GeneratedUser.PULL)),
            nextRotation),
        model.spec().replicas(),
        ready,
        image.substring(image.lastIndexOf(':') + 1));
  }

  private void certificates(CertificateKeeper.Result certificates) {
    switch (certificates.last()) {
      case RotationStep.CaKeyLost _ ->
          conditions.set(CERTIFICATES_READY, false, "CAKeyLost", caKeyLost(certificates));
      case RotationStep.Wait(RotationStep.Hold hold) -> {
        conditions.set(CERTIFICATES_READY, true, "Rotating", "a successor CA is on its way");
        conditions.set(CA_ROTATING, true, "Waiting", "waiting for " + waitedFor(hold));
      }
      case RotationStep.None _,
          RotationStep.IntroduceCa _,
          RotationStep.PublishTrust _,
          RotationStep.RenewLeaf _,
          RotationStep.SwitchToCa _,
          RotationStep.RetireCa _,
          RotationStep.ForgetCa _ ->
          conditions.set(CERTIFICATES_READY, true, "Valid", "the certificate is valid and trusted");
    }
  }

  private static String waitedFor(RotationStep.Hold hold) {
    return switch (hold) {
      case NODES -> "all nodes to trust the successor";
      case OVERLAP -> "the time in which both CAs are trusted";
      case SERVED -> "all pods to serve the successor's certificate";
    };
  }

  private static String caKeyLost(CertificateKeeper.Result certificates) {
    CertifiedKey leaf = certificates.leaf();
    return "the Secret with the CA's key is gone; pulls go on"
        + (leaf == null ? "" : " until " + leaf.notAfter())
        + "; restore the Secret from a backup, or let a successor be introduced before then";
  }

  private static List<MirrorRegistryStatus.TrustedCertificate> trusted(
      CertificateKeeper.Result certificates) {
    List<MirrorRegistryStatus.TrustedCertificate> trusted = new ArrayList<>();
    CertifiedKey leaf = certificates.leaf();
    boolean past = true;
    for (X509Certificate root : certificates.trust().certificates()) {
      boolean current = leaf != null && CertificateAuthority.signed(root, leaf.leaf());
      past &= !current;
      trusted.add(
          new MirrorRegistryStatus.TrustedCertificate(
              CertificateBundle.fingerprint(root),
              root.getNotAfter().toInstant().toString(),
              current ? TrustPhase.Current : past ? TrustPhase.Retiring : TrustPhase.Next));
    }
    return trusted;
  }

  private static String failure(DeploymentStatus state, String otherwise) {
    return state.getConditions() == null
        ? otherwise
        : state.getConditions().stream()
            .filter(c -> "False".equals(c.getStatus()) && "Progressing".equals(c.getType()))
            .map(DeploymentCondition::getMessage)
            .findFirst()
            .map(message -> otherwise + ": " + message)
            .orElse(otherwise);
  }

  private static int zero(@Nullable Integer number) {
    return number == null ? 0 : number;
  }
}
