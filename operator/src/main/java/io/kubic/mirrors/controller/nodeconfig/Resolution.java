package io.kubic.mirrors.controller.nodeconfig;

import io.kubic.mirrors.node.NodeConfig;
import io.kubic.mirrors.node.PullCredentials;
import java.util.List;
import java.util.Optional;

/** What came of looking up everything that a NodeRegistryConfig refers to. */
sealed interface Resolution {

  /**
   * All is there.
   *
   * @param caSha256 fingerprints of the registry's CA certificates
   */
  record Resolved(
      NodeConfig config,
      List<String> caSha256,
      PullCredentials credentials,
      Optional<Mirror> mirror)
      implements Resolution {}

  /**
   * The registry of registryRef, and who may push to it.
   *
   * @param dockerConfig empty for nobody
   */
  record Mirror(String authority, String caPem, String dockerConfig) {
    @Override
    public String toString() {
      return authority;
    }
  }

  /** Something is not there yet; nodes keep what they have. */
  record Waiting(String reason, String message) implements Resolution {}
}
