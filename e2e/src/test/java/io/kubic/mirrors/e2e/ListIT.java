package io.kubic.mirrors.e2e;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.PodBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.kubic.mirrors.api.v1alpha1.MirrorListStatus;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/**
 * Lists in a real API server: approval, lock, pruning, shards and the commands that go with them.
 */
@ExtendWith(ApiServer.class)
class ListIT {
  private static final AtomicInteger COUNT = new AtomicInteger();
  private static final String TYPE = "application/vnd.oci.image.manifest.v1+json";

  private final HttpClient http = HttpClient.newHttpClient();
  @TempDir private Path directory;
  private LocalRegistry source;
  private LocalRegistry target;
  private ListWorld world;

  @BeforeAll
  static void install(ApiServer server) {
    server.installKinds();
  }

  @BeforeEach
  void start(ApiServer server) throws Exception {
    source = LocalRegistry.start(directory, "source", "");
    target = LocalRegistry.start(directory, "target", "");
    world = new ListWorld(server, "list-" + COUNT.incrementAndGet(), directory, target);
  }

  @AfterEach
  void stop() {
    world.close();
    source.close();
    target.close();
  }

  private HttpResponse<byte[]> send(HttpRequest.Builder request) throws Exception {
    return http.send(
        request.timeout(Duration.ofSeconds(30)).build(), HttpResponse.BodyHandlers.ofByteArray());
  }

  private static String sha256(byte[] bytes) throws Exception {
    return "sha256:" + HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
  }

  /** Pushes an image of one layer and gives its digest. */
  private String image(String repository, String tag, String content) throws Exception {
    StringBuilder descriptors = new StringBuilder();
    for (String blob : List.of("{\"made\":\"" + content + "\"}", "layer " + content)) {
      byte[] bytes = blob.getBytes(UTF_8);
      String location =
          send(HttpRequest.newBuilder(
                      URI.create(
                          "http://" + source.host() + "/v2/" + repository + "/blobs/uploads/"))
                  .POST(HttpRequest.BodyPublishers.noBody()))
              .headers()
              .firstValue("Location")
              .orElseThrow();
      HttpResponse<byte[]> put =
          send(
              HttpRequest.newBuilder(URI.create(location + "&digest=" + sha256(bytes)))
                  .PUT(HttpRequest.BodyPublishers.ofByteArray(bytes)));
      assertThat(put.statusCode()).isEqualTo(201);
      descriptors
          .append(descriptors.isEmpty() ? "\"config\":" : ",\"layers\":[")
          .append(
              "{\"mediaType\":\"application/vnd.oci.image.%s\",\"digest\":\"%s\",\"size\":%d}"
                  .formatted(
                      descriptors.indexOf("config") < 0 ? "config.v1+json" : "layer.v1.tar",
                      sha256(bytes),
                      bytes.length));
    }
    byte[] manifest =
        "{\"schemaVersion\":2,\"mediaType\":\"%s\",%s]}"
            .formatted(TYPE, descriptors)
            .getBytes(UTF_8);
    HttpResponse<byte[]> put =
        send(
            HttpRequest.newBuilder(
                    URI.create(
                        "http://" + source.host() + "/v2/" + repository + "/manifests/" + tag))
                .header("Content-Type", TYPE)
                .PUT(HttpRequest.BodyPublishers.ofByteArray(manifest)));
    assertThat(put.statusCode()).as(new String(put.body(), UTF_8)).isEqualTo(201);
    return sha256(manifest);
  }

  private String yaml(String more) {
    return """
        apiVersion: mirrors.kubic.io/v1alpha1
        kind: MirrorList
        metadata: {name: list, namespace: %s}
        spec:
          registryRef: {name: mirror}
          interval: 0s
          layout: Flat
        %s
          sources:
          - registry: "%s"
            tls: {plainHTTP: true}
            repositories: {include: ["^app"]}
        """
        .formatted(world.namespace, more.indent(2), source.host());
  }

  private Path apply(String more) throws Exception {
    world.apply(yaml(more));
    return Files.writeString(directory.resolve("list.yaml"), yaml(more));
  }

  private String there(String repository, String tag) {
    ListWorld.Ended ended =
        ListWorld.run("digest", target.host() + "/" + repository + ":" + tag, "--plain-http");
    return ended.code() == 0 ? ended.out().strip() : "";
  }

  private String hash(Path list) {
    ListWorld.Ended plan =
        ListWorld.run(
            "plan", "-f", list.toString(), "--to", target.host(), "--plain-http", "-o", "json");
    int at = plan.out().indexOf("\"hash\" : \"") + 10;
    return plan.out().substring(at, at + 64);
  }

  private static boolean waits(MirrorListStatus status) {
    return ListWorld.condition(status, "AwaitingApproval").startsWith("True")
        && ListWorld.condition(status, "Reconciling").equals("False AwaitingApproval");
  }

  private static boolean synced(MirrorListStatus status) {
    return ListWorld.condition(status, "Ready").equals("True Synced")
        && ListWorld.condition(status, "Reconciling").startsWith("False");
  }

  @Test
  void aPlanWaitsForItsHashAlsoWhenItWouldOnlyPrune() throws Exception {
    String one = image("app/one", "1", "one");
    image("app/one", "2", "two");
    String manual =
        "approval: Manual\nprune: {mode: Delete, gracePeriod: 0s, maxDeletePercent: 60, protectInUse: false}";
    Path list = apply(manual);
    String first = hash(list);
    world.work();
    MirrorListStatus status = world.await("the plan waits", ListIT::waits);
    assertThat(status.plan().images()).isEqualTo(2);
    assertThat(status.plan().hash()).isEqualTo(first);
    assertThat(there("app/one", "1")).isEmpty();

    ListWorld.Ended shown = world.kubectlMirror("status");
    assertThat(shown.out()).contains("waits for approval");
    assertThat(world.kubectlMirror("approve", "list", "--hash", "0123456789").code()).isEqualTo(3);
    ListWorld.Ended approved = world.kubectlMirror("approve", "list");
    assertThat(approved.out()).as(approved.err()).contains(status.plan().hash());
    world.work();
    status = world.await("it is copied", ListIT::synced);
    assertThat(there("app/one", "1")).isEqualTo(one);
    assertThat(status.reportRef()).startsWith(target.host() + "/mirror-operator/reports@sha256:");
    ListWorld.Ended again = world.kubectlMirror("approve", "list");
    assertThat(again.code()).isEqualTo(3);
    assertThat(again.err()).contains("no plan that waits");

    // A tag that is not selected any more: the plan changes, waits, and has the same hash here.
    Path less = apply(manual + "\nblockedImages: [\":2$\"]");
    world.work();
    status = world.await("the pruning waits", ListIT::waits);
    assertThat(status.plan().pruneCandidates()).isEqualTo(1);
    assertThat(status.plan().hash()).isEqualTo(hash(less)).isNotEqualTo(first);
    assertThat(there("app/one", "2")).isNotEmpty();
    world.kubectlMirror("approve", "list", "--hash", status.plan().hash().substring(0, 12));
    world.work();
    status = world.await("it is pruned", ListIT::synced);
    assertThat(status.summary().pruned()).isEqualTo(1);
    assertThat(there("app/one", "2")).isEmpty();
    assertThat(there("app/one", "1")).isEqualTo(one);
    world.assertIdle();
  }

  @Test
  void noSyncBeginsBesideTheUpkeepOfTheRegistryAndWhatWasLostIsBroughtBackAtOnce()
      throws Exception {
    image("app/one", "1", "one");
    world.apply(
        """
        apiVersion: batch/v1
        kind: Job
        metadata:
          name: mirror-gc-1
          labels:
            app.kubernetes.io/managed-by: mirror-operator
            app.kubernetes.io/name: mirror-upkeep
            app.kubernetes.io/instance: mirror
        spec:
          suspend: true
          template:
            spec:
              restartPolicy: Never
              containers: [{name: upkeep, image: "mirror-operator:1"}]
        """);
    apply("");
    world.await(
        "the list waits", s -> ListWorld.condition(s, "Reconciling").equals("True RegistryUpkeep"));
    assertThat(world.jobs()).as("there is that of the upkeep only").isEqualTo(1);
    world.admin.batch().v1().jobs().inNamespace(world.namespace).withName("mirror-gc-1").delete();
    Job first = world.work();
    world.await("it is copied", ListIT::synced);
    assertThat(first.getSpec().getTemplate().getSpec().getContainers().getFirst().getArgs())
        .doesNotContain("--recheck");

    aSecondPasses();
    world.registryStatus("{\"scrub\": {\"corruptAt\": \"" + Instant.now() + "\"}}");
    Job second = world.work();
    assertThat(second.getSpec().getTemplate().getSpec().getContainers().getFirst().getArgs())
        .as("a list on demand runs by itself and looks at every blob")
        .contains("--recheck");
    world.await("it has run", ListIT::synced);

    aSecondPasses();
    world.registryStatus(
        "{\"storage\": {\"content\": false, \"lostAt\": \"" + Instant.now() + "\"}}");
    Job third = world.work();
    assertThat(third.getMetadata().getAnnotations().get("mirrors.kubic.io/why"))
        .isEqualTo("the registry lost content");
    world.await("it has run again", ListIT::synced);
    assertThat(world.jobs()).isEqualTo(3);
    world.assertIdle();
  }

  @Test
  void aLockReplaysAPlanAndSyncNowRunsAtOnce() throws Exception {
    String old = image("app/one", "1", "old");
    Path list = apply("");
    ListWorld.Ended plan = ListWorld.run("plan", "-f", list.toString(), "-o", "json");
    Path lock = Files.writeString(directory.resolve("lock.json"), plan.out());
    world.work();
    world.await("it is copied", ListIT::synced);
    String moved = image("app/one", "1", "new");

    int before = world.jobs();
    assertThat(world.kubectlMirror("sync-now", "list").out()).contains("asked to run");
    world.work();
    world.await("the moved tag is copied", s -> synced(s) && s.summary().copied() == 1);
    assertThat(world.jobs()).isEqualTo(before + 1);
    assertThat(there("app/one", "1")).isEqualTo(moved);

    world.apply(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: pinned}\ndata:\n  lock.json: |\n"
            + Files.readString(lock).indent(4));
    apply("lock: {configMapRef: {name: pinned}}");
    world.work();
    world.await("the old image is back", s -> synced(s) && s.summary().copied() == 1 && is(old));
    ListWorld.Ended why = world.kubectlMirror("why", source.host() + "/app/one:1");
    assertThat(why.code()).as(why.out() + why.err()).isZero();
    assertThat(world.kubectlMirror("why", source.host() + "/other:1").code()).isOne();
    ListWorld.Ended status = world.kubectlMirror("status", "list");
    assertThat(status.code()).isZero();
    assertThat(status.out()).contains("Ready=True", "plan ", "source " + source.host());
    assertThat(world.kubectlMirror("status", "nobody").err()).contains("no MirrorList nobody");
  }

  private boolean is(String digest) {
    return there("app/one", "1").equals(digest);
  }

  @Test
  void whatAPodRunsIsNotPruned() throws Exception {
    String run = image("app/one", "1", "run");
    image("app/one", "2", "idle");
    image("app/one", "3", "kept");
    String prune = "prune: {mode: Delete, gracePeriod: 0s, maxDeletePercent: 100}";
    apply(prune);
    world.work();
    world.await("it is copied", ListIT::synced);
    world
        .admin
        .resource(
            new PodBuilder()
                .withNewMetadata()
                .withNamespace(world.namespace)
                .withName("app")
                .endMetadata()
                .withNewSpec()
                .withAutomountServiceAccountToken(false)
                .addNewContainer()
                .withName("app")
                .withImage(source.host() + "/app/one@" + run)
                .endContainer()
                .endSpec()
                .build())
        .create();
    apply(prune + "\nblockedImages: [\":[12]$\"]");
    world.work();
    world.await("it is pruned", s -> synced(s) && s.summary().pruned() == 1);
    assertThat(there("app/one", "1")).isEqualTo(run);
    assertThat(there("app/one", "2")).isEmpty();
    assertThat(there("app/one", "3")).isNotEmpty();
  }

  @Test
  void twoPodsCopyEveryImageOnceAndTheirReportsAreAddedUp() throws Exception {
    for (int i = 0; i < 8; i++) {
      image("app/" + i, "1", "image " + i);
    }
    apply("concurrency: {shards: 2}");
    Job job = world.work();
    assertThat(job.getSpec().getCompletions()).isEqualTo(2);
    MirrorListStatus status = world.await("it is copied", ListIT::synced);
    assertThat(status.summary().copied()).isEqualTo(8);
    assertThat(status.images()).isEqualTo("8/8");
    for (int i = 0; i < 8; i++) {
      assertThat(there("app/" + i, "1")).isNotEmpty();
    }
    // Each manifest was written once.
    assertThat(
            Files.readAllLines(target.log()).stream()
                .filter(line -> line.contains("\"PUT /v2/app/"))
                .filter(line -> line.contains("/manifests/")))
        .hasSize(8);
    ListWorld.Ended reports =
        ListWorld.run("tags", target.host() + "/mirror-operator/reports", "--plain-http");
    assertThat(reports.out().lines()).hasSize(2);
    assertThat(status.shards()).extracting(MirrorListStatus.Shard::index).containsExactly(0, 1);
    assertThat(status.shards())
        .extracting(MirrorListStatus.Shard::reportRef)
        .doesNotContainNull()
        .doesNotHaveDuplicates();
    assertThat(world.kubectlMirror("status", "list").out())
        .contains("lock " + status.lockRef(), ": Succeeded, 8 copied, 0 failed")
        .contains("shard 1: ", "report " + status.shards().getLast().reportRef());
    // What all parts together left is one lock, and the same images are planned under it.
    Path locked =
        Files.writeString(
            directory.resolve("locked.yaml"), yaml("lock: {image: '" + status.lockRef() + "'}"));
    ListWorld.Ended plan =
        ListWorld.run("plan", "-f", locked.toString(), "--to", target.host(), "--plain-http");
    assertThat(plan.code()).as(plan.err()).isZero();
    assertThat(plan.out()).contains("8 images");
    world.assertIdle();
  }

  @Test
  void whatAListsMetricsTellIsItsStatusAndGoesWithIt() throws Exception {
    image("app/one", "1", "one");
    apply("");
    world.work();
    MirrorListStatus status = world.await("it is copied", ListIT::synced);
    assertThat(status.history().getFirst().copied()).isOne();
    String labels = "{list=\"list\",namespace=\"" + world.namespace + "\"";
    Lab.eventually(
        Duration.ofSeconds(20),
        "the metrics tell the same",
        () ->
            world
                .metrics()
                .lines()
                .toList()
                .containsAll(
                    List.of(
                        "mirror_list_condition" + labels + ",type=\"Ready\"} 1.0",
                        "mirror_list_last_run_images" + labels + ",result=\"copied\"} 1.0",
                        "mirror_list_last_run_success" + labels + "} 1.0")));
    world.admin.resource(world.list()).delete();
    Lab.eventually(
        Duration.ofSeconds(20),
        "no series is left behind",
        () -> !world.metrics().contains(world.namespace));
  }

  @Test
  void whatIsAskedForOnceMoreRunsOnceMore() throws Exception {
    image("app/one", "1", "one");
    apply("");
    world.work();
    world.await("it is copied", ListIT::synced);
    for (String value : List.of("now", "", "now")) {
      int before = world.jobs();
      world.annotate("mirrors.kubic.io/reconcile-at", value);
      world.work();
      world.await("it has run", ListIT::synced);
      assertThat(world.jobs()).isEqualTo(before + 1);
      aSecondPasses();
    }
  }

  @Test
  void aSourceIsNotAskedWithoutTheCredentialsItShallHave() throws Exception {
    image("app/one", "1", "one");
    String yaml = yaml("").replace("tls:", "credentialsSecretRef: {name: login}\n    tls:");
    world.apply(yaml);
    world.await(
        "it waits", s -> ListWorld.condition(s, "Reconciling").equals("True CredentialsNotFound"));
    world.apply("apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {user: a}");
    world.annotate("example.com/look", "again");
    world.assertIdle();
    assertThat(ListWorld.condition(world.list().getStatus(), "Reconciling"))
        .isEqualTo("True CredentialsNotFound");
    assertThat(world.jobs()).isZero();
    world.apply(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {username: a, password: b}");
    world.annotate("example.com/look", "once more");
    world.work();
    world.await("it is copied", ListIT::synced);
  }

  private static boolean isSuspended(MirrorListStatus status) {
    return ListWorld.condition(status, "Stalled").equals("True Suspended");
  }

  @Test
  void aChangedListIsNotReadyBeforeItWasCopied() throws Exception {
    image("app/one", "1", "one");
    apply("");
    world.work();
    world.await("it is copied", ListIT::synced);
    apply("blockedImages: [nothing]");
    world.await("it runs", s -> ListWorld.condition(s, "Reconciling").equals("True Syncing"));
    world.annotate("example.com/look", "again");
    world.assertIdle();
    assertThat(ListWorld.condition(world.list().getStatus(), "Ready")).isEqualTo("False Syncing");
    world.work();
    world.await("it is copied, too", ListIT::synced);
    assertThat(world.kubectlMirror("sync-now", "list").code()).isZero();
    MirrorListStatus status =
        world.await("it runs", s -> ListWorld.condition(s, "Reconciling").equals("True Syncing"));
    assertThat(ListWorld.condition(status, "Ready"))
        .as("the same again does no harm")
        .isEqualTo("True Synced");
  }

  @Test
  void aRunIsToldAlsoWhenTheNextIsDueOrTheListIsSuspendedBeforeItEnds() throws Exception {
    image("app/one", "1", "one");
    apply("");
    Lab.eventually(Duration.ofSeconds(30), "a Job is made", () -> world.jobs() == 1);
    apply("blockedImages: [nothing]");
    String first = world.work().getMetadata().getName();
    Lab.eventually(Duration.ofSeconds(30), "the next is made", () -> world.jobs() == 2);
    MirrorListStatus status =
        world.await("it runs", s -> ListWorld.condition(s, "Reconciling").equals("True Syncing"));
    assertThat(status.history()).extracting(MirrorListStatus.Run::job).containsExactly(first);
    assertThat(status.summary().copied()).isOne();

    apply("blockedImages: [nothing]\nsuspend: true");
    String second = world.work().getMetadata().getName();
    status = world.await("it is suspended", ListIT::isSuspended);
    assertThat(status.history())
        .extracting(MirrorListStatus.Run::job)
        .containsExactly(second, first);
    assertThat(status.summary().skipped()).isOne();
    world.assertIdle();
  }

  @Test
  void whatWasToldOfARunStandsWithoutItsPodsAndItsJob() throws Exception {
    image("app/one", "1", "one");
    image("app/two", "1", "two");
    apply("concurrency: {shards: 2}");
    String job = world.work().getMetadata().getName();
    world.await("it is copied", ListIT::synced);
    world.admin.pods().inNamespace(world.namespace).withName(job + "-1").delete();
    world.assertIdle();
    assertThat(synced(world.list().getStatus())).as("" + world.list().getStatus()).isTrue();

    world.admin.pods().inNamespace(world.namespace).delete();
    apply("concurrency: {shards: 2}\nsuspend: true");
    world.await("it is suspended", ListIT::isSuspended);
    apply("concurrency: {shards: 2}");
    MirrorListStatus status = world.await("it is so no longer", ListIT::synced);
    assertThat(status.images()).isEqualTo("2/2");

    world.admin.batch().v1().jobs().inNamespace(world.namespace).delete();
    apply("concurrency: {shards: 2}\nhistoryLimit: 3");
    world.await(
        "the change was seen",
        s -> world.list().getMetadata().getGeneration().equals(s.observedGeneration()));
    assertThat(synced(world.list().getStatus())).isTrue();
    assertThat(world.jobs()).isZero();
  }

  @Test
  void aPlanThatWaitsIsNoFailureAlsoWithoutItsPod() throws Exception {
    image("app/one", "1", "one");
    apply("approval: Manual");
    world.work();
    world.await("the plan waits", ListIT::waits);
    assertThat(world.list().getStatus().nextSyncTime()).isNull();
    world.admin.pods().inNamespace(world.namespace).delete();
    world.annotate("example.com/look", "again");
    world.assertIdle();
    assertThat(waits(world.list().getStatus())).isTrue();
    assertThat(world.list().getStatus().nextSyncTime()).as("no retry").isNull();
  }

  @Test
  void aDryRunIsNoSync() throws Exception {
    image("app/one", "1", "one");
    apply("dryRun: true");
    world.work();
    MirrorListStatus status =
        world.await("it has run", s -> ListWorld.condition(s, "Synced").equals("False DryRun"));
    assertThat(ListWorld.condition(status, "Ready")).isEqualTo("False DryRun");
    assertThat(status.lastSuccessfulTime()).isNull();
    assertThat(status.plan().images()).isOne();
    assertThat(status.nextSyncTime()).as("it is nothing to be tried again").isNull();
    assertThat(there("app/one", "1")).isEmpty();
    world.assertIdle();
  }

  @Test
  void whatFailsAgainIsTriedLessOftenAlsoWhereOneJobIsKept() throws Exception {
    image("app/one", "1", "one");
    String yaml =
        yaml("historyLimit: 1")
            .replace("repositories: {include: [\"^app\"]}", "images: [\"app/one:gone\"]");
    world.apply(yaml);
    for (int minutes : List.of(5, 10, 20)) {
      world.work();
      world.await("it has failed", s -> s.nextSyncTime() != null);
      world.assertIdle();
      MirrorListStatus status = world.list().getStatus();
      assertThat(ListWorld.condition(status, "Ready")).isEqualTo("False NotFound");
      assertThat(
              Duration.between(
                  Instant.parse(status.lastSyncTime()), Instant.parse(status.nextSyncTime())))
          .isEqualTo(Duration.ofMinutes(minutes));
      assertThat(world.kubectlMirror("sync-now", "list").code()).isZero();
      world.await("it runs", s -> s.nextSyncTime() == null);
    }
  }

  @Test
  void aListWhoseJobIsRefusedSaysSo() throws Exception {
    image("app/one", "1", "one");
    apply("");
    world.work();
    world.await("it is copied", ListIT::synced);
    apply(
        "blockedImages: [nothing]\njobTemplate: {resources: {requests: {cpu: 2}, limits: {cpu: 1}}}");
    MirrorListStatus status =
        world.await(
            "it says why", s -> ListWorld.condition(s, "Ready").equals("False ApiServerRefused"));
    assertThat(status.conditions().toString()).contains("must be less than or equal to cpu limit");
    apply("blockedImages: [nothing]");
    world.work();
    world.await("it is copied", ListIT::synced);
  }

  /** Times in a status are whole seconds: what comes in the same one is not later. */
  private static void aSecondPasses() throws InterruptedException {
    Thread.sleep(2000);
  }
}
