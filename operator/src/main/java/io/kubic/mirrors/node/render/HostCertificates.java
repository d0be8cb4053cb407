package io.kubic.mirrors.node.render;

import java.util.List;

/**
 * Certificate files that lie in a registry's directory without a hosts.toml. containerd stops
 * reading them once there is one (hosts.go, loadHostDir), so ours names them for the source itself.
 *
 * @param authorities names of {@code *.crt}
 * @param clients pairs of certificate and key; the key is left out when it is in the same file
 */
public record HostCertificates(List<String> authorities, List<List<String>> clients) {
  public static final HostCertificates NONE = new HostCertificates(List.of(), List.of());

  public HostCertificates {
    authorities = authorities.stream().sorted().toList();
    clients = List.copyOf(clients);
  }
}
