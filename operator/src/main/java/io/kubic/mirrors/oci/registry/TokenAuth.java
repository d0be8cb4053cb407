package io.kubic.mirrors.oci.registry;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Shown;
import java.io.IOException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;
import okhttp3.Challenge;
import okhttp3.FormBody;
import okhttp3.HttpUrl;
import okhttp3.Request;
import okhttp3.Response;
import org.jspecify.annotations.Nullable;

/**
 * Authorises requests to one registry: Basic, or Bearer tokens as in the distribution project's
 * token specification. Tokens are kept for each set of scopes; once the registry's realm is known
 * they are fetched ahead, so that a request is not first refused.
 */
final class TokenAuth {
  /** Of an answer. */
  private static final int MAX_ANSWER_BYTES = 1 << 20;

  /** Of a token: no server takes a longer header. */
  private static final int MAX_TOKEN_LENGTH = 64 << 10;

  private static final int MAX_TOKENS = 2000;

  /** What all services of a cluster share is nobody's domain. */
  private static final String CLUSTER_DOMAIN = "cluster.local";

  private static final Duration ASSUMED_LIFE = Duration.ofSeconds(60);
  private static final Duration LONGEST_LIFE = Duration.ofHours(1);

  /** An answer has a dozen tokens of JSON; of many small ones it would take much memory. */
  private static final ObjectMapper JSON =
      new ObjectMapper(
          JsonFactory.builder()
              .streamReadConstraints(
                  StreamReadConstraints.builder().maxNestingDepth(64).maxTokenCount(10_000).build())
              .build());

  private final Connection connection;
  private final Exchange exchange;
  private final Clock clock;
  private final ConcurrentHashMap<String, Slot> tokens = new ConcurrentHashMap<>();
  private volatile Scheme scheme = new Scheme.Open();

  /** How the realm is asked; a seam between this class and the wire. */
  @FunctionalInterface
  interface Exchange {
    /** Sends a request to the realm, without following redirects. */
    Response send(Request request, String object) throws IOException;
  }

  private sealed interface Scheme {
    /** Nothing was asked for yet. */
    record Open() implements Scheme {}

    record Basic() implements Scheme {}

    record Bearer(HttpUrl realm, @Nullable String service) implements Scheme {}
  }

  private record Token(Secret value, Instant refreshAt) {}

  /** The token of one set of scopes, fetched by one thread at a time. */
  private static final class Slot {
    private final ReentrantLock lock = new ReentrantLock();
    private @Nullable Token token;
    private @Nullable RegistryException failure;

    /** How often it could not be had; counted before the lock is given back. */
    private volatile int failures;
  }

  TokenAuth(Connection connection, Exchange exchange, Clock clock) {
    this.connection = connection;
    this.exchange = exchange;
    this.clock = clock;
  }

  /**
   * The {@code Authorization} header for a request; empty when none is needed or none can be had
   * before the registry has asked.
   *
   * @param path the repository, for the choice of credentials; empty for the registry itself
   */
  Optional<Secret> header(Collection<String> scopes, String path, String object) {
    return switch (scheme) {
      case Scheme.Open _ -> Optional.empty();
      case Scheme.Basic _ -> password(path);
      case Scheme.Bearer bearer ->
          scopes.isEmpty()
              ? Optional.empty()
              : Optional.of(bearer(bearer, new TreeSet<>(scopes), path, object, null));
    };
  }

  /**
   * After a 401: learns what the registry asks for and gets it afresh.
   *
   * @param used the header that was refused; null when there was none
   * @return the header to try again with; empty when there is nothing better
   */
  Optional<Secret> answer(
      Response refused,
      Collection<String> scopes,
      String path,
      String object,
      @Nullable Secret used) {
    Challenge basic = null;
    for (Challenge challenge : refused.challenges()) {
      String kind = challenge.scheme().toLowerCase(Locale.ROOT);
      if (kind.equals("bearer")) {
        Scheme.Bearer bearer = bearer(challenge, object);
        scheme = bearer;
        TreeSet<String> wanted = new TreeSet<>(scopes);
        String scope = challenge.authParams().get("scope");
        if (scope != null && wanted.isEmpty()) {
          for (String one : words(scope)) {
            wanted.add(one);
          }
        }
        return Optional.of(bearer(bearer, wanted, path, object, used));
      }
      if (kind.equals("basic")) {
        basic = challenge;
      }
    }
    if (basic != null) {
      scheme = new Scheme.Basic();
      Optional<Secret> header = password(path);
      return header.filter(h -> !h.equals(used));
    }
    return Optional.empty();
  }

  /** The login with a password; a refresh token is none. */
  private Optional<Secret> password(String path) {
    return connection
        .credentials()
        .find(connection.registry(), path)
        .filter(login -> login.identityToken() == null || !login.password().reveal().isEmpty())
        .map(Credentials.Login::basic);
  }

  private Scheme.Bearer bearer(Challenge challenge, String object) {
    String text = challenge.authParams().get("realm");
    HttpUrl realm = text == null ? null : HttpUrl.parse(text);
    if (realm == null) {
      throw new RegistryException(
          Reason.MalformedResponse, object, "the registry names no usable token realm");
    }
    boolean plainRegistry =
        connection.endpoints().stream().anyMatch(e -> "http".equals(e.getScheme()));
    if (!realm.username().isEmpty() || !realm.password().isEmpty()) {
      throw refused(realm, object, "it holds userinfo");
    }
    if (!realm.isHttps() && !plainRegistry) {
      throw refused(realm, object, "it is not https");
    }
    return new Scheme.Bearer(realm, challenge.authParams().get("service"));
  }

  private static RegistryException refused(HttpUrl realm, String object, String why) {
    return new RegistryException(
        Reason.RealmRefused,
        object,
        "the token realm "
            + Failures.origin(realm)
            + " is refused: "
            + why
            + "; list its host under limits.tokenRealms if it is right");
  }

  /** Whether a realm may see the credentials. */
  private boolean isTrusted(HttpUrl realm) {
    for (var endpoint : connection.endpoints()) {
      HttpUrl own = HttpUrl.get(endpoint.toString());
      if (own.host().equals(realm.host())) {
        return true;
      }
      String domain = own.topPrivateDomain();
      if (domain != null
          && !domain.equals(CLUSTER_DOMAIN)
          && domain.equals(realm.topPrivateDomain())) {
        return true;
      }
    }
    // As users write it: in any case, and an IPv6 address in brackets.
    String host = realm.host().indexOf(':') < 0 ? realm.host() : "[" + realm.host() + "]";
    return connection.limits().tokenRealms().stream()
        .anyMatch(
            listed ->
                listed.equalsIgnoreCase(host)
                    || listed.equalsIgnoreCase(host + ":" + realm.port()));
  }

  private Secret bearer(
      Scheme.Bearer bearer,
      TreeSet<String> scopes,
      String path,
      String object,
      @Nullable Secret refused) {
    String key = String.join(" ", scopes);
    if (tokens.size() > MAX_TOKENS) {
      tokens.clear(); // Registries with very many repositories: they are soon had again.
    }
    Slot slot = tokens.computeIfAbsent(key, k -> new Slot());
    int failures = slot.failures;
    slot.lock.lock();
    try {
      Token token = slot.token;
      if (token != null
          && clock.instant().isBefore(token.refreshAt())
          && !token.value().equals(refused)) {
        return token.value();
      }
      RegistryException failure = slot.failure;
      if (failure != null && slot.failures != failures) {
        // Asked while this one waited; each in turn would wait as long as all before it together.
        throw failure.about(object);
      }
      Token fresh = fetch(slot, bearer, scopes, path, object);
      slot.token = fresh;
      return fresh.value();
    } finally {
      slot.lock.unlock();
    }
  }

  private Token fetch(
      Slot slot, Scheme.Bearer bearer, Collection<String> scopes, String path, String object) {
    try {
      return fetch(bearer, scopes, path, object);
    } catch (RegistryException e) {
      if (e.reason() != Reason.Cancelled) {
        slot.failure = e;
        slot.failures++;
      }
      throw e;
    }
  }

  private Token fetch(Scheme.Bearer bearer, Collection<String> scopes, String path, String object) {
    HttpUrl realm = bearer.realm();
    Credentials.Login login =
        connection.credentials().find(connection.registry(), path).orElse(null);
    if (login != null && !isTrusted(realm)) {
      throw refused(realm, object, "it is of another domain than the registry");
    }
    Request.Builder request = new Request.Builder();
    Secret identity = login == null ? null : login.identityToken();
    if (identity != null) {
      FormBody.Builder form =
          new FormBody.Builder()
              .add("grant_type", "refresh_token")
              .add("client_id", "mirror-operator")
              .add("refresh_token", identity.reveal());
      if (bearer.service() != null) {
        form.add("service", bearer.service());
      }
      if (!scopes.isEmpty()) {
        form.add("scope", String.join(" ", scopes));
      }
      request.url(realm).post(form.build());
    } else {
      HttpUrl.Builder url = realm.newBuilder();
      if (bearer.service() != null) {
        url.addQueryParameter("service", bearer.service());
      }
      for (String scope : scopes) {
        url.addQueryParameter("scope", scope);
      }
      request.url(url.build());
      if (login != null) {
        request.header("Authorization", login.basic().reveal());
      }
    }
    try (Response response = exchange.send(request.build(), object)) {
      if (response.isRedirect()) {
        throw refused(realm, object, "it redirects");
      }
      if (!response.isSuccessful()) {
        RegistryException failure = Failures.of(response, object, false, clock);
        String who = login == null ? "an anonymous client" : "the credentials";
        throw failure.reason() == Reason.Unauthorized || failure.reason() == Reason.Forbidden
            ? new RegistryException(
                failure.reason(),
                object,
                "the token server " + Failures.origin(realm) + " refuses " + who)
            : failure;
      }
      return read(response, object);
    } catch (AddressGuard.RefusedException e) {
      throw refused(realm, object, String.valueOf(e.getMessage()));
    } catch (IOException e) {
      throw Failures.of(e, realm, object);
    }
  }

  private Token read(Response response, String object) throws IOException {
    var source = response.body().source();
    if (source.request(MAX_ANSWER_BYTES + 1L)) {
      throw new RegistryException(
          Reason.TooLarge, object, "the token server's answer is larger than 1 MiB");
    }
    JsonNode root;
    try {
      root = JSON.readTree(source.readByteArray());
    } catch (IOException e) {
      throw new RegistryException(
          Reason.MalformedResponse, object, "the token server's answer is no JSON");
    }
    String value = root == null ? "" : root.path("token").asText("");
    if (value.isEmpty() && root != null) {
      value = root.path("access_token").asText("");
    }
    if (value.isEmpty() || !value.chars().allMatch(c -> c > ' ' && c < 127)) {
      throw new RegistryException(
          Reason.MalformedResponse, object, "the token server's answer holds no token");
    }
    if (value.length() > MAX_TOKEN_LENGTH) {
      throw new RegistryException(
          Reason.TooLarge, object, "the token server's token is longer than 64 KiB");
    }
    long seconds = root == null ? 0 : root.path("expires_in").asLong(0);
    Duration life = seconds > 0 ? Duration.ofSeconds(Math.min(seconds, 86_400)) : ASSUMED_LIFE;
    life = life.compareTo(LONGEST_LIFE) > 0 ? LONGEST_LIFE : life;
    return new Token(
        new Secret("Bearer " + value), clock.instant().plusMillis(life.toMillis() * 8 / 10));
  }

  private static List<String> words(String text) {
    List<String> words = new java.util.ArrayList<>();
    int start = 0;
    while (start < text.length()) {
      int space = text.indexOf(' ', start);
      int end = space < 0 ? text.length() : space;
      if (end > start) {
        words.add(Shown.of(text.substring(start, end)));
      }
      start = end + 1;
    }
    return words;
  }
}
