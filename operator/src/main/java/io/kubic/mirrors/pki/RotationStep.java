package io.kubic.mirrors.pki;

import java.security.cert.X509Certificate;
import java.time.Instant;
import java.util.List;

/**
 * The one thing to do next. Every step is one write; after it the evidence is taken anew, so a
 * crash between any two writes is the same as a pause.
 */
public sealed interface RotationStep {
  /** Nothing is due before the given time, if nothing else changes. */
  record None(Instant until) implements RotationStep {}

  /** A step is due but something has to be seen first. */
  record Wait(Hold hold) implements RotationStep {}

  /** Make a new root and write it to a Secret, create-only; nothing trusts or shows it yet. */
  record IntroduceCa(CaReason reason) implements RotationStep {}

  /** Add roots to the published bundle; they are about to be needed. */
  record PublishTrust(List<X509Certificate> roots) implements RotationStep {}

  /** Replace the leaf by one of the same root. */
  record RenewLeaf(X509Certificate signer, LeafReason reason) implements RotationStep {}

  /**
   * Replace the leaf by one of another root.
   *
   * @param forced not everybody is known to trust it, but waiting would be worse
   */
  record SwitchToCa(X509Certificate signer, boolean forced) implements RotationStep {}

  /** Take a root out of the published bundle; nothing shows its leaves any more. */
  record RetireCa(X509Certificate root) implements RotationStep {}

  /** Delete the key of a root that is no longer published. */
  record ForgetCa(X509Certificate root) implements RotationStep {}

  /**
   * The key of what is served is gone and nobody agreed to a successor: say so and touch nothing;
   * pulls go on until {@code served} ends.
   *
   * @param roots the roots that are trusted and cannot sign; empty when not even they are known
   * @param served when the leaf in its Secret ends
   */
  record CaKeyLost(List<X509Certificate> roots, Instant served) implements RotationStep {}

  /** Why a root is made. */
  enum CaReason {
    /** There never was one. */
    FIRST,
    EXPIRING,
    EXPIRED,
    KEY_LOST,
    REQUESTED
  }

  /** Why a leaf is made. */
  enum LeafReason {
    MISSING,
    /** No root that we know signed it. */
    UNKNOWN_ISSUER,
    EXPIRING,
    EXPIRED,
    /** A wanted name is not among its names. */
    NAMES,
    /** Another kind or size of key is wanted. */
    KEY,
    REQUESTED
  }

  /** What is waited for. */
  enum Hold {
    /** Nodes that do not have the successor on disk yet. */
    NODES,
    /** The time of overlap. */
    OVERLAP,
    /** Pods that still show the predecessor's leaf, or were not seen. */
    SERVED
  }
}
