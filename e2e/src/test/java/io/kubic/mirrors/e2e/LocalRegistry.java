package io.kubic.mirrors.e2e;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.Set;

/** A distribution process of a test's own, on loopback and without TLS. */
final class LocalRegistry implements AutoCloseable {
  private static final HttpClient HTTP = HttpClient.newHttpClient();

  private final Process process;
  private final String host;
  private final Path storage;
  private final Path log;

  private LocalRegistry(Process process, String host, Path storage, Path log) {
    this.process = process;
    this.host = host;
    this.storage = storage;
    this.log = log;
  }

  /**
   * Starts one and waits until it answers.
   *
   * @param directory for its configuration, content and log
   * @param name of its files there
   * @param more lines of configuration
   */
  static LocalRegistry start(Path directory, String name, String more) throws IOException {
    int port;
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = socket.getLocalPort();
    }
    Path storage = directory.resolve(name);
    Path log = directory.resolve(name + ".log");
    Path config =
        Files.writeString(
            directory.resolve(name + ".yml"),
            """
            version: 0.1
            log: {level: info}
            storage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}
            http: {addr: "127.0.0.1:%d", secret: it}
            %s
            """
                .formatted(storage, port, more));
    ProcessBuilder builder =
        new ProcessBuilder(Lab.tool("registry"), "serve", config.toString())
            .redirectErrorStream(true)
            .redirectOutput(log.toFile());
    builder.environment().put("OTEL_TRACES_EXPORTER", "none");
    LocalRegistry made = new LocalRegistry(builder.start(), "127.0.0.1:" + port, storage, log);
    Lab.eventually(Duration.ofSeconds(20), name + " answers", made::answers);
    return made;
  }

  /** {@code host:port}. */
  String host() {
    return host;
  }

  /** Where its content lies. */
  Path storage() {
    return storage;
  }

  /** With one line for each request. */
  Path log() {
    return log;
  }

  /** Blobs that it has on its disk, by digest; manifests are blobs too. */
  Set<String> stored() throws IOException {
    Path blobs = storage.resolve("docker/registry/v2/blobs/sha256");
    Set<String> all = new HashSet<>();
    if (Files.isDirectory(blobs)) {
      try (var files = Files.walk(blobs)) {
        files
            .filter(path -> path.endsWith("data"))
            .forEach(path -> all.add("sha256:" + path.getParent().getFileName()));
      }
    }
    return all;
  }

  private boolean answers() {
    try {
      return HTTP.send(
                  HttpRequest.newBuilder(URI.create("http://" + host + "/v2/")).build(),
                  HttpResponse.BodyHandlers.discarding())
              .statusCode()
          == 200;
    } catch (IOException e) {
      return false;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void close() {
    try {
      process.destroyForcibly().waitFor();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
