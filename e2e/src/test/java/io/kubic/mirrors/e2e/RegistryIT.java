package io.kubic.mirrors.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.NamespaceBuilder;
import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.api.model.SecretBuilder;
import io.kubic.mirrors.api.v1alpha1.Api;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfig;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import io.kubic.mirrors.controller.registry.RegistryProbe;
import io.kubic.mirrors.pki.CertificateAuthority;
import io.kubic.mirrors.pki.CertifiedKey;
import io.kubic.mirrors.pki.KeySpec;
import io.kubic.mirrors.pki.LeafRequest;
import io.kubic.mirrors.pki.SubjectNames;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What the registry's controller writes to a real API server, over years and with the operator
 * killed before and after every write.
 */
@ExtendWith(ApiServer.class)
class RegistryIT {
  private static final AtomicInteger COUNT = new AtomicInteger();
  private static final Logger LOG = Logger.getLogger("io.kubic.mirrors");
  private static final String ROTATED_BEFORE = "2026-01-01T01:00:00Z";

  @BeforeAll
  static void install(ApiServer server) {
    // Thousands of writes, one line each.
    LOG.setLevel(Level.SEVERE);
    RegistryWorld.install(server);
  }

  /** With the operator held to the chart's rights, a missing one fails a test; this is the rest. */
  @AfterAll
  static void listRightsGivenInVain(ApiServer server) {
    Set<String> given = new TreeSet<>();
    server
        .kubectl(
            "get",
            "clusterrole",
            "mirror-operator-namespaced",
            "-o",
            "go-template={{range .rules}}{{$r := .}}{{range .resources}}{{$k := .}}{{range $r.verbs}}{{.}} {{$k}}{{\"\\n\"}}{{end}}{{end}}{{end}}")
        .orFail()
        .out()
        .lines()
        .filter(
            right ->
                RegistryWorld.USED.stream()
                    .anyMatch(used -> used.endsWith(" " + right.split(" ")[1])))
        .forEach(given::add);
    given.removeAll(RegistryWorld.USED);
    // Informers list and watch; here they are played. Who applies what is not there yet must be
    // allowed to create it, too. Jobs belong to lists as well.
    given.removeIf(
        right ->
            right.startsWith("list ")
                || right.startsWith("watch ")
                || right.endsWith(" jobs")
                || RegistryWorld.USED.contains(right.replace("create ", "patch ")));
    System.out.println("rights of the chart that registries made no use of: " + given);
  }

  private static RegistryWorld world(ApiServer server) {
    return new RegistryWorld(server.kubeconfig(), "registry-" + COUNT.incrementAndGet());
  }

  private static RegistryWorld settled(ApiServer server, String spec) {
    RegistryWorld world = world(server);
    world.create(spec);
    world.settle();
    world.pod();
    world.settle();
    return world;
  }

  @Test
  void anUndisturbedRegistryIsReadyAndThenNothingIsWritten(ApiServer server) {
    try (RegistryWorld world = settled(server, "{}")) {
      assertThat(world.condition("Available")).isEqualTo("True Serving");
      assertThat(world.condition("StorageHealthy")).isEqualTo("True Room");
      int before = world.writes();
      world.settle();
      assertThat(world.writes()).isEqualTo(before);
      assertThat(world.registry().getStatus().credentials().nextRotation())
          .isEqualTo("2026-01-31T00:00:00Z");
    }
  }

  // --- killed at every write ---

  private record Flow(String name, String spec, Consumer<RegistryWorld> act) {}

  private static void rotate(RegistryWorld world) {
    world.time.pass(Duration.ofHours(2));
    for (String request :
        List.of(
            Api.ROTATE_PASSWORDS, Api.ROTATE_TOKEN_KEYS, Api.ROTATE_CERTIFICATE, Api.ROTATE_CA)) {
      world.annotate(request, ROTATED_BEFORE);
    }
    for (int i = 0; i < 4; i++) {
      world.settle();
      world.time.pass(Duration.ofHours(25));
    }
    world.settle();
  }

  private static void remove(RegistryWorld world) {
    world.admin.resource(world.registry()).delete();
    world.settle();
  }

  private static void everyKill(ApiServer server, Flow flow, boolean fromTheStart) {
    RegistryWorld undisturbed = world(server);
    int writes;
    Map<String, String> objects;
    Map<String, Long> minted;
    try (undisturbed) {
      writes = run(undisturbed, flow, fromTheStart, 0, false);
      objects = undisturbed.objects();
      minted = kinds(undisturbed);
    }
    assertThat(writes).isPositive();
    // Before write n + 1 the server is as it is after write n: half of the runs say it all.
    boolean both = Integer.getInteger("mirror.rounds", 0) > 0;
    for (int n = 1; n <= writes; n++) {
      for (boolean after : n == 1 || both ? new boolean[] {false, true} : new boolean[] {true}) {
        try (RegistryWorld world = world(server)) {
          run(world, flow, fromTheStart, n, after);
          String where = flow.name() + " killed " + (after ? "after" : "before") + " write " + n;
          assertThat(world.objects()).as(where).isEqualTo(objects);
          assertThat(kinds(world)).as(where).isEqualTo(minted);
        }
      }
    }
    System.out.printf(
        "%s: killed before and after each of %d writes: the objects of an undisturbed run, %s%n",
        flow.name(), writes, minted);
  }

  private static int run(
      RegistryWorld world, Flow flow, boolean fromTheStart, int n, boolean after) {
    if (fromTheStart) {
      world.killAt(n, after);
    }
    world.create(flow.spec());
    world.settle();
    world.pod();
    world.settle();
    if (!fromTheStart) {
      world.killAt(n, after);
    }
    flow.act().accept(world);
    return world.writes();
  }

  /** How many of each kind of secret were ever made. */
  private static Map<String, Long> kinds(RegistryWorld world) {
    return world.minted.stream()
        .map(what -> what.substring(0, what.lastIndexOf(' ')))
        .collect(Collectors.groupingBy(kind -> kind, TreeMap::new, Collectors.counting()));
  }

  @Test
  void killedAtAnyWriteOfItsCreationTheRegistryIsTheSame(ApiServer server) {
    everyKill(server, new Flow("create", "{}", world -> {}), true);
  }

  @Test
  void killedAtAnyWriteOfARotationTheRegistryIsTheSame(ApiServer server) {
    everyKill(server, new Flow("rotate", "{}", RegistryIT::rotate), false);
  }

  @Test
  void killedAtAnyWriteOfItsDeletionNothingElseIsLeft(ApiServer server) {
    everyKill(
        server, new Flow("delete", "{storage: {onDelete: Delete}}", RegistryIT::remove), false);
  }

  // --- rotations ---

  @Test
  void aRotationOnRequestReplacesEverythingOnce(ApiServer server) {
    try (RegistryWorld world = settled(server, "{}")) {
      rotate(world);
      assertThat(kinds(world))
          .isEqualTo(
              Map.of(
                  "ca", 2L,
                  "key", 2L,
                  "password of admin", 2L,
                  "password of pull", 2L,
                  "password of push", 2L));
      assertThat(world.authorities()).hasSize(1);
      assertThat(world.trust().certificates()).hasSize(1);
    }
  }

  @Test
  void aNewPasswordIsHandedOutOnlyWhenEveryGatewayAcceptsIt(ApiServer server) {
    try (RegistryWorld world = settled(server, "{}")) {
      String old = RegistryWorld.text(world.secret("mirror-registry-push"), "password");
      world.reloads = false;
      world.time.pass(Duration.ofDays(31));
      world.settle();
      world.time.pass(Duration.ofDays(3));
      world.settle();
      assertThat(RegistryWorld.text(world.secret("mirror-registry-push"), "password"))
          .isEqualTo(old);
      assertThat(world.secret("mirror-registry-users").getData())
          .as("both are good, if only the gateways would read it")
          .hasSize(7);
      world.reloads = true;
      world.settle();
      assertThat(RegistryWorld.text(world.secret("mirror-registry-push"), "password"))
          .isNotEqualTo(old);
      world.time.pass(Duration.ofHours(25));
      world.settle();
      assertThat(world.secret("mirror-registry-users").getData()).hasSize(4);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 31, 91, 400})
  void afterAnAbsenceOfDaysAValidCertificateIsServedAtOnce(int days, ApiServer server) {
    try (RegistryWorld world =
        settled(server, "{certificates: {ca: {duration: 4400h, renewBefore: 1000h}}}")) {
      world.time.pass(Duration.ofDays(days));
      world.settle();
      X509Certificate leaf = world.leaf().orElseThrow();
      assertThat(leaf.getNotAfter().toInstant()).isAfter(world.time.instant());
      assertThat(world.trust().certificates())
          .anySatisfy(
              root -> {
                assertThat(CertificateAuthority.signed(root, leaf)).isTrue();
                assertThat(root.getNotAfter().toInstant()).isAfter(world.time.instant());
              });
      assertThat(kinds(world).get("ca")).isEqualTo(days == 400 ? 2L : 1L);
      for (int i = 0; i < 6; i++) {
        world.time.pass(Duration.ofHours(25));
        world.settle();
      }
      assertThat(world.authorities()).hasSize(1);
      assertThat(world.trust().certificates()).hasSize(1);
      assertThat(world.condition("CertificatesReady")).isEqualTo("True Valid");
    }
  }

  @Test
  void aCaSecretThatIsDeletedByHandIsNotMadeAnewUntilSomebodyAgrees(ApiServer server) {
    try (RegistryWorld world = settled(server, "{}")) {
      X509Certificate leaf = world.leaf().orElseThrow();
      // Roots of the same second have no order of age, and none is replaced so soon.
      world.time.pass(Duration.ofMinutes(1));
      world.admin.resource(world.authorities().getFirst()).delete();
      world.settle();
      assertThat(world.authorities()).isEmpty();
      assertThat(world.leaf()).contains(leaf);
      assertThat(world.condition("CertificatesReady")).isEqualTo("False CAKeyLost");
      assertThat(world.condition("Ready")).as("pulls go on").isEqualTo("True CAKeyLost");
      world.annotate(Api.REPLACE_LOST_CA, "true");
      world.settle();
      assertThat(world.leaf()).as("trusted first, then served").contains(leaf);
      assertThat(world.trust().certificates()).hasSize(2);
      for (int i = 0; i < 4; i++) {
        world.time.pass(Duration.ofHours(25));
        world.settle();
      }
      assertThat(world.authorities()).hasSize(1);
      assertThat(world.trust().certificates()).hasSize(1);
      assertThat(world.leaf().orElseThrow()).isNotEqualTo(leaf);
      assertThat(world.condition("CertificatesReady")).isEqualTo("True Valid");
    }
  }

  // --- deletion ---

  @Test
  void deletionIsRefusedWhileNodesPullFromItUnlessForced(ApiServer server) {
    try (RegistryWorld world = settled(server, "{}")) {
      NodeRegistryConfig config =
          ResourceFile.read(
                  """
                  apiVersion: mirrors.kubic.io/v1alpha1
                  kind: NodeRegistryConfig
                  metadata: {name: %s}
                  spec: {registryRef: {name: mirror, namespace: %s}}
                  """
                      .formatted(world.namespace, world.namespace),
                  "test.yaml",
                  NodeRegistryConfig.class)
              .getFirst();
      world.admin.resource(config).create();
      world.settle();
      Map<String, String> objects = world.objects();
      remove(world);
      assertThat(world.objects()).isEqualTo(objects);
      assertThat(world.condition("Stalled")).isEqualTo("True DeletionBlocked");
      assertThat(world.condition("Ready")).startsWith("True");
      assertThat(
              world.admin.v1().events().inNamespace(world.namespace).list().getItems().stream()
                  .map(event -> event.getReason())
                  .toList())
          .containsOnlyOnce("DeletionBlocked");
      world.admin.secrets().inNamespace(world.namespace).withName("mirror-registry-pull").delete();
      world.settle();
      assertThat(world.secret("mirror-registry-pull")).as("it is kept as before").isNotNull();
      world.annotate(Api.FORCE_DELETE, "true");
      world.settle();
      assertThat(world.registry()).isNull();
      world.admin.resource(config).delete();
    }
  }

  @Test
  void theContentIsRetainedUnlessTheSpecSaysOtherwise(ApiServer server) {
    try (RegistryWorld world = settled(server, "{}")) {
      remove(world);
      assertThat(world.objects()).containsKey("PersistentVolumeClaim mirror-registry");
    }
    try (RegistryWorld world = settled(server, "{storage: {onDelete: Delete}}")) {
      remove(world);
      // Without a controller manager a claim only waits for its protection finalizer to go.
      assertThat(
              world.admin.persistentVolumeClaims().inNamespace(world.namespace).list().getItems())
          .allSatisfy(claim -> assertThat(claim.getMetadata().getDeletionTimestamp()).isNotNull());
    }
  }

  // --- pull Secrets ---

  @Test
  void pullSecretsFollowTheSelectedNamespacesAndTouchNoForeignSecret(ApiServer server) {
    try (RegistryWorld world = world(server)) {
      String one = world.namespace + "-one";
      String two = world.namespace + "-two";
      for (String name : List.of(one, two)) {
        world
            .admin
            .resource(
                new NamespaceBuilder()
                    .withNewMetadata()
                    .withName(name)
                    .addToLabels("of", world.namespace)
                    .endMetadata()
                    .build())
            .create();
      }
      Secret foreign =
          new SecretBuilder()
              .withNewMetadata()
              .withNamespace(two)
              .withName("mirror-registry-pull")
              .endMetadata()
              .addToData("a", "YQ==")
              .build();
      world.admin.resource(foreign).create();
      world.create(
          "{auth: {pullSecret: {namespaceSelector: {matchLabels: {of: %s}}}}}"
              .formatted(world.namespace));
      world.settle();
      Secret copy = world.admin.secrets().inNamespace(one).withName("mirror-registry-pull").get();
      assertThat(copy.getType()).isEqualTo("kubernetes.io/dockerconfigjson");
      assertThat(copy.getData()).isEqualTo(world.secret("mirror-registry-pull").getData());
      assertThat(world.admin.resource(foreign).get().getData()).isEqualTo(Map.of("a", "YQ=="));
      assertThat(world.condition("PullSecretsReady")).isEqualTo("False NameTaken");
      world.admin.resource(foreign).delete();
      world.settle();
      assertThat(world.condition("PullSecretsReady")).isEqualTo("True Kept");
      assertThat(world.registry().getStatus().credentials().pullSecretNamespaces()).isEqualTo(2);
      world
          .admin
          .namespaces()
          .withName(one)
          .edit(
              namespace -> {
                namespace.getMetadata().getLabels().remove("of");
                return namespace;
              });
      world.settle();
      assertThat(world.secretsIn(one)).isEmpty();
      assertThat(world.secretsIn(two)).containsExactly("mirror-registry-pull");
      remove(world);
      assertThat(world.secretsIn(two)).isEmpty();
    }
  }

  // --- endpoint ---

  @Test
  void aNewNameIsServedBeforeItIsAnnouncedAndTheOldOneStays(ApiServer server) {
    try (RegistryWorld world = settled(server, "{}")) {
      String old = world.registry().getStatus().endpoint().url();
      world.reloads = false;
      world.patch("{\"endpoint\": {\"hostname\": \"mirror.lan\", \"type\": \"NodePort\"}}");
      world.settle();
      assertThat(SubjectNames.of(world.leaf().orElseThrow()).cover(name("mirror.lan"))).isTrue();
      assertThat(world.registry().getStatus().endpoint().url()).isEqualTo(old);
      assertThat(world.condition("Reconciling")).startsWith("True");
      world.reloads = true;
      world.settle();
      assertThat(world.registry().getStatus().endpoint().url()).startsWith("https://mirror.lan:3");
      assertThat(world.registry().getStatus().endpoint().previous())
          .singleElement()
          .satisfies(previous -> assertThat(previous.url()).isEqualTo(old));
      world.patch("{\"endpoint\": {\"type\": \"ClusterIP\", \"port\": 443}}");
      world.settle();
      assertThat(
              world
                  .admin
                  .services()
                  .inNamespace(world.namespace)
                  .withName("mirror-registry")
                  .get()
                  .getSpec()
                  .getType())
          .as("nodes may still come by the node's port")
          .isEqualTo("NodePort");
      world.time.pass(Duration.ofHours(25));
      world.settle();
      assertThat(world.registry().getStatus().endpoint().url()).isEqualTo("https://mirror.lan:443");
      assertThat(world.registry().getStatus().endpoint().previous()).isEmpty();
      world.settle();
      assertThat(
              world
                  .admin
                  .services()
                  .inNamespace(world.namespace)
                  .withName("mirror-registry")
                  .get()
                  .getSpec()
                  .getType())
          .isEqualTo("ClusterIP");
    }
  }

  @Test
  void aBalancerWithoutAnAddressIsWaitedForAtTheOldEndpoint(ApiServer server) {
    try (RegistryWorld world = settled(server, "{}")) {
      String old = world.registry().getStatus().endpoint().url();
      world.patch("{\"endpoint\": {\"type\": \"LoadBalancer\"}}");
      world.settle();
      world.rolledOut();
      world.settle();
      assertThat(world.registry().getStatus().endpoint().url()).isEqualTo(old);
      assertThat(world.condition("Ready")).isEqualTo("True Serving");
      assertThat(world.condition("Reconciling")).isEqualTo("True EndpointPending");
    }
  }

  private static SubjectNames name(String name) {
    return SubjectNames.of(List.of(name));
  }

  @Test
  void anIngressComesAndGoesWithTheType(ApiServer server) {
    try (RegistryWorld world =
        settled(server, "{endpoint: {type: Ingress, hostname: mirror.example}}")) {
      assertThat(world.objects()).containsKey("Ingress mirror-registry");
      assertThat(world.registry().getStatus().endpoint().url()).isEqualTo("https://mirror.example");
      world.patch("{\"endpoint\": {\"type\": \"ClusterIP\"}}");
      world.settle();
      assertThat(world.objects())
          .as("nodes still come by it")
          .containsKey("Ingress mirror-registry");
      world.time.pass(Duration.ofHours(25));
      world.settle();
      assertThat(world.objects()).doesNotContainKey("Ingress mirror-registry");
    }
  }

  // --- replicas ---

  @Test
  void aDisruptionBudgetComesAndGoesWithTheReplicas(ApiServer server) {
    try (RegistryWorld world =
        settled(
            server,
            "{replicas: 2, storage: {persistentVolumeClaim: {accessMode: ReadWriteMany}}}")) {
      assertThat(world.objects()).containsKey("PodDisruptionBudget mirror-registry");
      world.patch("{\"replicas\": 1}");
      world.settle();
      assertThat(world.objects()).doesNotContainKey("PodDisruptionBudget mirror-registry");
    }
  }

  // --- storage ---

  @Test
  void anEmptyVolumeUnderARegistryThatHadContentIsToldUntilItIsAccepted(ApiServer server) {
    try (RegistryWorld world = settled(server, "{}")) {
      world.volume = new RegistryProbe.Volume(50L << 30, 9L << 30, true);
      world.settle();
      world.volume = new RegistryProbe.Volume(50L << 30, 0, false);
      world.time.pass(Duration.ofHours(1));
      world.settle();
      assertThat(world.condition("StorageHealthy")).isEqualTo("False DataLost");
      assertThat(world.condition("Ready")).isEqualTo("False DataLost");
      assertThat(world.condition("Available")).isEqualTo("True Serving");
      world.annotate(Api.ACCEPT_DATA_LOSS, world.time.instant().toString());
      world.settle();
      assertThat(world.condition("Ready")).startsWith("True");
    }
  }

  @Test
  void whatTheServerRefusesIsToldAndTheRestGoesOn(ApiServer server) {
    try (RegistryWorld world = settled(server, "{}")) {
      world.annotate(Api.ROTATE_CA, "tomorrow");
      world.settle();
      assertThat(world.condition("Stalled")).isEqualTo("True InvalidSpec");
      assertThat(world.condition("Available")).isEqualTo("True Serving");
    }
  }

  // --- certificates of others ---

  private static Map<String, String> official(
      RegistryWorld world, CertificateAuthority ca, String host) {
    CertifiedKey leaf =
        ca.issue(
            new LeafRequest(host, name(host), Duration.ofDays(90), KeySpec.DEFAULT),
            new SecureRandom(),
            world.time);
    return Map.of(
        "tls.crt", leaf.chainPem(), "tls.key", leaf.keyPem(), "ca.crt", ca.certificatePem());
  }

  @Test
  void anOfficialCertificateIsServedIfItIsGoodAndElseTheOldOneStays(ApiServer server) {
    try (RegistryWorld world = world(server)) {
      CertificateAuthority ca =
          CertificateAuthority.create(
              "Official", KeySpec.DEFAULT, Duration.ofDays(3650), new SecureRandom(), world.time);
      world.create(
          "{endpoint: {hostname: mirror.example}, certificates: {issuer: {secretRef: {name: official}}}}");
      world.settle();
      assertThat(world.condition("CertificatesReady")).isEqualTo("False CertificateInvalid");
      world.secret("official", official(world, ca, "mirror.example"));
      world.settle();
      world.pod();
      world.settle();
      X509Certificate first = world.leaf().orElseThrow();
      assertThat(CertificateAuthority.signed(ca.certificate(), first)).isTrue();
      assertThat(world.condition("CertificatesReady")).isEqualTo("True Valid");
      assertThat(world.authorities()).as("no CA of our own").isEmpty();
      world.secret("official", official(world, ca, "other.example"));
      world.settle();
      assertThat(world.leaf()).contains(first);
      assertThat(world.condition("CertificatesReady")).isEqualTo("False CertificateInvalid");
      assertThat(world.condition("Ready")).startsWith("True");
      world.secret("official", official(world, ca, "mirror.example"));
      world.settle();
      assertThat(world.leaf().orElseThrow()).isNotEqualTo(first);
      assertThat(world.condition("CertificatesReady")).isEqualTo("True Valid");
    }
  }

  // --- a registry of somebody else's ---

  @Test
  void anAdoptedRegistryIsAskedAndNothingIsDeployed(ApiServer server) {
    try (RegistryWorld world = world(server)) {
      CertificateAuthority ca =
          CertificateAuthority.create(
              "Theirs", KeySpec.DEFAULT, Duration.ofDays(3650), new SecureRandom(), world.time);
      world.create("{external: {url: 'https://harbor.example', caBundleRef: {name: theirs}}}");
      world.settle();
      assertThat(world.condition("Stalled")).isEqualTo("True InvalidSpec");
      world.trust("theirs", ca.certificatePem());
      world.externalOutcome = new RegistryProbe.Unhealthy("ConnectionFailed", "no route");
      world.settle();
      assertThat(world.condition("Ready")).isEqualTo("False ConnectionFailed");
      assertThat(world.surveys).isZero();
      world.externalOutcome = new RegistryProbe.Healthy();
      world.settle();
      world.settle();
      assertThat(world.condition("Ready")).isEqualTo("True Serving");
      assertThat(world.registry().getStatus().endpoint().url()).isEqualTo("https://harbor.example");
      assertThat(world.surveys).as("it writes, so it is done once").isEqualTo(1);
      assertThat(world.objects().keySet())
          .allSatisfy(
              name -> assertThat(name).isIn("ConfigMap mirror-registry-trust", "ConfigMap theirs"));
      remove(world);
      assertThat(world.registry()).isNull();
    }
  }
}
