package io.kubic.mirrors.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.kubic.mirrors.api.v1alpha1.Api;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus.UpkeepResult;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Upkeep as the registry's controller arranges it, on a real API server. */
@ExtendWith(ApiServer.class)
class UpkeepIT {
  private static final AtomicInteger COUNT = new AtomicInteger();
  private static final Logger LOG = Logger.getLogger("io.kubic.mirrors");
  private static final String REPORT =
      "{\"repositories\":2,\"manifests\":9,\"unneeded\":4,\"young\":1,\"deleted\":3,"
          + "\"sweptBlobs\":7,\"freedBytes\":123456,\"dryRun\":false,\"examples\":[]}";

  @BeforeAll
  static void install(ApiServer server) {
    LOG.setLevel(Level.SEVERE);
    server.installKinds();
  }

  private static RegistryWorld ready(ApiServer server, String spec) {
    RegistryWorld world =
        new RegistryWorld(server.kubeconfig(), "upkeep-" + COUNT.incrementAndGet());
    world.create(spec);
    world.settle();
    world.pod();
    world.rolledOut();
    world.settle();
    return world;
  }

  private static void ask(RegistryWorld world, String annotation) {
    world.time.pass(Duration.ofMinutes(1));
    world.annotate(annotation, world.time.instant().toString());
    world.settle();
  }

  private static Job only(RegistryWorld world) {
    assertThat(world.upkeep()).hasSize(1);
    return world.upkeep().getFirst();
  }

  private static MirrorRegistryStatus.GarbageCollection collected(RegistryWorld world) {
    return world.registry().getStatus().garbageCollection();
  }

  private static String gateways(RegistryWorld world) {
    return world
        .admin
        .configMaps()
        .inNamespace(world.namespace)
        .withName("mirror-registry-upkeep")
        .get()
        .getData()
        .get("gateways");
  }

  private static void finish(RegistryWorld world, int code, String report) {
    world.time.pass(Duration.ofMinutes(2));
    world.finish(only(world).getMetadata().getName(), code, report);
    world.frozen = false;
    world.settle();
  }

  @Test
  void aCollectionIsMadeReleasedWatchedAndTold(ApiServer server) {
    try (RegistryWorld world = ready(server, "{}")) {
      assertThat(collected(world).nextRun()).as("a Sunday at three").endsWith("T03:00:00Z");
      assertThat(world.registry().getStatus().contents().tags()).isEqualTo(5);
      ask(world, Api.COLLECT_GARBAGE);
      assertThat(only(world).getSpec().getSuspend()).isFalse();
      assertThat(gateways(world)).isEqualTo("http://192.0.2.1:5002\n");
      world.frozen = true;
      world.settle();
      assertThat(world.condition("WritesFrozen")).isEqualTo("True GarbageCollection");
      assertThat(world.condition("Ready")).as("pulls go on").startsWith("True");
      finish(world, 0, REPORT);
      assertThat(world.condition("WritesFrozen")).isEqualTo("False Open");
      assertThat(collected(world).lastResult()).isEqualTo(UpkeepResult.Succeeded);
      assertThat(collected(world).freedBytes()).isEqualTo(123456);
      assertThat(collected(world).message()).isEqualTo("3 of 9 manifests deleted, 7 blobs swept");
      int before = world.writes();
      world.settle();
      assertThat(world.writes()).as("asked for once, done once").isEqualTo(before);
    }
  }

  @Test
  void aSyncThatRunsIsWaitedForAndThePodsStayAsTheyAreMeanwhile(ApiServer server) {
    try (RegistryWorld world = ready(server, "{}")) {
      world.syncJob("kubic");
      ask(world, Api.COLLECT_GARBAGE);
      assertThat(only(world).getSpec().getSuspend()).as("it waits").isTrue();
      assertThat(world.condition("WritesFrozen")).isEqualTo("False GarbageCollectionWaits");
      world.finish("kubic-sync", 0, "{}");
      world.settle();
      assertThat(only(world).getSpec().getSuspend()).isFalse();
      world.patch("{\"image\": \"registry:4\"}");
      world.settle();
      assertThat(image(world)).as("no new pod comes up beside a freeze").isEqualTo("registry:3");
      finish(world, 0, REPORT);
      assertThat(image(world)).isEqualTo("registry:4");
    }
  }

  private static String image(RegistryWorld world) {
    return world
        .deployment()
        .getSpec()
        .getTemplate()
        .getSpec()
        .getInitContainers()
        .getFirst()
        .getImage();
  }

  @Test
  void aPodThatComesUpUnfrozenEndsTheRunWhichBeginsAnew(ApiServer server) {
    try (RegistryWorld world = ready(server, "{}")) {
      ask(world, Api.COLLECT_GARBAGE);
      String first = only(world).getMetadata().getUid();
      world.pod("registry-1", "192.0.2.2");
      world.settle();
      assertThat(only(world).getMetadata().getUid()).isNotEqualTo(first);
      assertThat(gateways(world)).isEqualTo("http://192.0.2.1:5002\nhttp://192.0.2.2:5002\n");
      finish(world, 0, REPORT);
      assertThat(collected(world).lastResult()).isEqualTo(UpkeepResult.Succeeded);
    }
  }

  @Test
  void aRefusalIsToldAndNotTriedAgainAndADryRunIsAnEstimate(ApiServer server) {
    try (RegistryWorld world = ready(server, "{garbageCollection: {dryRun: true}}")) {
      ask(world, Api.COLLECT_GARBAGE);
      assertThat(only(world).getSpec().getTemplate().getSpec().getContainers().getFirst().getArgs())
          .contains("--dry-run");
      finish(world, 3, "{\"error\":\"too many\"}");
      assertThat(collected(world).lastResult()).isEqualTo(UpkeepResult.Refused);
      assertThat(collected(world).message()).isEqualTo("too many");
      assertThat(only(world)).as("nothing is begun by itself").isNotNull();
      world.admin.resource(only(world)).delete();
      ask(world, Api.COLLECT_GARBAGE);
      finish(world, 0, REPORT.replace("\"dryRun\":false", "\"dryRun\":true"));
      assertThat(collected(world).lastResult()).isEqualTo(UpkeepResult.Estimated);
      assertThat(collected(world).estimatedBytes()).isEqualTo(123456);
      assertThat(collected(world).freedBytes()).isNull();
    }
  }

  @Test
  void aScrubThatFoundSomethingSaysSinceWhenListsHaveToRun(ApiServer server) {
    try (RegistryWorld world = ready(server, "{}")) {
      ask(world, Api.SCRUB);
      assertThat(only(world).getSpec().getTemplate().getSpec().getInitContainers()).isEmpty();
      finish(
          world,
          0,
          "{\"blobs\":10,\"bytes\":1000,\"corrupt\":1,\"fresh\":0,\"dryRun\":false,\"examples\":[]}");
      MirrorRegistryStatus.Scrub scrub = world.registry().getStatus().scrub();
      assertThat(scrub.corrupt()).isEqualTo(1);
      assertThat(scrub.corruptAt()).isEqualTo(scrub.lastRun());
    }
  }

  /** Killed before and after each write, it ends as an undisturbed run does. */
  @Test
  void killedAtAnyWriteOfACollectionItEndsTheSame(ApiServer server) {
    Map<String, String> objects;
    int writes;
    try (RegistryWorld world = ready(server, "{}")) {
      writes = run(world, 0, false);
      objects = world.objects();
    }
    assertThat(writes).isGreaterThanOrEqualTo(5);
    for (int n = 1; n <= writes; n++) {
      for (boolean after : n == 1 ? new boolean[] {false, true} : new boolean[] {true}) {
        try (RegistryWorld world = ready(server, "{}")) {
          run(world, n, after);
          String where = "killed " + (after ? "after" : "before") + " write " + n;
          assertThat(world.objects()).as(where).isEqualTo(objects);
          assertThat(collected(world).freedBytes()).as(where).isEqualTo(123456);
          assertThat(world.condition("WritesFrozen")).as(where).isEqualTo("False Open");
          assertThat(world.upkeep()).as(where + ": one run").hasSize(1);
        }
      }
    }
    System.out.printf("collection: killed before and after each of %d writes%n", writes);
  }

  private static int run(RegistryWorld world, int n, boolean after) {
    world.syncJob("kubic");
    world.time.pass(Duration.ofMinutes(1));
    world.annotate(Api.COLLECT_GARBAGE, world.time.instant().toString());
    world.killAt(n, after);
    world.settle();
    world.finish("kubic-sync", 0, "{}");
    world.settle();
    world.frozen = true;
    world.settle();
    world.time.pass(Duration.ofMinutes(2));
    world.finish(only(world).getMetadata().getName(), 0, REPORT);
    world.frozen = false;
    world.settle();
    return world.writes();
  }
}
