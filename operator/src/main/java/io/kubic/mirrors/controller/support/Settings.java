package io.kubic.mirrors.controller.support;

import java.util.List;
import java.util.Set;

/**
 * What the operator's installation decides, as opposed to a custom resource.
 *
 * @param operatorImage the image of this very build; gateway, Jobs and agents run it
 * @param registryImage the distribution image for registries that name none
 * @param agentsNamespace the only namespace with privileged pods; holds agents and their ConfigMaps
 * @param clusterDomain as in {@code cluster.local}
 * @param imagePullSecrets names of Secrets that every pod of ours may pull with
 * @param namespaces which namespaces are watched; empty means all
 */
public record Settings(
    String operatorImage,
    String registryImage,
    String agentsNamespace,
    String clusterDomain,
    List<String> imagePullSecrets,
    Set<String> namespaces) {
  public Settings {
    imagePullSecrets = List.copyOf(imagePullSecrets);
    namespaces = Set.copyOf(namespaces);
  }
}
