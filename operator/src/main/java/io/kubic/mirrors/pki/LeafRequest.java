package io.kubic.mirrors.pki;

import java.time.Duration;

/**
 * What a server certificate shall be.
 *
 * @param commonName for people who read certificates, at most 64 characters; TLS clients look at
 *     the names only
 * @param names DNS names and addresses, at least one
 * @param duration from now; cut where the CA ends
 */
public record LeafRequest(
    String commonName, SubjectNames names, Duration duration, KeySpec keySpec) {
  public LeafRequest {
    commonName = commonName.length() > 64 ? commonName.substring(0, 64) : commonName;
    if (commonName.isBlank() || names.isEmpty()) {
      throw new IllegalArgumentException("a server certificate needs a name");
    }
    if (!duration.isPositive()) {
      throw new IllegalArgumentException("a certificate's duration must be positive");
    }
  }
}
