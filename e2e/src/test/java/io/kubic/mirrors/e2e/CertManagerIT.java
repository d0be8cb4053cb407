package io.kubic.mirrors.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.kubic.mirrors.pki.CertificateAuthority;
import io.kubic.mirrors.pki.CertificateBundle;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.logging.Level;
import java.util.logging.Logger;
import javax.net.ssl.SSLSocket;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/**
 * Certificates by cert-manager's own controllers and kinds, on a real API server and in real time:
 * asked for, served by a real gateway, renewed under it.
 */
@ExtendWith(ApiServer.class)
class CertManagerIT {
  private static final String MODULE = "github.com/cert-manager/cert-manager";
  private static final Logger LOG = Logger.getLogger("io.kubic.mirrors");

  /** Issuers in a registry's namespace: a CA with a root that signs itself. */
  private static final String CORPORATE =
      """
      apiVersion: cert-manager.io/v1
      kind: Issuer
      metadata: {name: self-signed}
      spec: {selfSigned: {}}
      ---
      apiVersion: cert-manager.io/v1
      kind: Certificate
      metadata: {name: root}
      spec:
        isCA: true
        commonName: Corporate
        secretName: root
        privateKey: {algorithm: ECDSA, size: 256}
        issuerRef: {name: self-signed}
      ---
      apiVersion: cert-manager.io/v1
      kind: Issuer
      metadata: {name: corporate}
      spec: {ca: {secretName: root}}
      """;

  @TempDir private Path directory;

  @BeforeAll
  static void install(ApiServer server) {
    LOG.setLevel(Level.SEVERE);
    RegistryWorld.install(server);
  }

  @Test
  void itsCertificateIsServedAndARenewedOneToo(ApiServer server) throws Exception {
    try (RegistryWorld world = new RegistryWorld(server.kubeconfig(), "cert-manager")) {
      now(world);
      // cert-manager renews it after half a minute.
      world.create(
          "{endpoint: {hostname: mirror.example}, certificates: {duration: 60s, renewBefore: 29s, issuer: {certManager: {name: corporate, kind: Issuer}}}}");
      world.settle();
      assertThat(world.condition("CertificatesReady")).isEqualTo("False CertificateInvalid");
      assertThat(message(world)).contains("this cluster has no cert-manager");
      kinds(server);
      Process manager = start(server);
      try {
        world.settle();
        assertThat(message(world))
            .as("there is no issuer")
            .contains("does not exist yet", "Issuer corporate");
        assertThat(world.leaf()).as("nothing of our own instead").isEmpty();
        assertThat(world.authorities()).isEmpty();
        assertThat(world.condition("Ready")).startsWith("False");
        GenericKubernetesResource asked = certificate(world);
        assertThat(asked.getMetadata().getOwnerReferences()).hasSize(1);

        apply(server, world.namespace, CORPORATE);
        eventually(world, () -> world.condition("CertificatesReady").equals("True Valid"));
        X509Certificate first = world.leaf().orElseThrow();
        X509Certificate root = root(world);
        assertThat(CertificateAuthority.signed(root, first)).isTrue();
        assertThat(root.getSubjectX500Principal().getName()).isEqualTo("CN=Corporate");
        assertThat(first.getSubjectAlternativeNames())
            .anySatisfy(name -> assertThat(name).isEqualTo(List.of(2, "mirror.example")));
        assertThat(world.authorities()).as("no CA of our own").isEmpty();

        world.pod();
        try (GatewayLab lab = new GatewayLab(Files.createDirectories(directory.resolve("lab")))) {
          mount(world, lab);
          eventually(world, () -> first.equals(served(lab, root)));
          eventually(
              world,
              () -> {
                mount(world, lab);
                X509Certificate shown = served(lab, root);
                return shown != null && !shown.equals(first);
              });
          X509Certificate second = world.leaf().orElseThrow();
          assertThat(second.getPublicKey()).as("a new key, too").isNotEqualTo(first.getPublicKey());
          assertThat(second.getNotAfter()).isAfter(first.getNotAfter());
          assertThat(root(world)).as("the same root").isEqualTo(root);
          assertThat(world.condition("CertificatesReady")).isEqualTo("True Valid");
        }
        assertThat(certificate(world).getMetadata().getGeneration())
            .as("asked once, and not again with other words")
            .isEqualTo(asked.getMetadata().getGeneration());
      } finally {
        manager.destroy();
        assertThat(manager.waitFor(20, TimeUnit.SECONDS)).isTrue();
      }
      now(world);
      world.settle();
      int before = world.writes();
      world.settle();
      assertThat(world.writes()).as("idle").isEqualTo(before);
    }
  }

  /** The kinds out of cert-manager's module. */
  private static void kinds(ApiServer server) throws IOException {
    Path tool = Path.of(Lab.tool("cert-manager")).toRealPath();
    // Built of this version, which is the name of its directory in the cache.
    String version = String.valueOf(tool.getParent().getFileName());
    Lab.Result module =
        Lab.run(
                Duration.ofMinutes(2),
                Map.of("GOFLAGS", "-mod=mod"),
                List.of("go", "mod", "download", "-json", MODULE + "@" + version))
            .orFail();
    Path files = Path.of(new ObjectMapper().readTree(module.out()).path("Dir").asText());
    server
        .kubectl("apply", "--server-side", "-f", files.resolve("deploy/crds").toString())
        .orFail();
    server.kubectl("wait", "--for=condition=Established", "--timeout=20s", "crd", "--all").orFail();
    Lab.eventually(
        Duration.ofSeconds(30),
        "certificates and their issuers can be listed",
        () ->
            List.of("certificates", "certificaterequests", "issuers", "clusterissuers").stream()
                .allMatch(
                    kind -> server.kubectl("get", kind + ".cert-manager.io", "-A").code() == 0));
  }

  private Process start(ApiServer server) throws IOException {
    return new ProcessBuilder(Lab.tool("cert-manager"), server.kubeconfig().toString())
        .redirectErrorStream(true)
        .redirectOutput(directory.resolve("cert-manager.log").toFile())
        .start();
  }

  private void apply(ApiServer server, String namespace, String objects) throws IOException {
    Path file = Files.writeString(directory.resolve("objects.yaml"), objects);
    server.kubectl("apply", "-n", namespace, "-f", file.toString()).orFail();
  }

  /** What a registry's certificate is asked for with. */
  private static GenericKubernetesResource certificate(RegistryWorld world) {
    return world
        .admin
        .genericKubernetesResources("cert-manager.io/v1", "Certificate")
        .inNamespace(world.namespace)
        .withName("mirror-registry-cert-manager")
        .get();
  }

  /** Sets the world's clock to that of cert-manager. */
  private static void now(RegistryWorld world) {
    world.time.pass(Duration.between(world.time.instant(), Instant.now()));
  }

  /** Reconciles until then, as the operator does now and then. */
  private void eventually(RegistryWorld world, BooleanSupplier condition) {
    Lab.eventually(
        Duration.ofMinutes(3),
        "it is " + message(world) + "; cert-manager's log is in " + directory,
        () -> {
          now(world);
          world.settle();
          return condition.getAsBoolean();
        });
  }

  private static String message(RegistryWorld world) {
    return world.registry().getStatus().conditions().stream()
        .filter(condition -> condition.type().equals("CertificatesReady"))
        .map(condition -> String.valueOf(condition.message()))
        .findFirst()
        .orElse("none");
  }

  private static X509Certificate root(RegistryWorld world) {
    CertificateBundle trust = world.trust();
    assertThat(trust.certificates()).hasSize(1);
    return trust.certificates().getFirst();
  }

  /** As the kubelet does it with the Secret: each file is new at once. */
  private static void mount(RegistryWorld world, GatewayLab lab) {
    try {
      for (String name : List.of("tls.crt", "tls.key")) {
        Path file = lab.directory.resolve("new-" + name);
        Files.writeString(file, RegistryWorld.text(world.secret("mirror-registry-tls"), name));
        Files.move(
            file, lab.directory.resolve("tls").resolve(name), StandardCopyOption.ATOMIC_MOVE);
      }
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  /** What a gateway shows to somebody who trusts that root only; null while he does not. */
  private static X509Certificate served(GatewayLab lab, X509Certificate root) {
    try {
      try (SSLSocket socket =
          (SSLSocket)
              Lab.trust(root)
                  .getSocketFactory()
                  .createSocket(InetAddress.getLoopbackAddress(), lab.gateway.port())) {
        socket.startHandshake();
        return (X509Certificate) socket.getSession().getPeerCertificates()[0];
      }
    } catch (IOException e) {
      return null;
    } catch (java.security.GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }
}
