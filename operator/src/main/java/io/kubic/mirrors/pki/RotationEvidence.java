package io.kubic.mirrors.pki;

import java.security.cert.X509Certificate;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What can be seen of a registry's certificates; everything a decision rests on.
 *
 * @param keysHeld roots whose private key is in a Secret, read live and not from a cache
 * @param published the roots in the trust bundle that nodes and pods are given
 * @param leaf the server certificate in its Secret; null when there is none or it cannot be read,
 *     or its key is another's
 * @param served the server certificates that were seen on the sockets of all ready pods
 * @param wanted names that the server certificate must cover
 * @param acknowledged by fingerprint of a root, how many nodes have it on disk
 * @param nodes how many nodes take their trust from this registry
 */
public record RotationEvidence(
    CertificateBundle keysHeld,
    CertificateBundle published,
    @Nullable X509Certificate leaf,
    List<X509Certificate> served,
    SubjectNames wanted,
    Map<String, Integer> acknowledged,
    int nodes) {
  public RotationEvidence {
    served = List.copyOf(served);
    acknowledged = Map.copyOf(acknowledged);
  }

  /** Whether every node has a root on disk; true where there are no nodes. */
  boolean trustedEverywhere(X509Certificate root) {
    return acknowledged.getOrDefault(CertificateBundle.fingerprint(root), 0) >= nodes;
  }
}
