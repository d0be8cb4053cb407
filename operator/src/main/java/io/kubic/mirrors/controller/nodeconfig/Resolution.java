package io.kubic.mirrors.controller.nodeconfig;

import io.kubic.mirrors.node.NodeConfig;
import io.kubic.mirrors.node.PullCredentials;
import java.util.List;

/** What came of looking up everything that a NodeRegistryConfig refers to. */
sealed interface Resolution {

  /**
   * All is there.
   *
   * @param caSha256 fingerprints of the registry's CA certificates
   */
  record Resolved(NodeConfig config, List<String> caSha256, PullCredentials credentials)
      implements Resolution {}

  /** Something is not there yet; nodes keep what they have. */
  record Waiting(String reason, String message) implements Resolution {}
}
