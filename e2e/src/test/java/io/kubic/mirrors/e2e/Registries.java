package io.kubic.mirrors.e2e;

import io.kubic.mirrors.pki.CertificateAuthority;
import io.kubic.mirrors.pki.CertifiedKey;
import io.kubic.mirrors.pki.KeySpec;
import io.kubic.mirrors.pki.LeafRequest;
import io.kubic.mirrors.pki.SubjectNames;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
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
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Registries of several origins and an S3 server, as processes on loopback. */
final class Registries implements AutoCloseable {
  /** Good at registries that ask for a password. */
  static final String USER = "push";

  static final String PASSWORD = "correct horse";

  /** {@link #PASSWORD}, as htpasswd writes it. */
  private static final String HTPASSWD =
      "push:$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e\n";

  final CertificateAuthority ca =
      CertificateAuthority.create(
          "Theirs", KeySpec.DEFAULT, Duration.ofDays(30), new SecureRandom(), Clock.systemUTC());

  private final Path directory;
  private final List<Process> processes = new ArrayList<>();

  /**
   * A bucket on a server of its own.
   *
   * @param content where the server keeps it
   */
  record Bucket(String endpoint, String name, String accessKey, String secretKey, Path content) {}

  Registries(Path directory) throws IOException {
    this.directory = directory;
    CertifiedKey leaf =
        ca.issue(
            new LeafRequest(
                "127.0.0.1",
                SubjectNames.of(List.of("127.0.0.1", "localhost")),
                Duration.ofDays(10),
                KeySpec.DEFAULT),
            new SecureRandom(),
            Clock.systemUTC());
    Files.writeString(directory.resolve("theirs.crt"), leaf.chainPem());
    Files.writeString(directory.resolve("theirs.key"), leaf.keyPem());
    Files.writeString(directory.resolve("theirs-ca.crt"), ca.certificatePem());
    Files.writeString(directory.resolve("htpasswd"), HTPASSWD);
  }

  /** The authority of all of them. */
  Path caFile() {
    return directory.resolve("theirs-ca.crt");
  }

  /** Credentials for one of them in Docker's form. */
  static String dockerConfig(String host, String password) {
    return dockerConfig(host, USER, password);
  }

  static String dockerConfig(String host, String user, String password) {
    return "{\"auths\": {\"%s\": {\"auth\": \"%s\"}}}"
        .formatted(
            host,
            Base64.getEncoder()
                .encodeToString((user + ":" + password).getBytes(StandardCharsets.UTF_8)));
  }

  /** An S3 server with one empty bucket, over plain HTTP. */
  Bucket bucket(String name) throws IOException {
    return bucket(name, "http", List.of());
  }

  /** The same over TLS, by the authority of all of them. */
  Bucket secureBucket(String name) throws IOException {
    return bucket(
        name,
        "https",
        List.of(
            "--cert",
            directory.resolve("theirs.crt").toString(),
            "--key",
            directory.resolve("theirs.key").toString()));
  }

  private Bucket bucket(String name, String scheme, List<String> tls) throws IOException {
    Path root = directory.resolve("s3");
    Path content = Files.createDirectories(root.resolve(name));
    Path meta = Files.createDirectories(directory.resolve("attributes"));
    int port = Lab.freePort();
    Bucket bucket =
        new Bucket(
            scheme + "://127.0.0.1:" + port, name, "it-access", "it-secret-of-the-bucket", content);
    List<String> command = Lab.join(List.of(Lab.tool("versitygw"), "--port", "127.0.0.1:" + port));
    command.addAll(tls);
    start(
        "versitygw",
        Map.of("ROOT_ACCESS_KEY", bucket.accessKey(), "ROOT_SECRET_KEY", bucket.secretKey()),
        Lab.join(
            command,
            "posix",
            // Not every filesystem has extended attributes.
            "--sidecar",
            meta.toString(),
            root.toString()));
    answers(port, "versitygw");
    return bucket;
  }

  /** Distribution 3 over TLS; gives its host and port. */
  String distribution3(String name, String more) throws IOException {
    int port = Lab.freePort();
    Path config = config(name, port, more);
    start(
        name,
        Map.of("OTEL_TRACES_EXPORTER", "none"),
        List.of(Lab.tool("registry"), "serve", config.toString()));
    answers(port, name);
    return "127.0.0.1:" + port;
  }

  /** Distribution 2.8 over TLS. */
  String distribution2(String name, String more) throws IOException {
    int port = Lab.freePort();
    Path config = config(name, port, more);
    start(name, Map.of(), List.of(Lab.tool("distribution2"), config.toString()));
    answers(port, name);
    return "127.0.0.1:" + port;
  }

  /** The registry of go-containerregistry, over TLS. */
  String ggcr(String name, boolean referrers) throws IOException {
    int port = Lab.freePort();
    start(
        name,
        Map.of(),
        List.of(
            Lab.tool("ggcr"),
            "127.0.0.1:" + port,
            directory.resolve("theirs.crt").toString(),
            directory.resolve("theirs.key").toString(),
            referrers ? "referrers" : "plain"));
    answers(port, name);
    return "127.0.0.1:" + port;
  }

  /** As a container of the operator's is started, but for the address; gives host and port. */
  String asDeployed(String name, Path config) throws IOException {
    return asDeployed(name, config, Map.of());
  }

  /** The same with more in its environment. */
  String asDeployed(String name, Path config, Map<String, String> more) throws IOException {
    int port = Lab.freePort();
    Map<String, String> environment = new HashMap<>(more);
    environment.put("OTEL_TRACES_EXPORTER", "none");
    environment.put("REGISTRY_HTTP_ADDR", "127.0.0.1:" + port);
    start(name, environment, List.of(Lab.tool("registry"), "serve", config.toString()));
    answers(port, name);
    return "127.0.0.1:" + port;
  }

  /** Configuration lines for a registry that asks for {@link #PASSWORD}. */
  String withPassword() {
    return "auth: {htpasswd: {realm: theirs, path: '" + directory.resolve("htpasswd") + "'}}\n";
  }

  /** What a registry said so far. */
  String log(String name) throws IOException {
    return Files.readString(directory.resolve(name + ".log"));
  }

  private Path config(String name, int port, String more) throws IOException {
    return Files.writeString(
        directory.resolve(name + ".yml"),
        """
        version: 0.1
        log: {level: info, accesslog: {disabled: false}}
        http:
          addr: 127.0.0.1:%d
          secret: theirs
          tls: {certificate: '%s', key: '%s'}
        """
                .formatted(port, directory.resolve("theirs.crt"), directory.resolve("theirs.key"))
            + (more.contains("storage:")
                ? ""
                : "storage: {filesystem: {rootdirectory: '" + directory.resolve(name) + "'}}\n")
            + more.replace("@STORAGE@", directory.resolve(name).toString()));
  }

  private void start(String name, Map<String, String> environment, List<String> command)
      throws IOException {
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(directory.resolve(name + ".log").toFile());
    builder.environment().putAll(environment);
    processes.add(builder.start());
  }

  private void answers(int port, String name) {
    Lab.eventually(
        Duration.ofSeconds(20),
        name + " listens; its log is in " + directory,
        () -> {
          try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
            return socket.isConnected();
          } catch (IOException e) {
            return false;
          }
        });
  }

  /** Trusts their authority, and follows no redirect. */
  HttpClient client() throws Exception {
    return Lab.trusting(ca.certificate());
  }

  static HttpRequest.Builder to(String url) {
    return HttpRequest.newBuilder(URI.create(url))
        .timeout(Duration.ofSeconds(60))
        .header(
            "Authorization",
            "Basic "
                + Base64.getEncoder()
                    .encodeToString((USER + ":" + PASSWORD).getBytes(StandardCharsets.UTF_8)));
  }

  static HttpResponse<byte[]> send(HttpClient http, HttpRequest.Builder request) throws Exception {
    return http.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
  }

  /** Ends all of them. */
  void stop() {
    processes.forEach(Process::destroyForcibly);
    processes.forEach(process -> process.onExit().orTimeout(10, TimeUnit.SECONDS).join());
  }

  @Override
  public void close() {
    stop();
  }
}
