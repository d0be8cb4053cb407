package io.kubic.mirrors.gateway;

import java.net.InetAddress;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import org.jspecify.annotations.Nullable;

/**
 * Judges every request: what it is, who asks, whether that is granted; then the registry answers
 * it. Nothing here blocks, so that a request stays on the thread that found it.
 */
final class FrontHandler extends Handler.Abstract.NonBlocking {
  /** What a registry takes as a manifest at most (distribution-spec, "Pushing Manifests"). */
  private static final long MAX_MANIFEST = 4L * 1024 * 1024;

  private final MaterialsWatch materials;
  private final TokenEndpoint tokenEndpoint;
  private final Tokens tokens;
  private final Logins logins;
  private final FairGate blobs;
  private final Freeze freeze;
  private final GatewayMetrics metrics;
  private final AuditLog audit;
  private final BackendProxy proxy;
  private final HeadGuard heads;
  private final BodyGuard bodies;
  private final BooleanSupplier stopping;
  private final Clock clock;

  FrontHandler(
      MaterialsWatch materials,
      TokenEndpoint tokenEndpoint,
      Tokens tokens,
      Logins logins,
      FairGate blobs,
      Freeze freeze,
      GatewayMetrics metrics,
      AuditLog audit,
      BackendProxy proxy,
      HeadGuard heads,
      BodyGuard bodies,
      BooleanSupplier stopping,
      Clock clock) {
    this.materials = materials;
    this.tokenEndpoint = tokenEndpoint;
    this.tokens = tokens;
    this.logins = logins;
    this.blobs = blobs;
    this.freeze = freeze;
    this.metrics = metrics;
    this.audit = audit;
    this.proxy = proxy;
    this.heads = heads;
    this.bodies = bodies;
    this.stopping = stopping;
    this.clock = clock;
  }

  /** Who asks, and what follows from it. */
  private sealed interface Caller {}

  private record Allowed(String account) implements Caller {}

  /**
   * @param error of the challenge (RFC 6750, 3.1), empty for none
   * @param reason label of the metric
   */
  private record Refused(String account, int status, String error, String reason, String why)
      implements Caller {}

  /** One request and where its answer goes. */
  private record Asked(Materials now, Request request, Response response, Callback callback) {
    InetAddress address() {
      return TokenEndpoint.address(request);
    }
  }

  @Override
  public boolean handle(Request request, Response response, Callback callback) {
    heads.begins(request);
    if (stopping.getAsBoolean()) {
      // Whoever keeps a connection goes to another gateway with the next request.
      response.getHeaders().put(HttpHeader.CONNECTION, "close");
    }
    Asked asked = new Asked(materials.current(), request, response, callback);
    String path = String.valueOf(request.getHttpURI().getPath());
    if (path.equals(TokenEndpoint.PATH)) {
      return tokenEndpoint.handle(asked.now, request, response, callback);
    }
    switch (Route.of(request.getMethod(), path, request.getHttpURI().getQuery())) {
      case Route.NotFound _ -> reject(asked, 404, "NOT_FOUND", "not_found", "no such path");
      case Route.MethodNotAllowed(String allow) -> {
        response.getHeaders().put(HttpHeader.ALLOW, allow);
        reject(asked, 405, "UNSUPPORTED", "method", "the method is not supported here");
      }
      case Route.BadRequest(String code, String problem) ->
          reject(asked, 400, code, "bad_request", problem);
      case Route.Accepted route ->
          judge(
              asked,
              route,
              caller -> {
                try {
                  switch (caller) {
                    case Refused refused -> refuse(asked, route, refused);
                    case Allowed(String account) -> serve(asked, route, account);
                  }
                } catch (RuntimeException e) {
                  callback.failed(e);
                }
              });
    }
    return true;
  }

  /** Answers what is no request of the specification. */
  private void reject(Asked asked, int status, String code, String reason, String why) {
    deny(asked, "", null, reason, why, status);
    Answers.error(asked.request, asked.response, asked.callback, status, code, why);
  }

  private void refuse(Asked asked, Route.Accepted route, Refused refused) {
    deny(asked, refused.account, route, refused.reason, refused.why, refused.status);
    if (refused.status == 401) {
      asked
          .response
          .getHeaders()
          .put(HttpHeader.WWW_AUTHENTICATE, challenge(asked, route, refused.error));
    } else {
      asked.response.getHeaders().put(HttpHeader.RETRY_AFTER, 1);
    }
    Answers.error(
        asked.request,
        asked.response,
        asked.callback,
        refused.status,
        TokenEndpoint.code(refused.status),
        refused.why);
  }

  private void deny(
      Asked asked,
      String account,
      Route.@Nullable Accepted route,
      String reason,
      String why,
      int status) {
    metrics.denied(reason);
    if (asked.now.config().audit() != GatewayConfig.Audit.None) {
      audit.decided(
          account,
          asked.address().getHostAddress(),
          route == null ? "OTHER" : route.kind().name(),
          route == null ? null : route.repository(),
          why,
          status);
    }
  }

  private void serve(Asked asked, Route.Accepted route, String account) {
    Route.Kind kind = route.kind();
    if (kind == Route.Kind.MANIFEST_WRITE && asked.request.getLength() > MAX_MANIFEST) {
      deny(asked, account, route, "too_large", "manifest too large", 413);
      Answers.error(
          asked.request,
          asked.response,
          asked.callback,
          413,
          "MANIFEST_INVALID",
          "a manifest may have 4 MiB");
      return;
    }
    if (kind.writes()) {
      if (!freeze.enter(kind.deletes())) {
        deny(asked, account, route, "frozen", "writes are frozen", 405);
        asked.response.getHeaders().put(HttpHeader.RETRY_AFTER, freeze.left().toSeconds() + 1);
        Answers.error(
            asked.request,
            asked.response,
            asked.callback,
            405,
            "UNSUPPORTED",
            "writes are held back while content is collected; come again");
        return;
      }
      proxy.send(exchange(asked, route, account, freeze::leave));
      return;
    }
    Exchange exchange = exchange(asked, route, account, () -> {});
    if (kind == Route.Kind.BLOB_READ) {
      proxy.relay(
          exchange,
          blobs,
          Duration.ofSeconds(asked.now.config().blobWaitSeconds()),
          () -> {
            metrics.denied("busy");
            exchange.response().getHeaders().put(HttpHeader.RETRY_AFTER, 5);
            Answers.error(
                exchange.request(),
                exchange.response(),
                exchange.callback(),
                503,
                "TOOMANYREQUESTS",
                "too many blobs are read at once; come again");
          });
      return;
    }
    proxy.send(exchange);
  }

  private Exchange exchange(Asked asked, Route.Accepted route, String account, Runnable release) {
    GatewayConfig.Audit wanted = asked.now.config().audit();
    boolean told =
        wanted == GatewayConfig.Audit.All
            || (wanted == GatewayConfig.Audit.Writes && route.kind().writes());
    InetAddress address = asked.address();
    return new Exchange(
        route,
        account,
        address,
        bodies.watch(asked.request),
        asked.response,
        asked.callback,
        (status, bytes, seconds) -> {
          release.run();
          metrics.answered(route.kind(), route.repository(), status, bytes, seconds);
          if (told) {
            audit.decided(
                account,
                address.getHostAddress(),
                route.kind().name(),
                route.repository(),
                "allowed",
                status);
          }
        });
  }

  private void judge(Asked asked, Route.Accepted route, Consumer<Caller> then) {
    Materials now = asked.now;
    if (now.config().authMode() == GatewayConfig.AuthMode.None) {
      then.accept(new Allowed(""));
      return;
    }
    String header = asked.request.getHeaders().get(HttpHeader.AUTHORIZATION);
    if (header != null && header.regionMatches(true, 0, "Bearer ", 0, 7)) {
      then.accept(bearer(now, route, header.substring(7).strip()));
      return;
    }
    Optional<TokenEndpoint.Login> login = TokenEndpoint.basic(asked.request);
    if (login.isEmpty()) {
      then.accept(new Refused("", 401, "", "unauthorized", "authentication required"));
      return;
    }
    String account = login.get().name();
    InetAddress address = asked.address();
    logins.check(
        now.users(),
        account,
        login.get().password(),
        address.getHostAddress(),
        outcome ->
            then.accept(
                switch (outcome) {
                  case Logins.Outcome.Wrong _ ->
                      new Refused(account, 401, "", "login", "wrong password");
                  case Logins.Outcome.Throttled _ ->
                      new Refused(account, 429, "", "throttled", "too many wrong passwords");
                  case Logins.Outcome.Busy _ ->
                      new Refused(
                          account, 503, "", "busy", "too many passwords are checked at once");
                  case Logins.Outcome.Good _ -> granted(now, route, account, address);
                }));
  }

  private Caller bearer(Materials now, Route.Accepted route, String token) {
    Optional<Tokens.Claims> claims =
        tokens.verify(now.keys(), now.config(), token, clock.instant());
    if (claims.isEmpty()) {
      return new Refused("", 401, "invalid_token", "invalid_token", "the token is not valid");
    }
    String account = claims.get().account();
    return claims.get().grantsAll(route.needs())
        ? new Allowed(account)
        : new Refused(
            account,
            401,
            "insufficient_scope",
            "insufficient_scope",
            "the token does not grant this");
  }

  private static Caller granted(
      Materials now, Route.Accepted route, String account, InetAddress address) {
    boolean all =
        route.needs().stream()
            .allMatch(need -> TokenEndpoint.allowed(now, account, address, need).covers(need));
    return all
        ? new Allowed(account)
        : new Refused(
            account,
            401,
            "insufficient_scope",
            "insufficient_scope",
            "the account may not do this");
  }

  /** RFC 6750 and the distribution token specification; one origin for registry and tokens. */
  private static String challenge(Asked asked, Route.Accepted route, String error) {
    String host = asked.request.getHeaders().get(HttpHeader.HOST);
    StringBuilder challenge =
        new StringBuilder("Bearer realm=\"https://")
            .append(host == null ? "" : host.replace("\"", "").replace("\\", ""))
            .append(TokenEndpoint.PATH)
            .append("\",service=\"")
            .append(asked.now.config().service())
            .append('"');
    if (!route.needs().isEmpty()) {
      challenge
          .append(",scope=\"")
          .append(route.needs().stream().map(Access::scope).collect(Collectors.joining(" ")))
          .append('"');
    }
    if (List.of("invalid_token", "insufficient_scope").contains(error)) {
      challenge.append(",error=\"").append(error).append('"');
    }
    return challenge.toString();
  }
}
