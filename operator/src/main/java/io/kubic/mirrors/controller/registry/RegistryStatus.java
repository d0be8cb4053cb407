package io.kubic.mirrors.controller.registry;

import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.apps.DeploymentCondition;
import io.fabric8.kubernetes.api.model.apps.DeploymentStatus;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.LocalRef;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistry;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistrySpec;
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
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Computes the status of a registry; pure but for the clock. */
final class RegistryStatus {
  static final String AVAILABLE = "Available";
  static final String CERTIFICATES_READY = "CertificatesReady";
  static final String CA_ROTATING = "CARotating";
  static final String STORAGE_HEALTHY = "StorageHealthy";
  static final String DEGRADED = "Degraded";
  static final String PULL_SECRETS_READY = "PullSecretsReady";
  static final String WRITES_FROZEN = "WritesFrozen";
  private static final Set<String> TYPES =
      Set.of(
          Conditions.READY,
          Conditions.RECONCILING,
          Conditions.STALLED,
          AVAILABLE,
          CERTIFICATES_READY,
          CA_ROTATING,
          STORAGE_HEALTHY,
          DEGRADED,
          PULL_SECRETS_READY,
          WRITES_FROZEN);

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
        null, null, List.of(), null, null, null, null, null, null, null, null, null, null, null,
        null, null);
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
        s.storage(),
        s.contents(),
        s.garbageCollection(),
        s.scrub(),
        s.capabilities(),
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
        .filter(c -> TYPES.contains(c.type()) && !conditions.has(c.type()))
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
        old.storage(),
        old.contents(),
        old.garbageCollection(),
        old.scrub(),
        old.capabilities(),
        old.replicas(),
        old.readyReplicas(),
        old.version());
  }

  /** The API server refused a write; the old conditions stand, and it is tried again. */
  MirrorRegistryStatus refused(String message) {
    conditions.set(Conditions.RECONCILING, true, "ApiServerRefused", message);
    return unchanged();
  }

  /** Deletion was asked for and waits; everything else is as it would be without. */
  MirrorRegistryStatus deletionBlocked(MirrorRegistryStatus kept, String why) {
    kept.conditions().forEach(c -> conditions.set(c.type(), c.status(), c.reason(), c.message()));
    conditions.set(Conditions.STALLED, true, "DeletionBlocked", why);
    return new MirrorRegistryStatus(
        kept.observedGeneration(),
        kept.lastHandledReconcileAt(),
        conditions.list(),
        kept.endpoint(),
        kept.trust(),
        kept.certificate(),
        kept.nodesTrusting(),
        kept.credentials(),
        kept.storage(),
        kept.contents(),
        kept.garbageCollection(),
        kept.scrub(),
        kept.capabilities(),
        kept.replicas(),
        kept.readyReplicas(),
        kept.version());
  }

  /**
   * Everything that was seen of a registry.
   *
   * @param endpoint what is announced; null while there is none
   * @param pending whether what the spec wants has no address yet
   * @param movingTo what the spec wants instead and is not served yet; null: nothing
   * @param nextRotation when generated passwords are replaced next; null: on request only
   * @param probe null while no pod is ready
   */
  record Observation(
      RegistryModel model,
      MirrorRegistryStatus.@Nullable Endpoint endpoint,
      boolean pending,
      @Nullable String movingTo,
      CertificateKeeper.Result certificates,
      @Nullable String nextRotation,
      PullSecrets.Result pullSecrets,
      Deployment deployment,
      Optional<PodTrouble> trouble,
      RegistryProbe.@Nullable Outcome probe,
      StorageJudgement storage,
      MirrorRegistryStatus.@Nullable Contents contents,
      UpkeepKeeper.Result upkeep,
      MirrorRegistryStatus.NodesTrusting nodes) {}

  /** The registry as it was seen. */
  MirrorRegistryStatus observed(Observation seen) {
    RegistryModel model = seen.model();
    DeploymentStatus state =
        seen.deployment().getStatus() == null
            ? new DeploymentStatus()
            : seen.deployment().getStatus();
    int ready = zero(state.getReadyReplicas());
    int wanted = model.spec().replicas();
    certificates(seen.certificates());
    boolean rolledOut = rolledOut(seen.deployment(), wanted);
    String pods = failure(state, ready + " of " + wanted + " pods are ready");
    String waiting = seen.trouble().map(t -> pods + ": " + t.message()).orElse(pods);
    boolean degraded = seen.trouble().isPresent() && !rolledOut;
    conditions.set(
        DEGRADED,
        degraded,
        degraded ? seen.trouble().orElseThrow().reason() : "AsExpected",
        degraded ? waiting : "no pod is in trouble");
    conditions.set(
        STORAGE_HEALTHY,
        seen.storage().healthy(),
        seen.storage().reason(),
        seen.storage().message());
    writes(seen.upkeep());
    availability(seen, rolledOut, waiting);
    pullSecrets(seen);
    CertifiedKey leaf = seen.certificates().leaf();
    RegistryNames names = model.names();
    String image = model.image();
    return new MirrorRegistryStatus(
        generation,
        handled,
        conditions.list(),
        seen.endpoint(),
        new MirrorRegistryStatus.Trust(new LocalRef(names.trust()), trusted(seen.certificates())),
        leaf == null
            ? null
            : new MirrorRegistryStatus.Certificate(
                leaf.serial(),
                leaf.notAfter().toString(),
                seen.certificates().last() instanceof RotationStep.None(Instant until)
                    ? until.toString()
                    : null),
        seen.nodes(),
        new MirrorRegistryStatus.Credentials(
            new LocalRef(names.credentials(GeneratedUser.ADMIN)),
            new LocalRef(names.credentials(GeneratedUser.PUSH)),
            new LocalRef(names.credentials(GeneratedUser.PULL)),
            seen.nextRotation(),
            model.spec().auth().pullSecret() == null ? null : seen.pullSecrets().namespaces()),
        seen.storage().status(),
        seen.contents(),
        seen.upkeep().garbageCollection(),
        seen.upkeep().scrub(),
        null,
        wanted,
        ready,
        image.substring(image.lastIndexOf(':') + 1));
  }

  /** Whether all pods are of the newest form and ready. */
  static boolean rolledOut(Deployment deployment, int wanted) {
    DeploymentStatus state = deployment.getStatus();
    return state != null
        && state.getObservedGeneration() != null
        && state.getObservedGeneration().equals(deployment.getMetadata().getGeneration())
        && zero(state.getUpdatedReplicas()) == wanted
        && zero(state.getReplicas()) == wanted
        && zero(state.getReadyReplicas()) == wanted;
  }

  private void writes(UpkeepKeeper.Result upkeep) {
    UpkeepTask task = upkeep.task();
    String waiting = upkeep.waiting();
    if (upkeep.frozen()) {
      conditions.set(
          WRITES_FROZEN,
          true,
          task == null ? "Frozen" : task.reason(),
          (task == null ? "somebody" : task.title()) + " holds writes back; pulls go on");
    } else if (task != null && waiting != null) {
      conditions.set(
          WRITES_FROZEN, false, task.reason() + "Waits", task.title() + " is due: " + waiting);
    } else {
      conditions.set(WRITES_FROZEN, false, "Open", "writes are let in");
    }
  }

  private void availability(Observation seen, boolean rolledOut, String waiting) {
    MirrorRegistryStatus.Endpoint endpoint = seen.endpoint();
    if (endpoint == null) {
      String why = "the load balancer has no address yet";
      conditions.set(AVAILABLE, false, "EndpointPending", why);
      conditions.progressing("EndpointPending", why);
      return;
    }
    switch (seen.probe()) {
      case null -> {
        conditions.set(AVAILABLE, false, "NoPodReady", waiting);
        conditions.progressing("NoPodReady", waiting);
      }
      case RegistryProbe.Unhealthy(String reason, String message) -> {
        conditions.set(AVAILABLE, false, reason, message);
        conditions.progressing(reason, message);
      }
      case RegistryProbe.Healthy _ -> {
        String serving = endpoint.url() + " answers with a trusted certificate and tokens";
        conditions.set(AVAILABLE, true, "Serving", serving);
        if (seen.storage().dataLost()) {
          conditions.progressing(seen.storage().reason(), seen.storage().message());
        } else if (seen.certificates().last() instanceof RotationStep.CaKeyLost) {
          conditions.ready("CAKeyLost", caKeyLost(seen.certificates()));
        } else {
          conditions.ready("Serving", serving);
          if (!rolledOut) {
            // The old pods serve on while new ones start: that is no outage.
            conditions.set(Conditions.RECONCILING, true, "RollingOut", waiting);
          } else if (seen.pending()) {
            conditions.set(
                Conditions.RECONCILING,
                true,
                "EndpointPending",
                "the load balancer has no address yet; nodes stay with " + endpoint.url());
          } else if (seen.movingTo() != null) {
            conditions.set(
                Conditions.RECONCILING,
                true,
                "EndpointMoving",
                "https://"
                    + seen.movingTo()
                    + " is announced when every pod serves it and it answers");
          }
        }
      }
    }
  }

  private void pullSecrets(Observation seen) {
    if (seen.model().spec().auth().pullSecret() == null) {
      return;
    }
    if (seen.pullSecrets().refused().isEmpty()) {
      conditions.set(PULL_SECRETS_READY, true, "Kept", "every selected namespace has the Secret");
    } else {
      conditions.set(
          PULL_SECRETS_READY,
          false,
          "NameTaken",
          "not touched, since a Secret of somebody else is there or the operator has no rights: "
              + seen.pullSecrets().refused().stream().limit(20).toList());
    }
  }

  /**
   * An adopted registry.
   *
   * @param capabilities null while it was never reached
   */
  MirrorRegistryStatus adopted(
      RegistryModel model,
      MirrorRegistrySpec.External external,
      CertificateBundle trust,
      RegistryProbe.Outcome outcome,
      MirrorRegistryStatus.@Nullable Capabilities capabilities) {
    switch (outcome) {
      case RegistryProbe.Healthy _ -> {
        String serving = external.url() + " answers as a registry";
        conditions.set(AVAILABLE, true, "Serving", serving);
        conditions.ready("Serving", serving);
      }
      case RegistryProbe.Unhealthy(String reason, String message) -> {
        conditions.set(AVAILABLE, false, reason, message);
        conditions.progressing(reason, message);
      }
    }
    LocalRef push = external.pushSecretRef();
    LocalRef pull = external.pullSecretRef();
    return new MirrorRegistryStatus(
        generation,
        handled,
        conditions.list(),
        new MirrorRegistryStatus.Endpoint(external.url(), null, null, null, List.of()),
        new MirrorRegistryStatus.Trust(
            new LocalRef(model.names().trust()),
            trust.certificates().stream()
                .map(
                    root ->
                        new MirrorRegistryStatus.TrustedCertificate(
                            CertificateBundle.fingerprint(root),
                            root.getNotAfter().toInstant().toString(),
                            TrustPhase.Current))
                .toList()),
        null,
        null,
        push == null && pull == null
            ? null
            : new MirrorRegistryStatus.Credentials(null, push, pull, null, null),
        null,
        null,
        null,
        null,
        capabilities,
        null,
        null,
        null);
  }

  private void certificates(CertificateKeeper.Result certificates) {
    String problem = certificates.problem();
    if (problem != null) {
      conditions.set(CERTIFICATES_READY, false, "CertificateInvalid", problem);
      return;
    }
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
