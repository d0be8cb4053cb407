package io.kubic.mirrors.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.kubic.mirrors.api.v1alpha1.MirrorListStatus;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Lists that go into a bucket and come out of it, by the Jobs of a real API server. */
@ExtendWith(ApiServer.class)
class BundleListIT {
  private static final AtomicInteger COUNT = new AtomicInteger();

  @TempDir private Path directory;
  private LocalRegistry source;
  private LocalRegistry target;
  private Registries servers;
  private Registries.Bucket bucket;
  private ListWorld world;

  @BeforeAll
  static void install(ApiServer server) {
    server.installKinds();
  }

  @BeforeEach
  void start(ApiServer server) throws Exception {
    source = LocalRegistry.start(directory, "source", "");
    target = LocalRegistry.start(directory, "target", "");
    servers = new Registries(Files.createDirectories(directory.resolve("servers")));
    bucket = servers.secureBucket("carried");
    world = new ListWorld(server, "bundle-list-" + COUNT.incrementAndGet(), directory, target);
    Path layer = Files.write(directory.resolve("layer.tar"), new byte[10_240]);
    Lab.run(
            Duration.ofSeconds(30),
            Map.of(),
            List.of(
                Lab.tool("crane"),
                "append",
                "--insecure",
                "--oci-empty-base",
                "-f",
                layer.toString(),
                "-t",
                source.host() + "/app:1"))
        .orFail();
    world.apply(
        """
        apiVersion: v1
        kind: Secret
        metadata: {name: keys}
        stringData: {accessKey: %s, secretKey: %s}
        ---
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: authority}
        data:
          ca.crt: |
        %s
        """
            .formatted(
                bucket.accessKey(),
                bucket.secretKey(),
                Files.readString(servers.caFile()).indent(4)));
  }

  @AfterEach
  void stop() {
    world.close();
    servers.close();
    source.close();
    target.close();
  }

  private String place(String directory) {
    return "{s3: {bucket: carried, endpoint: '%s', forcePathStyle: true, rootDirectory: %s,"
            .formatted(bucket.endpoint(), directory)
        + " credentialsSecretRef: {name: keys}, caBundleRef: {name: authority}}}";
  }

  private void apply(String spec) {
    world.apply(
        "apiVersion: mirrors.kubic.io/v1alpha1\nkind: MirrorList\nmetadata: {name: list}\nspec: {"
            + spec
            + "}\n");
  }

  @Test
  void whatOneListExportsIntoABucketAnotherOneImports() throws Exception {
    apply(
        "sources: [{registry: '%s', tls: {plainHTTP: true}, images: ['app:1']}], export: {target: %s}"
            .formatted(source.host(), place("bundles")));
    world.work();
    MirrorListStatus exported =
        world.await("exported", status -> status.bundle() != null && status.bundle().ref() != null);
    assertThat(ListWorld.condition(exported, "Ready")).startsWith("True");
    Path made = bucket.content().resolve("bundles").resolve(exported.bundle().ref());
    assertThat(made.resolve("SHA256SUMS")).exists();

    apply(
        "registryRef: {name: mirror}, sources: null, export: null, prune: {mode: Delete}, import: {source: %s}"
            .formatted(place("bundles/" + exported.bundle().ref())));
    world.work();
    MirrorListStatus imported =
        world.await(
            "imported",
            status ->
                status.bundle() != null
                    && status.bundle().ref() != null
                    && !status.bundle().ref().equals(exported.bundle().ref()));
    assertThat(ListWorld.condition(imported, "Ready")).startsWith("True");
    assertThat(imported.bundle().id()).isEqualTo(exported.bundle().id());
    aDeltaTakesTheReceiptFromItsConfigMap(imported);
    try (Stream<Path> all = Files.walk(target.storage())) {
      assertThat(all.filter(path -> path.endsWith("app/_manifests/tags/1/current/link")))
          .isNotEmpty();
    }
  }

  /** As an administrator carries it: {@code kubectl get} there, {@code kubectl apply} here. */
  private void aDeltaTakesTheReceiptFromItsConfigMap(MirrorListStatus imported)
      throws InterruptedException {
    Lab.eventually(Duration.ofSeconds(20), "the receipt is there", () -> receipt() != null);
    ConfigMap receipt = receipt();
    assertThat(receipt.getData()).containsOnlyKeys("receipt.json");
    assertThat(receipt.getData().get("receipt.json")).contains(imported.bundle().id());
    assertThat(receipt.getMetadata().getOwnerReferences()).hasSize(1);
    world.assertIdle();
    assertThat(receipt().getMetadata().getResourceVersion())
        .isEqualTo(receipt.getMetadata().getResourceVersion());

    apply(
        "sources: [{registry: '%s', tls: {plainHTTP: true}, images: ['app:1']}], import: null, export:"
                .formatted(source.host())
            + " {target: %s, mode: Delta, baseReceiptRef: {name: list-receipt}}"
                .formatted(place("bundles")));
    world.work();
    MirrorListStatus delta =
        world.await(
            "the delta", status -> status.bundle() != null && status.bundle().base() != null);
    assertThat(ListWorld.condition(delta, "Ready")).startsWith("True");
    assertThat(delta.bundle().images()).as("nothing is new").isZero();
    assertThat(delta.bundle().bytes()).isZero();
  }

  private ConfigMap receipt() {
    return world.admin.configMaps().inNamespace(world.namespace).withName("list-receipt").get();
  }

  @Test
  void aBucketThatRefusesTheKeysIsSaidInTheStatusWithoutThem() {
    world.apply(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\n"
            + "stringData: {accessKey: it-access, secretKey: not-the-secret}\n");
    apply(
        "sources: [{registry: '%s', tls: {plainHTTP: true}, images: ['app:1']}], export: {target: %s}"
            .formatted(source.host(), place("bundles")));
    world.work();
    MirrorListStatus status =
        world.await(
            "failed", s -> ListWorld.condition(s, "Ready").startsWith("False Unauthorized"));
    assertThat(status.toString())
        .contains("s3://carried: " + bucket.endpoint() + " does not know these keys")
        .doesNotContain("not-the-secret");
  }
}
