package io.kubic.mirrors.oci.registry;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import io.kubic.mirrors.list.SelectedImage;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Repository;
import io.kubic.mirrors.pki.CertificateAuthority;
import io.kubic.mirrors.pki.CertifiedKey;
import io.kubic.mirrors.pki.KeySpec;
import io.kubic.mirrors.pki.LeafRequest;
import io.kubic.mirrors.pki.SubjectNames;
import io.kubic.mirrors.sync.Copier;
import io.kubic.mirrors.sync.Outcome;
import io.kubic.mirrors.sync.Planner;
import java.io.ByteArrayOutputStream;
import java.net.InetAddress;
import java.net.URI;
import java.security.KeyStore;
import java.security.SecureRandom;
import java.security.cert.Certificate;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/**
 * Registries that misbehave, one way each, against the real planner and copier: every one is
 * contained, has the right reason, leaves no wrong byte in the target, sees no credentials that are
 * not its own, costs bounded memory and time.
 */
class HostileRegistryTest {
  private static final String PASSWORD = "hunter2-canary";
  private static final String BASIC =
      "Basic " + Base64.getEncoder().encodeToString(("u:" + PASSWORD).getBytes(UTF_8));
  private static final String TOKEN = "t0ken-canary";
  private static final Duration TIMEOUT = Duration.ofMillis(800);

  /** For a case that ran out of time on a machine that is busy with other things. */
  private static final Duration PATIENT = Duration.ofSeconds(5);

  private static final long MOST_SENT = 48L << 20;

  private static final byte[] CONFIG =
      "{\"architecture\":\"amd64\",\"os\":\"linux\"}".getBytes(UTF_8);
  private static final byte[] LAYER = random(200_000);
  private static final String CONFIG_BLOB = "/v2/app/blobs/" + Digest.of(CONFIG);
  private static final String LAYER_BLOB = "/v2/app/blobs/" + Digest.of(LAYER);
  private static final String IMAGE = image(descriptor("x/layer", Digest.of(LAYER), LAYER.length));
  private static final byte[] IMAGE_BYTES = IMAGE.getBytes(UTF_8);
  private static final String MANIFEST = "/v2/app/manifests/";
  private static final String TAGS = "/v2/app/tags/list";
  private static final String BAD = "sha256:" + "0".repeat(64);

  private enum Way {
    /** Copies app:1 from the misbehaving registry. */
    SYNC,
    /** The same, and the registry wants a login. */
    SYNC_WITH_LOGIN,
    /** Copies app:1 to the misbehaving registry. */
    TARGET,
    /** Lists the tags. */
    TAGS,
    /** Lists the repositories. */
    CATALOG,
    /** Asks for referrers. */
    REFERRERS
  }

  /** How the misbehaving registry speaks TLS. */
  private enum Tls {
    NONE,
    GOOD,
    EXPIRED,
    OTHER_HOST,
    UNKNOWN_CA,
    /** The client expects TLS and gets none. */
    NOT_THERE
  }

  /**
   * @param allowed reasons, or {@code ok} for what must be survived
   */
  private record Misbehaviour(
      String name, Way way, Tls tls, Set<String> allowed, HostileRegistry.Script script) {}

  private record Result(
      Misbehaviour what,
      String reason,
      String message,
      Duration took,
      List<String> foreign,
      List<String> wrong,
      List<InetAddress> inner,
      long sent,
      boolean tagged,
      boolean complete) {}

  private final List<Misbehaviour> all = new ArrayList<>();

  private void add(String name, Way way, String allowed, HostileRegistry.Script script) {
    all.add(new Misbehaviour(name, way, Tls.NONE, Set.of(allowed.split("\\|")), script));
  }

  private void tls(String name, Tls tls, String allowed, HostileRegistry.Script script) {
    all.add(new Misbehaviour(name, Way.SYNC, tls, Set.of(allowed.split("\\|")), script));
  }

  /** A case whose script answers the manifest only. */
  private void manifest(String name, String allowed, HostileRegistry.Script script) {
    add("manifest: " + name, Way.SYNC, allowed, x -> x.asks(MANIFEST) && script.answer(x));
  }

  private void layer(String name, String allowed, HostileRegistry.Script script) {
    add("blob: " + name, Way.SYNC, allowed, x -> x.asks(LAYER_BLOB) && script.answer(x));
  }

  private void tags(String name, String allowed, HostileRegistry.Script script) {
    add("listing: " + name, Way.TAGS, allowed, x -> x.asks(TAGS) && script.answer(x));
  }

  /** Only the first request of a kind is answered by the script. */
  private static HostileRegistry.Script once(HostileRegistry.Script script) {
    AtomicInteger count = new AtomicInteger();
    return x -> count.getAndIncrement() == 0 && script.answer(x);
  }

  private void transport() {
    manifest("silence after the request", "Timeout", x -> x.stall());
    manifest(
        "headers that drip",
        "Timeout",
        x -> x.drip("HTTP/1.1 200 OK\r\nX: " + "y".repeat(400), 40));
    manifest(
        "a body that drips",
        "Timeout",
        x ->
            x.raw("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n") && x.drip("{".repeat(500), 40));
    manifest(
        "an error body that drips",
        "ServerError|Timeout",
        x -> x.raw("HTTP/1.1 500 X\r\nContent-Length: 500\r\n\r\n") && x.drip("{".repeat(500), 40));
    layer(
        "a byte now and then",
        "Stalled",
        x ->
            x.raw("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n")
                && x.drip("x".repeat(4000), 30));
    layer(
        "a stall in the middle",
        "Stalled",
        x ->
            x.raw("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n")
                && x.raw(part(0, 1000))
                && x.stall());
    layer("a reset every thousand bytes", "ConnectionFailed", x -> partial(x, 1000) && x.reset());
    layer("a reset once", "ok", once(x -> partial(x, 100_000) && x.reset()));
    layer("an early end every time", "ConnectionFailed", x -> partial(x, 1000) && x.end());
    layer("an early end once", "ok", once(x -> partial(x, 100_000) && x.end()));
    manifest(
        "a half-close without an answer",
        "ConnectionFailed",
        x -> {
          x.socket.shutdownOutput();
          return x.stall();
        });
    manifest("closed at once", "ConnectionFailed", x -> x.end());
    manifest("reset at once", "ConnectionFailed", x -> x.reset());
    manifest("garbage", "MalformedResponse", x -> x.raw("\0\1\2\3 garbage\r\n\r\n") && x.end());
    manifest("no status line", "MalformedResponse", x -> x.raw("{}\r\n\r\n") && x.end());
    manifest(
        "a status that is no number",
        "MalformedResponse",
        x -> x.raw("HTTP/1.1 abc OK\r\n\r\n") && x.end());
    manifest(
        "headers without end",
        "MalformedResponse|ConnectionFailed",
        x -> x.raw("HTTP/1.1 200 OK\r\n") && x.endless("A: b\r\n"));
    manifest(
        "one header without end",
        "MalformedResponse|ConnectionFailed",
        x -> x.raw("HTTP/1.1 200 OK\r\nA: ") && x.endless("y"));
    manifest(
        "a body without end",
        "TooLarge",
        x -> x.raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n") && x.endless("{"));
    manifest(
        "chunks without end",
        "TooLarge",
        x ->
            x.raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                && x.endless("4\r\n{{{{\r\n"));
    manifest(
        "an error body without end",
        "ServerError",
        x -> x.raw("HTTP/1.1 500 X\r\nConnection: close\r\n\r\n") && x.endless("{"));
    manifest(
        "1xx without end",
        "MalformedResponse|Timeout|ConnectionFailed",
        x -> x.endless("HTTP/1.1 102 Processing\r\n\r\n"));
    manifest(
        "a chunk of no size",
        "MalformedResponse|ConnectionFailed",
        x ->
            x.raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n")
                && x.end());
    manifest(
        "a chunk of all sizes",
        "MalformedResponse|ConnectionFailed",
        x ->
            x.raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}\r\n")
                && x.end());
    manifest(
        "an extension of a chunk without end",
        "MalformedResponse|ConnectionFailed|TooLarge",
        x -> x.raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;") && x.endless("y"));
    manifest(
        "a negative length",
        "MalformedResponse|ok",
        x -> x.raw("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}") && x.end());
    manifest(
        "a length beyond numbers",
        "MalformedResponse|TooLarge",
        x -> x.raw("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}") && x.end());
    manifest(
        "a length and chunks",
        "MalformedResponse|ConnectionFailed",
        x ->
            x.raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}")
                && x.end());
    tls("tls: expired", Tls.EXPIRED, "TLSVerification", x -> false);
    tls("tls: another host's certificate", Tls.OTHER_HOST, "TLSVerification", x -> false);
    tls("tls: an unknown authority", Tls.UNKNOWN_CA, "TLSVerification", x -> false);
    tls("tls: none", Tls.NOT_THERE, "TLSVerification|ConnectionFailed|Timeout", x -> false);
    tls(
        "tls: cut in the manifest",
        Tls.GOOD,
        "ConnectionFailed",
        x ->
            x.asks(MANIFEST)
                && x.raw("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
                && x.reset());
    tls(
        "tls: cut in a blob once",
        Tls.GOOD,
        "ok",
        onLayer(once(x -> partial(x, 100_000) && x.reset())));
    tls("tls: all is well", Tls.GOOD, "ok", x -> false);
  }

  private static HostileRegistry.Script onLayer(HostileRegistry.Script script) {
    return x -> x.asks(LAYER_BLOB) && script.answer(x);
  }

  private void statuses() {
    for (int status : List.of(500, 502, 503, 504, 599)) {
      manifest("always " + status, "ServerError", x -> x.respond(status, "", "oops"));
    }
    Map<Integer, String> refusals =
        Map.of(
            400,
            "MalformedResponse",
            402,
            "MalformedResponse",
            403,
            "Forbidden",
            404,
            "NotFound",
            405,
            "MalformedResponse",
            410,
            "MalformedResponse",
            418,
            "MalformedResponse",
            451,
            "MalformedResponse",
            408,
            "Timeout",
            413,
            "TooLarge");
    new TreeMap<>(refusals)
        .forEach(
            (status, reason) ->
                manifest("always " + status, reason, x -> x.respond(status, "", "")));
    manifest("503, then well", "ok", once(x -> x.respond(503, "", "")));
    manifest(
        "503 for two seconds, then well",
        "ok",
        once(x -> x.respond(503, "Retry-After: 2\r\n", "")));
    manifest("408, then well", "ok", once(x -> x.respond(408, "", "")));
    manifest("always 429", "RateLimited", x -> x.respond(429, "", ""));
    manifest("429 for a second", "ok", once(x -> x.respond(429, "Retry-After: 1\r\n", "")));
    manifest(
        "429 until a date",
        "ok",
        once(
            x ->
                x.respond(
                    429,
                    "Retry-After: "
                        + DateTimeFormatter.RFC_1123_DATE_TIME.format(
                            ZonedDateTime.now(ZoneOffset.UTC).plusSeconds(2))
                        + "\r\n",
                    "")));
    manifest(
        "429 for thirty years",
        "RateLimited",
        x -> x.respond(429, "Retry-After: 1000000000\r\n", ""));
    manifest(
        "429 for longer than numbers",
        "RateLimited",
        x -> x.respond(429, "Retry-After: 99999999999999999999999\r\n", ""));
    manifest(
        "429 for a negative time", "RateLimited", x -> x.respond(429, "Retry-After: -1\r\n", ""));
    manifest(
        "429 until the moon is blue",
        "RateLimited",
        x -> x.respond(429, "Retry-After: soon\r\n", ""));
    manifest(
        "a quota that is used up",
        "ok|RateLimited",
        x -> {
          return x.respond(
              200,
              "Content-Type: "
                  + MediaTypes.OCI_MANIFEST
                  + "\r\nRateLimit-Remaining: 99999999999999999999;w=1\r\n",
              IMAGE);
        });
    manifest("401 for ever, Basic", "Unauthorized", x -> x.challenge("Basic realm=\"r\""));
    manifest("401 without a challenge", "Unauthorized", x -> x.respond(401, "", ""));
    manifest(
        "204 instead of a manifest", "MalformedResponse", x -> x.raw("HTTP/1.1 204 X\r\n\r\n"));
    manifest(
        "206 instead of a manifest",
        "MalformedResponse",
        x -> x.respond(206, "Content-Range: bytes 0-1/2\r\n", "{}"));
    manifest("202 instead of a manifest", "MalformedResponse", x -> x.respond(202, "", IMAGE));
    manifest(
        "a login page",
        "MalformedResponse",
        x -> x.respond(200, "Content-Type: text/html\r\n", "<html>Please log in</html>"));
    manifest(
        "an empty answer",
        "MalformedResponse",
        x -> x.respond(200, "Content-Type: " + MediaTypes.OCI_MANIFEST + "\r\n", ""));
    manifest("a status of 999", "MalformedResponse|ServerError", x -> x.respond(999, "", ""));
    layer("403", "Forbidden", x -> x.respond(403, "", ""));
    layer("404", "NotFound", x -> x.respond(404, "", ""));
    layer("204", "MalformedResponse", x -> x.raw("HTTP/1.1 204 X\r\n\r\n"));
    layer("500 for ever", "ServerError", x -> x.respond(500, "", ""));
    add(
        "blob: a config of 404",
        Way.SYNC,
        "NotFound",
        x -> x.asks(CONFIG_BLOB) && x.respond(404, "", ""));
    add(
        "an error that repeats our credentials",
        Way.SYNC_WITH_LOGIN,
        "Forbidden",
        x ->
            x.asks(MANIFEST)
                && x.headers.containsKey("Authorization")
                && x.respond(
                    403,
                    "",
                    "{\"errors\":[{\"code\":\"X\",\"message\":\""
                        + x.headers.get("Authorization")
                        + " is "
                        + PASSWORD
                        + "\"}]}"));
    add(
        "an error of control characters",
        Way.SYNC,
        "Forbidden",
        x ->
            x.asks(MANIFEST)
                && x.respond(
                    403,
                    "",
                    "{\"errors\":[{\"code\":\"X\\n\\u001b[31m\",\"message\":\""
                        + "y".repeat(5000)
                        + "\"}]}"));
  }

  private void redirects() {
    redirect("in a circle", "RedirectRefused", x -> LAYER_BLOB);
    AtomicInteger hops = new AtomicInteger();
    redirect(
        "of fifty hops", "RedirectRefused", x -> LAYER_BLOB + "?hop=" + hops.incrementAndGet());
    redirect("to another origin", "ok", x -> "http://evil.test" + LAYER_BLOB);
    redirect("to another origin, without a scheme", "ok", x -> "//evil.test" + LAYER_BLOB);
    redirect("to another port", "ok", x -> "http://evil.test:8080" + LAYER_BLOB);
    redirect("to loopback", "RedirectRefused", x -> "http://127.0.0.1" + LAYER_BLOB);
    redirect(
        "to localhost", "RedirectRefused|NameResolution", x -> "http://localhost" + LAYER_BLOB);
    redirect("to a name of loopback", "RedirectRefused", x -> "http://inner.test" + LAYER_BLOB);
    redirect("to loopback in IPv6", "RedirectRefused", x -> "http://[::1]" + LAYER_BLOB);
    redirect(
        "to loopback as IPv4 in IPv6",
        "RedirectRefused",
        x -> "http://[::ffff:127.0.0.1]" + LAYER_BLOB);
    redirect(
        "to loopback as a number",
        "RedirectRefused|NameResolution",
        x -> "http://2130706433" + LAYER_BLOB);
    redirect("to any address", "RedirectRefused", x -> "http://0.0.0.0" + LAYER_BLOB);
    redirect("to link-local", "RedirectRefused", x -> "http://169.254.1.1" + LAYER_BLOB);
    redirect(
        "to the metadata service",
        "RedirectRefused",
        x -> "http://169.254.169.254/latest/meta-data");
    redirect(
        "to a name of the metadata service", "RedirectRefused", x -> "http://metadata.test/latest");
    redirect(
        "to another cloud's metadata service",
        "RedirectRefused",
        x -> "http://100.100.100.200/latest");
    for (String address :
        List.of(
            "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:c1::a9fe:a9fe", "fd00:42::42")) {
      redirect(
          "to the metadata service at " + address,
          "RedirectRefused",
          x -> "http://[" + address + "]/latest");
    }
    redirect(
        "to a name that is bound anew",
        "ok|RedirectRefused",
        x -> "http://rebind.test" + LAYER_BLOB);
    redirect("to a file", "RedirectRefused", x -> "file:///etc/passwd");
    redirect("to ftp", "RedirectRefused", x -> "ftp://evil.test/x");
    redirect("with userinfo", "RedirectRefused", x -> "http://u:p@evil.test" + LAYER_BLOB);
    redirect("to nowhere", "RedirectRefused", x -> "");
    redirect("to no URL", "RedirectRefused", x -> "http://[");
    redirect(
        "with a header in it",
        "ok|MalformedResponse|RedirectRefused",
        x -> "http://evil.test" + LAYER_BLOB + "\r\nSet-Cookie: a=b");
    redirect("relative", "ok", x -> x.target.contains("?") ? null : "?again");
    redirect("to where a login is asked for", "Unauthorized", x -> "http://evil.test/login");
    all.add(
        new Misbehaviour(
            "redirect: from https to http",
            Way.SYNC,
            Tls.GOOD,
            Set.of("RedirectRefused"),
            x -> x.asks(LAYER_BLOB) && x.redirect("http://evil.test" + LAYER_BLOB)));
    manifest("a redirect to another origin", "ok", x -> x.redirect("http://evil.test" + x.target));
  }

  private interface Location {
    String to(HostileRegistry.Exchange x);
  }

  private void redirect(String name, String allowed, Location location) {
    add(
        "redirect: " + name,
        Way.SYNC_WITH_LOGIN,
        allowed,
        x -> {
          String to =
              x.asks(LAYER_BLOB) && BASIC.equals(x.headers.get("Authorization"))
                  ? location.to(x)
                  : null;
          return to != null && x.redirect(to);
        });
  }

  private void auth() {
    realm("at a foreign host", "RealmRefused", "http://evil.test/token", x -> false);
    realm("at the metadata service", "RealmRefused", "http://169.254.169.254/token", x -> false);
    realm(
        "at a name of the metadata service",
        "RealmRefused",
        "http://auth.registry.test/token",
        x -> false);
    realm("at loopback", "RealmRefused", "http://127.0.0.1/token", x -> false);
    realm("that is a file", "MalformedResponse", "file:///etc/passwd", x -> false);
    realm("that is relative", "MalformedResponse", "/token", x -> false);
    realm("with userinfo", "RealmRefused", "http://a:b@registry.test/token", x -> false);
    realm("that redirects", "RealmRefused", null, x -> x.redirect("http://evil.test/token"));
    realm(
        "without end",
        "TooLarge",
        null,
        x -> x.raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n") && x.endless("{"));
    realm(
        "that drips",
        "Timeout",
        null,
        x ->
            x.raw("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n") && x.drip("{".repeat(500), 40));
    realm("that is silent", "Timeout", null, x -> x.stall());
    realm("without a token", "MalformedResponse", null, x -> x.json("{\"expires_in\":300}"));
    realm("that speaks no JSON", "MalformedResponse", null, x -> x.respond(200, "", "<html>"));
    realm("of deep JSON", "MalformedResponse", null, x -> x.json("[".repeat(100_000)));
    realm(
        "with a header in its token",
        "MalformedResponse",
        null,
        x -> x.json("{\"token\":\"a\\r\\nX: y\"}"));
    realm(
        "with a giant token",
        "TooLarge",
        null,
        x -> x.json("{\"token\":\"" + "a".repeat(200_000) + "\"}"));
    realm(
        "with a token that is not taken",
        "Unauthorized",
        null,
        x -> x.json("{\"token\":\"wrong\"}"));
    realm(
        "with a token that has expired",
        "ok",
        null,
        x -> x.json("{\"token\":\"" + TOKEN + "\",\"expires_in\":-5}"));
    realm("of 403", "Forbidden", null, x -> x.respond(403, "", ""));
    realm("of 401", "Unauthorized", null, x -> x.challenge("Basic realm=\"x\""));
    realm("of 500", "ServerError", null, x -> x.respond(500, "", ""));
    realm(
        "with a negative length",
        "MalformedResponse",
        null,
        x -> x.raw("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}") && x.end());
    realm(
        "of a hundred thousand small things",
        "MalformedResponse",
        null,
        x -> x.json("{\"token\":\"" + TOKEN + "\",\"x\":[" + "{},".repeat(100_000) + "1]}"));
    realm("that works", "ok", null, x -> x.json("{\"token\":\"" + TOKEN + "\"}"));
    challenge("without a realm", "MalformedResponse|Unauthorized", "Bearer service=\"x\"");
    challenge("that is cut", "MalformedResponse|Unauthorized", "Bearer realm=\"http://evil");
    challenge("of nothing", "Unauthorized", "");
    challenge("of an unknown kind", "Unauthorized", "Negotiate abc");
    challenge(
        "of a thousand",
        "Unauthorized|MalformedResponse",
        "Digest realm=\"x\", ".repeat(1000) + "Digest realm=\"y\"");
    challenge(
        "with injected scopes",
        "RealmRefused",
        "Bearer realm=\"http://evil.test/t\",scope=\"repository:a:pull \\\" repository:b:push\"");
    all.add(
        new Misbehaviour(
            "auth: an http realm of an https registry",
            Way.SYNC,
            Tls.GOOD,
            Set.of("RealmRefused"),
            x -> x.asks(MANIFEST) && x.challenge("Bearer realm=\"http://registry.test/token\"")));
  }

  private void challenge(String name, String allowed, String challenge) {
    manifest("a challenge " + name, allowed, x -> x.challenge(challenge));
  }

  private void realm(String name, String allowed, String realm, HostileRegistry.Script server) {
    String place = realm == null ? "http://registry.test/token" : realm;
    add(
        "auth: a realm " + name,
        Way.SYNC,
        allowed,
        x -> {
          if (x.asks("/token")) {
            return server.answer(x);
          }
          return !("Bearer " + TOKEN).equals(x.headers.get("Authorization"))
              && x.challenge("Bearer realm=\"" + place + "\",service=\"s\"");
        });
  }

  private void listings() {
    tags(
        "a link to itself",
        "MalformedResponse",
        x -> x.respond(200, "Link: <" + TAGS + ">; rel=next\r\n", "{\"tags\":[\"1\"]}"));
    AtomicInteger ping = new AtomicInteger();
    tags(
        "links in a circle",
        "MalformedResponse",
        x ->
            x.respond(
                200,
                "Link: <" + TAGS + "?p=" + (ping.incrementAndGet() % 2) + ">; rel=next\r\n",
                "{\"tags\":[\"" + ping + "\"]}"));
    tags(
        "a link to another host",
        "MalformedResponse",
        x -> x.respond(200, "Link: <http://evil.test" + TAGS + ">; rel=next\r\n", "{\"tags\":[]}"));
    tags(
        "a link to a file",
        "MalformedResponse",
        x -> x.respond(200, "Link: <file:///etc/passwd>; rel=next\r\n", "{\"tags\":[]}"));
    tags(
        "a link of a mebibyte",
        "MalformedResponse|ConnectionFailed",
        x -> x.respond(200, "Link: <" + "a".repeat(1 << 20) + ">; rel=next\r\n", "{\"tags\":[]}"));
    AtomicInteger empty = new AtomicInteger();
    tags(
        "empty pages without end",
        "MalformedResponse",
        x ->
            x.respond(
                200,
                "Link: <" + TAGS + "?p=" + empty.incrementAndGet() + ">; rel=next\r\n",
                "{\"tags\":[]}"));
    AtomicInteger full = new AtomicInteger();
    tags(
        "full pages without end",
        "TooLarge",
        x -> {
          int page = full.getAndIncrement();
          return x.respond(
              200,
              "Link: <" + TAGS + "?p=" + page + ">; rel=next\r\n",
              names(page * 20_000, 20_000));
        });
    tags("a million tags on a page", "TooLarge|Timeout", x -> x.json(names(0, 1_000_000)));
    tags(
        "a page without end",
        "TooLarge|Timeout",
        x ->
            x.raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"tags\":[")
                && x.endless("\"1\","));
    tags(
        "a page of blanks",
        "TooLarge",
        x -> x.raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"tags\":[") && x.endless(" "));
    tags("no JSON", "MalformedResponse", x -> x.respond(200, "", "<html>"));
    tags("cut JSON", "MalformedResponse", x -> x.json("{\"tags\":[\"1\",\"2"));
    tags("deep JSON", "MalformedResponse", x -> x.json("{\"tags\":[" + "[".repeat(200_000)));
    tags(
        "JSON behind the JSON",
        "MalformedResponse",
        x -> x.json("{\"tags\":[\"1\"]}{\"tags\":[\"2\"]}"));
    tags("a bare array", "MalformedResponse", x -> x.json("[\"1\"]"));
    tags("an object for tags", "MalformedResponse", x -> x.json("{\"tags\":{\"1\":2}}"));
    tags("no tags at all", "MalformedResponse", x -> x.json("{\"errors\":[]}"));
    tags("null", "ok", x -> x.json("{\"tags\":null}"));
    tags("duplicate and unsorted tags", "ok", x -> x.json("{\"tags\":[\"2\",\"1\",\"2\",\"1\"]}"));
    tags(
        "tags that are none",
        "ok",
        x ->
            x.json(
                "{\"tags\":[\"1\",\"a\\u0000b\",\"../x\",\"a b\",\"\\u202e1\",7,null,{\"a\":[1]},\"\"]}"));
    tags(
        "a tag of a mebibyte",
        "MalformedResponse",
        x -> x.json("{\"tags\":[\"" + "a".repeat(1 << 20) + "\"]}"));
    tags(
        "a page that is packed",
        "MalformedResponse",
        x ->
            x.respond(
                200, "Content-Encoding: gzip\r\n", gzip("{\"tags\":[\"1\"]}".getBytes(UTF_8))));
    tags(
        "a page that breaks off",
        "ConnectionFailed",
        x -> x.raw("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{\"tags\":[\"1\"") && x.end());
    tags(
        "a page that drips",
        "Timeout",
        x ->
            x.raw("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{\"tags\":[")
                && x.drip("\"1\",".repeat(200), 40));
    tags("400 for ever", "MalformedResponse", x -> x.respond(400, "", ""));
    add("catalog: none", Way.CATALOG, "DiscoveryUnsupported", x -> x.respond(404, "", ""));
    add("catalog: not allowed", Way.CATALOG, "Forbidden", x -> x.respond(403, "", ""));
    add(
        "catalog: a page of HTML",
        Way.CATALOG,
        "MalformedResponse",
        x -> x.respond(200, "Content-Type: text/html\r\n", "<html>"));
    add(
        "catalog: paths that are none",
        Way.CATALOG,
        "ok",
        x -> x.json("{\"repositories\":[\"app\",\"../../etc\",\"UPPER\",\"a//b\"]}"));
    add(
        "referrers: a link to itself",
        Way.REFERRERS,
        "MalformedResponse",
        x ->
            x.respond(
                200,
                "Content-Type: "
                    + MediaTypes.OCI_INDEX
                    + "\r\nLink: <"
                    + x.path()
                    + ">; rel=next\r\n",
                "{\"schemaVersion\":2,\"manifests\":[]}"));
    add(
        "referrers: a list without end",
        Way.REFERRERS,
        "TooLarge",
        x ->
            x.raw(
                    "HTTP/1.1 200 OK\r\nContent-Type: "
                        + MediaTypes.OCI_INDEX
                        + "\r\nConnection: close\r\n\r\n")
                && x.endless("{"));
    add(
        "referrers: a login page",
        Way.REFERRERS,
        "ok",
        x -> x.respond(200, "Content-Type: text/html\r\n", "<html>"));
  }

  private void manifests() {
    manifest(
        "a header with another digest",
        "DigestMismatch",
        x ->
            x.respond(
                200,
                "Content-Type: "
                    + MediaTypes.OCI_MANIFEST
                    + "\r\nDocker-Content-Digest: "
                    + BAD
                    + "\r\n",
                IMAGE));
    manifest(
        "a header that is no digest",
        "DigestMismatch",
        x ->
            x.respond(
                200,
                "Content-Type: " + MediaTypes.OCI_MANIFEST + "\r\nDocker-Content-Digest: x:y\r\n",
                IMAGE));
    child("other bytes", "DigestMismatch", x -> x.manifest(IMAGE + " "));
    child(
        "the index itself",
        "DigestMismatch",
        x ->
            x.index(
                index(
                    descriptor(
                        MediaTypes.OCI_MANIFEST, Digest.of(IMAGE_BYTES), IMAGE_BYTES.length))));
    child("nothing", "NotFound", x -> x.respond(404, "", ""));
    child("forbidden", "Forbidden", x -> x.respond(403, "", ""));
    manifest(
        "a child of another size",
        "DigestMismatch",
        x ->
            !x.asks(MANIFEST + "sha256")
                && x.index(index(descriptor(MediaTypes.OCI_MANIFEST, Digest.of(IMAGE_BYTES), 7))));
    manifest(
        "a child with a path for a digest",
        "MalformedResponse",
        x ->
            x.index(
                "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\""
                    + MediaTypes.OCI_MANIFEST
                    + "\",\"size\":1,\"digest\":\"sha256:../../../etc/passwd\"}]}"));
    manifest(
        "a child of an unknown algorithm",
        "MalformedResponse",
        x ->
            x.index(
                "{\"schemaVersion\":2,\"manifests\":[{\"size\":1,\"digest\":\"md5:00000000000000000000000000000000\"}]}"));
    manifest(
        "a short digest",
        "MalformedResponse",
        x -> x.manifest(image("{\"mediaType\":\"x/y\",\"size\":1,\"digest\":\"sha256:00\"}")));
    manifest(
        "another type than it says",
        "MalformedResponse",
        x ->
            x.respond(
                200,
                "Content-Type: " + MediaTypes.OCI_INDEX + "\r\n",
                "{\"mediaType\":\"" + MediaTypes.OCI_MANIFEST + "\"," + IMAGE.substring(1)));
    manifest(
        "an unknown type",
        "UnsupportedMediaType",
        x -> x.respond(200, "Content-Type: application/x-cake\r\n", IMAGE));
    manifest("larger than 4 MiB", "TooLarge", x -> x.manifest(IMAGE + " ".repeat(5 << 20)));
    manifest(
        "schema 1",
        "UnsupportedMediaType",
        x ->
            x.respond(
                200,
                "Content-Type: application/vnd.docker.distribution.manifest.v1+prettyjws\r\n",
                "{\"schemaVersion\":1}"));
    manifest(
        "schema 1 in disguise",
        "UnsupportedMediaType",
        x -> x.manifest("{\"schemaVersion\":1,\"fsLayers\":[]}"));
    manifest("schemaVersion 3", "MalformedResponse", x -> x.manifest(IMAGE.replace(":2,", ":3,")));
    manifest(
        "a schemaVersion in quotes",
        "MalformedResponse",
        x -> x.manifest(IMAGE.replace(":2,", ":\"2\",")));
    manifest(
        "keys twice",
        "MalformedResponse",
        x -> x.manifest(IMAGE.substring(0, IMAGE.length() - 1) + ",\"layers\":[]}"));
    manifest("text behind it", "MalformedResponse", x -> x.manifest(IMAGE + "x"));
    manifest(
        "image and index at once",
        "MalformedResponse",
        x -> x.manifest(IMAGE.substring(0, IMAGE.length() - 1) + ",\"manifests\":[]}"));
    manifest("deep JSON", "MalformedResponse", x -> x.manifest("{\"a\":".repeat(100_000)));
    manifest(
        "a million small things",
        "MalformedResponse",
        x -> x.manifest(IMAGE.replaceFirst("2,", "2,\"x\":[" + "{},".repeat(1_000_000) + "1],")));
    manifest("JSON null", "MalformedResponse", x -> x.manifest("null"));
    manifest(
        "no config", "MalformedResponse", x -> x.manifest("{\"schemaVersion\":2,\"layers\":[]}"));
    manifest(
        "a negative size",
        "MalformedResponse",
        x -> x.manifest(image("{\"mediaType\":\"x/y\",\"size\":-1,\"digest\":\"" + BAD + "\"}")));
    manifest(
        "a size beyond numbers",
        "MalformedResponse",
        x ->
            x.manifest(
                image(
                    "{\"mediaType\":\"x/y\",\"size\":9223372036854775808,\"digest\":\""
                        + BAD
                        + "\"}")));
    manifest(
        "a size of a fraction",
        "MalformedResponse",
        x -> x.manifest(image("{\"mediaType\":\"x/y\",\"size\":1.5,\"digest\":\"" + BAD + "\"}")));
    manifest(
        "one blob of two sizes",
        "MalformedResponse",
        x ->
            x.manifest(
                image(
                    descriptor("x/y", Digest.of(LAYER), 5)
                        + ","
                        + descriptor("x/y", Digest.of(LAYER), LAYER.length))));
    manifest(
        "forty thousand children",
        "TooLarge",
        x ->
            x.is("GET", MANIFEST + "1")
                ? x.index(index(children(35_000)))
                : x.respond(404, "", ""));
    TreeMap<String, String> chain = new TreeMap<>();
    String inner = IMAGE;
    for (int i = 0; i < 20; i++) {
      String type = i == 0 ? MediaTypes.OCI_MANIFEST : MediaTypes.OCI_INDEX;
      chain.put(Digest.of(inner.getBytes(UTF_8)).toString(), inner);
      inner = index(descriptor(type, Digest.of(inner.getBytes(UTF_8)), inner.length()));
    }
    String outer = inner;
    manifest(
        "indexes in indexes in indexes",
        "TooLarge",
        x -> {
          String below = chain.get(x.path().substring(MANIFEST.length()));
          return below == null
              ? x.index(outer)
              : below.equals(IMAGE) ? x.manifest(IMAGE) : x.index(below);
        });
    manifest(
        "a foreign layer with an address",
        "ok",
        x ->
            x.manifest(
                image(
                    "{\"mediaType\":\"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip\",\"size\":5,\"digest\":\""
                        + BAD
                        + "\",\"urls\":[\"http://evil.test/layer\",\"http://169.254.169.254/\"]}")));
  }

  private void child(String name, String allowed, HostileRegistry.Script script) {
    String index =
        index(descriptor(MediaTypes.OCI_MANIFEST, Digest.of(IMAGE_BYTES), IMAGE_BYTES.length));
    manifest(
        "a child that is " + name,
        allowed,
        x -> x.asks(MANIFEST + "sha256") ? script.answer(x) : x.index(index));
  }

  private void blobs() {
    layer("too short", "DigestMismatch", x -> x.respond(200, "", part(0, 1000)));
    layer(
        "too long",
        "DigestMismatch",
        x -> x.respond(200, "", Arrays.copyOf(LAYER, LAYER.length + 5)));
    layer(
        "longer than it says, in chunks",
        "DigestMismatch",
        x ->
            x.raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                && x.raw(LAYER)
                && x.raw("more")
                && x.end());
    layer(
        "without end",
        "DigestMismatch",
        x ->
            x.raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                && x.raw(LAYER)
                && x.endless("more"));
    layer("other bytes", "DigestMismatch", x -> x.respond(200, "", random(LAYER.length, 9)));
    layer(
        "one bit wrong at the end",
        "DigestMismatch",
        x -> {
          byte[] bytes = LAYER.clone();
          bytes[bytes.length - 1] ^= 1;
          return x.respond(200, "", bytes);
        });
    layer("empty", "DigestMismatch", x -> x.respond(200, "", ""));
    layer(
        "without a length",
        "ok",
        x -> x.raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n") && x.raw(LAYER) && x.end());
    layer(
        "really packed",
        "DigestMismatch",
        x -> x.respond(200, "Content-Encoding: gzip\r\n", gzip(LAYER)));
    layer("said to be packed", "ok", x -> x.respond(200, "Content-Encoding: gzip\r\n", LAYER));
    resumed("that does not know ranges", "ok", x -> x.respond(200, "", LAYER));
    resumed(
        "from another place",
        "MalformedResponse",
        x -> x.respond(206, "Content-Range: bytes 5-199999/200000\r\n", part(5, 199_995)));
    resumed(
        "without saying from where",
        "MalformedResponse",
        x -> x.respond(206, "", part(100_000, 100_000)));
    resumed(
        "of another blob",
        "DigestMismatch",
        x ->
            x.respond(
                206, "Content-Range: " + range(x) + "\r\n", random(LAYER.length - from(x), 3)));
    resumed("that has nothing more", "MalformedResponse", x -> x.respond(416, "", ""));
    resumed(
        "that is too long",
        "DigestMismatch",
        x -> x.respond(206, "Content-Range: " + range(x) + "\r\n", LAYER));
    resumed(
        "that drips what is known",
        "Stalled|ConnectionFailed",
        x ->
            x.raw("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n")
                && x.drip("x".repeat(4000), 30));
    resumed("that is gone", "NotFound", x -> x.respond(404, "", ""));
    resumed(
        "that is a login page",
        "DigestMismatch|MalformedResponse",
        x -> x.respond(200, "Content-Type: text/html\r\n", "<html>"));
  }

  private void resumed(String name, String allowed, HostileRegistry.Script script) {
    layer(
        "a resumption " + name,
        allowed,
        x ->
            x.headers.containsKey("Range")
                ? script.answer(x)
                : x.raw("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n")
                    && x.raw(part(0, 100_000))
                    && pause(x)
                    && x.end());
  }

  /** Lets what was sent arrive, since a closed connection may swallow it. */
  private static boolean pause(HostileRegistry.Exchange x) throws Exception {
    x.socket.shutdownOutput();
    return x.socket.getInputStream().read() < 1;
  }

  private void targets() {
    target(
        "start: 500 for ever",
        "ServerError",
        x -> x.method.equals("POST") && x.respond(500, "", ""));
    target(
        "start: 405, read-only",
        "TargetRejected",
        x -> x.method.equals("POST") && x.respond(405, "", "Method not allowed"));
    target("start: 403", "Forbidden", x -> x.method.equals("POST") && x.respond(403, "", ""));
    target(
        "start: a redirect",
        "RedirectRefused",
        x -> x.method.equals("POST") && x.redirect("http://evil.test/"));
    target(
        "start: without a place",
        "MalformedResponse",
        x -> x.method.equals("POST") && x.respond(202, "", ""));
    target(
        "start: a place that is a file",
        "MalformedResponse",
        x -> x.method.equals("POST") && x.respond(202, "Location: file:///tmp/x\r\n", ""));
    target(
        "start: a place with userinfo",
        "MalformedResponse",
        x -> x.method.equals("POST") && x.respond(202, "Location: http://a:b@evil.test/x\r\n", ""));
    target(
        "start: a place at the metadata service",
        "RedirectRefused",
        x ->
            x.method.equals("POST")
                && x.respond(202, "Location: http://169.254.169.254/x\r\n", ""));
    target(
        "start: a place at loopback",
        "RedirectRefused",
        x -> x.method.equals("POST") && x.respond(202, "Location: http://inner.test/x\r\n", ""));
    target(
        "upload: no space left",
        "TargetFull",
        x -> x.is("PUT", "/v2/registry.test/app/blobs") && x.respond(507, "", ""));
    target(
        "upload: no space left, in words",
        "TargetFull",
        x ->
            x.is("PUT", "/v2/registry.test/app/blobs")
                && x.respond(
                    500,
                    "",
                    "{\"errors\":[{\"code\":\"UNKNOWN\",\"message\":\"write: no space left on device\"}]}"));
    target(
        "upload: no space left, behind a long path",
        "TargetFull",
        x ->
            x.is("PUT", "/v2/registry.test/app/blobs")
                && x.respond(
                    500,
                    "",
                    "{\"errors\":[{\"code\":\"UNKNOWN\",\"message\":\"unknown error\",\"detail\":"
                        + "\"filesystem: write /var/lib/registry/"
                        + "directory/".repeat(20)
                        + "data: no space left on device\"}]}"));
    target(
        "upload: too large for it",
        "TooLarge",
        x -> x.is("PUT", "/v2/registry.test/app/blobs") && x.respond(413, "", ""));
    target(
        "upload: stored as something else",
        "DigestMismatch",
        x ->
            x.is("PUT", "/v2/registry.test/app/blobs")
                && x.respond(201, "Docker-Content-Digest: " + BAD + "\r\n", ""));
    target(
        "upload: forgotten each time",
        "NotFound|ServerError|TargetRejected|ConnectionFailed",
        x -> x.path().contains("/blobs/uploads/s") && x.respond(404, "", ""));
    target(
        "upload: reset once",
        "ok",
        once(
            x -> x.is("PUT", "/v2/registry.test/app/blobs"),
            x -> {
              x.part(10);
              return x.reset();
            }));
    target(
        "upload: reset for ever",
        "ConnectionFailed",
        x -> x.is("PUT", "/v2/registry.test/app/blobs") && x.reset());
    target(
        "upload: more bytes than were sent",
        "MalformedResponse|ConnectionFailed",
        x ->
            x.is("PUT", "/v2/registry.test/app/blobs")
                ? x.reset()
                : x.is("GET", "/v2/registry.test/app/blobs/uploads")
                    && x.respond(204, "Range: 0-99999999\r\n", ""));
    target(
        "upload: an error body without end",
        "ServerError|ConnectionFailed",
        x ->
            x.is("PUT", "/v2/registry.test/app/blobs")
                && x.body().length >= 0
                && x.raw("HTTP/1.1 500 X\r\nConnection: close\r\n\r\n")
                && x.endless("{"));
    target(
        "upload: an error body that drips",
        "ServerError|Timeout",
        x ->
            x.is("PUT", "/v2/registry.test/app/blobs")
                && x.body().length >= 0
                && x.raw("HTTP/1.1 500 X\r\nContent-Length: 800\r\n\r\n")
                && x.drip("{".repeat(800), 40));
    target(
        "manifest: stored as something else",
        "DigestMismatch",
        x ->
            x.is("PUT", "/v2/registry.test/app/manifests")
                && x.respond(201, "Docker-Content-Digest: " + BAD + "\r\n", ""));
    target(
        "manifest: not stored at all",
        "DigestMismatch",
        x -> x.is("PUT", "/v2/registry.test/app/manifests") && x.respond(201, "", ""));
    target(
        "manifest: refused",
        "TargetRejected",
        x ->
            x.is("PUT", "/v2/registry.test/app/manifests")
                && x.respond(400, "", "{\"errors\":[{\"code\":\"MANIFEST_INVALID\"}]}"));
    target(
        "manifest: 503 once",
        "ok",
        once(x -> x.is("PUT", "/v2/registry.test/app/manifests"), x -> x.respond(503, "", "")));
    target(
        "manifest: 429 once",
        "ok",
        once(
            x -> x.is("PUT", "/v2/registry.test/app/manifests"),
            x -> x.respond(429, "Retry-After: 1\r\n", "")));
  }

  private interface When {
    boolean is(HostileRegistry.Exchange x);
  }

  private static HostileRegistry.Script once(When when, HostileRegistry.Script script) {
    AtomicInteger count = new AtomicInteger();
    return x -> when.is(x) && count.getAndIncrement() == 0 && script.answer(x);
  }

  private void target(String name, String allowed, HostileRegistry.Script script) {
    add("target: " + name, Way.TARGET, allowed, script);
  }

  @TestFactory
  Stream<DynamicTest> everyMisbehaviourIsContained() throws Exception {
    transport();
    statuses();
    redirects();
    auth();
    listings();
    manifests();
    blobs();
    targets();
    assertThat(all).hasSizeGreaterThan(60);
    Certificates certificates = new Certificates();
    // All at once, since most of them are waited for.
    Semaphore atOnce = new Semaphore(16);
    List<DynamicTest> tests = new ArrayList<>();
    try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<Result>> results = new ArrayList<>();
      for (Misbehaviour one : all) {
        results.add(
            executor.submit(
                () -> {
                  atOnce.acquire();
                  try {
                    return run(one, certificates, TIMEOUT);
                  } finally {
                    atOnce.release();
                  }
                }));
      }
      for (int i = 0; i < all.size(); i++) {
        Future<Result> future = results.get(i);
        Result first = future.get(2, TimeUnit.MINUTES);
        boolean late =
            first.reason().equals("Timeout") && !first.what().allowed().contains("Timeout");
        Result result = late ? run(all.get(i), certificates, PATIENT) : first;
        tests.add(DynamicTest.dynamicTest(all.get(i).name(), () -> judge(result)));
      }
    }
    return tests.stream();
  }

  private static void judge(Result r) {
    assertThat(r.reason()).as("%s: %s", r.what().name(), r.message()).isIn(r.what().allowed());
    assertThat(r.foreign()).as("credentials at a foreign origin").isEmpty();
    assertThat(r.message()).doesNotContain(PASSWORD, BASIC.substring(6), TOKEN, "\n", "\u001b");
    assertThat(r.message().length()).isLessThan(600);
    assertThat(r.wrong()).as("wrong bytes in the target").isEmpty();
    assertThat(r.inner()).as("inner addresses connected to").isEmpty();
    assertThat(r.sent()).as("bytes taken").isLessThan(MOST_SENT);
    assertThat(r.took()).isLessThan(Duration.ofSeconds(30));
    if (r.what().way() == Way.SYNC || r.what().way() == Way.SYNC_WITH_LOGIN) {
      assertThat(r.tagged()).as("tagged").isEqualTo(r.reason().equals("ok"));
      assertThat(r.complete()).as("complete").isEqualTo(r.reason().equals("ok"));
    }
  }

  private static Result run(Misbehaviour what, Certificates certificates, Duration timeout)
      throws Exception {
    boolean hostileTarget = what.way() == Way.TARGET;
    SSLContext tls = certificates.context(what.tls());
    TestNetwork.Hurry clock = new TestNetwork.Hurry();
    try (HostileRegistry source =
            new HostileRegistry(tls, hostileTarget ? x -> false : what.script());
        HostileRegistry target =
            new HostileRegistry(null, hostileTarget ? what.script() : x -> false);
        HostileRegistry foreign =
            new HostileRegistry(null, x -> x.asks("/login") && x.challenge("Basic realm=\"r\""));
        ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
      for (HostileRegistry one : List.of(source, foreign)) {
        one.addBlob("app", CONFIG);
        one.addBlob("app", LAYER);
        one.addManifest("app", "1", MediaTypes.OCI_MANIFEST, IMAGE_BYTES);
      }
      if (what.way() == Way.SYNC_WITH_LOGIN) {
        source.requires(BASIC);
      }
      TestNetwork network =
          new TestNetwork()
              .name("registry.test", "203.0.113.10")
              .name("mirror.test", "203.0.113.20")
              .name("evil.test", "198.51.100.66")
              .name("inner.test", "127.0.0.1")
              .name("metadata.test", "169.254.169.254")
              .name("auth.registry.test", "169.254.169.254")
              .name("rebind.test", "198.51.100.66", "127.0.0.1")
              .at("203.0.113.10", source.port())
              .at("203.0.113.20", target.port())
              .otherwise(foreign.port());
      try (Transport transport = new Transport(clock, new Random(1), clock, "test", network)) {
        String scheme = what.tls() == Tls.NONE ? "http" : "https";
        RegistryClient from =
            transport.connect(
                connection("registry.test", scheme, timeout)
                    .withTrust(new Trust(List.of(certificates.ca.certificate()), null, false)));
        RegistryClient to =
            transport.connect(connection("mirror.test", "http", timeout).withPush());
        Instant start = Instant.now();
        String[] end = outcome(what.way(), from, to, executor);
        Duration took = Duration.between(start, Instant.now());
        HostileRegistry hostile = hostileTarget ? target : source;
        List<String> leaks = new ArrayList<>();
        for (HostileRegistry.Exchange x : foreign.seen) {
          String all = x.toString();
          if (all.contains(PASSWORD) || all.contains(BASIC.substring(6)) || all.contains(TOKEN)) {
            leaks.add(all);
          }
        }
        List<String> wrong = new ArrayList<>();
        if (!hostileTarget) {
          target.blobs.forEach((key, bytes) -> compare(key, bytes, wrong));
          target.manifests.forEach((key, bytes) -> compare(key, bytes, wrong));
        }
        List<InetAddress> inner =
            network.reached.stream()
                .filter(
                    a -> a.isLoopbackAddress() || a.isLinkLocalAddress() || a.isAnyLocalAddress())
                .toList();
        boolean tagged = target.manifests.containsKey("registry.test/app:1");
        boolean complete =
            tagged && target.blobs.containsKey("registry.test/app@" + Digest.of(CONFIG));
        return new Result(
            what, end[0], end[1], took, leaks, wrong, inner, hostile.sent.get(), tagged, complete);
      }
    }
  }

  private static void compare(String key, byte[] bytes, List<String> wrong) {
    int at = key.indexOf('@');
    if (at > 0 && !key.substring(at + 1).equals(Digest.of(bytes).toString())) {
      wrong.add(key + " has " + bytes.length + " bytes of something else");
    }
  }

  private static Connection connection(String host, String scheme, Duration timeout) {
    return Connection.to(host)
        .withEndpoints(List.of(URI.create(scheme + "://" + host)))
        .withCredentials(Credentials.of(new Credentials.Login("u", new Secret(PASSWORD))))
        .withRetry(new Retry(1, Duration.ofMillis(5), Duration.ofSeconds(5), timeout))
        .withLimits(new Connection.Limits(4, null, 0, timeout, List.of()));
  }

  private static String[] outcome(
      Way way, RegistryClient from, RegistryClient to, ExecutorService executor) {
    try {
      switch (way) {
        case TAGS -> from.tags("app");
        case CATALOG -> from.catalog();
        case REFERRERS -> from.referrers("app", Digest.of(IMAGE_BYTES));
        case SYNC, SYNC_WITH_LOGIN, TARGET -> {
          Outcome outcome = sync(from, to, executor);
          return outcome.reason() == null
              ? new String[] {"ok", ""}
              : new String[] {outcome.reason().name(), String.valueOf(outcome.message())};
        }
      }
      return new String[] {"ok", ""};
    } catch (RegistryException e) {
      return new String[] {e.reason().name(), e.getMessage()};
    }
  }

  private static Outcome sync(RegistryClient from, RegistryClient to, ExecutorService executor) {
    MirrorListSpec spec =
        ResourceFile.read(
                "{apiVersion: mirrors.kubic.io/v1alpha1, kind: MirrorList, metadata: {name: t}, spec:"
                    + " {registryRef: {name: m}, sources: [{registry: registry.test, images: [app],"
                    + " includeReferrers: false}]}}",
                "list.yaml",
                MirrorList.class)
            .getFirst()
            .getSpec();
    SelectedImage image =
        new SelectedImage("default", new Repository("registry.test", "app"), "1", null);
    Planner.Result planned =
        new Planner(spec, s -> from, to, Planner.Depth.COPIES, executor)
            .plan(new Selection(List.of(image), List.of(), List.of(), true));
    List<Outcome> outcomes = new ArrayList<>(planned.settled());
    outcomes.addAll(new Copier(to, spec, executor).copy(planned.work(), o -> {}));
    assertThat(outcomes).hasSize(1);
    return outcomes.getFirst();
  }

  // Bytes.
  private static boolean partial(HostileRegistry.Exchange x, int count) throws Exception {
    int from = x.headers.containsKey("Range") ? from(x) : 0;
    String lines = from == 0 ? "" : "Content-Range: " + range(x) + "\r\n";
    x.raw(
        "HTTP/1.1 "
            + (from == 0 ? 200 : 206)
            + " X\r\n"
            + lines
            + "Content-Length: "
            + (LAYER.length - from)
            + "\r\n\r\n");
    return x.raw(part(from, Math.min(count, LAYER.length - from)));
  }

  private static int from(HostileRegistry.Exchange x) {
    String range = x.headers.get("Range");
    return Integer.parseInt(range.substring(6, range.length() - 1));
  }

  private static String range(HostileRegistry.Exchange x) {
    return "bytes " + from(x) + "-" + (LAYER.length - 1) + "/" + LAYER.length;
  }

  private static byte[] part(int from, int count) {
    return Arrays.copyOfRange(LAYER, from, from + count);
  }

  private static byte[] random(int size) {
    return random(size, 1);
  }

  private static byte[] random(int size, long seed) {
    byte[] bytes = new byte[size];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }

  private static byte[] gzip(byte[] bytes) throws Exception {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (GZIPOutputStream zip = new GZIPOutputStream(out)) {
      zip.write(bytes);
    }
    return out.toByteArray();
  }

  private static String names(int from, int count) {
    StringBuilder names = new StringBuilder("{\"tags\":[");
    for (int i = 0; i < count; i++) {
      names.append(i == 0 ? "\"v" : ",\"v").append(from + i).append('"');
    }
    return names.append("]}").toString();
  }

  private static String children(int count) {
    StringBuilder all = new StringBuilder();
    for (int i = 0; i < count; i++) {
      all.append(i == 0 ? "" : ",")
          .append(
              "{\"mediaType\":\"" + MediaTypes.OCI_MANIFEST + "\",\"size\":1,\"digest\":\"sha256:")
          .append(String.format("%064x", i))
          .append("\"}");
    }
    return all.length() > 4_100_000
        ? all.substring(0, all.lastIndexOf(",{", 4_100_000))
        : all.toString();
  }

  private static String descriptor(String type, Digest digest, long size) {
    return "{\"mediaType\":\"" + type + "\",\"digest\":\"" + digest + "\",\"size\":" + size + "}";
  }

  private static String image(String layers) {
    return "{\"schemaVersion\":2,\"config\":"
        + descriptor("application/vnd.oci.image.config.v1+json", Digest.of(CONFIG), CONFIG.length)
        + ",\"layers\":["
        + layers
        + "]}";
  }

  private static String index(String manifests) {
    return "{\"schemaVersion\":2,\"manifests\":[" + manifests + "]}";
  }

  /** Certificates of every kind of trouble. */
  private static final class Certificates {
    private final SecureRandom random = new SecureRandom();
    private final Clock past =
        Clock.fixed(Instant.now().minus(Duration.ofDays(20)), ZoneOffset.UTC);
    final CertificateAuthority ca =
        CertificateAuthority.create("test", KeySpec.DEFAULT, Duration.ofDays(90), random, past);
    private final CertificateAuthority other =
        CertificateAuthority.create("other", KeySpec.DEFAULT, Duration.ofDays(90), random, past);

    SSLContext context(Tls tls) throws Exception {
      return switch (tls) {
        case NONE, NOT_THERE -> null;
        case GOOD -> context(ca, "registry.test", Clock.systemUTC());
        case EXPIRED -> context(ca, "registry.test", past);
        case OTHER_HOST -> context(ca, "other.test", Clock.systemUTC());
        case UNKNOWN_CA -> context(other, "registry.test", Clock.systemUTC());
      };
    }

    private SSLContext context(CertificateAuthority authority, String host, Clock clock)
        throws Exception {
      CertifiedKey leaf =
          authority.issue(
              new LeafRequest(
                  host, SubjectNames.of(List.of(host)), Duration.ofDays(10), KeySpec.DEFAULT),
              random,
              clock);
      KeyStore keys = KeyStore.getInstance(KeyStore.getDefaultType());
      keys.load(null, null);
      keys.setKeyEntry("k", leaf.key(), new char[0], leaf.chain().toArray(new Certificate[0]));
      KeyManagerFactory factory =
          KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
      factory.init(keys, new char[0]);
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(factory.getKeyManagers(), null, random);
      return context;
    }
  }
}
