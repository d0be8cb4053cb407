package io.kubic.mirrors.controller.nodeconfig;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.LabelSelectorBuilder;
import io.fabric8.kubernetes.api.model.LabelSelectorRequirementBuilder;
import io.fabric8.kubernetes.api.model.ObjectMetaBuilder;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfig;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.Runtime;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ClusterNodeTest {
  private static final List<ClusterNode> NODES =
      List.of(
          node("a", "containerd://2.4.2", "v1.37.2", "pool", "x"),
          node("b", "containerd://1.7.1", "v1.33.1+k3s1", "pool", "y"),
          node("c", "cri-o://1.34.0", "v1.34.0", "pool", "z"));

  @Test
  void ofTwoThatMeetTheOlderKeepsItsNodes() {
    NodeRegistryConfig older = config("z", "2026-01-01T00:00:00Z", "");
    NodeRegistryConfig newer = config("a", "2026-01-02T00:00:00Z", "pool: x");
    assertThat(ClusterNode.conflict(older, List.of(newer, older), NODES)).isEmpty();
    assertThat(ClusterNode.conflict(newer, List.of(newer, older), NODES).orElseThrow())
        .contains("node a", "NodeRegistryConfig z");
  }

  @Test
  void ofTwoOfTheSameSecondTheFirstByName() {
    NodeRegistryConfig a = config("a", "2026-01-01T00:00:00Z", "");
    NodeRegistryConfig b = config("b", "2026-01-01T00:00:00Z", "");
    assertThat(ClusterNode.conflict(a, List.of(b, a), NODES)).isEmpty();
    assertThat(ClusterNode.conflict(b, List.of(b, a), NODES)).isPresent();
  }

  @Test
  void thoseThatDoNotMeetDoNotDisturbEachOther() {
    NodeRegistryConfig x = config("x", "2026-01-01T00:00:00Z", "pool: x");
    NodeRegistryConfig y = config("y", "2026-01-02T00:00:00Z", "pool: y");
    assertThat(ClusterNode.conflict(y, List.of(x, y), NODES)).isEmpty();
  }

  @Test
  void oneThatAppliesNothingIsInNobodysWay() {
    NodeRegistryConfig x = config("x", "2026-01-01T00:00:00Z", "pool: x");
    NodeRegistryConfig all = config("all", "2026-01-02T00:00:00Z", "");
    NodeRegistryConfig y = config("y", "2026-01-03T00:00:00Z", "pool: y");
    List<NodeRegistryConfig> configs = List.of(y, all, x);
    assertThat(ClusterNode.conflict(all, configs, NODES)).isPresent();
    assertThat(ClusterNode.conflict(y, configs, NODES)).isEmpty();
  }

  @Test
  void expressionsSelectAsTheApiServerDoes() {
    ClusterNode node = NODES.getFirst();
    assertThat(matches(node, "pool", "In", "x", "y")).isTrue();
    assertThat(matches(node, "pool", "NotIn", "x")).isFalse();
    assertThat(matches(node, "gone", "NotIn", "x")).isTrue();
    assertThat(matches(node, "pool", "Exists")).isTrue();
    assertThat(matches(node, "gone", "Exists")).isFalse();
    assertThat(matches(node, "gone", "DoesNotExist")).isTrue();
  }

  @Test
  void autoMountsWhatTheKubeletsSayTheyUse() {
    assertThat(ClusterNode.runtimes(List.of(Runtime.Auto), NODES))
        .containsExactly(Runtime.CONTAINERD, Runtime.CRIO, Runtime.K3S);
    assertThat(ClusterNode.runtimes(List.of(Runtime.Auto), NODES.subList(0, 1)))
        .containsExactly(Runtime.CONTAINERD, Runtime.PODMAN);
    assertThat(ClusterNode.runtimes(List.of(Runtime.DOCKER), NODES))
        .containsExactly(Runtime.DOCKER);
  }

  private static boolean matches(ClusterNode node, String key, String operator, String... values) {
    return node.matches(
        new LabelSelectorBuilder()
            .withMatchExpressions(
                new LabelSelectorRequirementBuilder()
                    .withKey(key)
                    .withOperator(operator)
                    .withValues(values)
                    .build())
            .build());
  }

  private static NodeRegistryConfig config(String name, String created, String label) {
    NodeRegistryConfig config =
        ResourceFile.read(
                "apiVersion: mirrors.kubic.io/v1alpha1\nkind: NodeRegistryConfig\nmetadata: {name: "
                    + name
                    + "}\nspec: {"
                    + (label.isEmpty() ? "" : "nodeSelector: {matchLabels: {" + label + "}}, ")
                    + "registryRef: {name: m, namespace: n}}\n",
                "test",
                NodeRegistryConfig.class)
            .getFirst();
    config.setMetadata(
        new ObjectMetaBuilder(config.getMetadata()).withCreationTimestamp(created).build());
    return config;
  }

  private static ClusterNode node(
      String name, String runtime, String kubelet, String key, String value) {
    return new ClusterNode(
        name, Map.of("kubernetes.io/os", "linux", key, value), runtime, kubelet, "Linux", true);
  }
}
