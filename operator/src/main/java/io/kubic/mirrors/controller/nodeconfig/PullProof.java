package io.kubic.mirrors.controller.nodeconfig;

import io.fabric8.kubernetes.api.model.OwnerReference;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.kubic.mirrors.controller.support.Labels;
import io.kubic.mirrors.controller.support.Settings;
import java.net.HttpURLConnection;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Lets every node whose agent is ready pull the probe, once for each agent, and writes what came of
 * it to the agent's pod: there the rollout reads it, and the agent itself, which has a file with
 * the bad news and takes its files back.
 */
final class PullProof {
  /** On an agent's pod: digest of the probe that its node pulled. */
  static final String PULLED = "mirrors.kubic.io/pulled";

  /** On an agent's pod: why its node is not proven; a time, a blank, and one line. */
  static final String FAILED = "mirrors.kubic.io/pull-failed";

  /** A node that failed is given another chance, with a new agent. */
  private static final Duration AGAIN = Duration.ofMinutes(10);

  private static final int MAX_MESSAGE = 300;

  private final KubernetesClient client;
  private final Settings settings;
  private final String config;
  private final OwnerReference owner;

  PullProof(KubernetesClient client, Settings settings, String config, OwnerReference owner) {
    this.client = client;
    this.settings = settings;
    this.config = config;
    this.owner = owner;
  }

  /**
   * One look.
   *
   * @param agents those of the newest template, not on their way out
   */
  void advance(List<Pod> agents, ProbeImage image, Instant now) {
    Map<String, Pod> probes = new HashMap<>();
    for (Pod probe :
        client
            .pods()
            .inNamespace(settings.agentsNamespace())
            .withLabels(Labels.selector(PullProbe.KIND, config))
            .list()
            .getItems()) {
      probes.put(probe.getMetadata().getName(), probe);
    }
    for (Pod agent : agents) {
      String node = agent.getSpec().getNodeName();
      if (node == null) {
        continue;
      }
      String failed = annotation(agent, FAILED);
      if (!failed.isEmpty()) {
        if (since(failed).plus(AGAIN).isBefore(now)) {
          client.resource(agent).delete();
        }
        continue;
      }
      if (AgentPods.readySince(agent) == null || annotation(agent, PULLED).equals(image.digest())) {
        continue;
      }
      String revision = agent.getMetadata().getUid() + image.digest();
      Pod probe = probes.remove(PullProbe.name(config, node, revision));
      if (probe == null) {
        create(PullProbe.pod(config, node, revision, image, settings, owner, now));
        continue;
      }
      switch (PullProbe.verdict(probe, image, now)) {
        case PullProbe.Verdict.Pending _ -> {}
        case PullProbe.Verdict.Pulled _ -> {
          note(agent, PULLED, image.digest());
          client.resource(probe).delete();
        }
        case PullProbe.Verdict.Failed(String message) -> {
          note(
              agent,
              FAILED,
              now
                  + " "
                  + (message.length() > MAX_MESSAGE
                      ? message.substring(0, MAX_MESSAGE) + "..."
                      : message));
          client.resource(probe).delete();
        }
      }
    }
    // Of nodes that need none any more.
    probes.values().forEach(probe -> client.resource(probe).delete());
  }

  static String annotation(Pod pod, String key) {
    Map<String, String> annotations = pod.getMetadata().getAnnotations();
    return annotations == null ? "" : annotations.getOrDefault(key, "");
  }

  private static Instant since(String failed) {
    return Instant.parse(failed.substring(0, failed.indexOf(' ')));
  }

  private void create(Pod probe) {
    try {
      client.resource(probe).create();
    } catch (KubernetesClientException e) {
      if (e.getCode() != HttpURLConnection.HTTP_CONFLICT) { // made a moment ago
        throw e;
      }
    }
  }

  private void note(Pod agent, String key, String value) {
    client
        .pods()
        .inNamespace(agent.getMetadata().getNamespace())
        .withName(agent.getMetadata().getName())
        .edit(
            pod ->
                new PodBuilder(pod)
                    .editMetadata()
                    .addToAnnotations(key, value)
                    .endMetadata()
                    .build());
  }
}
