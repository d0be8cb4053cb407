package io.kubic.mirrors.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.kubic.mirrors.Jvm;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.Writer;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * {@code plan} in a process of its own with little memory, against a registry whose lists are meant
 * to do harm: every list ends in a clear error, and what is in order is planned.
 */
class HostileListingTest {
  private static final String HEAP = "-Xmx96m";
  private static final int NAMES_OF_AN_ENDLESS_PAGE = 20_000;

  @TempDir private Path directory;
  private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();
  private HttpServer server;
  private String host;

  @BeforeEach
  void start() throws IOException {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.setExecutor(executor);
    host = "127.0.0.1:" + server.getAddress().getPort();
    answer("/v2/", exchange -> send(exchange, 200, "", "{}"));
    answer("/v2/_catalog", exchange -> names(exchange, "repositories", 0, 1_000_000));
    answer("/v2/million/tags/list", exchange -> names(exchange, "tags", 0, 1_000_000));
    answer(
        "/v2/endless/tags/list",
        exchange -> {
          String query = String.valueOf(exchange.getRequestURI().getQuery());
          int page = query.startsWith("page=") ? Integer.parseInt(query.substring(5)) : 0;
          link(exchange, "/v2/endless/tags/list?page=" + (page + 1));
          names(exchange, "tags", page * NAMES_OF_AN_ENDLESS_PAGE, NAMES_OF_AN_ENDLESS_PAGE);
        });
    answer(
        "/v2/loop/tags/list",
        exchange -> send(exchange, 200, "/v2/loop/tags/list?n=1", "{\"tags\":[\"1\"]}"));
    answer(
        "/v2/abroad/tags/list",
        exchange ->
            send(exchange, 200, "http://198.51.100.7/v2/abroad/tags/list", "{\"tags\":[\"1\"]}"));
    answer(
        "/v2/dirty/tags/list",
        exchange ->
            send(
                exchange,
                200,
                "",
                "{\"tags\":[\"1\",\"1\",\"2\",\"1\",\"e\\u001b[31mvil\",\"a\\nb\",\"../x\",7]}"));
    answer("/v2/good/tags/list", exchange -> send(exchange, 200, "", "{\"tags\":[\"1\"]}"));
    for (String repository : List.of("good", "dirty")) {
      answer("/v2/" + repository + "/manifests/", HostileListingTest::manifest);
    }
    server.start();
  }

  @AfterEach
  void stop() {
    server.stop(0);
    executor.shutdownNow();
  }

  private interface Handler {
    void handle(HttpExchange exchange) throws IOException;
  }

  private void answer(String path, Handler handler) {
    server.createContext(
        path,
        exchange -> {
          try (exchange) {
            handler.handle(exchange);
          }
        });
  }

  private static void link(HttpExchange exchange, String next) {
    exchange.getResponseHeaders().set("Link", "<" + next + ">; rel=\"next\"");
  }

  private static void send(HttpExchange exchange, int status, String next, String body)
      throws IOException {
    if (!next.isEmpty()) {
      link(exchange, next);
    }
    byte[] bytes = body.getBytes(UTF_8);
    exchange.sendResponseHeaders(status, bytes.length);
    exchange.getResponseBody().write(bytes);
  }

  private static void names(HttpExchange exchange, String field, int from, int count)
      throws IOException {
    exchange.sendResponseHeaders(200, 0);
    try (Writer body =
        new BufferedWriter(new OutputStreamWriter(exchange.getResponseBody(), UTF_8))) {
      body.write("{\"" + field + "\":[");
      for (int i = from; i < from + count; i++) {
        body.write((i == from ? "\"" : ",\"") + "t" + i + "\"");
      }
      body.write("]}");
    }
  }

  private static void manifest(HttpExchange exchange) throws IOException {
    byte[] body =
        """
        {"schemaVersion":2,"config":{"mediaType":"application/x","digest":"sha256:%s","size":2},"layers":[]}"""
            .formatted("ab".repeat(32))
            .getBytes(UTF_8);
    exchange.getResponseHeaders().set("Content-Type", "application/vnd.oci.image.manifest.v1+json");
    boolean head = exchange.getRequestMethod().equals("HEAD");
    exchange.sendResponseHeaders(200, head ? -1 : body.length);
    if (!head) {
      exchange.getResponseBody().write(body);
    }
  }

  private record Ended(int code, String out, String err) {}

  private Ended plan(String sources) throws Exception {
    Path list =
        Files.writeString(
            directory.resolve("list.yaml"),
            """
            apiVersion: mirrors.kubic.io/v1alpha1
            kind: MirrorList
            metadata: {name: hostile}
            spec:
              registryRef: {name: mirror}
              retry: {limit: 0}
              guard: {maxImages: 2000000}
              sources:
            %s
            """
                .formatted(sources.indent(2)));
    Path out = directory.resolve("out");
    Path err = directory.resolve("err");
    List<String> command = Jvm.command(List.of(HEAP), "io.kubic.mirrors.Main");
    command.addAll(List.of("plan", "-f", list.toString()));
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectOutput(out.toFile()).redirectError(err.toFile());
    builder.environment().keySet().removeIf(name -> name.toLowerCase().endsWith("_proxy"));
    Process process = builder.start();
    try {
      assertThat(process.waitFor(60, TimeUnit.SECONDS)).as("it ends").isTrue();
    } finally {
      process.destroyForcibly();
    }
    return new Ended(process.exitValue(), Files.readString(out), Files.readString(err));
  }

  @Test
  void listsThatAreMeantToDoHarmEndInAClearErrorWithLittleMemory() throws Exception {
    Ended ended =
        plan(
            """
            - registry: "%1$s"
              name: images
              tls: {plainHTTP: true}
              images: [million, endless, loop, abroad, dirty, good]
            - registry: "%1$s"
              name: catalog
              tls: {plainHTTP: true}
              repositories: {include: ["^t1$"]}
            """
                .formatted(host));
    assertThat(ended.code()).as(ended.err()).isOne();
    assertThat(ended.err()).doesNotContain("OutOfMemory", "\u001b", "Internal");
    Map<String, String> expected =
        Map.of(
            host + "/million",
            "TooLarge",
            host + "/endless",
            "TooLarge",
            host + "/loop",
            "MalformedResponse",
            host + "/abroad",
            "MalformedResponse",
            host + "/dirty",
            "MalformedResponse",
            host,
            "TooLarge");
    expected.forEach(
        (object, reason) ->
            assertThat(ended.err().lines())
                .as(ended.err())
                .anyMatch(line -> line.startsWith("problem: " + object + ": " + reason + ": ")));
    // What is in order is planned, each tag once, and the plan says that it is not whole.
    assertThat(ended.out()).contains("3 images in 2 repositories", "INCOMPLETE");
  }
}
