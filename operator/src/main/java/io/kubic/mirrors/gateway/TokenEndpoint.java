package io.kubic.mirrors.gateway;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
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
import org.eclipse.jetty.util.UrlEncoded;

/**
 * {@code /auth/token}: the distribution token specification by GET, and its OAuth2 form by POST. It
 * grants what the account may have of what is asked, and never fails for asking too much.
 */
final class TokenEndpoint {
  static final String PATH = "/auth/token";
  private static final int MAX_FORM = 64 * 1024;

  private final Logins logins;
  private final GatewayMetrics metrics;
  private final AuditLog audit;
  private final SecureRandom random;
  private final Clock clock;

  TokenEndpoint(
      Logins logins, GatewayMetrics metrics, AuditLog audit, SecureRandom random, Clock clock) {
    this.logins = logins;
    this.metrics = metrics;
    this.audit = audit;
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

  boolean handle(Materials materials, Request request, Response response, Callback callback)
      throws Exception {
    List<String> scopes = new ArrayList<>();
    Optional<Login> login = basic(request);
    switch (request.getMethod()) {
      case "GET" -> {
        Fields query = Request.extractQueryParameters(request);
        scopes.addAll(query.getValuesOrEmpty("scope"));
      }
      case "POST" -> {
        if (request.getLength() > MAX_FORM) {
          return Answers.error(request, response, callback, 413, "SIZE_INVALID", "form too large");
        }
        Fields form = new Fields();
        String body = Content.Source.asString(request, StandardCharsets.UTF_8);
        if (body.length() > MAX_FORM) {
          return Answers.error(request, response, callback, 413, "SIZE_INVALID", "form too large");
        }
        UrlEncoded.decodeUtf8To(body, form);
        if (!"password".equals(form.getValue("grant_type"))) {
          return Answers.send(
              request, response, callback, 400, Map.of("error", "unsupported_grant_type"));
        }
        scopes.addAll(form.getValuesOrEmpty("scope"));
        String name = form.getValue("username");
        String password = form.getValue("password");
        if (name != null && password != null && !name.isEmpty()) {
          login = Optional.of(new Login(name, password));
        }
      }
      default -> {
        response.getHeaders().put(HttpHeader.ALLOW, "GET, POST");
        return Answers.error(request, response, callback, 405, "UNSUPPORTED", "use GET or POST");
      }
    }
    InetAddress address = address(request);
    String account = login.map(Login::name).orElse("");
    if (login.isPresent()) {
      switch (logins.check(
          materials.users(), account, login.get().password(), address.getHostAddress())) {
        case Logins.Outcome.Good _ -> {}
        case Logins.Outcome.Wrong _ -> {
          return refuse(request, response, callback, account, address, "wrong password", 401);
        }
        case Logins.Outcome.Throttled(java.time.Duration pause) -> {
          response.getHeaders().put(HttpHeader.RETRY_AFTER, Math.max(1, pause.toSeconds() + 1));
          return refuse(
              request, response, callback, account, address, "too many wrong passwords", 429);
        }
      }
    }
    List<Access> asked = Access.parse(scopes);
    List<Access> granted =
        asked.stream().map(access -> allowed(materials, account, address, access)).toList();
    Instant now = clock.instant();
    String token = Tokens.issue(materials.keys(), materials.config(), account, granted, id(), now);
    metrics.token(account.isEmpty());
    audit.decided(
        account,
        address.getHostAddress(),
        "TOKEN",
        asked.stream().map(Access::scope).collect(Collectors.joining(" ")),
        "granted "
            + granted.stream()
                .filter(grant -> !grant.actions().isEmpty())
                .map(Access::scope)
                .collect(Collectors.joining(" ")),
        200);
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("token", token);
    answer.put("access_token", token);
    answer.put("expires_in", materials.config().tokenLifetimeSeconds());
    answer.put("issued_at", now.truncatedTo(java.time.temporal.ChronoUnit.SECONDS).toString());
    response.getHeaders().put(HttpHeader.CACHE_CONTROL, "no-store");
    return Answers.send(request, response, callback, 200, answer);
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

  private boolean refuse(
      Request request,
      Response response,
      Callback callback,
      String account,
      InetAddress address,
      String why,
      int status) {
    metrics.denied(status == 429 ? "throttled" : "login");
    audit.decided(account, address.getHostAddress(), "TOKEN", null, why, status);
    return Answers.error(
        request,
        response,
        callback,
        status,
        status == 429 ? "TOOMANYREQUESTS" : "UNAUTHORIZED",
        why);
  }
}
