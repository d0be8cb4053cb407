package io.kubic.mirrors.e2e;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A list of very many repositories and tags, in a process of its own with the heap that a Job has,
 * between two registries that are played, since a real one would take minutes to fill. In full
 * ({@code -Dmirror.rounds=10000}): 10,000 repositories with the 20,000 images that a list may have
 * without raising its guard, and one repository with 100,000 tags.
 */
class LargeListIT {
  private static final int REPOSITORIES = Integer.getInteger("mirror.rounds", 500);
  private static final int TAGS = 2;
  private static final int PAGE = 1000;
  private static final long MEBIBYTE = 1 << 20;

  @TempDir private Path directory;
  private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();
  private final List<HttpServer> servers = new ArrayList<>();

  /** What was pushed, by path. */
  private final Map<String, byte[]> pushed = new ConcurrentHashMap<>();

  @AfterEach
  void stop() {
    servers.forEach(server -> server.stop(0));
    executor.shutdownNow();
  }

  private interface Handler {
    void handle(HttpExchange exchange, String path) throws IOException;
  }

  private String serve(Handler handler) throws IOException {
    HttpServer server =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.setExecutor(executor);
    server.createContext(
        "/",
        exchange -> {
          try (exchange) {
            handler.handle(exchange, exchange.getRequestURI().getPath());
          }
        });
    server.start();
    servers.add(server);
    return "127.0.0.1:" + server.getAddress().getPort();
  }

  private static void send(HttpExchange exchange, int status, String type, byte[] body)
      throws IOException {
    exchange.getResponseHeaders().set("Content-Type", type);
    if (exchange.getRequestMethod().equals("HEAD")) {
      exchange.getResponseHeaders().set("Content-Length", Integer.toString(body.length));
      exchange.sendResponseHeaders(status, -1);
    } else {
      exchange.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
      if (body.length > 0) {
        exchange.getResponseBody().write(body);
      }
    }
  }

  private static String sha256(byte[] bytes) {
    try {
      return "sha256:"
          + HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (java.security.NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  private static final byte[] CONFIG = "{}".getBytes(UTF_8);

  private static byte[] image(String repository, String tag) {
    return """
        {"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/x","digest":"%s","size":2},"layers":[],"annotations":{"of":"%s:%s"}}"""
        .formatted(sha256(CONFIG), repository, tag)
        .getBytes(UTF_8);
  }

  private static void manifest(HttpExchange exchange, byte[] bytes) throws IOException {
    exchange.getResponseHeaders().set("Docker-Content-Digest", sha256(bytes));
    send(exchange, 200, "application/vnd.oci.image.manifest.v1+json", bytes);
  }

  /** Names in pages, as {@code start, start + 1, ...} of {@code count}. */
  private static void page(HttpExchange exchange, String field, String prefix, int count)
      throws IOException {
    String query = String.valueOf(exchange.getRequestURI().getQuery());
    int at = query.indexOf("from=");
    int from = at < 0 ? 0 : Integer.parseInt(query.substring(at + 5));
    StringBuilder names = new StringBuilder();
    for (int i = from; i < Math.min(count, from + PAGE); i++) {
      names.append(i == from ? "\"" : ",\"").append(prefix).append(i).append('"');
    }
    if (from + PAGE < count) {
      exchange
          .getResponseHeaders()
          .set(
              "Link",
              "<"
                  + exchange.getRequestURI().getPath()
                  + "?from="
                  + (from + PAGE)
                  + ">; rel=\"next\"");
    }
    send(
        exchange, 200, "application/json", ("{\"" + field + "\":[" + names + "]}").getBytes(UTF_8));
  }

  private void source(HttpExchange exchange, String path) throws IOException {
    if (path.equals("/v2/_catalog")) {
      page(exchange, "repositories", "app/r", REPOSITORIES);
    } else if (path.endsWith("/tags/list")) {
      page(exchange, "tags", "1.", path.contains("/one/") ? REPOSITORIES * 10 : TAGS);
    } else if (path.contains("/manifests/") && !path.contains("sha256")) {
      int at = path.indexOf("/manifests/");
      manifest(exchange, image(path.substring(4, at), path.substring(at + 11)));
    } else if (path.contains("/blobs/")) {
      send(exchange, 200, "application/octet-stream", CONFIG);
    } else {
      send(exchange, path.equals("/v2/") ? 200 : 404, "application/json", CONFIG);
    }
  }

  /** A registry that has every image of the source, and keeps what is pushed besides. */
  private void target(HttpExchange exchange, String path) throws IOException {
    int at = path.indexOf("/manifests/");
    switch (exchange.getRequestMethod()) {
      case "PUT" -> {
        byte[] body = exchange.getRequestBody().readAllBytes();
        if (at > 0) {
          pushed.put(path, body);
          pushed.put(path.substring(0, at + 11) + sha256(body), body);
        } else {
          pushed.put(path.substring(0, path.indexOf("uploads/")) + sha256(body), body);
        }
        exchange.getResponseHeaders().set("Docker-Content-Digest", sha256(body));
        send(exchange, 201, "application/json", new byte[0]);
      }
      case "POST" -> {
        exchange.getResponseHeaders().set("Location", path + "session");
        send(exchange, 202, "application/json", new byte[0]);
      }
      default -> {
        byte[] kept = pushed.get(path);
        if (kept != null) {
          manifest(exchange, kept);
        } else if (at > 0 && path.startsWith("/v2/app/") && !path.contains("sha256")) {
          manifest(exchange, image(path.substring(4, at), path.substring(at + 11)));
        } else {
          send(exchange, path.equals("/v2/") ? 200 : 404, "application/json", CONFIG);
        }
      }
    }
  }

  private record Ran(int code, String out, long peak) {}

  /** Runs a command with the heap of a Job and looks at its resident memory. */
  private Ran run(String... arguments) throws Exception {
    List<String> jvm = new ArrayList<>(List.of("-XX:+UseSerialGC", "-Xshare:auto"));
    // The heap of a Job, as the image has it.
    Files.readAllLines(Lab.TREE.resolve("operator/src/main/image/app/sync.jvm")).stream()
        .filter(line -> line.startsWith("-Xm") || line.contains("HeapFreeRatio"))
        .forEach(jvm::add);
    Path out = directory.resolve("out");
    Process process =
        new ProcessBuilder(Lab.mirror(jvm, arguments))
            .redirectOutput(out.toFile())
            .redirectError(directory.resolve("err").toFile())
            .start();
    long peak = 0;
    try {
      while (!process.waitFor(100, TimeUnit.MILLISECONDS)) {
        for (String line : lines(Path.of("/proc/" + process.pid() + "/status"))) {
          if (line.startsWith("VmHWM:")) {
            peak = Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024;
          }
        }
      }
    } finally {
      process.destroyForcibly();
    }
    return new Ran(process.exitValue(), Files.readString(out), peak);
  }

  private static List<String> lines(Path file) {
    try {
      return Files.readAllLines(file);
    } catch (IOException e) {
      return List.of(); // It has ended.
    }
  }

  private Path list(String host, String what) throws IOException {
    return Files.writeString(
        directory.resolve("list.yaml"),
        """
        apiVersion: mirrors.kubic.io/v1alpha1
        kind: MirrorList
        metadata: {name: large, namespace: test}
        spec:
          registryRef: {name: mirror}
          layout: Flat
          sources:
          - registry: "%s"
            tls: {plainHTTP: true}
            limits: {maxConcurrent: 32}
            %s
        """
            .formatted(host, what));
  }

  @Test
  void manyRepositoriesAndManyTagsTakeNoMoreThan256Mebibytes() throws Exception {
    String source = serve(this::source);
    String target = serve(this::target);
    for (String what :
        List.of(
            "repositories: {include: ['^app/']}", "images: [app/one]\n    tags: {limit: 1000}")) {
      boolean one = what.contains("limit");
      int images = one ? Math.min(1000, REPOSITORIES * 10) : REPOSITORIES * TAGS;
      Path list = list(source, what);
      long start = System.nanoTime();
      Ran ran =
          run("sync", "-f", list.toString(), "--to", target, "--plain-http", "-q", "-o", "json");
      assertThat(ran.code()).as(Files.readString(directory.resolve("err"))).isZero();
      assertThat(ran.out()).contains("\"skipped\":" + images + ",", "\"failed\":0");
      System.out.printf(
          "%d images, %s: at most %d MiB resident, %d s%n",
          images,
          one ? "one repository of " + REPOSITORIES * 10 + " tags" : REPOSITORIES + " repositories",
          ran.peak() / MEBIBYTE,
          (System.nanoTime() - start) / 1_000_000_000L);
      assertThat(ran.peak()).isPositive().isLessThanOrEqualTo(256 * MEBIBYTE);
    }
  }
}
