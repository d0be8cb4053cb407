package io.kubic.mirrors.gateway;

import java.net.InetAddress;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import org.eclipse.jetty.http.HttpField;
import org.eclipse.jetty.http.HttpFields;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;

/**
 * Judges every request: what it is, who asks, whether that is granted; then the registry answers
 * it.
 */
final class FrontHandler extends Handler.Abstract {
  /** Request attribute with the {@link Route.Accepted} that the proxy sends on. */
  static final String ROUTE = FrontHandler.class.getName();

  private final MaterialsWatch materials;
  private final TokenEndpoint tokenEndpoint;
  private final Tokens tokens;
  private final Logins logins;
  private final FairGate blobs;
  private final Freeze freeze;
  private final GatewayMetrics metrics;
  private final AuditLog audit;
  private final Handler proxy;
  private final HeadGuard guard;
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
      Handler proxy,
      HeadGuard guard,
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
    this.guard = guard;
    this.clock = clock;
  }

  /** Who asks, and what follows from it. */
  private sealed interface Caller {}

  private record Allowed(String account) implements Caller {}

  private record Refused(String account, int status, String error, String why) implements Caller {}

  @Override
  public boolean handle(Request request, Response response, Callback callback) throws Exception {
    guard.begins(request);
    Materials now = materials.current();
    String path = String.valueOf(request.getHttpURI().getPath());
    if (path.equals(TokenEndpoint.PATH)) {
      return tokenEndpoint.handle(now, request, response, callback);
    }
    return switch (Route.of(request.getMethod(), path, request.getHttpURI().getQuery())) {
      case Route.NotFound _ ->
          Answers.error(request, response, callback, 404, "NOT_FOUND", "no such path");
      case Route.MethodNotAllowed(String allow) -> {
        response.getHeaders().put(HttpHeader.ALLOW, allow);
        yield Answers.error(
            request, response, callback, 405, "UNSUPPORTED", "the method is not supported here");
      }
      case Route.BadRequest(String problem) ->
          Answers.error(request, response, callback, 400, "UNSUPPORTED", problem);
      case Route.Accepted route -> judged(now, route, request, response, callback);
    };
  }

  private boolean judged(
      Materials now, Route.Accepted route, Request request, Response response, Callback callback)
      throws Exception {
    InetAddress address = TokenEndpoint.address(request);
    String what = route.kind().name();
    switch (caller(now, route, request, address)) {
      case Refused(String account, int status, String error, String why) -> {
        metrics.denied(status == 429 ? "throttled" : error.isEmpty() ? "unauthorized" : error);
        if (now.config().audit() != GatewayConfig.Audit.None && !error.isEmpty()) {
          audit.decided(account, address.getHostAddress(), what, route.repository(), why, status);
        }
        if (status == 401) {
          response
              .getHeaders()
              .put(HttpHeader.WWW_AUTHENTICATE, challenge(now, route, request, error));
        }
        return Answers.error(
            request,
            response,
            callback,
            status,
            status == 429 ? "TOOMANYREQUESTS" : "UNAUTHORIZED",
            why);
      }
      case Allowed(String account) -> {
        boolean told =
            now.config().audit() == GatewayConfig.Audit.All
                || (now.config().audit() == GatewayConfig.Audit.Writes && route.kind().writes());
        if (route.kind().writes()) {
          if (!freeze.enter(route.kind().deletes())) {
            metrics.denied("frozen");
            response.getHeaders().put(HttpHeader.RETRY_AFTER, freeze.left().toSeconds() + 1);
            return Answers.error(
                request,
                response,
                callback,
                405,
                "UNSUPPORTED",
                "writes are held back while content is collected; come again");
          }
          send(
              route,
              request,
              response,
              finishing(route, request, response, callback, account, address, told, freeze::leave));
          return true;
        }
        if (route.kind() == Route.Kind.BLOB_READ) {
          Callback leaving =
              finishing(route, request, response, callback, account, address, told, blobs::leave);
          blobs.arrive(
              address.getHostAddress(),
              new FairGate.Visitor() {
                @Override
                public void enter() {
                  request
                      .getComponents()
                      .getExecutor()
                      .execute(() -> send(route, request, response, leaving));
                }

                @Override
                public void giveUp() {
                  metrics.denied("busy");
                  response.getHeaders().put(HttpHeader.RETRY_AFTER, 5);
                  Answers.error(
                      request,
                      response,
                      callback,
                      503,
                      "TOOMANYREQUESTS",
                      "too many blobs are read at once; come again");
                }
              },
              Duration.ofSeconds(now.config().blobWaitSeconds()),
              clock.instant());
          return true;
        }
        send(
            route,
            request,
            response,
            finishing(route, request, response, callback, account, address, told, () -> {}));
        return true;
      }
    }
  }

  private Caller caller(Materials now, Route.Accepted route, Request request, InetAddress address)
      throws InterruptedException {
    if (now.config().authMode() == GatewayConfig.AuthMode.None) {
      return new Allowed("");
    }
    String header = request.getHeaders().get(HttpHeader.AUTHORIZATION);
    if (header == null) {
      return new Refused("", 401, "", "authentication required");
    }
    if (header.regionMatches(true, 0, "Bearer ", 0, 7)) {
      Optional<Tokens.Claims> claims =
          tokens.verify(now.keys(), now.config(), header.substring(7).strip(), clock.instant());
      if (claims.isEmpty()) {
        return new Refused("", 401, "invalid_token", "the token is not valid");
      }
      return claims.get().grantsAll(route.needs())
          ? new Allowed(claims.get().account())
          : new Refused(
              claims.get().account(), 401, "insufficient_scope", "the token does not grant this");
    }
    Optional<TokenEndpoint.Login> login = TokenEndpoint.basic(request);
    if (login.isEmpty()) {
      return new Refused("", 401, "", "authentication required");
    }
    String account = login.get().name();
    return switch (logins.check(
        now.users(), account, login.get().password(), address.getHostAddress())) {
      case Logins.Outcome.Wrong _ -> new Refused(account, 401, "login", "wrong password");
      case Logins.Outcome.Throttled _ ->
          new Refused(account, 429, "throttled", "too many wrong passwords");
      case Logins.Outcome.Good _ ->
          route.needs().stream()
                  .allMatch(need -> TokenEndpoint.allowed(now, account, address, need).covers(need))
              ? new Allowed(account)
              : new Refused(account, 401, "insufficient_scope", "the account may not do this");
    };
  }

  /** RFC 6750 and the distribution token specification; one origin for registry and tokens. */
  private static String challenge(
      Materials now, Route.Accepted route, Request request, String error) {
    String host = request.getHeaders().get(HttpHeader.HOST);
    StringBuilder challenge =
        new StringBuilder("Bearer realm=\"https://")
            .append(host == null ? "" : host.replace("\"", ""))
            .append(TokenEndpoint.PATH)
            .append("\",service=\"")
            .append(now.config().service())
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

  private void send(Route.Accepted route, Request request, Response response, Callback callback) {
    try {
      request.setAttribute(ROUTE, route);
      proxy.handle(new Forwarded(request, route.kind()), response, callback);
    } catch (Exception e) {
      callback.failed(e);
    }
  }

  /** Gives back what was taken and tells what happened, once, however the exchange ends. */
  private Callback finishing(
      Route.Accepted route,
      Request request,
      Response response,
      Callback callback,
      String account,
      InetAddress address,
      boolean told,
      Runnable release) {
    AtomicBoolean done = new AtomicBoolean();
    Runnable end =
        () -> {
          if (done.compareAndSet(false, true)) {
            release.run();
            long length = response.getHeaders().getLongField(HttpHeader.CONTENT_LENGTH);
            metrics.answered(
                route.kind(),
                route.repository(),
                response.getStatus(),
                length,
                (System.nanoTime() - request.getBeginNanoTime()) / 1e9);
            if (told) {
              audit.decided(
                  account,
                  address.getHostAddress(),
                  route.kind().name(),
                  route.repository(),
                  "allowed",
                  response.getStatus());
            }
          }
        };
    return new Callback.Nested(callback) {
      @Override
      public void succeeded() {
        end.run();
        super.succeeded();
      }

      @Override
      public void failed(Throwable x) {
        end.run();
        super.failed(x);
      }
    };
  }

  /**
   * A request as the registry shall see it. Without {@code Expect: 100-continue} Jetty says 100
   * itself when the body is first read, and an early answer of the registry cannot leave both sides
   * waiting.
   */
  private static final class Forwarded extends Request.Wrapper {
    private final HttpFields headers;

    Forwarded(Request wrapped, Route.Kind kind) {
      super(wrapped);
      HttpFields.Mutable fields = HttpFields.build();
      for (HttpField field : wrapped.getHeaders()) {
        if (passes(field, kind)) {
          fields.add(field);
        }
      }
      headers = fields.asImmutable();
    }

    @Override
    public HttpFields getHeaders() {
      return headers;
    }

    private static boolean passes(HttpField field, Route.Kind kind) {
      String name = field.getLowerCaseName();
      return switch (name) {
        // The registry also reads the parameters of a mount from a form in the body; those that
        // were judged are in the query.
        case "content-type" -> kind != Route.Kind.UPLOAD_START;
        case "expect", "authorization", "cookie", "forwarded", "x-real-ip" -> false;
        default -> !name.startsWith("x-forwarded-");
      };
    }
  }
}
