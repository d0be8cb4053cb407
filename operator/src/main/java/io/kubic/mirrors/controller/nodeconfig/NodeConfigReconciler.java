package io.kubic.mirrors.controller.nodeconfig;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.Node;
import io.fabric8.kubernetes.api.model.ObjectMeta;
import io.fabric8.kubernetes.api.model.OwnerReference;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.api.model.apps.DaemonSet;
import io.fabric8.kubernetes.api.model.apps.DaemonSetStatus;
import io.javaoperatorsdk.operator.api.config.informer.Informer;
import io.javaoperatorsdk.operator.api.config.informer.InformerEventSourceConfiguration;
import io.javaoperatorsdk.operator.api.reconciler.Cleaner;
import io.javaoperatorsdk.operator.api.reconciler.Context;
import io.javaoperatorsdk.operator.api.reconciler.ControllerConfiguration;
import io.javaoperatorsdk.operator.api.reconciler.DeleteControl;
import io.javaoperatorsdk.operator.api.reconciler.ErrorStatusUpdateControl;
import io.javaoperatorsdk.operator.api.reconciler.EventSourceContext;
import io.javaoperatorsdk.operator.api.reconciler.Reconciler;
import io.javaoperatorsdk.operator.api.reconciler.UpdateControl;
import io.javaoperatorsdk.operator.processing.event.ResourceID;
import io.javaoperatorsdk.operator.processing.event.source.EventSource;
import io.javaoperatorsdk.operator.processing.event.source.informer.InformerEventSource;
import io.javaoperatorsdk.operator.processing.retry.GradualRetry;
import io.kubic.mirrors.api.v1alpha1.Api;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.LocalRef;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistry;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfig;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigStatus;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigStatus.FailingNode;
import io.kubic.mirrors.api.v1alpha1.ObjectRef;
import io.kubic.mirrors.controller.support.Applier;
import io.kubic.mirrors.controller.support.Conditions;
import io.kubic.mirrors.controller.support.Labels;
import io.kubic.mirrors.controller.support.MirrorStores;
import io.kubic.mirrors.controller.support.Owner;
import io.kubic.mirrors.controller.support.PrimaryChange;
import io.kubic.mirrors.controller.support.Settings;
import io.kubic.mirrors.controller.support.StatusPatch;
import io.kubic.mirrors.node.HostMount;
import io.kubic.mirrors.node.NodeConfig;
import io.kubic.mirrors.node.NodeConfigs;
import io.kubic.mirrors.node.PullCredentials;
import io.kubic.mirrors.oci.RegistryException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Resolves what nodes shall pull from where, and rolls it out as a DaemonSet of agents. Deletion
 * rolls out a configuration that takes everything back before the DaemonSet goes.
 */
@ControllerConfiguration(
    name = "noderegistryconfig",
    generationAwareEventProcessing = false,
    informer = @Informer(onUpdateFilter = PrimaryChange.class))
@GradualRetry(
    maxAttempts = -1,
    initialInterval = 2000,
    intervalMultiplier = 2,
    maxInterval = 300_000)
public final class NodeConfigReconciler
    implements Reconciler<NodeRegistryConfig>, Cleaner<NodeRegistryConfig> {
  private static final Logger LOG = LoggerFactory.getLogger(NodeConfigReconciler.class);

  /** Longest name of a NodeRegistryConfig: its pods' labels must fit into 63 characters. */
  static final int MAX_NAME = 40;

  /** A node that cannot be reached does not hold up a deletion for longer. */
  private static final Duration RESTORE_TIMEOUT = Duration.ofMinutes(15);

  private static final Duration LOOK_AGAIN = Duration.ofMinutes(5);
  private static final Duration LOOK_OFTEN = Duration.ofSeconds(30);
  private static final Duration LOOK_SOON = Duration.ofSeconds(5);
  private static final int LOG_LINES = 50;

  private final Settings settings;
  private final MirrorStores stores;
  private final Clock clock;
  private @Nullable InformerEventSource<DaemonSet, NodeRegistryConfig> daemonSets;
  private @Nullable InformerEventSource<ConfigMap, NodeRegistryConfig> configMaps;
  private @Nullable InformerEventSource<Secret, NodeRegistryConfig> secrets;
  private @Nullable InformerEventSource<MirrorRegistry, NodeRegistryConfig> registries;
  private @Nullable InformerEventSource<MirrorList, NodeRegistryConfig> lists;
  private @Nullable InformerEventSource<Node, NodeRegistryConfig> nodes;
  private @Nullable EventSourceContext<NodeRegistryConfig> sources;

  /**
   * @param stores opens mirrors for the probe image of {@code verify.mode: Pull}
   */
  public NodeConfigReconciler(Settings settings, MirrorStores stores, Clock clock) {
    this.settings = settings;
    this.stores = stores;
    this.clock = clock;
  }

  @Override
  public List<EventSource<?, NodeRegistryConfig>> prepareEventSources(
      EventSourceContext<NodeRegistryConfig> context) {
    String ours = Labels.SELECTOR + "," + Labels.NAME + "=" + AgentResources.KIND;
    sources = context;
    nodes =
        new InformerEventSource<>(
            InformerEventSourceConfiguration.from(Node.class, NodeRegistryConfig.class)
                .withWatchAllNamespaces()
                .withItemStore(new ClusterNode.Store())
                .withOnUpdateFilter(
                    (now, before) -> !ClusterNode.of(now).equals(ClusterNode.of(before)))
                .withSecondaryToPrimaryMapper(
                    _ ->
                        context
                            .getPrimaryCache()
                            .list()
                            .map(ResourceID::fromResource)
                            .collect(Collectors.toSet()))
                .build(),
            context);
    daemonSets =
        new InformerEventSource<>(
            InformerEventSourceConfiguration.from(DaemonSet.class, NodeRegistryConfig.class)
                .withLabelSelector(ours)
                .withNamespaces(settings.agentsNamespace())
                .withSecondaryToPrimaryMapper(NodeConfigReconciler::byInstance)
                .build(),
            context);
    configMaps =
        new InformerEventSource<>(
            InformerEventSourceConfiguration.from(ConfigMap.class, NodeRegistryConfig.class)
                .withLabelSelector(ours)
                .withNamespaces(settings.agentsNamespace())
                .withSecondaryToPrimaryMapper(NodeConfigReconciler::byInstance)
                .build(),
            context);
    secrets =
        new InformerEventSource<>(
            InformerEventSourceConfiguration.from(Secret.class, NodeRegistryConfig.class)
                .withLabelSelector(ours)
                .withNamespaces(settings.agentsNamespace())
                .withSecondaryToPrimaryMapper(NodeConfigReconciler::byInstance)
                .build(),
            context);
    InformerEventSource<Pod, NodeRegistryConfig> pods =
        new InformerEventSource<>(
            InformerEventSourceConfiguration.from(Pod.class, NodeRegistryConfig.class)
                .withLabelSelector(ours)
                .withNamespaces(settings.agentsNamespace())
                .withSecondaryToPrimaryMapper(NodeConfigReconciler::byInstance)
                .build(),
            context);
    registries =
        new InformerEventSource<>(
            watched(MirrorRegistry.class)
                .withSecondaryToPrimaryMapper(
                    registry ->
                        referring(
                            context,
                            registry.getMetadata().getName(),
                            registry.getMetadata().getNamespace()))
                .build(),
            context);
    lists =
        new InformerEventSource<>(
            watched(MirrorList.class)
                .withSecondaryToPrimaryMapper(
                    list -> {
                      LocalRef target = list.getSpec().registryRef();
                      return target == null
                          ? Set.of()
                          : referring(context, target.name(), list.getMetadata().getNamespace());
                    })
                .build(),
            context);
    return List.of(daemonSets, configMaps, secrets, pods, registries, lists, nodes);
  }

  /** Where the operator watches at all: all namespaces, or those of its settings. */
  private <R extends HasMetadata> InformerEventSourceConfiguration.Builder<R> watched(
      Class<R> kind) {
    InformerEventSourceConfiguration.Builder<R> builder =
        InformerEventSourceConfiguration.from(kind, NodeRegistryConfig.class);
    return settings.namespaces().isEmpty()
        ? builder.withWatchAllNamespaces()
        : builder.withNamespaces(settings.namespaces());
  }

  private static Set<ResourceID> referring(
      EventSourceContext<NodeRegistryConfig> context, String registry, String namespace) {
    return context
        .getPrimaryCache()
        .list()
        .filter(
            config -> {
              ObjectRef ref = config.getSpec().registryRef();
              return ref != null
                  && ref.name().equals(registry)
                  && ref.namespace().equals(namespace);
            })
        .map(ResourceID::fromResource)
        .collect(Collectors.toSet());
  }

  private static Set<ResourceID> byInstance(HasMetadata object) {
    String instance = object.getMetadata().getLabels().get(Labels.INSTANCE);
    return instance == null ? Set.of() : Set.of(new ResourceID(instance));
  }

  @Override
  public UpdateControl<NodeRegistryConfig> reconcile(
      NodeRegistryConfig config, Context<NodeRegistryConfig> context) {
    NodeConfigStatus status = new NodeConfigStatus(config, request(config), clock);
    if (config.getSpec().suspend()) {
      return update(config, status.suspended(), LOOK_AGAIN);
    }
    try {
      String name = config.getMetadata().getName();
      if (name.length() > MAX_NAME) {
        throw new InvalidSpecException(
            "metadata.name", "is longer than " + MAX_NAME + " characters; shorten it");
      }
      Optional<String> conflict = conflict(config);
      if (conflict.isPresent()) {
        return conflicted(config, conflict.get(), status, context);
      }
      return switch (references(context).resolve(config)) {
        case Resolution.Waiting(String reason, String message) ->
            update(config, status.waiting(reason, message), LOOK_AGAIN);
        case Resolution.Resolved resolved -> roll(config, resolved, status, context);
      };
    } catch (InvalidSpecException e) {
      return update(config, status.invalid(e), LOOK_AGAIN);
    }
  }

  private ProbeImage probe(Resolution.Resolved resolved) {
    return resolved.mirror().isEmpty()
        ? ProbeImage.prepare(resolved.config(), "", null)
        : ProbeImage.prepare(
            resolved.config(),
            resolved.mirror().get().authority(),
            stores.open(
                resolved.mirror().get().authority(),
                resolved.mirror().get().caPem(),
                resolved.mirror().get().dockerConfig()));
  }

  private References references(Context<NodeRegistryConfig> context) {
    return new References(
        context.getClient(),
        ref -> Objects.requireNonNull(registries).get(new ResourceID(ref.name(), ref.namespace())),
        () -> Objects.requireNonNull(lists).list().toList());
  }

  private UpdateControl<NodeRegistryConfig> roll(
      NodeRegistryConfig config,
      Resolution.Resolved resolved,
      NodeConfigStatus status,
      Context<NodeRegistryConfig> context) {
    AgentResources.Payload payload =
        new AgentResources.Payload(
            resolved.config().toJson(), resolved.caSha256(), resolved.credentials());
    List<ClusterNode> selected = selected(config);
    Optional<DaemonSet> present = present(config);
    boolean paused = config.getSpec().rollout().paused() && present.isPresent();
    AgentResources.Payload holding = holding(config);
    Optional<ProbeImage> probe = Optional.empty();
    if (config.getSpec().verify().mode() == NodeRegistryConfigSpec.VerifyMode.Pull) {
      try {
        probe = Optional.of(probe(resolved));
      } catch (RegistryException e) {
        return update(
            config,
            status.waiting(
                "ProbeNotPushed",
                "the mirror does not take the image that nodes are to pull: " + e.getMessage()),
            LOOK_OFTEN);
      }
    }
    if (!paused && (present.isEmpty() ? selected.size() > 1 : isStarting(present.get(), holding))) {
      // Whoever starts the agents of all nodes with one configuration gives it to all at once.
      DaemonSet daemonSet = applied(config, holding, context);
      return update(config, status.starting(daemonSet, selected), LOOK_SOON);
    }
    DaemonSet daemonSet = paused ? present.get() : applied(config, payload, context);
    String newest = AgentResources.revision(template(daemonSet));
    AgentPods pods =
        new AgentPods(
            context.getSecondaryResourcesAsStream(Pod.class).toList(),
            newest,
            probe.map(ProbeImage::digest).orElse(null));
    if (probe.isPresent() && !paused && isObserved(daemonSet)) {
      new PullProof(context.getClient(), settings, config.getMetadata().getName(), Owner.of(config))
          .advance(pods.newer(), probe.get(), clock.instant());
    }
    List<FailingNode> failing = pods.failing(context.getClient(), clock.instant());
    NodeRegistryConfigSpec.Rollout rollout = config.getSpec().rollout();
    Rollout.Step step =
        paused || !isObserved(daemonSet)
            ? new Rollout.Step(List.of(), 0, 0, false)
            : pods.step(rollout, daemonSet, failing, selected, clock.instant());
    if (!step.replace().isEmpty()) {
      // The cache may be behind what was done a moment ago; the server is not.
      List<Pod> live = live(config, context);
      step =
          new AgentPods(live, newest, pods.probe())
              .step(rollout, daemonSet, failing, selected, clock.instant());
      replace(step.replace(), live, context);
    }
    NodeRegistryConfigStatus next =
        status.observed(
            payload.hash(),
            daemonSet,
            failing,
            pods.caHashes(),
            pods.waiting(),
            selected,
            step,
            paused,
            rendered(config, resolved.config(), context));
    boolean settled =
        next.conditions().stream().anyMatch(c -> c.type().equals(Conditions.READY) && c.holds());
    if (settled) {
      forgetOld(config, payload, context);
    }
    return update(
        config, next, settled && !hasMore(config.getSpec(), daemonSet) ? LOOK_AGAIN : LOOK_SOON);
  }

  /** Whether agents still have a directory that they only kept to take back what they did there. */
  private static boolean hasMore(NodeRegistryConfigSpec spec, DaemonSet daemonSet) {
    return Stream.of(HostMount.ROOT, HostMount.LOGINS)
        .anyMatch(
            directory ->
                AgentResources.mounts(daemonSet, directory)
                    && !AgentResources.wants(spec, directory));
  }

  /** Agents that are there already are to let go of their nodes; what they wrote stays. */
  private UpdateControl<NodeRegistryConfig> conflicted(
      NodeRegistryConfig config,
      String conflict,
      NodeConfigStatus status,
      Context<NodeRegistryConfig> context) {
    if (present(config).isPresent()) {
      replaceAll(config, applied(config, holding(config), context), context);
    }
    return update(config, status.conflicted(conflict), LOOK_OFTEN);
  }

  private Optional<String> conflict(NodeRegistryConfig config) {
    return ClusterNode.conflict(
        config,
        Objects.requireNonNull(sources).getPrimaryCache().list().toList(),
        Objects.requireNonNull(nodes).list().map(ClusterNode::of).toList());
  }

  /** Nodes that the configuration is for, those that no agent can work on included. */
  private List<ClusterNode> selected(NodeRegistryConfig config) {
    return Objects.requireNonNull(nodes)
        .list()
        .map(ClusterNode::of)
        .filter(node -> node.matches(config.getSpec().nodeSelector()))
        .sorted(Comparator.comparing(ClusterNode::name))
        .toList();
  }

  private static AgentResources.Payload holding(NodeRegistryConfig config) {
    return new AgentResources.Payload(
        NodeConfig.holding(config.getMetadata().getName()).toJson(),
        List.of(),
        PullCredentials.NONE);
  }

  /** Whether agents that hold are not yet there on every node. */
  private static boolean isStarting(DaemonSet daemonSet, AgentResources.Payload holding) {
    DaemonSetStatus state = daemonSet.getStatus();
    return holding
            .hash()
            .equals(template(daemonSet).getAnnotations().get(AgentResources.CONFIG_HASH))
        && (!isObserved(daemonSet)
            || !Objects.equals(
                state.getCurrentNumberScheduled(), state.getDesiredNumberScheduled()));
  }

  private static boolean isObserved(DaemonSet daemonSet) {
    return daemonSet.getStatus() != null
        && Objects.equals(
            daemonSet.getStatus().getObservedGeneration(), daemonSet.getMetadata().getGeneration());
  }

  private static ObjectMeta template(DaemonSet daemonSet) {
    return daemonSet.getSpec().getTemplate().getMetadata();
  }

  private List<Pod> live(NodeRegistryConfig config, Context<NodeRegistryConfig> context) {
    return context
        .getClient()
        .pods()
        .inNamespace(settings.agentsNamespace())
        .withLabels(Labels.selector(AgentResources.KIND, config.getMetadata().getName()))
        .list()
        .getItems();
  }

  private static void replace(
      List<Rollout.Agent> agents, List<Pod> pods, Context<NodeRegistryConfig> context) {
    Set<String> names = agents.stream().map(Rollout.Agent::pod).collect(Collectors.toSet());
    for (Pod pod : pods) {
      if (names.contains(pod.getMetadata().getName())) {
        new Applier(context).delete(pod);
      }
    }
  }

  /** For what can break no node: all agents that are not of the newest template. */
  private void replaceAll(
      NodeRegistryConfig config, DaemonSet daemonSet, Context<NodeRegistryConfig> context) {
    if (!isObserved(daemonSet)) {
      return;
    }
    String newest = AgentResources.revision(template(daemonSet));
    new AgentPods(live(config, context), newest, null)
        .older()
        .forEach(new Applier(context)::delete);
  }

  /** What nodes get, for people, and for nodes that only have an API. */
  private ObjectRef rendered(
      NodeRegistryConfig config, NodeConfig resolved, Context<NodeRegistryConfig> context) {
    ConfigMap map =
        AgentResources.rendered(
            config.getMetadata().getName(), resolved, settings, Owner.of(config));
    new Applier(context)
        .apply(map, Objects.requireNonNull(configMaps).get(ResourceID.fromResource(map)));
    return new ObjectRef(map.getMetadata().getName(), map.getMetadata().getNamespace());
  }

  private Optional<DaemonSet> present(NodeRegistryConfig config) {
    return Objects.requireNonNull(daemonSets)
        .get(
            new ResourceID(
                AgentResources.name(config.getMetadata().getName()), settings.agentsNamespace()));
  }

  private DaemonSet applied(
      NodeRegistryConfig config,
      AgentResources.Payload payload,
      Context<NodeRegistryConfig> context) {
    Applier applier = new Applier(context);
    OwnerReference owner = Owner.of(config);
    String name = config.getMetadata().getName();
    ConfigMap map = AgentResources.configMap(name, payload, settings, owner);
    applier.createOnce(
        Objects.requireNonNull(configMaps).get(ResourceID.fromResource(map)), map, () -> map);
    AgentResources.secret(name, payload, settings, owner)
        .ifPresent(
            secret ->
                applier.createOnce(
                    Objects.requireNonNull(secrets).get(ResourceID.fromResource(secret)),
                    secret,
                    () -> secret));
    List<ClusterNode> selected = selected(config);
    return applier.apply(
        AgentResources.daemonSet(
            name,
            config.getSpec(),
            payload,
            ClusterNode.runtimes(config.getSpec().runtimes(), selected),
            has(HostMount.LOGINS, config, payload),
            has(HostMount.ROOT, config, payload),
            selected.stream()
                .filter(node -> node.unsupported().isPresent())
                .map(ClusterNode::name)
                .toList(),
            settings,
            owner),
        present(config));
  }

  /**
   * Whether agents have a directory of their nodes: those that the configuration asks for, and
   * whoever had one keeps it until all nodes have what comes after. Without it an agent could not
   * take back what it did there.
   */
  private boolean has(String directory, NodeRegistryConfig config, AgentResources.Payload payload) {
    if (AgentResources.wants(config.getSpec(), directory)) {
      return true;
    }
    NodeRegistryConfigStatus status = config.getStatus();
    boolean settled =
        status != null
            && payload.hash().equals(status.configHash())
            && status.conditions().stream()
                .anyMatch(c -> c.type().equals(Conditions.READY) && c.holds());
    return present(config).map(set -> AgentResources.mounts(set, directory)).orElse(false)
        && !settled;
  }

  /** ConfigMaps and Secrets that no pod template names any more, once every node has the newest. */
  private void forgetOld(
      NodeRegistryConfig config,
      AgentResources.Payload payload,
      Context<NodeRegistryConfig> context) {
    String newest = payload.configMap(config.getMetadata().getName());
    Applier applier = new Applier(context);
    context
        .getSecondaryResourcesAsStream(ConfigMap.class)
        .filter(
            map ->
                Boolean.TRUE.equals(map.getImmutable())
                    && !map.getMetadata().getName().equals(newest))
        .forEach(applier::delete);
    String login = payload.secret(config.getMetadata().getName()).orElse("");
    context
        .getSecondaryResourcesAsStream(Secret.class)
        .filter(secret -> !secret.getMetadata().getName().equals(login))
        .forEach(applier::delete);
  }

  @Override
  public DeleteControl cleanup(NodeRegistryConfig config, Context<NodeRegistryConfig> context) {
    if (config.getSpec().removalPolicy() == NodeRegistryConfigSpec.RemovalPolicy.Leave
        || present(config).isEmpty()) {
      return DeleteControl.defaultDelete();
    }
    AgentResources.Payload payload =
        new AgentResources.Payload(
            NodeConfigs.removal(config.getMetadata().getName(), config.getSpec()).toJson(),
            List.of(),
            PullCredentials.NONE);
    DaemonSet daemonSet = applied(config, payload, context);
    replaceAll(config, daemonSet, context);
    DaemonSetStatus state = daemonSet.getStatus();
    List<String> left =
        new AgentPods(live(config, context), AgentResources.revision(template(daemonSet)), null)
            .unproven();
    if (isObserved(daemonSet)
        && Objects.equals(state.getCurrentNumberScheduled(), state.getDesiredNumberScheduled())
        && left.isEmpty()) {
      return DeleteControl.defaultDelete();
    }
    if (Instant.parse(config.getMetadata().getDeletionTimestamp())
        .plus(RESTORE_TIMEOUT)
        .isBefore(clock.instant())) {
      LOG.warn(
          "NodeRegistryConfig {} goes although {} keep its files: they did not answer for {} minutes;"
              + " docs/nodes.md tells how to take the files back there",
          config.getMetadata().getName(),
          left,
          RESTORE_TIMEOUT.toMinutes());
      return DeleteControl.defaultDelete();
    }
    return DeleteControl.noFinalizerRemoval().rescheduleAfter(LOOK_SOON);
  }

  @Override
  public ErrorStatusUpdateControl<NodeRegistryConfig> updateErrorStatus(
      NodeRegistryConfig config, Context<NodeRegistryConfig> context, Exception e) {
    return ErrorStatusUpdateControl.noStatusUpdate();
  }

  private static @Nullable String request(NodeRegistryConfig config) {
    Map<String, String> annotations = config.getMetadata().getAnnotations();
    return annotations == null ? null : annotations.get(Api.RECONCILE_AT);
  }

  private static UpdateControl<NodeRegistryConfig> update(
      NodeRegistryConfig config, NodeRegistryConfigStatus status, Duration again) {
    return StatusPatch.of(
        config,
        NodeRegistryConfig::new,
        status,
        NodeConfigStatus.comparable(config.getStatus()),
        again);
  }
}
