package io.kubic.mirrors.gateway;

import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.Fields;
import org.jspecify.annotations.Nullable;

/** Probes, metrics, state and the freeze, on a port of their own. */
final class AdminHandler extends Handler.Abstract {
  private static final Duration LONGEST_FREEZE = Duration.ofHours(1);

  /**
   * What a registry cannot answer without its storage; that there is no such repository is fine.
   */
  private static final String STORAGE = "/v2/mirror-operator/probe/tags/list";

  private final MaterialsWatch materials;
  private final GatewayMetrics metrics;
  private final Freeze freeze;
  private final Supplier<String> unready;

  /** Whether the registry's storage answered once; the registry itself looks at it from then on. */
  private volatile boolean storageSeen;

  private final HttpClient http =
      HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(1)).build();

  AdminHandler(
      MaterialsWatch materials, GatewayMetrics metrics, Freeze freeze, Supplier<String> unready) {
    this.materials = materials;
    this.metrics = metrics;
    this.freeze = freeze;
    this.unready = unready;
  }

  @Override
  public boolean handle(Request request, Response response, Callback callback) throws Exception {
    String path = String.valueOf(request.getHttpURI().getPath());
    return switch (path) {
      case "/livez" -> text(response, callback, 200, "alive\n");
      case "/readyz" -> {
        String problem = problem();
        String files = files();
        yield problem == null
            ? text(response, callback, 200, "ready\n" + files)
            : text(response, callback, 503, problem + "\n" + files);
      }
      case "/metrics" -> text(response, callback, 200, metrics.text());
      case "/state" ->
          materials
              .ready()
              .map(
                  now ->
                      Answers.send(
                          request, response, callback, 200, AdminState.of(now, freeze.state())))
              .orElseGet(() -> text(response, callback, 503, files()));
      case "/contents" -> contents(request, response, callback);
      case "/freeze" -> freeze(request, response, callback);
      default -> text(response, callback, 404, "not found\n");
    };
  }

  private boolean contents(Request request, Response response, Callback callback) {
    String directory = materials.config().storageDirectory();
    if (directory == null) {
      return text(response, callback, 404, "no storage is mounted\n");
    }
    try {
      return Answers.send(request, response, callback, 200, StoredContents.of(Path.of(directory)));
    } catch (IOException e) {
      return text(response, callback, 503, "the storage cannot be read\n");
    }
  }

  private @Nullable String problem() throws InterruptedException {
    String own = unready.get();
    if (!own.isEmpty()) {
      return own;
    }
    try {
      int version = status("/v2/");
      if (version != HttpURLConnection.HTTP_OK) {
        return "the registry answers " + version;
      }
      // A registry with a wrong key for its bucket says that it is well for half a minute: long
      // enough for a rollout to end the pods that serve.
      if (!storageSeen && status(STORAGE) >= HttpURLConnection.HTTP_INTERNAL_ERROR) {
        return "the registry does not reach its storage";
      }
      storageSeen = true;
      return null;
    } catch (IOException e) {
      return "the registry does not answer: " + e.getMessage();
    }
  }

  private int status(String path) throws IOException, InterruptedException {
    return http.send(
            HttpRequest.newBuilder(URI.create(materials.config().backend() + path))
                .timeout(Duration.ofSeconds(2))
                .build(),
            HttpResponse.BodyHandlers.discarding())
        .statusCode();
  }

  /** What is wrong with new files; the old are in force, so it is no reason not to be ready. */
  private String files() {
    return materials.problems().entrySet().stream()
        .map(entry -> entry.getKey().label() + ": " + entry.getValue() + "\n")
        .sorted()
        .collect(Collectors.joining());
  }

  private boolean freeze(Request request, Response response, Callback callback) throws IOException {
    if (!authorised(request)) {
      return text(response, callback, 401, "a bearer secret is needed\n");
    }
    Freeze.State state =
        switch (request.getMethod()) {
          case "GET" -> freeze.state();
          case "DELETE" -> freeze.end();
          case "POST" -> {
            Fields query = Request.extractQueryParameters(request);
            Optional<Duration> ttl = ttl(query.getValue("ttl"));
            if (ttl.isEmpty()) {
              yield null;
            }
            yield freeze.begin(
                ttl.get(),
                "uploads".equals(query.getValue("scope"))
                    ? Freeze.Scope.UPLOADS
                    : Freeze.Scope.WRITES);
          }
          default -> null;
        };
    if (state == null) {
      return request.getMethod().equals("POST")
          ? text(response, callback, 400, "ttl must be 1s to 1h, as in 600, 90s or 10m\n")
          : text(response, callback, 405, "use GET, POST or DELETE\n");
    }
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("frozen", state.frozen());
    state.until().ifPresent(until -> answer.put("until", until.toString()));
    answer.put("inFlight", state.inFlight());
    return Answers.send(request, response, callback, 200, answer);
  }

  /** Seconds, or a number with s, m or h; what is not understood must not end a freeze early. */
  private static Optional<Duration> ttl(@Nullable String text) {
    if (text == null || text.isEmpty()) {
      return Optional.of(Duration.ofSeconds(60));
    }
    int last = text.length() - 1;
    long unit =
        switch (text.charAt(last)) {
          case 's' -> 1;
          case 'm' -> 60;
          case 'h' -> 3600;
          default -> 0;
        };
    try {
      long number = Long.parseLong(unit == 0 ? text : text.substring(0, last));
      long seconds = Math.multiplyExact(number, Math.max(1, unit));
      return seconds > 0 && seconds <= LONGEST_FREEZE.toSeconds()
          ? Optional.of(Duration.ofSeconds(seconds))
          : Optional.empty();
    } catch (NumberFormatException | ArithmeticException e) {
      return Optional.empty();
    }
  }

  private boolean authorised(Request request) throws IOException {
    String file = materials.config().adminTokenFile();
    String header = request.getHeaders().get(HttpHeader.AUTHORIZATION);
    if (file == null || header == null || !header.startsWith("Bearer ")) {
      return false;
    }
    byte[] secret = Files.readString(Path.of(file)).strip().getBytes(StandardCharsets.UTF_8);
    return secret.length > 0
        && MessageDigest.isEqual(
            secret, header.substring(7).strip().getBytes(StandardCharsets.UTF_8));
  }

  private static boolean text(Response response, Callback callback, int status, String body) {
    response.setStatus(status);
    response.getHeaders().put(HttpHeader.CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
    response.write(true, ByteBuffer.wrap(body.getBytes(StandardCharsets.UTF_8)), callback);
    return true;
  }
}
