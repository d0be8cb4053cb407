package io.kubic.mirrors.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.SecretBuilder;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** How configurations reach the nodes of a real API server, and how they leave them. */
@ExtendWith(ApiServer.class)
class NodeRolloutIT {
  private static final Duration SOON = Duration.ofMinutes(4);
  private static final String QUICK = "rollout: {soak: 1s}\n";
  private static final String DIGEST = "sha256:" + "a".repeat(64);

  @BeforeAll
  static void install(ApiServer server) {
    server.installKinds();
  }

  @Test
  void oneNodeAfterTheOtherAndAnUnreachableOneHoldsUpNoDeletionForEver(ApiServer server) {
    try (NodeWorld world = new NodeWorld(server.kubeconfig(), 3)) {
      world.apply("rollout-order", QUICK);
      Lab.eventually(SOON, "all are ready", () -> ready(world, "rollout-order"));
      assertThat(world.order).containsExactlyElementsOf(world.nodes);
      assertThat(world.mostUnready.get()).as("never two at once, but for the start").isLessThan(4);

      // A second configuration for the same nodes does nothing at all.
      world.apply("rollout-later", QUICK);
      Lab.eventually(
          SOON,
          "the newer one is in conflict",
          () -> world.condition("rollout-later", "Conflicted").equals("True OlderConfig"));
      assertThat(world.admin.apps().daemonSets().inNamespace(world.agents).list().getItems())
          .hasSize(1);
      world.admin.resource(world.config("rollout-later")).delete();

      String lost = world.nodes.get(1);
      world.lose(lost);
      world.admin.resource(world.config("rollout-order")).delete();
      Lab.eventually(
          SOON,
          "the nodes in touch have taken everything back",
          () ->
              world.pods("mirror-agent").stream()
                  .filter(pod -> !pod.getSpec().getNodeName().equals(lost))
                  .allMatch(
                      pod ->
                          NodeWorld.isReady(pod)
                              && world.document(pod).contains("\"remove\" : true")));
      assertThat(world.config("rollout-order")).as("the lost node is waited for").isNotNull();
      world.pass(Duration.ofMinutes(16));
      Lab.eventually(SOON, "but not for ever", () -> world.config("rollout-order") == null);
    }
  }

  @Test
  void aNodeThatDoesNotBecomeReadyHoldsUpTheOthersUntilALaterConfiguration(ApiServer server) {
    try (NodeWorld world = new NodeWorld(server.kubeconfig(), 3)) {
      world.broken.add(world.nodes.getFirst());
      world.apply("rollout-broken", QUICK);
      Lab.eventually(
          SOON, "the first has its turn", () -> world.order.contains(world.nodes.getFirst()));
      world.pass(Duration.ofMinutes(3));
      Lab.eventually(
          SOON,
          "its agent is missing",
          () -> world.condition("rollout-broken", "Ready").equals("False AgentMissing"));
      assertThat(world.order).containsExactly(world.nodes.getFirst());
      assertThat(world.condition("rollout-broken", "Rolling")).isEqualTo("False Halted");

      world.broken.clear();
      world.apply("rollout-broken", QUICK + "dialTimeout: 1s\n");
      Lab.eventually(SOON, "a later one goes out", () -> ready(world, "rollout-broken"));
      assertThat(world.allHave("\"dialTimeout\" : \"1s\"")).isTrue();
    }
  }

  @Test
  void aNodeThatCannotPullIsToldSoAndNoOtherFollows(ApiServer server) {
    try (NodeWorld world = new NodeWorld(server.kubeconfig(), 3)) {
      String verify =
          "verify: {mode: Pull, image: \"registry.opensuse.org/probe@" + DIGEST + "\"}\n";
      world.pullless.add(world.nodes.get(1));
      world.apply("rollout-pull", QUICK + verify);
      Lab.eventually(
          SOON,
          "the second node is told",
          () ->
              world.pods("mirror-agent").stream()
                  .anyMatch(
                      pod ->
                          pod.getSpec().getNodeName().equals(world.nodes.get(1))
                              && annotation(pod, "mirrors.kubic.io/pull-failed")
                                  .contains("cannot pull the probe: ErrImagePull")));
      assertThat(world.order).containsExactlyElementsOf(world.nodes.subList(0, 2));
      assertThat(world.condition("rollout-pull", "Ready")).startsWith("False");

      world.pullless.clear();
      world.pass(Duration.ofMinutes(11));
      Lab.eventually(SOON, "it is tried again", () -> ready(world, "rollout-pull"));
      assertThat(world.pods("mirror-agent"))
          .allMatch(pod -> annotation(pod, "mirrors.kubic.io/pulled").equals(DIGEST));
      assertThat(world.pods("mirror-probe")).isEmpty();
      assertThat(world.order).containsExactlyElementsOf(world.nodes);
    }
  }

  @Test
  void loginsAreTakenBackBeforeTheirDirectoryIsOutOfReach(ApiServer server) {
    try (NodeWorld world = new NodeWorld(server.kubeconfig(), 2)) {
      world
          .admin
          .resource(
              new SecretBuilder()
                  .withNewMetadata()
                  .withNamespace(world.agents)
                  .withName("logins")
                  .endMetadata()
                  .addToStringData(
                      ".dockerconfigjson",
                      "{\"auths\": {\"mirror.lan:5000\": {\"auth\": \"cHVsbDpzZWNyZXQ=\"}}}")
                  .build())
          .create();
      String ref = "credentialsSecretRef: {name: logins, namespace: %s}\n";
      world.apply("rollout-logins", QUICK + ref.formatted(world.agents));
      Lab.eventually(SOON, "all log in", () -> ready(world, "rollout-logins"));
      assertThat(world.pods("mirror-agent")).allMatch(NodeRolloutIT::reachesLogins);

      Map<String, Boolean> reached = new HashMap<>();
      world.apply("rollout-logins", QUICK);
      Lab.eventually(
          SOON,
          "no agent reaches logins any more",
          () -> {
            List<Pod> pods = world.pods("mirror-agent");
            pods.stream()
                .filter(pod -> !world.document(pod).contains("\"credentials\""))
                .forEach(pod -> reached.putIfAbsent(node(pod), reachesLogins(pod)));
            return ready(world, "rollout-logins")
                && pods.stream().noneMatch(NodeRolloutIT::reachesLogins);
          });
      assertThat(reached).as("those that took them back did").hasSize(2);
      assertThat(reached.values()).containsOnly(true);
    }
  }

  private static String node(Pod pod) {
    return pod.getSpec().getNodeName();
  }

  private static boolean reachesLogins(Pod pod) {
    return pod.getSpec().getVolumes().stream()
        .anyMatch(
            volume ->
                volume.getHostPath() != null
                    && volume.getHostPath().getPath().equals("/run/containers/0"));
  }

  private static boolean ready(NodeWorld world, String name) {
    return world.condition(name, "Ready").equals("True Applied");
  }

  private static String annotation(Pod pod, String key) {
    return pod.getMetadata().getAnnotations().getOrDefault(key, "");
  }
}
