package io.kubic.mirrors.oci.registry;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Shown;
import java.io.EOFException;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.ConnectException;
import java.net.ProtocolException;
import java.net.UnknownHostException;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertificateException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeParseException;
import java.util.Locale;
import java.util.Optional;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLPeerUnverifiedException;
import okhttp3.HttpUrl;
import okhttp3.Response;
import org.jspecify.annotations.Nullable;

/** Turns broken connections and bad answers into reasons. */
final class Failures {
  /** Enough for any honest error body; what is beyond is not read. */
  static final int MAX_ERROR_BYTES = 64 << 10;

  private static final String PROXY_LOGIN = " wants a login, or does not take the one it got";

  private static final ObjectMapper JSON = new ObjectMapper();

  private Failures() {}

  /** Why a call ended without an answer. */
  static RegistryException of(IOException e, HttpUrl url, String object) {
    if (Thread.currentThread().isInterrupted()) {
      return Gate.cancelled(object);
    }
    String where = origin(url);
    return switch (e) {
      case AddressGuard.RefusedException refused ->
          new RegistryException(
              Reason.RedirectRefused, object, where + " is refused: " + refused.getMessage());
      case UnknownHostException _ ->
          new RegistryException(
              Reason.NameResolution, object, "the name " + url.host() + " does not resolve", e);
      // Also a SocketTimeoutException, and a call that took too long as a whole.
      case InterruptedIOException _ ->
          new RegistryException(Reason.Timeout, object, "no answer from " + where + " in time", e);
      case SSLException ssl when isTrust(ssl) ->
          new RegistryException(
              Reason.TLSVerification,
              object,
              "the certificate of "
                  + where
                  + " is not trusted: "
                  + Shown.of(String.valueOf(deepest(ssl).getMessage()))
                  + "; name its CA in tls.caBundleRef, --ca or --source-ca",
              e);
      case SSLException ssl when isNoTls(ssl) ->
          new RegistryException(
              Reason.TLSVerification,
              object,
              where
                  + " does not speak TLS; a registry over plain HTTP must be declared as one:"
                  + " tls.plainHTTP or --plain-http",
              e);
      case IOException proxy when isProxyLogin(proxy) ->
          new RegistryException(
              Reason.Unauthorized, object, "the proxy on the way to " + where + PROXY_LOGIN, e);
      case ProtocolException protocol
          when !String.valueOf(protocol.getMessage()).contains("unexpected end") ->
          new RegistryException(
              Reason.MalformedResponse,
              object,
              where + " breaks HTTP: " + Shown.of(String.valueOf(protocol.getMessage())),
              e);
      // Between two chunks of a body as well as within one.
      case EOFException _ ->
          new RegistryException(
              Reason.ConnectionFailed, object, "the connection to " + where + " ended early", e);
      case ConnectException _ ->
          new RegistryException(
              Reason.ConnectionFailed, object, where + " does not accept connections", e);
      default ->
          new RegistryException(
              Reason.ConnectionFailed,
              object,
              "the connection to "
                  + where
                  + " broke: "
                  + Shown.of(String.valueOf(e.getMessage() == null ? e : e.getMessage())),
              e);
    };
  }

  private static boolean isTrust(SSLException e) {
    if (e instanceof SSLPeerUnverifiedException) {
      return true;
    }
    for (Throwable t = e; t != null; t = t.getCause()) {
      if (t instanceof CertificateException || t instanceof CertPathValidatorException) {
        return true;
      }
    }
    String message = String.valueOf(e.getMessage());
    return message.contains("handshake_failure")
        || message.contains("bad_certificate")
        || message.contains("certificate_required")
        || message.contains("unknown_ca");
  }

  private static boolean isProxyLogin(IOException e) {
    return String.valueOf(e.getMessage()).contains("authenticate with proxy");
  }

  private static boolean isNoTls(SSLException e) {
    String message = String.valueOf(e.getMessage());
    return message.contains("Unsupported or unrecognized SSL message")
        || message.contains("plaintext connection");
  }

  private static Throwable deepest(Throwable e) {
    Throwable t = e;
    while (t.getCause() != null && t.getCause() != t) {
      t = t.getCause();
    }
    return t;
  }

  /**
   * Why an answer is not the one that was asked for. Reads the beginning of its body.
   *
   * @param push whether something was to be written: refusals are then the target's
   */
  static RegistryException of(Response response, String object, boolean push, Clock clock) {
    int status = response.code();
    String detail = detail(response);
    String said =
        status == 407
            ? "the proxy" + PROXY_LOGIN
            : "the registry answered " + status + (detail.isEmpty() ? "" : ": " + Shown.of(detail));
    // All of it: a path may stand before what went wrong with it.
    String lower = detail.toLowerCase(Locale.ROOT);
    // Of requests there are quotas too.
    boolean full =
        status == 507
            || push && status != 429 && (lower.contains("no space left") || lower.contains("quota"))
            || push && lower.contains("disk full");
    Reason reason;
    if (full) {
      reason = Reason.TargetFull;
    } else if (status >= 500) {
      reason = Reason.ServerError;
    } else {
      reason =
          switch (status) {
            case 401, 407 -> Reason.Unauthorized;
            case 403 -> Reason.Forbidden;
            case 404 -> Reason.NotFound;
            case 408 -> Reason.Timeout;
            case 413 -> Reason.TooLarge;
            case 429 -> Reason.RateLimited;
            case 300, 301, 302, 303, 307, 308 -> Reason.RedirectRefused;
            default -> push && status >= 400 ? Reason.TargetRejected : Reason.MalformedResponse;
          };
    }
    RegistryException failure = new RegistryException(reason, object, said);
    return retryAfter(response, clock).map(failure::withRetryAfter).orElse(failure);
  }

  /** For how long an answer asks to be left alone; empty when it does not. */
  static Optional<Duration> retryAfter(Response response, Clock clock) {
    return response.code() == 429 || response.code() == 503
        ? retryAfter(response.header("Retry-After"), clock.instant())
        : Optional.empty();
  }

  /**
   * Seconds or an HTTP date; anything else is not there, nor is a time that is over: clocks differ,
   * and a request that failed is not repeated without a pause.
   */
  private static Optional<Duration> retryAfter(@Nullable String header, Instant now) {
    if (header == null) {
      return Optional.empty();
    }
    String text = header.strip();
    try {
      if (!text.isEmpty() && text.chars().allMatch(c -> c >= '0' && c <= '9')) {
        return Optional.of(
                Duration.ofSeconds(text.length() > 9 ? 1_000_000_000L : Long.parseLong(text)))
            .filter(Duration::isPositive);
      }
      Instant at = ZonedDateTime.parse(text, DateTimeFormatter.RFC_1123_DATE_TIME).toInstant();
      return Optional.of(Duration.between(now, at)).filter(Duration::isPositive);
    } catch (DateTimeParseException e) {
      return Optional.empty();
    }
  }

  /** The error list of the OCI distribution specification, as it is; empty for other bodies. */
  private static String detail(Response response) {
    byte[] body;
    try {
      var source = response.body().source();
      source.request(MAX_ERROR_BYTES);
      body = source.getBuffer().readByteArray(Math.min(source.getBuffer().size(), MAX_ERROR_BYTES));
    } catch (IOException e) {
      return "";
    }
    try {
      JsonNode root = JSON.readTree(body);
      StringBuilder line = new StringBuilder();
      if (root != null) {
        for (JsonNode error : root.path("errors")) {
          String code = error.path("code").asText("");
          String message = error.path("message").asText("");
          String more = error.path("detail").isTextual() ? error.path("detail").asText() : "";
          line.append(line.isEmpty() ? "" : "; ")
              .append(code)
              .append(message.isEmpty() ? "" : (code.isEmpty() ? "" : " ") + message)
              .append(more.isEmpty() ? "" : " (" + more + ")");
        }
      }
      return Reflection.hidden(line.toString(), response.request()).strip();
    } catch (JsonProcessingException e) {
      return "";
    } catch (IOException e) {
      return "";
    }
  }

  /** Scheme, host and port: what of a URL may be shown. */
  static String origin(HttpUrl url) {
    boolean usual = url.port() == HttpUrl.defaultPort(url.scheme());
    return url.scheme() + "://" + url.host() + (usual ? "" : ":" + url.port());
  }
}
