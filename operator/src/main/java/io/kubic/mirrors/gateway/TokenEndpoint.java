package io.kubic.mirrors.gateway;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Collectors;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.Fields;
import org.eclipse.jetty.util.Promise;
import org.eclipse.jetty.util.UrlEncoded;

/**
 * {@code /auth/token}: the distribution token specification by GET, and its OAuth2 form by POST. It
 * grants what the account may have of what is asked, and never fails for asking too much. Refresh
 * tokens are not given: a password is changed to take access away, and that should be enough.
 */
final class TokenEndpoint {
  static final String PATH = "/auth/token";
  private static final int MAX_FORM = 64 * 1024;
  private static final String KIND = "TOKEN";

  private final Logins logins;
  private final GatewayMetrics metrics;
  private final AuditLog audit;
  private final BodyGuard bodies;
  private final SecureRandom random;
  private final Clock clock;

  TokenEndpoint(
      Logins logins,
      GatewayMetrics metrics,
      AuditLog audit,
      BodyGuard bodies,
      SecureRandom random,
      Clock clock) {
    this.logins = logins;
    this.metrics = metrics;
    this.audit = audit;
    this.bodies = bodies;
    this.random = random;
    this.clock = clock;
  }

  /** Name and password as they were sent. */
  record Login(String name, String password) {
    @Override
    public String toString() {
      return name + ":***";
    }
  }

  /** What is asked for, by whom; {@code form}: it came as an OAuth2 form. */
  private record Ask(List<String> scopes, Optional<Login> login, boolean form) {}

  /** Answers, now or later; never blocks. */
  boolean handle(Materials materials, Request request, Response response, Callback callback) {
    return switch (request.getMethod()) {
      case "GET" -> {
        List<String> scopes = Request.extractQueryParameters(request).getValuesOrEmpty("scope");
        answer(materials, new Ask(scopes, basic(request), false), request, response, callback);
        yield true;
      }
      case "POST" -> {
        if (request.getLength() > MAX_FORM) {
          yield tooLarge(request, response, callback);
        }
        Content.Source.asByteArrayAsync(
            bodies.watch(request),
            MAX_FORM,
            new Promise.Invocable<>() {
              @Override
              public void succeeded(byte[] body) {
                try {
                  form(materials, body, request, response, callback);
                } catch (RuntimeException e) {
                  callback.failed(e);
                }
              }

              @Override
              public void failed(Throwable x) {
                tooLarge(request, response, callback);
              }

              @Override
              public InvocationType getInvocationType() {
                return InvocationType.BLOCKING;
              }
            });
        yield true;
      }
      default -> {
        response.getHeaders().put(HttpHeader.ALLOW, "GET, POST");
        yield Answers.error(request, response, callback, 405, "UNSUPPORTED", "use GET or POST");
      }
    };
  }

  private static boolean tooLarge(Request request, Response response, Callback callback) {
    return Answers.error(request, response, callback, 413, "SIZE_INVALID", "form too large");
  }

  private void form(
      Materials materials, byte[] body, Request request, Response response, Callback callback) {
    Fields form = new Fields();
    try {
      UrlEncoded.decodeUtf8To(new String(body, StandardCharsets.UTF_8), form);
    } catch (RuntimeException e) {
      Answers.send(request, response, callback, 400, Map.of("error", "invalid_request"));
      return;
    }
    if (!"password".equals(form.getValue("grant_type"))) {
      // RFC 6749, 5.2; also what a client gets that still holds another server's refresh token.
      Answers.send(request, response, callback, 400, Map.of("error", "unsupported_grant_type"));
      return;
    }
    String name = form.getValue("username");
    String password = form.getValue("password");
    Optional<Login> login =
        name != null && password != null && !name.isEmpty()
            ? Optional.of(new Login(name, password))
            : basic(request);
    answer(
        materials,
        new Ask(form.getValuesOrEmpty("scope"), login, true),
        request,
        response,
        callback);
  }

  private void answer(
      Materials materials, Ask ask, Request request, Response response, Callback callback) {
    InetAddress address = address(request);
    if (ask.login.isEmpty()) {
      grant(materials, ask, "", address, request, response, callback);
      return;
    }
    Login login = ask.login.get();
    logins.check(
        materials.users(),
        login.name(),
        login.password(),
        address.getHostAddress(),
        outcome -> {
          try {
            switch (outcome) {
              case Logins.Outcome.Good _ ->
                  grant(materials, ask, login.name(), address, request, response, callback);
              case Logins.Outcome.Wrong _ ->
                  refuse(request, response, callback, login.name(), "login", 401, 0);
              case Logins.Outcome.Throttled(java.time.Duration pause) ->
                  refuse(
                      request,
                      response,
                      callback,
                      login.name(),
                      "throttled",
                      429,
                      pause.toSeconds() + 1);
              case Logins.Outcome.Busy _ ->
                  refuse(request, response, callback, login.name(), "busy", 503, 1);
            }
          } catch (RuntimeException e) {
            callback.failed(e);
          }
        });
  }

  private void grant(
      Materials materials,
      Ask ask,
      String account,
      InetAddress address,
      Request request,
      Response response,
      Callback callback) {
    List<Access> asked = Access.parse(ask.scopes);
    List<Access> granted =
        asked.stream()
            .map(access -> allowed(materials, account, address, access))
            .filter(access -> !access.actions().isEmpty())
            .toList();
    Instant now = clock.instant();
    String token = Tokens.issue(materials.keys(), materials.config(), account, granted, id(), now);
    String scope = granted.stream().map(Access::scope).collect(Collectors.joining(" "));
    metrics.token(account.isEmpty());
    if (materials.config().audit() != GatewayConfig.Audit.None) {
      audit.decided(
          account,
          address.getHostAddress(),
          KIND,
          asked.stream().map(Access::scope).collect(Collectors.joining(" ")),
          "granted " + scope,
          200);
    }
    Map<String, Object> answer = new LinkedHashMap<>();
    if (!ask.form) {
      answer.put("token", token);
    }
    answer.put("access_token", token);
    if (ask.form) {
      answer.put("token_type", "Bearer");
      answer.put("scope", scope);
    }
    answer.put("expires_in", materials.config().tokenLifetimeSeconds());
    answer.put("issued_at", now.truncatedTo(ChronoUnit.SECONDS).toString());
    response.getHeaders().put(HttpHeader.CACHE_CONTROL, "no-store");
    Answers.send(request, response, callback, 200, answer);
  }

  /** What an account may have of one access. */
  static Access allowed(Materials materials, String account, InetAddress address, Access asked) {
    if (materials.config().authMode() == GatewayConfig.AuthMode.None) {
      return asked;
    }
    return materials
        .acl()
        .allowed(
            new Acl.Subject(account, materials.users().role(account), address),
            asked,
            materials.config().service(),
            materials.config().anonymousPull());
  }

  /** Credentials of the Authorization header (RFC 7617). */
  static Optional<Login> basic(Request request) {
    String header = request.getHeaders().get(HttpHeader.AUTHORIZATION);
    if (header == null || !header.regionMatches(true, 0, "Basic ", 0, 6)) {
      return Optional.empty();
    }
    try {
      String pair =
          new String(
              Base64.getDecoder().decode(header.substring(6).strip()), StandardCharsets.UTF_8);
      int colon = pair.indexOf(':');
      return colon <= 0
          ? Optional.empty()
          : Optional.of(new Login(pair.substring(0, colon), pair.substring(colon + 1)));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  static InetAddress address(Request request) {
    SocketAddress remote = request.getConnectionMetaData().getRemoteSocketAddress();
    return remote instanceof InetSocketAddress inet && inet.getAddress() != null
        ? inet.getAddress()
        : InetAddress.getLoopbackAddress();
  }

  private UUID id() {
    byte[] bytes = new byte[16];
    random.nextBytes(bytes);
    return UUID.nameUUIDFromBytes(bytes);
  }

  private void refuse(
      Request request,
      Response response,
      Callback callback,
      String account,
      String reason,
      int status,
      long retryAfter) {
    String why =
        switch (status) {
          case 429 -> "too many wrong passwords";
          case 503 -> "too many passwords are checked at once";
          default -> "wrong password";
        };
    metrics.denied(reason);
    audit.decided(account, address(request).getHostAddress(), KIND, null, why, status);
    if (retryAfter > 0) {
      response.getHeaders().put(HttpHeader.RETRY_AFTER, retryAfter);
    }
    Answers.error(request, response, callback, status, code(status), why);
  }

  /** Of the distribution-spec's codes, the one that fits. */
  static String code(int status) {
    return switch (status) {
      case 429 -> "TOOMANYREQUESTS";
      case 503 -> "UNAVAILABLE";
      default -> "UNAUTHORIZED";
    };
  }
}
