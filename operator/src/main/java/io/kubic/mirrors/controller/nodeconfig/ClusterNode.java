package io.kubic.mirrors.controller.nodeconfig;

import io.fabric8.kubernetes.api.model.LabelSelector;
import io.fabric8.kubernetes.api.model.LabelSelectorRequirement;
import io.fabric8.kubernetes.api.model.Node;
import io.fabric8.kubernetes.api.model.NodeBuilder;
import io.fabric8.kubernetes.api.model.NodeStatus;
import io.fabric8.kubernetes.api.model.NodeStatusBuilder;
import io.fabric8.kubernetes.client.informers.cache.BasicItemStore;
import io.fabric8.kubernetes.client.informers.cache.Cache;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfig;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.Runtime;
import io.kubic.mirrors.node.Runtimes;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * What matters of a Node object.
 *
 * @param runtime as in {@code containerd://2.4.2}
 * @param kubelet as in {@code v1.37.2+k3s1}
 * @param reachable whether its kubelet says that it is ready
 */
record ClusterNode(
    String name,
    Map<String, String> labels,
    String runtime,
    String kubelet,
    String osImage,
    boolean reachable) {

  static ClusterNode of(Node node) {
    NodeStatus status = node.getStatus() == null ? new NodeStatus() : node.getStatus();
    var info = status.getNodeInfo();
    Map<String, String> labels = node.getMetadata().getLabels();
    return new ClusterNode(
        node.getMetadata().getName(),
        labels == null ? Map.of() : labels,
        info == null || info.getContainerRuntimeVersion() == null
            ? ""
            : info.getContainerRuntimeVersion(),
        info == null || info.getKubeletVersion() == null ? "" : info.getKubeletVersion(),
        info == null || info.getOsImage() == null ? "" : info.getOsImage(),
        status.getConditions().stream()
            .anyMatch(c -> "Ready".equals(c.getType()) && "True".equals(c.getStatus())));
  }

  /** Keeps of a Node only what is read here: a large cluster's nodes are large. */
  static final class Store extends BasicItemStore<Node> {
    Store() {
      super(Cache::metaNamespaceKeyFunc);
    }

    @Override
    public Node put(String key, Node node) {
      NodeStatus status = node.getStatus() == null ? new NodeStatus() : node.getStatus();
      return super.put(
          key,
          new NodeBuilder()
              .withNewMetadata()
              .withName(node.getMetadata().getName())
              .withUid(node.getMetadata().getUid())
              .withResourceVersion(node.getMetadata().getResourceVersion())
              .withLabels(node.getMetadata().getLabels())
              .endMetadata()
              .withStatus(
                  new NodeStatusBuilder()
                      .withNodeInfo(status.getNodeInfo())
                      .withConditions(
                          status.getConditions().stream()
                              .filter(condition -> "Ready".equals(condition.getType()))
                              .toList())
                      .build())
              .build());
    }
  }

  /** Why no agent can run here; empty when one can. */
  Optional<String> unsupported() {
    return Runtimes.unsupported(osImage);
  }

  /** Whether it runs Linux and has the labels. */
  boolean matches(@Nullable LabelSelector selector) {
    if (!"linux".equals(labels.get("kubernetes.io/os"))) {
      return false;
    }
    if (selector == null) {
      return true;
    }
    Map<String, String> wanted = selector.getMatchLabels();
    return (wanted == null
            || wanted.entrySet().stream()
                .allMatch(e -> e.getValue().equals(labels.get(e.getKey()))))
        && selector.getMatchExpressions().stream().allMatch(this::matches);
  }

  private boolean matches(LabelSelectorRequirement requirement) {
    String value = labels.get(requirement.getKey());
    return switch (requirement.getOperator()) {
      case "In" -> value != null && requirement.getValues().contains(value);
      case "NotIn" -> value == null || !requirement.getValues().contains(value);
      case "Exists" -> value != null;
      case "DoesNotExist" -> value == null;
      default -> false;
    };
  }

  /** For {@code Auto}: what the kubelets say they use, and podman, which they do not tell. */
  static Set<Runtime> runtimes(Collection<Runtime> wanted, Collection<ClusterNode> nodes) {
    if (!wanted.contains(Runtime.Auto) && !wanted.isEmpty()) {
      return new TreeSet<>(wanted);
    }
    Set<Runtime> found =
        nodes.stream()
            .map(node -> Runtimes.of(node.runtime(), node.kubelet()))
            .flatMap(Optional::stream)
            .collect(Collectors.toCollection(TreeSet::new));
    if (found.isEmpty()) {
      found.add(Runtime.Auto);
    } else if (!found.contains(Runtime.CRIO)) {
      found.add(Runtime.PODMAN);
    }
    return found;
  }

  /**
   * Whether another configuration has a node that this one selects: of two that meet, the older
   * (creationTimestamp, then name) keeps its nodes, and the newer applies nothing at all. One that
   * applies nothing is in nobody's way.
   *
   * @return one line for a person
   */
  static Optional<String> conflict(
      NodeRegistryConfig config,
      Collection<NodeRegistryConfig> all,
      Collection<ClusterNode> nodes) {
    List<NodeRegistryConfig> byAge =
        all.stream()
            .sorted(
                Comparator.comparing(
                        (NodeRegistryConfig c) ->
                            String.valueOf(c.getMetadata().getCreationTimestamp()))
                    .thenComparing(c -> c.getMetadata().getName()))
            .toList();
    List<NodeRegistryConfig> active = new ArrayList<>();
    for (NodeRegistryConfig next : byAge) {
      Optional<String> met = Optional.empty();
      for (NodeRegistryConfig older : active) {
        met =
            nodes.stream()
                .filter(
                    node ->
                        node.matches(older.getSpec().nodeSelector())
                            && node.matches(next.getSpec().nodeSelector()))
                .map(ClusterNode::name)
                .sorted()
                .findFirst()
                .map(
                    node ->
                        "node "
                            + node
                            + " belongs to the older NodeRegistryConfig "
                            + older.getMetadata().getName()
                            + "; let their nodeSelectors select different nodes");
        if (met.isPresent()) {
          break;
        }
      }
      if (next.getMetadata().getName().equals(config.getMetadata().getName())) {
        return met;
      }
      if (met.isEmpty()) {
        active.add(next);
      }
    }
    return Optional.empty();
  }
}
