package io.kubic.mirrors.list;

/** What a tag is; in the order in which tags of different kinds are sorted. */
public enum TagKind {
  /**
   * Belongs to another image: a signature, attestation or SBOM of cosign, or a referrers index by
   * the tag schema of the OCI distribution-spec ("Referrers Tag Schema"). Never a version.
   */
  COMPANION,

  /** A name without a version in front: {@code latest}, {@code edge}, {@code main-4f3c2a1}. */
  NAME,

  /** A date or a bare number of seven digits and more: {@code 20240329}, {@code 2024-03-29}. */
  STAMP,

  /** Begins with a version: {@code 1.22.3}, {@code v1.16.2-rev1-build2.14}, {@code 1}. */
  VERSION
}
