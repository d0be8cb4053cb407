package io.kubic.mirrors.e2e;

import io.fabric8.kubernetes.api.model.ContainerState;
import io.fabric8.kubernetes.api.model.ContainerStateBuilder;
import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.api.model.NamespaceBuilder;
import io.fabric8.kubernetes.api.model.NodeBuilder;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.fabric8.kubernetes.api.model.apps.DaemonSet;
import io.fabric8.kubernetes.api.model.apps.DaemonSetStatusBuilder;
import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.javaoperatorsdk.operator.Operator;
import io.kubic.mirrors.api.v1alpha1.Api;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfig;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigStatus;
import io.kubic.mirrors.controller.nodeconfig.NodeConfigReconciler;
import io.kubic.mirrors.controller.support.Settings;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Nodes of a real API server with the real controller: what a DaemonSet controller and kubelets
 * would do is done by one thread, as fast as it can, with the moods that a test gives to nodes.
 */
final class NodeWorld implements AutoCloseable {
  static final String REVISION = "mirrors.kubic.io/revision";
  private static final AtomicInteger NUMBER = new AtomicInteger();

  final KubernetesClient admin;
  final String agents;
  final List<String> nodes = new ArrayList<>();

  /** Nodes whose kubelet is out of touch: nothing starts, ends or changes there. */
  final Set<String> gone = ConcurrentHashMap.newKeySet();

  /** Agents that hold are ready since then, those of earlier nodes a little longer. */
  private static final Instant START = Instant.parse("2026-01-01T00:00:00Z");

  /** Nodes on which an agent with a configuration (not one that holds) never becomes ready. */
  final Set<String> broken = ConcurrentHashMap.newKeySet();

  /** Nodes that cannot pull a probe. */
  final Set<String> pullless = ConcurrentHashMap.newKeySet();

  /** Nodes in the order in which their agents got a configuration for the first time. */
  final Set<String> order = java.util.Collections.synchronizedSet(new LinkedHashSet<>());

  /** Most nodes that had the newest template and were not ready, at any moment. */
  final AtomicInteger mostUnready = new AtomicInteger();

  private final Set<String> applied = new LinkedHashSet<>();
  private volatile Duration ahead = Duration.ZERO;
  private final Operator operator;
  private final Thread cluster;
  private volatile boolean ended;

  NodeWorld(Path kubeconfig, int count) {
    Config config = Config.fromKubeconfig(kubeconfig.toFile());
    admin = new KubernetesClientBuilder().withConfig(config).build();
    int number = NUMBER.incrementAndGet();
    agents = "agents-" + number;
    admin
        .resource(new NamespaceBuilder().withNewMetadata().withName(agents).endMetadata().build())
        .create();
    for (int i = 1; i <= count; i++) {
      nodes.add("w" + number + "-node" + i);
      node(nodes.getLast(), true);
    }
    operator =
        new Operator(
            o ->
                o.withKubernetesClient(
                        new KubernetesClientBuilder()
                            .withConfig(Config.fromKubeconfig(kubeconfig.toFile()))
                            .build())
                    .withConcurrentReconciliationThreads(2)
                    .withCloseClientOnStop(true));
    operator.register(
        new NodeConfigReconciler(
            new Settings("operator:1", "registry:3", agents, "cluster.local", List.of(), Set.of()),
            (_, _, _) -> {
              throw new IllegalStateException("no mirror in this test");
            },
            ((InstantSource) () -> Instant.now().plus(ahead)).withZone(ZoneOffset.UTC)));
    operator.start();
    cluster = Thread.ofPlatform().daemon().start(this::run);
  }

  /** Time goes on for the operator alone, which is asked to look: its timers run by the wall. */
  void pass(Duration duration) {
    ahead = ahead.plus(duration);
    String wish = "{\"metadata\": {\"annotations\": {\"%s\": \"%s\"}}}";
    for (String name : applied) {
      try {
        admin
            .resources(NodeRegistryConfig.class)
            .withName(name)
            .patch(PatchContext.of(PatchType.JSON_MERGE), wish.formatted(Api.RECONCILE_AT, ahead));
      } catch (KubernetesClientException e) {
        // One that was deleted may have gone by now, of itself.
        if (e.getCode() != 404) {
          throw e;
        }
      }
    }
  }

  private void node(String name, boolean ready) {
    var node =
        new NodeBuilder()
            .withNewMetadata()
            .withName(name)
            .addToLabels("kubernetes.io/os", "linux")
            .addToLabels("world", agents)
            .endMetadata()
            .withNewStatus()
            .addNewCondition()
            .withType("Ready")
            .withStatus(ready ? "True" : "Unknown")
            .endCondition()
            .withNewNodeInfo()
            .withContainerRuntimeVersion("containerd://2.4.2")
            .withKubeletVersion("v1.37.2")
            .withOsImage("Debian")
            .withArchitecture("amd64")
            .withOperatingSystem("linux")
            .withBootID("")
            .withKernelVersion("")
            .withKubeProxyVersion("")
            .withMachineID("")
            .withSystemUUID("")
            .endNodeInfo()
            .endStatus()
            .build();
    if (admin.nodes().withName(name).get() == null) {
      admin.resource(node).create();
    }
    admin.resource(node).patchStatus();
  }

  /** The node's kubelet goes out of touch. */
  void lose(String node) {
    gone.add(node);
    node(node, false);
  }

  void apply(String name, String spec) {
    applied.add(name);
    admin
        .genericKubernetesResources("mirrors.kubic.io/v1alpha1", "NodeRegistryConfig")
        .resource(
            admin
                .getKubernetesSerialization()
                .unmarshal(
                    """
                    apiVersion: mirrors.kubic.io/v1alpha1
                    kind: NodeRegistryConfig
                    metadata: {name: %s}
                    spec:
                      nodeSelector: {matchLabels: {world: %s}}
                      mirrors:
                      - source: registry.opensuse.org
                        endpoints: [{location: "mirror.lan:5000/registry.opensuse.org"}]
                    %s
                    """
                        .formatted(name, agents, spec.indent(2)),
                    GenericKubernetesResource.class))
        .fieldManager("test")
        .forceConflicts()
        .serverSideApply();
  }

  NodeRegistryConfig config(String name) {
    return admin.resources(NodeRegistryConfig.class).withName(name).get();
  }

  /** Status and reason of a condition, as in {@code True Applied}. */
  String condition(String name, String type) {
    NodeRegistryConfig config = config(name);
    NodeRegistryConfigStatus status = config == null ? null : config.getStatus();
    return status == null
        ? ""
        : status.conditions().stream()
            .filter(c -> c.type().equals(type))
            .map(c -> c.status() + " " + c.reason())
            .findFirst()
            .orElse("");
  }

  List<Pod> pods(String kind) {
    return admin
        .pods()
        .inNamespace(agents)
        .withLabel("app.kubernetes.io/name", kind)
        .list()
        .getItems();
  }

  /** Whether every agent's template says so, read from the ConfigMap that it mounts. */
  boolean allHave(String text) {
    List<Pod> pods = pods("mirror-agent");
    return pods.size() == nodes.size()
        && pods.stream().allMatch(pod -> document(pod).contains(text) && isReady(pod));
  }

  String document(Pod pod) {
    String map =
        pod.getSpec().getVolumes().stream()
            .filter(volume -> volume.getConfigMap() != null)
            .findFirst()
            .orElseThrow()
            .getConfigMap()
            .getName();
    var found = admin.configMaps().inNamespace(agents).withName(map).get();
    return found == null ? "" : found.getData().get("nodeconfig.json");
  }

  static boolean isReady(Pod pod) {
    return pod.getStatus() != null
        && pod.getStatus().getConditions().stream()
            .anyMatch(c -> c.getType().equals("Ready") && c.getStatus().equals("True"));
  }

  private void run() {
    while (!ended) {
      try {
        for (DaemonSet set : admin.apps().daemonSets().inNamespace(agents).list().getItems()) {
          run(set);
        }
        for (Pod probe : pods("mirror-probe")) {
          pull(probe);
        }
        Thread.sleep(50);
      } catch (KubernetesClientException e) {
        continue; // somebody was quicker; the next turn sees it
      } catch (InterruptedException e) {
        return;
      }
    }
  }

  private void run(DaemonSet set) {
    String newest = set.getSpec().getTemplate().getMetadata().getAnnotations().get(REVISION);
    List<Pod> pods = new ArrayList<>();
    Map<String, String> selector = set.getSpec().getSelector().getMatchLabels();
    for (Pod pod : admin.pods().inNamespace(agents).withLabels(selector).list().getItems()) {
      String node = pod.getSpec().getNodeName();
      if (pod.getMetadata().getDeletionTimestamp() != null) {
        if (gone.contains(node)) {
          pods.add(pod);
        } else {
          admin.resource(pod).withGracePeriod(0).delete();
        }
        continue;
      }
      pods.add(pod);
    }
    Set<String> have = new LinkedHashSet<>();
    int updated = 0;
    int ready = 0;
    int unready = 0;
    for (Pod pod : pods) {
      String node = pod.getSpec().getNodeName();
      have.add(node);
      boolean current = newest.equals(pod.getMetadata().getAnnotations().get(REVISION));
      boolean rejected =
          pod.getMetadata().getAnnotations().containsKey("mirrors.kubic.io/pull-failed");
      updated += current ? 1 : 0;
      if (isReady(pod)) {
        if (rejected) {
          status(pod, false);
        }
        ready++;
      } else {
        unready += current ? 1 : 0;
        boolean holds = document(pod).contains("\"hold\" : true");
        if (!rejected && !gone.contains(node) && (holds || !broken.contains(node))) {
          status(pod, true);
        }
      }
    }
    mostUnready.accumulateAndGet(unready, Math::max);
    for (String node : nodes) {
      if (!have.contains(node) && !gone.contains(node)) {
        Pod pod =
            new PodBuilder()
                .withMetadata(
                    new PodBuilder()
                        .withNewMetadata()
                        .withNamespace(agents)
                        .withGenerateName(set.getMetadata().getName() + "-")
                        .withLabels(set.getSpec().getTemplate().getMetadata().getLabels())
                        .withAnnotations(set.getSpec().getTemplate().getMetadata().getAnnotations())
                        .endMetadata()
                        .build()
                        .getMetadata())
                .withSpec(set.getSpec().getTemplate().getSpec())
                .editSpec()
                .withNodeName(node)
                .endSpec()
                .build();
        Pod made = admin.resource(pod).create();
        if (!document(made).contains("\"hold\" : true")) {
          order.add(node);
        }
      }
    }
    set.setStatus(
        new DaemonSetStatusBuilder()
            .withObservedGeneration(set.getMetadata().getGeneration())
            .withDesiredNumberScheduled(nodes.size())
            .withCurrentNumberScheduled(have.size())
            .withUpdatedNumberScheduled(updated)
            .withNumberMisscheduled(0)
            .withNumberReady(ready)
            .build());
    admin.resource(set).updateStatus();
  }

  private void status(Pod pod, boolean ready) {
    pod.setStatus(
        new PodBuilder()
            .withNewStatus()
            .withPhase("Running")
            .addNewCondition()
            .withType("Ready")
            .withStatus(ready ? "True" : "False")
            .withLastTransitionTime(
                (document(pod).contains("\"hold\" : true")
                        ? START.plusSeconds(nodes.indexOf(pod.getSpec().getNodeName()))
                        : Instant.now().truncatedTo(java.time.temporal.ChronoUnit.SECONDS))
                    .toString())
            .endCondition()
            .endStatus()
            .build()
            .getStatus());
    admin.resource(pod).updateStatus();
  }

  /** The container ends at once, as its command is no program; it was made from the image. */
  private void pull(Pod probe) {
    String image = probe.getSpec().getContainers().getFirst().getImage();
    boolean pulled = !pullless.contains(probe.getSpec().getNodeName());
    if (probe.getStatus() != null && !probe.getStatus().getContainerStatuses().isEmpty()) {
      return;
    }
    probe.setStatus(
        new PodBuilder()
            .withNewStatus()
            // Also where it waits: a pod that has ended goes at once, without the kubelet that is
            // not here.
            .withPhase("Failed")
            .addNewContainerStatus()
            .withName("probe")
            .withImage(image)
            .withImageID(pulled ? image : "")
            .withReady(false)
            .withRestartCount(0)
            .withState(pulled ? notStarted() : notPulled())
            .endContainerStatus()
            .endStatus()
            .build()
            .getStatus());
    admin.resource(probe).updateStatus();
  }

  private static ContainerState notStarted() {
    return new ContainerStateBuilder()
        .withNewTerminated()
        .withExitCode(128)
        .withReason("StartError")
        .endTerminated()
        .build();
  }

  private static ContainerState notPulled() {
    return new ContainerStateBuilder()
        .withNewWaiting()
        .withReason("ErrImagePull")
        .withMessage("connection refused")
        .endWaiting()
        .build();
  }

  @Override
  public void close() {
    ended = true;
    try {
      cluster.join(5000);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    operator.stop();
    for (String name : applied) {
      try {
        admin
            .resources(NodeRegistryConfig.class)
            .withName(name)
            .edit(
                config -> {
                  config.getMetadata().setFinalizers(List.of());
                  return config;
                });
        admin.resources(NodeRegistryConfig.class).withName(name).delete();
      } catch (KubernetesClientException e) {
        continue; // it is gone already
      }
    }
    nodes.forEach(node -> admin.nodes().withName(node).delete());
    admin.close();
  }
}
