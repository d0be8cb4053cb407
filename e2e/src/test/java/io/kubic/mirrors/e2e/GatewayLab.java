package io.kubic.mirrors.e2e;

import io.kubic.mirrors.gateway.Gateway;
import io.kubic.mirrors.gateway.TokenKeys;
import io.kubic.mirrors.pki.CertificateAuthority;
import io.kubic.mirrors.pki.CertifiedKey;
import io.kubic.mirrors.pki.KeySpec;
import io.kubic.mirrors.pki.LeafRequest;
import io.kubic.mirrors.pki.SubjectNames;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.junit.jupiter.api.Assumptions;

/** A real registry behind a gateway, on loopback, with the users admin, push and pull. */
final class GatewayLab implements AutoCloseable {
  private static final Duration START = Duration.ofSeconds(30);
  final SecureRandom random = new SecureRandom();
  final Clock clock = Clock.systemUTC();
  final ByteArrayOutputStream audit = new ByteArrayOutputStream();

  /** Told each audit line by the thread that answers. */
  volatile Consumer<String> decisions = line -> {};

  final Path directory;
  final CertificateAuthority ca;
  final Gateway gateway;
  final int backend;
  private final Process registry;

  GatewayLab(Path directory) throws Exception {
    this(directory, distributionConfig(directory.resolve("storage")), START);
  }

  /**
   * @param distribution the registry's configuration, but for its address
   * @param start how long it may take to be ready
   */
  GatewayLab(Path directory, String distribution, Duration start) throws Exception {
    this.directory = directory;
    backend = Lab.freePort();
    Path config = directory.resolve("config.yml");
    Files.writeString(config, distribution);
    ProcessBuilder builder =
        new ProcessBuilder(tool("registry").toString(), "serve", config.toString())
            .redirectErrorStream(true)
            .redirectOutput(directory.resolve("registry.log").toFile());
    builder.environment().put("OTEL_TRACES_EXPORTER", "none");
    builder.environment().put("REGISTRY_HTTP_ADDR", "127.0.0.1:" + backend);
    registry = builder.start();
    ca = CertificateAuthority.create("it", KeySpec.DEFAULT, Duration.ofDays(30), random, clock);
    Files.writeString(directory.resolve("ca.crt"), ca.certificatePem());
    Path tls = Files.createDirectories(directory.resolve("tls"));
    writeLeaf();
    Path keys = Files.createDirectories(directory.resolve("token-keys"));
    Files.write(keys.resolve("keys.json"), TokenKeys.generate(random, clock));
    for (String user : List.of("admin", "push", "pull")) {
      Path files = Files.createDirectories(directory.resolve("users").resolve(user));
      Files.writeString(files.resolve("password"), user + "-secret\n");
    }
    Files.writeString(directory.resolve("freeze"), "freeze-secret");
    Path file = directory.resolve("gateway.json");
    Files.writeString(
        file,
        """
        {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "backend": "http://127.0.0.1:%d",
         "service": "it", "tlsDirectory": "%s", "tokenKeysDirectory": "%s",
         "usersDirectory": "%s", "adminTokenFile": "%s", "lingerSeconds": 0,
         "users": [{"name": "admin", "role": "Admin", "passwordFiles": ["admin/password"]},
                   {"name": "push", "role": "Push", "passwordFiles": ["push/password"]},
                   {"name": "pull", "role": "Pull", "passwordFiles": ["pull/password"]}]}
        """
            .formatted(
                backend, tls, keys, directory.resolve("users"), directory.resolve("freeze")));
    PrintStream lines =
        new PrintStream(audit, true, StandardCharsets.UTF_8) {
          @Override
          public void println(Object line) {
            super.println(line);
            decisions.accept(String.valueOf(line));
          }
        };
    gateway = new Gateway(file, lines, random, clock);
    long end = System.nanoTime() + start.toNanos();
    while (admin("GET", "/readyz", null).statusCode() != 200) {
      if (System.nanoTime() > end) {
        String why =
            "not ready: "
                + admin("GET", "/readyz", null).body()
                + Files.readString(directory.resolve("registry.log"));
        close();
        throw new AssertionError(why);
      }
      TimeUnit.MILLISECONDS.sleep(100);
    }
  }

  /** Host and port of the origin. */
  String host() {
    return "127.0.0.1:" + gateway.port();
  }

  CertifiedKey writeLeaf() throws IOException {
    CertifiedKey leaf =
        ca.issue(
            new LeafRequest(
                "it",
                SubjectNames.of(List.of("127.0.0.1", "localhost")),
                Duration.ofDays(10),
                KeySpec.DEFAULT),
            random,
            clock);
    Files.writeString(directory.resolve("tls/tls.crt"), leaf.chainPem());
    Files.writeString(directory.resolve("tls/tls.key"), leaf.keyPem());
    return leaf;
  }

  /**
   * Arguments of a garbage collection that spares nothing for its age, with the files {@code
   * auth.json} and {@code in-use} of this directory.
   */
  List<String> collection(Path storage) {
    return new ArrayList<>(
        List.of(
            "gc",
            "--registry",
            host(),
            "--authfile",
            directory.resolve("auth.json").toString(),
            "--ca",
            directory.resolve("ca.crt").toString(),
            "--registry-binary",
            tool("registry").toString(),
            "--registry-config",
            directory.resolve("config.yml").toString(),
            "--storage",
            storage.toString(),
            "--grace",
            "0s",
            "--gateway",
            "http://127.0.0.1:" + gateway.adminPort(),
            "--freeze-token-file",
            directory.resolve("freeze").toString(),
            "--in-use",
            directory.resolve("in-use").toString()));
  }

  HttpResponse<String> admin(String method, String path, String secret) throws Exception {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + gateway.adminPort() + path))
            .method(method, HttpRequest.BodyPublishers.noBody());
    if (secret != null) {
      request.header("Authorization", "Bearer " + secret);
    }
    return HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.ofString());
  }

  /** Trusts the lab's authority. */
  HttpClient client() throws Exception {
    return Lab.trusting(ca.certificate());
  }

  @Override
  public void close() {
    gateway.close();
    registry.destroy();
    registry.onExit().orTimeout(10, TimeUnit.SECONDS).join();
  }

  static Path tool(String name) {
    Path path = Path.of(System.getProperty("mirror.tools", ".run/bin"), name);
    if (!Files.isExecutable(path)) {
      String problem =
          name + " is not in " + path.getParent() + "; build it with e2e/tools/build.sh";
      if (Boolean.getBoolean("mirror.noSkip")) {
        throw new AssertionError(problem);
      }
      Assumptions.abort(problem);
    }
    return path.toAbsolutePath();
  }

  /** What a registry behind a gateway is told. */
  private static String distributionConfig(Path storage) {
    return """
    version: 0.1
    log: {level: warn, accesslog: {disabled: true}}
    storage:
      filesystem: {rootdirectory: "%s"}
      delete: {enabled: true}
      redirect: {disable: true}
    http:
      relativeurls: true
      draintimeout: 75s
      secret: equal-on-all-replicas
    validation: {manifests: {urls: {allow: ['^https?://']}, indexes: {platforms: none}}}
    """
        .formatted(storage);
  }
}
