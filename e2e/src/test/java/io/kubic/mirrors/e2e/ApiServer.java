package io.kubic.mirrors.e2e;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPairGenerator;
import java.time.Duration;
import java.util.Base64;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;

/**
 * A real kube-apiserver with its etcd on loopback, one for the JVM, ended by a shutdown hook.
 * Nothing else of Kubernetes runs: no controllers, no garbage collection. Use a namespace per test.
 */
final class ApiServer implements BeforeAllCallback, ParameterResolver {
  private static ApiServer shared;

  private Path directory;
  private Path kubeconfig;

  @Override
  public void beforeAll(ExtensionContext context) throws Exception {
    synchronized (ApiServer.class) {
      if (shared == null) {
        start();
        shared = this;
      }
    }
  }

  @Override
  public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
    return parameter.getParameter().getType() == ApiServer.class;
  }

  @Override
  public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
    return shared;
  }

  /** Runs kubectl as the administrator. */
  Lab.Result kubectl(String... arguments) {
    return Lab.run(
        Duration.ofSeconds(30),
        Map.of("KUBECONFIG", kubeconfig.toString()),
        Lab.join(List.of(Lab.tool("kubectl")), arguments));
  }

  /** The administrator's kubeconfig. */
  Path kubeconfig() {
    return kubeconfig;
  }

  /**
   * The kinds of this project, ready to be used; another test of this server may have made them.
   */
  void installKinds() {
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "crds").orFail();
    kubectl("wait", "--for=condition=Established", "--timeout=20s", "crd", "--all").orFail();
    Lab.eventually(
        Duration.ofSeconds(20),
        "the new kinds can be listed",
        () ->
            List.of("mirrorregistries", "mirrorlists", "noderegistryconfigs").stream()
                .allMatch(kind -> kubectl("get", kind, "-A").code() == 0));
  }

  private void start() throws IOException, GeneralSecurityException {
    String etcd = Lab.tool("etcd");
    String apiServer = Lab.tool("kube-apiserver");
    Lab.tool("kubectl");
    directory = Files.createTempDirectory("apiserver");
    int client = Lab.freePort();
    int peer = Lab.freePort();
    int port = Lab.freePort();
    String token = UUID.randomUUID().toString();
    Files.writeString(directory.resolve("tokens.csv"), token + ",admin,admin,system:masters\n");
    var keys = KeyPairGenerator.getInstance("RSA");
    keys.initialize(2048);
    Files.writeString(
        directory.resolve("sa.key"),
        "-----BEGIN PRIVATE KEY-----\n"
            + Base64.getMimeEncoder()
                .encodeToString(keys.generateKeyPair().getPrivate().getEncoded())
            + "\n-----END PRIVATE KEY-----\n");
    String clientUrl = "http://127.0.0.1:" + client;
    String peerUrl = "http://127.0.0.1:" + peer;
    Process store =
        start(
            "etcd",
            List.of(
                etcd,
                "--data-dir=" + directory.resolve("etcd"),
                "--unsafe-no-fsync",
                "--log-level=warn",
                "--listen-client-urls=" + clientUrl,
                "--advertise-client-urls=" + clientUrl,
                "--listen-peer-urls=" + peerUrl,
                "--initial-advertise-peer-urls=" + peerUrl,
                "--initial-cluster=default=" + peerUrl));
    Process server =
        start(
            "kube-apiserver",
            List.of(
                apiServer,
                "--etcd-servers=" + clientUrl,
                "--bind-address=127.0.0.1",
                "--secure-port=" + port,
                "--cert-dir=" + directory.resolve("pki"),
                "--token-auth-file=" + directory.resolve("tokens.csv"),
                "--authorization-mode=RBAC",
                "--service-account-issuer=https://kubernetes.default.svc",
                "--service-account-key-file=" + directory.resolve("sa.key"),
                "--service-account-signing-key-file=" + directory.resolve("sa.key"),
                "--service-cluster-ip-range=10.0.0.0/24",
                "--endpoint-reconciler-type=none",
                "--disable-admission-plugins=ServiceAccount"));
    Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(store, server)));
    kubeconfig = directory.resolve("kubeconfig");
    Files.writeString(
        kubeconfig,
        """
        apiVersion: v1
        kind: Config
        current-context: test
        clusters: [{name: test, cluster: {server: 'https://127.0.0.1:%d', certificate-authority: '%s'}}]
        users: [{name: admin, user: {token: '%s'}}]
        contexts: [{name: test, context: {cluster: test, user: admin}}]
        """
            .formatted(port, directory.resolve("pki/apiserver.crt"), token));
    Lab.eventually(
        Duration.ofSeconds(60),
        "the API server is ready",
        () ->
            Files.exists(directory.resolve("pki/apiserver.crt"))
                && kubectl("get", "--raw", "/readyz").code() == 0);
  }

  private Process start(String name, List<String> command) throws IOException {
    return new ProcessBuilder(command)
        .redirectErrorStream(true)
        .redirectOutput(directory.resolve(name + ".log").toFile())
        .start();
  }

  private void stop(Process store, Process server) {
    for (Process process : List.of(server, store)) {
      process.destroyForcibly();
    }
    try (Stream<Path> files = Files.walk(directory)) {
      server.waitFor();
      store.waitFor();
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(file);
      }
    } catch (IOException e) {
      System.err.println("not removed: " + directory + ": " + e.getMessage());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
