package io.kubic.mirrors.pki;

import io.kubic.mirrors.pki.RotationStep.CaReason;
import io.kubic.mirrors.pki.RotationStep.Hold;
import io.kubic.mirrors.pki.RotationStep.LeafReason;
import java.security.cert.X509Certificate;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Renewal of the leaf and succession of the root: trust first, then serve, then drop. The decision
 * rests on evidence alone, never on a stored phase, so it can be asked at any time, after any crash
 * and any absence.
 */
public final class Rotation {
  private final RotationPolicy policy;
  private final RotationEvidence evidence;
  private final Instant now;
  private final CertificateBundle known;

  private Rotation(RotationPolicy policy, RotationEvidence evidence, Instant now) {
    this.policy = policy;
    this.evidence = evidence;
    this.now = now;
    this.known = evidence.keysHeld().merge(evidence.published());
  }

  /** The one next step. Doing it and asking again ends in {@link RotationStep.None}. */
  public static RotationStep next(RotationPolicy policy, RotationEvidence evidence, Instant now) {
    return new Rotation(policy, evidence, now).decide();
  }

  /** The published, living roots that cannot sign because their key is gone. */
  public static List<X509Certificate> lostKeys(RotationEvidence evidence, Instant now) {
    return evidence.published().certificates().stream()
        .filter(root -> lives(root, now) && !evidence.keysHeld().contains(root))
        .toList();
  }

  private RotationStep decide() {
    List<X509Certificate> signers =
        evidence.keysHeld().certificates().stream().filter(root -> lives(root, now)).toList();
    if (signers.isEmpty()) {
      return withoutSigner();
    }
    X509Certificate leaf = evidence.leaf();
    X509Certificate current = leaf == null ? null : rootOf(leaf).orElse(null);

    Optional<RotationStep> bundle = bundle(current);
    if (bundle.isPresent()) {
      return bundle.get();
    }
    X509Certificate newest = signers.getLast();
    if (leaf == null || current == null || !lives(leaf, now) || !lives(current, now)) {
      return replace(leaf, current, signers);
    }
    return newest.equals(current)
        ? settled(leaf, current)
        : succession(leaf, current, newest, signers.contains(current));
  }

  private RotationStep withoutSigner() {
    boolean history =
        !evidence.published().isEmpty() || evidence.leaf() != null || !evidence.served().isEmpty();
    if (!history) {
      return new RotationStep.IntroduceCa(
          evidence.keysHeld().isEmpty() ? CaReason.FIRST : CaReason.EXPIRED);
    }
    List<X509Certificate> lost = lostKeys(evidence, now);
    if (lost.isEmpty() && !known.isEmpty()) {
      return new RotationStep.IntroduceCa(CaReason.EXPIRED);
    }
    Instant end = endOfService();
    // A leaf that is due and cannot be renewed would end every pull; a successor that is trusted
    // beside its predecessor harms nobody.
    boolean due = !now.isBefore(end.minus(policy.leafRenewBefore()));
    return policy.replaceLostKey() || due
        ? new RotationStep.IntroduceCa(CaReason.KEY_LOST)
        : new RotationStep.CaKeyLost(lost, end);
  }

  /** Roots with a key are either published, because they will be needed, or forgotten. */
  private Optional<RotationStep> bundle(@Nullable X509Certificate current) {
    List<X509Certificate> missing = new ArrayList<>();
    X509Certificate past = null;
    boolean older = current != null;
    // The bundle's order is by age, so what comes before the current root is its past.
    for (X509Certificate root : known.certificates()) {
      if (root.equals(current)) {
        older = false;
      }
      if (evidence.published().contains(root)) {
        continue;
      }
      if (older || !lives(root, now)) {
        past = root;
      } else {
        missing.add(root);
      }
    }
    if (!missing.isEmpty()) {
      return Optional.of(new RotationStep.PublishTrust(List.copyOf(missing)));
    }
    return Optional.ofNullable(past).map(RotationStep.ForgetCa::new);
  }

  /** There is no leaf that could be served. */
  private RotationStep replace(
      @Nullable X509Certificate leaf,
      @Nullable X509Certificate current,
      List<X509Certificate> signers) {
    LeafReason reason =
        leaf == null
            ? LeafReason.MISSING
            : current == null ? LeafReason.UNKNOWN_ISSUER : LeafReason.EXPIRED;
    if (current != null && signers.contains(current)) {
      return new RotationStep.RenewLeaf(current, reason);
    }
    // The youngest that everybody has; else the oldest, which most have.
    for (X509Certificate signer : signers.reversed()) {
      if (hold(signer).isEmpty()) {
        return new RotationStep.SwitchToCa(signer, false);
      }
    }
    X509Certificate signer = signers.getFirst();
    boolean othersAreServed =
        evidence.served().stream()
            .anyMatch(
                shown ->
                    lives(shown, now)
                        && rootOf(shown).filter(root -> !signers.contains(root)).isPresent());
    return othersAreServed && now.isBefore(endOfService().minus(policy.deadline()))
        ? new RotationStep.Wait(hold(signer).orElseThrow())
        : new RotationStep.SwitchToCa(signer, true);
  }

  /** A successor has been introduced. */
  private RotationStep succession(
      X509Certificate leaf, X509Certificate current, X509Certificate next, boolean canSign) {
    Optional<Hold> hold = hold(next);
    if (hold.isEmpty()) {
      return new RotationStep.SwitchToCa(next, false);
    }
    if (canSign) {
      Optional<LeafReason> due = due(leaf, current);
      if (due.isPresent()) {
        return new RotationStep.RenewLeaf(current, due.get());
      }
    }
    Instant end = canSign ? end(current) : end(leaf);
    return now.isBefore(end.minus(policy.deadline()))
        ? new RotationStep.Wait(hold.get())
        : new RotationStep.SwitchToCa(next, true);
  }

  /** The leaf is the youngest root's. */
  private RotationStep settled(X509Certificate leaf, X509Certificate current) {
    Optional<LeafReason> due = due(leaf, current);
    if (due.isPresent()) {
      return new RotationStep.RenewLeaf(current, due.get());
    }
    Instant successorDue = end(current).minus(policy.caRenewBefore());
    if (!now.isBefore(successorDue)) {
      return new RotationStep.IntroduceCa(CaReason.EXPIRING);
    }
    if (madeBefore(current, policy.caNotBefore())) {
      return new RotationStep.IntroduceCa(CaReason.REQUESTED);
    }
    for (X509Certificate root : evidence.published().certificates()) {
      if (!root.equals(current)) {
        return retire(root, leaf, current);
      }
    }
    Instant leafDue = end(leaf).minus(policy.leafRenewBefore());
    return new RotationStep.None(leafDue.isBefore(successorDue) ? leafDue : successorDue);
  }

  private RotationStep retire(X509Certificate root, X509Certificate leaf, X509Certificate current) {
    if (!lives(root, now)) {
      return new RotationStep.RetireCa(root);
    }
    boolean gone =
        !evidence.served().isEmpty()
            && evidence.served().stream()
                .allMatch(shown -> CertificateAuthority.signed(current, shown));
    if (!gone) {
      return new RotationStep.Wait(Hold.SERVED);
    }
    return now.isBefore(made(leaf).plus(policy.overlap()))
        ? new RotationStep.Wait(Hold.OVERLAP)
        : new RotationStep.RetireCa(root);
  }

  private Optional<LeafReason> due(X509Certificate leaf, X509Certificate signer) {
    if (!SubjectNames.of(leaf).cover(evidence.wanted())) {
      return Optional.of(LeafReason.NAMES);
    }
    if (!policy.keySpec().describes(leaf.getPublicKey())) {
      return Optional.of(LeafReason.KEY);
    }
    if (madeBefore(leaf, policy.leafNotBefore())) {
      return Optional.of(LeafReason.REQUESTED);
    }
    Instant longest = now.plus(policy.leafDuration());
    Instant renewed = longest.isBefore(end(signer)) ? longest : end(signer);
    // A leaf that ends with its root gains nothing from being renewed.
    boolean gains = renewed.isAfter(end(leaf).plusSeconds(1));
    boolean due = !now.isBefore(end(leaf).minus(policy.leafRenewBefore()));
    return due && gains ? Optional.of(LeafReason.EXPIRING) : Optional.empty();
  }

  /** Why a root may not sign yet. */
  private Optional<Hold> hold(X509Certificate root) {
    if (!evidence.trustedEverywhere(root)) {
      return Optional.of(Hold.NODES);
    }
    // The first root of a registry has nobody to be patient with.
    boolean alone = known.certificates().size() == 1;
    return !alone && now.isBefore(made(root).plus(policy.overlap()))
        ? Optional.of(Hold.OVERLAP)
        : Optional.empty();
  }

  /** When the last leaf that is valid now, in its Secret or on a socket, ends; now if none is. */
  private Instant endOfService() {
    Instant end = now;
    List<X509Certificate> leaves = new ArrayList<>(evidence.served());
    if (evidence.leaf() != null) {
      leaves.add(evidence.leaf());
    }
    for (X509Certificate leaf : leaves) {
      if (lives(leaf, now) && end(leaf).isAfter(end)) {
        end = end(leaf);
      }
    }
    return end;
  }

  private Optional<X509Certificate> rootOf(X509Certificate leaf) {
    return known.certificates().stream()
        .filter(root -> CertificateAuthority.signed(root, leaf))
        .findFirst();
  }

  private static boolean madeBefore(X509Certificate certificate, @Nullable Instant requested) {
    return requested != null && made(certificate).isBefore(requested);
  }

  private static Instant made(X509Certificate certificate) {
    return certificate.getNotBefore().toInstant().plus(CertificateAuthority.BACK_DATED);
  }

  private static Instant end(X509Certificate certificate) {
    return certificate.getNotAfter().toInstant();
  }

  private static boolean lives(X509Certificate certificate, Instant now) {
    return !now.isBefore(certificate.getNotBefore().toInstant()) && now.isBefore(end(certificate));
  }

  /** What a leaf of this policy for these names asks of its CA. */
  public static LeafRequest leafRequest(
      RotationPolicy policy, SubjectNames names, String commonName) {
    return new LeafRequest(commonName, names, policy.leafDuration(), policy.keySpec());
  }
}
