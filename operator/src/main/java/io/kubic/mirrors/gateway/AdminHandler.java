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
import java.util.concurrent.atomic.AtomicBoolean;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.Fields;
import org.jspecify.annotations.Nullable;

/** Probes, metrics and the freeze, on a port of their own. */
final class AdminHandler extends Handler.Abstract {
  private static final Duration LONGEST_FREEZE = Duration.ofHours(1);
  private final MaterialsWatch materials;
  private final GatewayMetrics metrics;
  private final Freeze freeze;
  private final AtomicBoolean stopping;
  private final HttpClient http =
      HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(1)).build();

  AdminHandler(
      MaterialsWatch materials, GatewayMetrics metrics, Freeze freeze, AtomicBoolean stopping) {
    this.materials = materials;
    this.metrics = metrics;
    this.freeze = freeze;
    this.stopping = stopping;
  }

  @Override
  public boolean handle(Request request, Response response, Callback callback) throws Exception {
    String path = String.valueOf(request.getHttpURI().getPath());
    return switch (path) {
      case "/livez" -> text(response, callback, 200, "alive\n");
      case "/readyz" -> {
        String problem = problem();
        yield problem == null
            ? text(response, callback, 200, "ready\n")
            : text(response, callback, 503, problem + "\n");
      }
      case "/metrics" -> text(response, callback, 200, metrics.text());
      case "/freeze" -> freeze(request, response, callback);
      default -> text(response, callback, 404, "not found\n");
    };
  }

  private @Nullable String problem() throws InterruptedException {
    if (stopping.get()) {
      return "stopping";
    }
    try {
      HttpResponse<Void> answer =
          http.send(
              HttpRequest.newBuilder(URI.create(materials.current().config().backend() + "/v2/"))
                  .timeout(Duration.ofSeconds(2))
                  .build(),
              HttpResponse.BodyHandlers.discarding());
      return answer.statusCode() == HttpURLConnection.HTTP_OK
          ? null
          : "the registry answers " + answer.statusCode();
    } catch (IOException e) {
      return "the registry does not answer: " + e.getMessage();
    }
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
            yield freeze.begin(
                ttl(query.getValue("ttl")),
                "uploads".equals(query.getValue("scope"))
                    ? Freeze.Scope.UPLOADS
                    : Freeze.Scope.WRITES);
          }
          default -> null;
        };
    if (state == null) {
      return text(response, callback, 405, "use GET, POST or DELETE\n");
    }
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("frozen", state.frozen());
    state.until().ifPresent(until -> answer.put("until", until.toString()));
    answer.put("inFlight", state.inFlight());
    return Answers.send(request, response, callback, 200, answer);
  }

  private static Duration ttl(@Nullable String seconds) {
    try {
      Duration ttl = Duration.ofSeconds(seconds == null ? 60 : Long.parseLong(seconds));
      return ttl.compareTo(LONGEST_FREEZE) > 0 ? LONGEST_FREEZE : ttl;
    } catch (NumberFormatException e) {
      return Duration.ofSeconds(60);
    }
  }

  private boolean authorised(Request request) throws IOException {
    String file = materials.current().config().adminTokenFile();
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
