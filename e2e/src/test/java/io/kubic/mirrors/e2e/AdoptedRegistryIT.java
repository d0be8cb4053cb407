package io.kubic.mirrors.e2e;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.api.v1alpha1.Api;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus.Capabilities;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus.Capability;
import io.kubic.mirrors.controller.registry.HttpRegistryProbe;
import io.kubic.mirrors.oci.registry.Transport;
import io.kubic.mirrors.pki.CertificateAuthority;
import io.kubic.mirrors.pki.KeySpec;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import okhttp3.OkHttpClient;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Real registries of other origin and age, adopted: what is said of them is what they do. */
@ExtendWith(ApiServer.class)
class AdoptedRegistryIT {
  private static final String MANIFEST = "application/vnd.oci.image.manifest.v1+json";
  private static final String INDEX = "application/vnd.oci.image.index.v1+json";
  private static final String CONFIG = "application/vnd.oci.image.config.v1+json";
  private static final String OF_ALL_AGES = "storage: {filesystem: {rootdirectory: '@STORAGE@'}, ";

  @BeforeAll
  static void install(ApiServer server) {
    RegistryWorld.install(server);
  }

  @Test
  void theReportOfWhatARegistryCanIsWhatItDoes(ApiServer server, @TempDir Path directory)
      throws Exception {
    try (Registries registries = new Registries(directory);
        Transport transport = Transport.standard("it")) {
      Map<String, String> hosts = new LinkedHashMap<>();
      hosts.put("distribution-2-8", registries.distribution2("d2", registries.withPassword()));
      hosts.put(
          "distribution-2-8-deleting",
          registries.distribution2(
              "d2d", registries.withPassword() + OF_ALL_AGES + "delete: {enabled: true}}\n"));
      hosts.put("distribution-3-1", registries.distribution3("d3", registries.withPassword()));
      hosts.put(
          "distribution-3-1-sparse",
          registries.distribution3(
              "d3s",
              OF_ALL_AGES
                  + "delete: {enabled: true}}\n"
                  + "validation: {manifests: {indexes: {platforms: none}}}\n"));
      hosts.put("ggcr", registries.ggcr("ggcr", false));
      hosts.put("ggcr-referrers", registries.ggcr("ggcr-referrers", true));
      for (Map.Entry<String, String> entry : hosts.entrySet()) {
        Capabilities truth = truth(registries.client(), entry.getValue());
        System.out.println(entry.getKey() + " does: " + truth);
        try (RegistryWorld world = adopted(server, registries, transport, entry)) {
          assertThat(world.condition("Ready")).as(entry.getKey()).isEqualTo("True Serving");
          assertThat(world.registry().getStatus().capabilities())
              .as(entry.getKey())
              .isEqualTo(truth);
        }
      }
    }
  }

  @Test
  void whyARegistryCannotBeUsedIsSaidAsItIs(ApiServer server, @TempDir Path directory)
      throws Exception {
    try (Registries registries = new Registries(directory);
        Transport transport = Transport.standard("it")) {
      String host = registries.distribution2("d2", registries.withPassword());
      try (RegistryWorld world =
          adopted(server, registries, transport, Map.entry("honest", host))) {
        assertThat(world.condition("Ready")).isEqualTo("True Serving");
        world.secret("theirs", Map.of(".dockerconfigjson", Registries.dockerConfig(host, "wrong")));
        world.settle();
        assertThat(world.condition("Ready")).isEqualTo("False Unauthorized");
        world.secret(
            "theirs",
            Map.of(".dockerconfigjson", Registries.dockerConfig(host, Registries.PASSWORD)));
        world.settle();
        assertThat(world.condition("Ready")).isEqualTo("True Serving");
        world.trust(
            "theirs",
            CertificateAuthority.create(
                    "Another", KeySpec.DEFAULT, Duration.ofDays(30), new SecureRandom(), world.time)
                .certificatePem());
        world.settle();
        assertThat(world.condition("Ready")).isEqualTo("False TLSVerification");
        world.trust("theirs", registries.ca.certificatePem());
        world.settle();
        assertThat(world.condition("Ready")).isEqualTo("True Serving");
        registries.stop();
        world.settle();
        assertThat(world.condition("Ready")).isEqualTo("False ConnectionFailed");
        assertThat(world.registry().getStatus().capabilities())
            .as("what was found is still true of it")
            .isNotNull();
      }
    }
  }

  @Test
  void withoutAPasswordForPushingNothingIsWrittenAndNothingIsClaimed(
      ApiServer server, @TempDir Path directory) throws Exception {
    try (Registries registries = new Registries(directory);
        Transport transport = Transport.standard("it");
        RegistryWorld world = new RegistryWorld(server.kubeconfig(), "adopted-reading")) {
      String host = registries.ggcr("ggcr", true);
      world.real = new HttpRegistryProbe(new OkHttpClient(), transport);
      world.trust("theirs", registries.ca.certificatePem());
      world.create("{external: {url: 'https://%s', caBundleRef: {name: theirs}}}".formatted(host));
      world.settle();
      assertThat(world.condition("Ready")).isEqualTo("True Serving");
      assertThat(world.registry().getStatus().capabilities())
          .isEqualTo(
              new Capabilities(
                  Capability.Unknown, Capability.Unknown, Capability.Unknown, Capability.Unknown));
      assertThat(registries.log("ggcr")).doesNotContain("POST", "PUT");
      world.annotate(Api.RECONCILE_AT, "again");
      world.settle();
      assertThat(registries.log("ggcr")).doesNotContain("POST", "PUT");
    }
  }

  private static RegistryWorld adopted(
      ApiServer server,
      Registries registries,
      Transport transport,
      Map.Entry<String, String> registry) {
    RegistryWorld world = new RegistryWorld(server.kubeconfig(), "adopted-" + registry.getKey());
    world.real = new HttpRegistryProbe(new OkHttpClient(), transport);
    world.trust("theirs", registries.ca.certificatePem());
    world.secret(
        "theirs",
        Map.of(
            ".dockerconfigjson",
            Registries.dockerConfig(registry.getValue(), Registries.PASSWORD)));
    world.create(
        "{external: {url: 'https://%s', caBundleRef: {name: theirs}, pushSecretRef: {name: theirs}}}"
            .formatted(registry.getValue()));
    world.settle();
    return world;
  }

  // --- what it does, found by plain requests ---

  private static Capabilities truth(HttpClient http, String host) throws Exception {
    String v2 = "https://" + host + "/v2/";
    byte[] config = "{\"architecture\":\"amd64\",\"os\":\"linux\"}".getBytes(UTF_8);
    HttpResponse<byte[]> begun = post(http, v2 + "truth/a/blobs/uploads/");
    String location = begun.headers().firstValue("Location").orElseThrow();
    String upload = location.startsWith("/") ? "https://" + host + location : location;
    assertThat(
            Registries.send(
                    http,
                    Registries.to(
                            upload
                                + (upload.contains("?") ? "&" : "?")
                                + "digest="
                                + sha256(config))
                        .header("Content-Type", "application/octet-stream")
                        .PUT(HttpRequest.BodyPublishers.ofByteArray(config)))
                .statusCode())
        .isEqualTo(201);
    int mounted =
        post(http, v2 + "truth/b/blobs/uploads/?mount=" + sha256(config) + "&from=truth/a")
            .statusCode();
    String descriptor =
        "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%d}"
            .formatted(CONFIG, sha256(config), config.length);
    byte[] image =
        "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":%s,\"layers\":[]}"
            .formatted(MANIFEST, descriptor)
            .getBytes(UTF_8);
    assertThat(put(http, v2 + "truth/a/manifests/", MANIFEST, image)).isEqualTo(201);
    byte[] sparse =
        "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":9,\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}}]}"
            .formatted(INDEX, MANIFEST, sha256(new byte[9]))
            .getBytes(UTF_8);
    int sparseIndex = put(http, v2 + "truth/a/manifests/", INDEX, sparse);
    byte[] artifact =
        "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"artifactType\":\"application/x-it\",\"config\":%s,\"layers\":[],\"subject\":{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%d}}"
            .formatted(MANIFEST, descriptor, MANIFEST, sha256(image), image.length)
            .getBytes(UTF_8);
    put(http, v2 + "truth/a/manifests/", MANIFEST, artifact);
    HttpResponse<byte[]> referrers =
        Registries.send(http, Registries.to(v2 + "truth/a/referrers/" + sha256(image)).GET());
    boolean listed =
        referrers.statusCode() == 200
            && new String(referrers.body(), UTF_8).contains(sha256(artifact));
    int deleted =
        Registries.send(http, Registries.to(v2 + "truth/a/manifests/" + sha256(image)).DELETE())
            .statusCode();
    return new Capabilities(
        said(deleted == 202), said(mounted == 201), said(sparseIndex == 201), said(listed));
  }

  private static Capability said(boolean supported) {
    return supported ? Capability.Supported : Capability.Unsupported;
  }

  private static HttpResponse<byte[]> post(HttpClient http, String url) throws Exception {
    return Registries.send(http, Registries.to(url).POST(HttpRequest.BodyPublishers.noBody()));
  }

  private static int put(HttpClient http, String path, String type, byte[] manifest)
      throws Exception {
    return Registries.send(
            http,
            Registries.to(path + sha256(manifest))
                .header("Content-Type", type)
                .PUT(HttpRequest.BodyPublishers.ofByteArray(manifest)))
        .statusCode();
  }

  private static String sha256(byte[] content) throws Exception {
    return "sha256:"
        + HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
  }
}
