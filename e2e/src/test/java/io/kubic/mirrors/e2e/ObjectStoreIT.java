package io.kubic.mirrors.e2e;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.kubic.mirrors.api.v1alpha1.Api;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus;
import java.io.IOException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.Base64;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/**
 * A registry whose content is in a bucket: what the operator writes is given to two real registries
 * on a real S3 server, as two replicas.
 */
@ExtendWith(ApiServer.class)
class ObjectStoreIT {
  private static final String MANIFEST = "application/vnd.oci.image.manifest.v1+json";
  private static final String LAYER = "application/vnd.oci.image.layer.v1.tar";
  private final HttpClient http =
      HttpClient.newBuilder().followRedirects(HttpClient.Redirect.NEVER).build();
  @TempDir private Path directory;

  @BeforeAll
  static void install(ApiServer server) {
    RegistryWorld.install(server);
  }

  @Test
  void twoReplicasOnABucketTakeServeDeleteAndSweepTheSameContent(ApiServer server)
      throws Exception {
    try (Registries registries = new Registries(directory);
        RegistryWorld world = new RegistryWorld(server.kubeconfig(), "object-store")) {
      Registries.Bucket bucket = registries.bucket("images");
      Path config = Files.writeString(directory.resolve("config.yml"), world.onBucket(bucket, 2));
      deployedAsTwo(world);
      String one = registries.asDeployed("one", config);
      String two = registries.asDeployed("two", config);
      byte[] small = random(1, 50_000);
      // Above the 10 MiB in which the driver sends parts.
      byte[] large = random(2, 25 << 20);
      String kept = image(one, two, "kept", small, large);
      String gone = image(two, one, "gone", small, random(3, 300_000));

      for (String host : List.of(one, two)) {
        whole(host, "kept", small, large);
      }
      skopeo(two);

      assertThat(Registries.send(http, to(one, "/v2/app/manifests/" + gone).DELETE()).statusCode())
          .isEqualTo(202);
      assertThat(Registries.send(http, get(two, "/v2/app/manifests/gone")).statusCode())
          .isEqualTo(404);
      long before = stored(bucket);
      sweep(config, Map.of()).orFail();
      assertThat(before - stored(bucket)).as("freed in the bucket").isBetween(300_000L, 400_000L);
      for (String host : List.of(one, two)) {
        assertThat(crane("digest", "--insecure", host + "/app:kept").line()).isEqualTo(kept);
        whole(host, "kept", small, large);
      }
      assertThat(registries.log("one") + registries.log("two")).doesNotContain(bucket.secretKey());
    }
  }

  @Test
  void aBucketOfAPrivateAuthorityIsTrustedByTheRegistryAndItsCollector(ApiServer server)
      throws Exception {
    try (Registries registries = new Registries(directory);
        RegistryWorld world = new RegistryWorld(server.kubeconfig(), "object-store-ca")) {
      Registries.Bucket bucket = registries.secureBucket("images");
      world.createOnBucket(bucket, 1, ", caBundleRef: {name: bucket-ca}");
      world.settle();
      assertThat(world.registry().getStatus().conditions())
          .anySatisfy(
              condition ->
                  assertThat(condition.message())
                      .contains(
                          "spec.storage.s3.caBundleRef: ConfigMap bucket-ca has no certificate"
                              + " under ca.crt"));
      world.trust("bucket-ca", registries.ca.certificatePem());
      world.settle();
      Path mounted = Files.createDirectories(directory.resolve("config"));
      for (var file : world.secret("mirror-registry-config").getData().entrySet()) {
        Files.write(mounted.resolve(file.getKey()), Base64.getDecoder().decode(file.getValue()));
      }
      Path config = mounted.resolve("config.yml");
      assertThat(trusted(world)).isEqualTo("/etc/mirror/registry");
      Map<String, String> environment =
          // The second, where a machine has it, is all that counts.
          Map.of("SSL_CERT_DIR", mounted.toString(), "AWS_CA_BUNDLE", "");
      String one = registries.asDeployed("one", config, environment);
      String two = registries.asDeployed("two", config, environment);
      byte[] small = random(1, 50_000);
      image(one, two, "kept", small);
      whole(two, "kept", small);
      sweep(config, environment).orFail();

      String without = registries.asDeployed("without", config);
      assertThat(Registries.send(http, get(without, "/v2/app/manifests/kept")).statusCode())
          .as("the system's certificates do not do")
          .isGreaterThanOrEqualTo(500);
      assertThat(sweep(config, Map.of()).code()).isNotZero();
    }
  }

  private static String trusted(RegistryWorld world) {
    return world
        .deployment()
        .getSpec()
        .getTemplate()
        .getSpec()
        .getInitContainers()
        .getFirst()
        .getEnv()
        .stream()
        .filter(variable -> variable.getName().equals("SSL_CERT_DIR"))
        .findFirst()
        .orElseThrow()
        .getValue();
  }

  private static Lab.Result sweep(Path config, Map<String, String> more) {
    Map<String, String> environment = new HashMap<>(more);
    environment.put("OTEL_TRACES_EXPORTER", "none");
    return Lab.run(
        Duration.ofSeconds(60),
        environment,
        List.of(Lab.tool("registry"), "garbage-collect", config.toString()));
  }

  @Test
  void aPodWithAWrongKeyIsNeverReadySoTheOldOnesStay(ApiServer server) throws Exception {
    try (Registries registries = new Registries(directory);
        RegistryWorld world = new RegistryWorld(server.kubeconfig(), "object-store-key")) {
      Registries.Bucket bucket = registries.bucket("images");
      String config =
          world.onBucket(
              new Registries.Bucket(
                  bucket.endpoint(),
                  bucket.name(),
                  bucket.accessKey(),
                  "not-the-key",
                  bucket.content()),
              2);
      Path gateway = Files.createDirectories(directory.resolve("gateway"));
      assertThatThrownBy(() -> new GatewayLab(gateway, config, Duration.ofSeconds(5)).close())
          .hasMessageContaining("the registry does not reach its storage")
          .hasMessageNotContaining("not-the-key");
    }
  }

  @Test
  void whatABucketHoldsIsCountedByACollectionAndTold(ApiServer server) throws Exception {
    Path files = Files.createDirectories(directory.resolve("gateway"));
    try (Registries registries = new Registries(directory);
        RegistryWorld world = new RegistryWorld(server.kubeconfig(), "object-store-contents")) {
      Registries.Bucket bucket = registries.bucket("images");
      String config = world.onBucket(bucket, 1);
      world.rolledOut();
      world.settle();
      assertThat(world.registry().getStatus().contents()).as("nothing was counted yet").isNull();
      try (GatewayLab lab = new GatewayLab(files, config, Duration.ofSeconds(30));
          HttpClient client = lab.client()) {
        Collector.login(lab);
        Files.writeString(files.resolve("in-use"), "");
        RandomGraph graph = new RandomGraph(lab, client, "app");
        graph.grow(new Random(1));
        graph.grow(new Random(2));
        new RandomGraph(lab, client, "index").sparse(new Random(3));
        counted(world, bucket, Collector.inFrontOfABucket(lab, "--dry-run"));
        JsonNode report = Collector.inFrontOfABucket(lab);
        assertThat(report.path("deleted").asInt()).isPositive();
        counted(world, bucket, report);
      }
    }
  }

  /** Ends the operator's own Job with the report of a real one. */
  private static void counted(RegistryWorld world, Registries.Bucket bucket, JsonNode report)
      throws IOException {
    world.upkeep().forEach(job -> world.admin.resource(job).delete());
    world.time.pass(Duration.ofMinutes(1));
    world.annotate(Api.COLLECT_GARBAGE, world.time.instant().toString());
    world.settle();
    world.time.pass(Duration.ofMinutes(2));
    world.finish(world.upkeep().getFirst().getMetadata().getName(), 0, report.toString());
    world.settle();
    MirrorRegistryStatus status = world.registry().getStatus();
    long bytes = 0;
    long tags = 0;
    Set<String> repositories = new TreeSet<>();
    try (var all = Files.walk(bucket.content())) {
      for (Path file : all.filter(Files::isRegularFile).toList()) {
        String key = bucket.content().relativize(file).toString();
        bytes += key.contains("/v2/blobs/") ? Files.size(file) : 0;
        tags += key.endsWith("/current/link") ? 1 : 0;
        int manifests = key.indexOf("/_manifests/revisions/");
        if (manifests > 0) {
          repositories.add(key.substring(0, manifests));
        }
      }
    }
    assertThat(status.contents())
        .isEqualTo(
            new MirrorRegistryStatus.Contents(
                (long) repositories.size(), tags, bytes, status.garbageCollection().lastRun()));
    assertThat(status.storage().used()).isEqualTo("1Mi");
    assertThat(status.storage().capacity()).as("a bucket has none").isNull();
    assertThat(world.condition("StorageHealthy")).isEqualTo("Unknown NotMeasured");
    int before = world.writes();
    world.settle();
    assertThat(world.writes()).as("idle").isEqualTo(before);
  }

  private static void deployedAsTwo(RegistryWorld world) {
    Deployment deployment = world.deployment();
    assertThat(deployment.getSpec().getReplicas()).isEqualTo(2);
    assertThat(deployment.getSpec().getStrategy().getRollingUpdate().getMaxUnavailable())
        .isEqualTo(new io.fabric8.kubernetes.api.model.IntOrString(0));
    assertThat(deployment.getSpec().getTemplate().getSpec().getVolumes())
        .as("nothing of it is on a node or a claim")
        .noneMatch(volume -> volume.getName().equals("storage"));
    assertThat(deployment.getSpec().getTemplate().getSpec().getAffinity().getPodAntiAffinity())
        .isNotNull();
    assertThat(world.objects())
        .containsKey("PodDisruptionBudget mirror-registry")
        .doesNotContainKey("PersistentVolumeClaim mirror-registry");
    assertThat(
            world
                .admin
                .network()
                .v1()
                .networkPolicies()
                .inNamespace(world.namespace)
                .withName("mirror-registry")
                .get()
                .getSpec()
                .getPolicyTypes())
        .as("the bucket can be reached")
        .containsExactly("Ingress");
    assertThat(world.condition("Ready")).startsWith("True");
  }

  /** Pushes an image of two layers; each upload begins at one replica and ends at the other. */
  private String image(String one, String two, String tag, byte[]... layers) throws Exception {
    StringBuilder list = new StringBuilder();
    for (byte[] layer : layers) {
      list.append(list.isEmpty() ? "" : ",").append(blob(one, two, LAYER, layer));
    }
    byte[] config =
        "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[%s]}}"
            .formatted(diffIds(layers))
            .getBytes(StandardCharsets.UTF_8);
    byte[] manifest =
        "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":%s,\"layers\":[%s]}"
            .formatted(
                MANIFEST, blob(one, two, "application/vnd.oci.image.config.v1+json", config), list)
            .getBytes(StandardCharsets.UTF_8);
    HttpResponse<byte[]> put =
        Registries.send(
            http,
            to(two, "/v2/app/manifests/" + tag)
                .header("Content-Type", MANIFEST)
                .PUT(HttpRequest.BodyPublishers.ofByteArray(manifest)));
    assertThat(put.statusCode()).as(text(put)).isEqualTo(201);
    return sha256(manifest);
  }

  private static String diffIds(byte[]... layers) throws Exception {
    StringBuilder ids = new StringBuilder();
    for (byte[] layer : layers) {
      ids.append(ids.isEmpty() ? "" : ",").append('"').append(sha256(layer)).append('"');
    }
    return ids.toString();
  }

  private String blob(String one, String two, String type, byte[] content) throws Exception {
    String host = one;
    HttpResponse<byte[]> answer =
        Registries.send(
            http, to(one, "/v2/app/blobs/uploads/").POST(HttpRequest.BodyPublishers.noBody()));
    for (int from = 0; from < content.length; ) {
      int to = Math.min(content.length, from + (12 << 20));
      answer =
          Registries.send(
              http,
              to(host, location(answer))
                  .header("Content-Range", from + "-" + (to - 1))
                  .header("Content-Type", "application/octet-stream")
                  .method(
                      "PATCH", HttpRequest.BodyPublishers.ofByteArray(content, from, to - from)));
      assertThat(answer.statusCode()).as(text(answer)).isEqualTo(202);
      from = to;
      host = host.equals(one) ? two : one;
    }
    String digest = sha256(content);
    String at = location(answer);
    answer =
        Registries.send(
            http,
            to(host, at + (at.indexOf('?') < 0 ? '?' : '&') + "digest=" + digest)
                .PUT(HttpRequest.BodyPublishers.noBody()));
    assertThat(answer.statusCode()).as(text(answer)).isEqualTo(201);
    return "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%d}"
        .formatted(type, digest, content.length);
  }

  private static String location(HttpResponse<byte[]> answer) {
    String location = answer.headers().firstValue("Location").orElseThrow();
    assertThat(location).as("relative: nodes come by another name").startsWith("/v2/");
    return location;
  }

  /** An image as a client gets it who follows no redirect. */
  private void whole(String host, String tag, byte[]... layers) throws Exception {
    assertThat(Registries.send(http, get(host, "/v2/app/manifests/" + tag)).statusCode())
        .isEqualTo(200);
    for (byte[] layer : layers) {
      HttpResponse<byte[]> blob =
          Registries.send(http, get(host, "/v2/app/blobs/" + sha256(layer)));
      assertThat(blob.statusCode()).as("never a redirect into the bucket").isEqualTo(200);
      assertThat(blob.body()).isEqualTo(layer);
    }
  }

  private static Lab.Result crane(String... arguments) {
    return Lab.run(
            Duration.ofSeconds(60), Map.of(), Lab.join(List.of(Lab.tool("crane")), arguments))
        .orFail();
  }

  private void skopeo(String host) {
    Path skopeo = Path.of("/usr/bin/skopeo");
    Lab.require(Files.isExecutable(skopeo), "skopeo is not installed");
    Lab.run(
            Duration.ofSeconds(60),
            Map.of(),
            List.of(
                skopeo.toString(),
                "copy",
                "-q",
                "--src-tls-verify=false",
                "docker://" + host + "/app:kept",
                "dir:" + directory.resolve("skopeo")))
        .orFail();
  }

  private static long stored(Registries.Bucket bucket) throws IOException {
    try (var files = Files.walk(bucket.content())) {
      return files.filter(Files::isRegularFile).mapToLong(file -> file.toFile().length()).sum();
    }
  }

  private static HttpRequest.Builder get(String host, String path) {
    return to(host, path).header("Accept", MANIFEST).GET();
  }

  private static HttpRequest.Builder to(String host, String path) {
    return Registries.to("http://" + host + path);
  }

  private static String text(HttpResponse<byte[]> answer) {
    return new String(answer.body(), StandardCharsets.UTF_8);
  }

  private static byte[] random(int seed, int size) {
    byte[] bytes = new byte[size];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }

  private static String sha256(byte[] content) throws Exception {
    return "sha256:"
        + HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
  }
}
