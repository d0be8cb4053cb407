package io.kubic.mirrors.cli;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.fabric8.kubernetes.api.model.coordination.v1.Lease;
import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.ConfigBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.extended.leaderelection.LeaderCallbacks;
import io.fabric8.kubernetes.client.utils.KubernetesSerialization;
import io.javaoperatorsdk.operator.Operator;
import io.javaoperatorsdk.operator.api.config.LeaderElectionConfigurationBuilder;
import io.kubic.mirrors.controller.list.ListMetrics;
import io.kubic.mirrors.controller.list.ListReconciler;
import io.kubic.mirrors.controller.nodeconfig.NodeConfigReconciler;
import io.kubic.mirrors.controller.registry.HttpRegistryProbe;
import io.kubic.mirrors.controller.registry.RegistryReconciler;
import io.kubic.mirrors.controller.support.MirrorStores;
import io.kubic.mirrors.controller.support.Settings;
import io.kubic.mirrors.oci.registry.Connection;
import io.kubic.mirrors.oci.registry.Credentials;
import io.kubic.mirrors.oci.registry.Transport;
import io.kubic.mirrors.oci.registry.Trust;
import io.kubic.mirrors.ops.Exposition;
import io.kubic.mirrors.ops.HealthServer;
import io.kubic.mirrors.ops.HealthServer.Answer;
import java.io.IOException;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import okhttp3.OkHttpClient;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** The operator: reconciles the three kinds until it is told to stop. */
@Command(
    name = "operator",
    description = "Run the operator (in a pod, or anywhere with a kubeconfig).")
final class OperatorCommand implements Callable<Integer> {
  private static final Logger LOG = LoggerFactory.getLogger("operator");
  private static final String LEASE = "mirror-operator";

  @Option(names = "--operator-image", required = true, description = "Image of this build.")
  private String operatorImage;

  @Option(names = "--registry-image", required = true, description = "Default distribution image.")
  private String registryImage;

  @Option(names = "--agents-namespace", required = true, description = "Namespace of the agents.")
  private String agentsNamespace;

  @Option(names = "--cluster-domain", defaultValue = "cluster.local")
  private String clusterDomain;

  @Option(names = "--image-pull-secrets", split = ",", description = "For all pods of ours.")
  private List<String> imagePullSecrets = List.of();

  @Option(
      names = "--namespaces",
      defaultValue = "",
      description = "Namespaces to watch, comma-separated; default: all.")
  private String namespaces;

  @Option(names = "--leader-election-namespace", description = "Default: no leader election.")
  private @Nullable String leaseNamespace;

  @Option(names = "--identity", description = "Of this replica in the lease; default: HOSTNAME.")
  private @Nullable String identity;

  @Option(names = "--health-port", defaultValue = "8081")
  private int healthPort;

  @Override
  public Integer call() throws IOException, InterruptedException {
    Settings settings =
        new Settings(
            operatorImage,
            registryImage,
            agentsNamespace,
            clusterDomain,
            imagePullSecrets,
            Arrays.stream(namespaces.split(","))
                .map(String::strip)
                .filter(n -> !n.isEmpty())
                .collect(Collectors.toUnmodifiableSet()));
    LOG.info("mirror-operator {} {}", Version.current(), settings);
    AtomicBoolean stopping = new AtomicBoolean();
    CountDownLatch stopped = new CountDownLatch(1);
    KubernetesClient client = client();
    AtomicBoolean leading = new AtomicBoolean(leaseNamespace == null);
    Operator operator = operator(client, stopping, leading);
    Clock clock = Clock.systemUTC();
    SecureRandom random = new SecureRandom();
    Set<String> watched = settings.namespaces();
    Transport transport = Transport.standard("mirror-operator/" + Version.current());
    operator.register(
        new RegistryReconciler(
            settings, new HttpRegistryProbe(new OkHttpClient(), transport), random, clock),
        override -> {
          if (!watched.isEmpty()) {
            override.settingNamespaces(watched);
          }
        });
    MirrorStores stores =
        (authority, caPem, dockerConfig) ->
            transport.connect(
                Connection.to(authority)
                    .withTrust(Trust.system().plus(Trust.certificates(caPem, "the mirror's CA")))
                    .withCredentials(
                        dockerConfig.isEmpty()
                            ? Credentials.none()
                            : Credentials.fromDockerConfig(
                                dockerConfig, "the mirror's push credentials"))
                    .withPush());
    ListReconciler lists = new ListReconciler(settings, stores, clock);
    operator.register(
        lists,
        override -> {
          if (!watched.isEmpty()) {
            override.settingNamespaces(watched);
          }
        });
    operator.register(new NodeConfigReconciler(settings, stores, clock));
    try (HealthServer health =
        new HealthServer(
            healthPort,
            Map.of(
                "/livez",
                () -> Answer.ok("alive"),
                "/readyz",
                () ->
                    operator.getRuntimeInfo().isStarted()
                        ? Answer.ok("ready")
                        : Answer.unavailable("caches are not filled yet"),
                "/metrics",
                // Who does not lead tells nothing, or each series would be there twice.
                () ->
                    Exposition.answer(
                        ListMetrics.of(
                            leading.get() && operator.getRuntimeInfo().isStarted()
                                ? lists.lists()
                                : Stream.empty()))))) {
      LOG.info("probes and metrics on port {}", health.port());
      Runtime.getRuntime()
          .addShutdownHook(
              new Thread(
                  () -> {
                    stopping.set(true);
                    operator.stop();
                    release();
                    stopped.countDown();
                  },
                  "stop"));
      operator.start();
      stopped.await();
    }
    return ExitCode.OK;
  }

  private Operator operator(
      KubernetesClient client, AtomicBoolean stopping, AtomicBoolean leading) {
    return new Operator(
        overrider -> {
          overrider
              .withKubernetesClient(client)
              .withConcurrentReconciliationThreads(4)
              .withConcurrentWorkflowExecutorThreads(1)
              .withReconciliationTerminationTimeout(Duration.ofSeconds(10))
              .withCloseClientOnStop(true);
          if (leaseNamespace != null) {
            overrider.withLeaderElectionConfiguration(
                LeaderElectionConfigurationBuilder.aLeaderElectionConfiguration(LEASE)
                    .withLeaseNamespace(leaseNamespace)
                    .withIdentity(identity())
                    .withExitOnStopLeading(false)
                    .withLeaderCallbacks(
                        new LeaderCallbacks(
                            () -> {
                              leading.set(true);
                              LOG.info("leading as {}", identity());
                            },
                            () -> {
                              if (!stopping.get()) {
                                // Somebody else may lead by now: no further write from here.
                                LOG.error("the lease is lost; ending");
                                Runtime.getRuntime().halt(3);
                              }
                            },
                            leader -> LOG.info("{} leads", leader)))
                    .build());
          }
        });
  }

  /** Gives the lease back, so that the next leader need not wait until it runs out. */
  private void release() {
    if (leaseNamespace == null) {
      return;
    }
    try (KubernetesClient client = client()) {
      Lease lease = client.leases().inNamespace(leaseNamespace).withName(LEASE).get();
      if (lease != null && identity().equals(lease.getSpec().getHolderIdentity())) {
        lease.getSpec().setHolderIdentity("");
        lease.getSpec().setLeaseDurationSeconds(1);
        client.resource(lease).update();
      }
    } catch (RuntimeException e) {
      LOG.warn("the lease was not given back: {}", e.getMessage());
    }
  }

  private String identity() {
    if (identity != null) {
      return identity;
    }
    String host = System.getenv("HOSTNAME");
    return host == null ? "mirror-operator" : host;
  }

  /** Tolerant: an object of a newer version of the API must not end the informers. */
  private static KubernetesClient client() {
    return new KubernetesClientBuilder()
        .withConfig(config())
        .withKubernetesSerialization(
            new KubernetesSerialization(
                new ObjectMapper()
                    .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
                    .enable(DeserializationFeature.READ_UNKNOWN_ENUM_VALUES_AS_NULL),
                true))
        .build();
  }

  private static Config config() {
    return new ConfigBuilder(Config.autoConfigure(null))
        // The SDK retries whole reconciliations; nineteen seconds inside a call only hide an
        // outage.
        .withRequestRetryBackoffLimit(3)
        .build();
  }
}
