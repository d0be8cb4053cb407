package io.kubic.mirrors.node;

import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.Runtime;
import java.util.Optional;

/** What a Node object's {@code status.nodeInfo} tells about its runtime. */
public final class Runtimes {
  private Runtimes() {}

  /**
   * The runtime that the kubelet uses.
   *
   * @param containerRuntimeVersion as in {@code containerd://2.4.2}
   * @param kubeletVersion as in {@code v1.37.2+k3s1}
   * @return empty when it is none that we know
   */
  public static Optional<Runtime> of(String containerRuntimeVersion, String kubeletVersion) {
    if (containerRuntimeVersion.startsWith("containerd://")) {
      if (kubeletVersion.contains("+k3s")) {
        return Optional.of(Runtime.K3S);
      }
      return Optional.of(kubeletVersion.contains("+rke2") ? Runtime.RKE2 : Runtime.CONTAINERD);
    }
    if (containerRuntimeVersion.startsWith("cri-o://")) {
      return Optional.of(Runtime.CRIO);
    }
    return containerRuntimeVersion.startsWith("docker://")
        ? Optional.of(Runtime.DOCKER)
        : Optional.empty();
  }

  /**
   * Why no agent can work on a node, with what to do instead; empty when one can. Such nodes must
   * be kept out of the DaemonSet: its pod could not even start there.
   *
   * @param osImage as in {@code Talos (v1.12.0)}
   */
  public static Optional<String> unsupported(String osImage) {
    if (osImage.startsWith("Talos")) {
      return Optional.of(
          "Talos has no writable /etc; patch its machine configuration with the key 'talos' of the"
              + " ConfigMap in status.renderedRef");
    }
    if (osImage.startsWith("Bottlerocket")) {
      return Optional.of(
          "Bottlerocket has no writable /etc; apply the key 'bottlerocket' of the ConfigMap in"
              + " status.renderedRef to its settings");
    }
    return Optional.empty();
  }
}
