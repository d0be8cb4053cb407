package io.kubic.mirrors.e2e;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.NamespaceBuilder;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobConditionBuilder;
import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.javaoperatorsdk.operator.Operator;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListStatus;
import io.kubic.mirrors.cli.CommandLines;
import io.kubic.mirrors.controller.list.ListMetrics;
import io.kubic.mirrors.controller.list.ListReconciler;
import io.kubic.mirrors.oci.registry.Connection;
import io.kubic.mirrors.oci.registry.Transport;
import io.kubic.mirrors.ops.Exposition;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import picocli.CommandLine;

/**
 * One namespace of a real API server with the real controller of lists in it. What a cluster would
 * do with a Job is done here by hand: its pods' files are laid out, the very command of its
 * container runs in this process, and what it leaves is written into pod and Job.
 */
final class ListWorld implements AutoCloseable {
  private static final Duration LIMIT = Duration.ofSeconds(30);

  final KubernetesClient admin;
  final String namespace;
  private final ApiServer server;
  private final Path directory;
  private final Transport transport = Transport.standard("lab");
  private final ListReconciler lists =
      new ListReconciler(
          RegistryWorld.settings(),
          (authority, caPem, dockerConfig) ->
              transport.connect(Connection.to(authority).withPlainHttp()),
          Clock.systemUTC());
  private final Operator operator;
  private int runs;

  /** What could be scraped now. */
  String metrics() {
    return Exposition.text(ListMetrics.of(lists.lists()));
  }

  /** How a command ended. */
  record Ended(int code, String out, String err) {}

  /**
   * @param target of the MirrorRegistry, which is said to be ready; without TLS
   */
  ListWorld(ApiServer server, String namespace, Path directory, LocalRegistry target) {
    this.server = server;
    this.namespace = namespace;
    this.directory = directory;
    this.admin = client();
    admin
        .resource(
            new NamespaceBuilder().withNewMetadata().withName(namespace).endMetadata().build())
        .create();
    apply(
        "apiVersion: mirrors.kubic.io/v1alpha1\nkind: MirrorRegistry\nmetadata: {name: mirror}\nspec: {}\n");
    registryStatus(
        """
        {"endpoint": {"url": "https://%s"}, "trust": {"configMapRef": {"name": "trust"}},
         "credentials": {"pushSecretRef": {"name": "push"}},
         "conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": "is ready",
           "lastTransitionTime": "2026-01-01T00:00:00Z"}]}"""
            .formatted(target.host()));
    this.operator =
        new Operator(
            overrider -> overrider.withKubernetesClient(client()).withCloseClientOnStop(true));
    operator.register(lists, override -> override.settingNamespace(namespace));
    operator.start();
  }

  private KubernetesClient client() {
    return new KubernetesClientBuilder()
        .withConfig(Config.fromKubeconfig(server.kubeconfig().toFile()))
        .build();
  }

  void apply(String yaml) {
    try {
      Path file = Files.writeString(directory.resolve("object.yaml"), yaml);
      server.kubectl("-n", namespace, "apply", "-f", file.toString()).orFail();
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Says something of the registry. */
  void registryStatus(String json) {
    server
        .kubectl(
            "-n",
            namespace,
            "patch",
            "mirrorregistry",
            "mirror",
            "--subresource=status",
            "--type=merge",
            "-p",
            "{\"status\": " + json + "}")
        .orFail();
  }

  MirrorList list() {
    return admin.resources(MirrorList.class).inNamespace(namespace).withName("list").get();
  }

  /** Puts an annotation on the list; the empty text takes it away. */
  void annotate(String name, String value) {
    server
        .kubectl(
            "-n",
            namespace,
            "annotate",
            "--overwrite",
            "mirrorlist",
            "list",
            name + (value.isEmpty() ? "-" : "=" + value))
        .orFail();
  }

  /** Waits until the status is as it should be. */
  MirrorListStatus await(String what, Predicate<MirrorListStatus> is) {
    Lab.eventually(
        LIMIT,
        what,
        () -> {
          MirrorListStatus status = list().getStatus();
          return status != null && is.test(status);
        });
    return list().getStatus();
  }

  static String condition(MirrorListStatus status, String type) {
    return status.conditions().stream()
        .filter(c -> c.type().equals(type))
        .map(c -> c.status() + " " + c.reason())
        .findFirst()
        .orElse("");
  }

  /** Runs one of our commands, as a person would. */
  static Ended run(String... arguments) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    CommandLine line = CommandLines.create();
    line.setOut(new PrintWriter(out));
    line.setErr(new PrintWriter(err));
    int code = line.execute(arguments);
    return new Ended(code, out.toString(), err.toString());
  }

  /** Runs a command that asks the cluster. */
  Ended kubectlMirror(String... arguments) {
    List<String> all = new ArrayList<>(List.of(arguments));
    all.addAll(List.of("--kubeconfig", server.kubeconfig().toString(), "-n", namespace));
    return run(all.toArray(String[]::new));
  }

  /** Waits for the next Job and does what a cluster would do with it. */
  Job work() {
    Lab.eventually(LIMIT, "a Job is made", () -> !unfinished().isEmpty());
    Job job = unfinished().getFirst();
    int parts = job.getSpec().getCompletions() == null ? 1 : job.getSpec().getCompletions();
    boolean good = true;
    for (int i = 0; i < parts; i++) {
      good &= pod(job, i);
    }
    finish(job, good);
    return job;
  }

  private List<Job> unfinished() {
    return admin.batch().v1().jobs().inNamespace(namespace).list().getItems().stream()
        .filter(job -> job.getStatus() == null || job.getStatus().getConditions().isEmpty())
        .toList();
  }

  private boolean pod(Job job, int index) {
    var template = job.getSpec().getTemplate();
    var container = template.getSpec().getContainers().getFirst();
    Path root = directory.resolve("run" + runs++);
    Path termination = root.resolve("termination-log");
    Map<String, String> mounts = new HashMap<>();
    container.getVolumeMounts().forEach(m -> mounts.put(m.getName(), m.getMountPath()));
    List<String> arguments = new ArrayList<>();
    try {
      Files.createDirectories(root);
      for (Volume volume : template.getSpec().getVolumes()) {
        lay(volume, root.resolve(mounts.get(volume.getName()).substring(1)));
      }
      List<String> given = container.getArgs();
      for (int i = 0; i < given.size(); i++) {
        if (given.get(i).equals("--ca") || given.get(i).equals("--authfile")) {
          i++; // The registry of this test has neither TLS nor passwords.
          continue;
        }
        arguments.add(
            given
                .get(i)
                .replace("/etc/mirror", root.resolve("etc/mirror").toString())
                .replace("/dev/termination-log", termination.toString())
                .replace("$(JOB_COMPLETION_INDEX)", Integer.toString(index)));
      }
      arguments.add("--plain-http");
      Ended ended = run(arguments.toArray(String[]::new));
      tell(job, index, ended.code(), Files.readString(termination, UTF_8));
      return ended.code() == 0;
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private void lay(Volume volume, Path path) throws IOException {
    Files.createDirectories(path);
    if (volume.getSecret() != null) {
      Secret secret =
          admin.secrets().inNamespace(namespace).withName(volume.getSecret().getSecretName()).get();
      if (secret != null && secret.getData() != null) {
        for (Map.Entry<String, String> file : secret.getData().entrySet()) {
          Files.write(path.resolve(file.getKey()), Base64.getDecoder().decode(file.getValue()));
        }
      }
    }
    if (volume.getConfigMap() == null) {
      return;
    }
    ConfigMap map =
        admin.configMaps().inNamespace(namespace).withName(volume.getConfigMap().getName()).get();
    if (map != null && map.getData() != null) {
      for (Map.Entry<String, String> file : map.getData().entrySet()) {
        Files.writeString(path.resolve(file.getKey()), file.getValue());
      }
    }
  }

  private void tell(Job job, int index, int code, String message) {
    PodBuilder pod =
        new PodBuilder()
            .withNewMetadata()
            .withNamespace(namespace)
            .withName(job.getMetadata().getName() + "-" + index)
            .withLabels(new HashMap<>(job.getSpec().getTemplate().getMetadata().getLabels()))
            .addToLabels("batch.kubernetes.io/job-name", job.getMetadata().getName())
            .addToAnnotations("batch.kubernetes.io/job-completion-index", "" + index)
            .endMetadata()
            .withSpec(job.getSpec().getTemplate().getSpec());
    admin.resource(pod.build()).create();
    var made = admin.resource(pod.build()).get();
    made.setStatus(
        new PodBuilder()
            .withNewStatus()
            .withPhase(code == 0 ? "Succeeded" : "Failed")
            .addNewContainerStatus()
            .withName("sync")
            .withImage("mirror-operator:1")
            .withImageID("mirror-operator:1")
            .withRestartCount(0)
            .withReady(false)
            .withNewState()
            .withNewTerminated()
            .withExitCode(code)
            .withMessage(message)
            .endTerminated()
            .endState()
            .endContainerStatus()
            .endStatus()
            .build()
            .getStatus());
    admin.resource(made).updateStatus();
  }

  private void finish(Job job, boolean good) {
    Job current = admin.resource(job).get();
    String now = Instant.now().truncatedTo(ChronoUnit.SECONDS).toString();
    var status = new io.fabric8.kubernetes.api.model.batch.v1.JobStatus();
    status.setStartTime(now);
    status.setConditions(new ArrayList<>());
    for (String type :
        good ? List.of("SuccessCriteriaMet", "Complete") : List.of("FailureTarget", "Failed")) {
      status
          .getConditions()
          .add(
              new JobConditionBuilder()
                  .withType(type)
                  .withStatus("True")
                  .withLastTransitionTime(now)
                  .withReason("Test")
                  .build());
    }
    if (good) {
      status.setCompletionTime(now);
      int parts = job.getSpec().getCompletions() == null ? 1 : job.getSpec().getCompletions();
      status.setSucceeded(parts);
      if ("Indexed".equals(job.getSpec().getCompletionMode())) {
        status.setCompletedIndexes("0-" + (parts - 1));
      }
    } else {
      status.setFailed(1);
    }
    current.setStatus(status);
    admin.resource(current).updateStatus();
  }

  /** Jobs that were ever made. */
  int jobs() {
    return admin.batch().v1().jobs().inNamespace(namespace).list().getItems().size();
  }

  /** For a while nothing is written to the list. */
  void assertIdle() throws InterruptedException {
    // That nothing is written shows only in time: first what is on its way, then a while without.
    Thread.sleep(1500);
    String version = list().getMetadata().getResourceVersion();
    Thread.sleep(3000);
    assertThat(list().getMetadata().getResourceVersion()).isEqualTo(version);
  }

  @Override
  public void close() {
    operator.stop();
    transport.close();
    admin.close();
  }
}
