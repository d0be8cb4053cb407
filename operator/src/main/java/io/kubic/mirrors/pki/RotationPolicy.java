package io.kubic.mirrors.pki;

import java.time.Duration;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * When certificates are replaced.
 *
 * @param keySpec of CA and leaf
 * @param leafRenewBefore remaining life at which a leaf is renewed; less than half its duration
 * @param caRenewBefore remaining life at which a successor is introduced; less than half the
 *     duration
 * @param overlap how long a successor is trusted before it signs, and how long its predecessor
 *     stays trusted after nothing shows it any more. It is there for those whose acknowledgement
 *     nobody can ask for: a running sync, a pod that mounts the bundle
 * @param deadline remaining life of what is served at which a switch no longer waits for nodes that
 *     do not answer
 * @param replaceLostKey a person has agreed to a successor for a root whose key is lost
 * @param caNotBefore a root made earlier gets a successor (rotation on request); null: none asked
 * @param leafNotBefore a leaf made earlier is renewed (rotation on request); null: none asked
 */
public record RotationPolicy(
    KeySpec keySpec,
    Duration leafDuration,
    Duration leafRenewBefore,
    Duration caDuration,
    Duration caRenewBefore,
    Duration overlap,
    Duration deadline,
    boolean replaceLostKey,
    @Nullable Instant caNotBefore,
    @Nullable Instant leafNotBefore) {
  public static final Duration DEFAULT_OVERLAP = Duration.ofHours(24);
  public static final Duration DEFAULT_DEADLINE = Duration.ofHours(72);

  public RotationPolicy {
    checkHalf("leaf", leafDuration, leafRenewBefore);
    checkHalf("CA", caDuration, caRenewBefore);
    if (overlap.isNegative() || deadline.isNegative()) {
      throw new IllegalArgumentException("overlap and deadline must not be negative");
    }
  }

  /** The usual policy: a day of overlap, three days of patience, nothing on request. */
  public static RotationPolicy of(
      KeySpec keySpec,
      Duration leafDuration,
      Duration leafRenewBefore,
      Duration caDuration,
      Duration caRenewBefore) {
    return new RotationPolicy(
        keySpec,
        leafDuration,
        leafRenewBefore,
        caDuration,
        caRenewBefore,
        DEFAULT_OVERLAP,
        DEFAULT_DEADLINE,
        false,
        null,
        null);
  }

  // Beyond a half, a fresh certificate would soon be due again: cert-manager's renewal loop.
  private static void checkHalf(String what, Duration duration, Duration renewBefore) {
    if (!duration.isPositive()
        || renewBefore.isNegative()
        || renewBefore.multipliedBy(2).compareTo(duration) >= 0) {
      throw new IllegalArgumentException(
          "the " + what + "'s renewBefore must be less than half of its duration");
    }
  }
}
