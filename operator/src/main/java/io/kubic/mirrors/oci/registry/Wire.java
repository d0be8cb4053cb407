package io.kubic.mirrors.oci.registry;

import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Repository;
import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import javax.net.ssl.X509TrustManager;
import okhttp3.Call;
import okhttp3.ConnectionSpec;
import okhttp3.HttpUrl;
import okhttp3.MediaType;
import okhttp3.OkHttpClient;
import okhttp3.Protocol;
import okhttp3.Request;
import okhttp3.RequestBody;
import okhttp3.Response;

/**
 * The way to one registry: sends a request with its authorisation, follows redirects without it,
 * keeps within the limits, and repeats what failed for the moment. Knows nothing of what the
 * requests mean.
 */
final class Wire {
  /** The body of a request that has none. */
  static final RequestBody NOTHING = RequestBody.create(new byte[0], (MediaType) null);

  private static final int MAX_REDIRECTS = 5;

  private static final List<ConnectionSpec> TLS =
      List.of(ConnectionSpec.MODERN_TLS, ConnectionSpec.CLEARTEXT);

  /** In the time of a request: the second one that is not answered ends the connection. */
  private static final int PINGS = 3;

  /** Milliseconds. */
  private static final int RAREST_PING = 20_000;

  /** How much longer than for anything else a target may take to assemble a large blob. */
  private static final int COMMIT_FACTOR = 10;

  private final Connection connection;
  private final Transport transport;
  private final Gate gate;
  private final TokenAuth auth;
  private final AddressGuard guard;
  private final List<HttpUrl> bases;
  private final AtomicInteger base = new AtomicInteger();
  private final AtomicLong requests = new AtomicLong();
  private final OkHttpClient small;
  private final OkHttpClient bulk;
  private final OkHttpClient foreign;

  /** What the clients above are where TLS is needed and they have none. */
  private final Map<OkHttpClient, OkHttpClient> secured = new ConcurrentHashMap<>();

  Wire(Connection connection, Transport transport) {
    this.connection = connection;
    this.transport = transport;
    this.gate = transport.gate(connection);
    this.bases = connection.endpoints().stream().map(URI::toString).map(Wire::base).toList();
    this.guard =
        new AddressGuard(
            bases.stream().map(HttpUrl::host).toList(), connection.proxies(), transport.network());
    Duration timeout = connection.limits().timeout();
    OkHttpClient.Builder builder =
        transport
            .plain()
            .newBuilder()
            .connectionPool(transport.pool(connection))
            .connectTimeout(
                timeout.compareTo(Duration.ofSeconds(30)) > 0 ? Duration.ofSeconds(30) : timeout)
            // A call has a deadline, a large body a StallWatch: timers for each read come on top.
            .readTimeout(Duration.ZERO)
            .writeTimeout(Duration.ZERO)
            // One of HTTP/2 that is dead without a word would take all attempts of all requests.
            .pingInterval(Duration.ofMillis(Math.clamp(timeout.toMillis() / PINGS, 0, RAREST_PING)))
            .proxySelector(new ProxyChoice(connection.proxies()))
            .proxyAuthenticator(new ProxyLogin(connection.proxies()));
    if (bases.stream().anyMatch(HttpUrl::isHttps) || !connection.trust().equals(Trust.system())) {
      secure(builder, connection.trust());
    }
    if (connection.trust().insecure()) {
      builder.hostnameVerifier((host, session) -> true);
    }
    this.small = builder.build();
    // One connection for each transfer: HTTP/2's flow control makes large bodies slow.
    this.bulk = small.newBuilder().protocols(List.of(Protocol.HTTP_1_1)).build();
    OkHttpClient.Builder elsewhere =
        bulk.newBuilder().socketFactory(guard.sockets(transport.frames()));
    Trust trust = connection.trust();
    if (trust.client() != null) {
      // Our certificate is for the registry, like a password.
      secure(elsewhere, trust.withoutClient());
    }
    this.foreign = elsewhere.build();
    this.auth = new TokenAuth(connection, this::askRealm, transport.clock());
  }

  Connection connection() {
    return connection;
  }

  Transport transport() {
    return transport;
  }

  Gate gate() {
    return gate;
  }

  /** The registry's name. */
  String name() {
    return connection.registry();
  }

  /** How many requests were sent so far. */
  long requests() {
    return requests.get();
  }

  /** One attempt: authorises, follows redirects, and gives the answer whatever its status. */
  Answer send(Ask ask) {
    boolean uploads = ask.body instanceof UploadBody;
    int chosen = base.get();
    HttpUrl url = ask.at(bases.get(chosen));
    Optional<Secret> authorization =
        isOwn(url) ? auth.header(ask.scopes, ask.repository, ask.object) : Optional.empty();
    Gate.Permit permit =
        gate.enter(
            uploads ? Gate.Use.UPLOAD : ask.bulk ? Gate.Use.DOWNLOAD : Gate.Use.REQUEST,
            ask.object);
    try {
      Answer answer = exchange(ask, url, authorization, permit);
      if (answer.status() == 401 && isOwn(url) && !uploads && !ask.anonymous) {
        Optional<Secret> better = renew(ask, answer, authorization);
        if (better.isPresent()) {
          answer.endDeadline();
          answer.response().close();
          gate.pace(ask.object);
          answer = exchange(ask, url, better, permit);
        }
      }
      if (answer.status() == 401 && isOwn(url) && uploads) {
        // The body is gone; whoever sends it again finds a fresh token.
        var _ = renew(ask, answer, authorization);
      }
      Answer last = follow(ask, answer, permit);
      if (isOwn(last.url())) {
        heed(last.response());
      }
      if (last.status() >= 500 && ask.url == null) {
        turnFrom(chosen);
      }
      return last;
    } catch (RegistryException e) {
      permit.close();
      if (ask.url == null && isOfEndpoint(e)) {
        turnFrom(chosen);
      }
      throw e;
    } catch (RuntimeException e) {
      permit.close();
      throw e;
    }
  }

  /** What the registry asks for itself; where it leads to others have a say of their own only. */
  private void heed(Response response) {
    if (response.code() == 429) {
      gate.slow();
    }
    Failures.retryAfter(response, transport.clock()).ifPresent(gate::closeFor);
  }

  /** What answers a 401 better than what was sent; empty when there is nothing better. */
  private Optional<Secret> renew(Ask ask, Answer answer, Optional<Secret> used) {
    try {
      return auth.answer(
          answer.response(), ask.scopes, ask.repository, ask.object, used.orElse(null));
    } catch (RuntimeException e) {
      answer.close();
      throw e;
    }
  }

  /** The next attempt goes to the next endpoint. */
  private void turnFrom(int chosen) {
    base.compareAndSet(chosen, (chosen + 1) % bases.size());
  }

  private static boolean isOfEndpoint(RegistryException e) {
    return switch (e.reason()) {
      case ConnectionFailed, NameResolution, Timeout, TLSVerification, ServerError -> true;
      default -> false;
    };
  }

  private Answer follow(Ask ask, Answer first, Gate.Permit permit) {
    Answer answer = first;
    int hops = 0;
    boolean mayFollow = ask.method.equals("GET") || ask.method.equals("HEAD");
    while (mayFollow && answer.response().isRedirect()) {
      HttpUrl from = answer.url();
      String text = answer.header("Location").orElse("");
      HttpUrl to = text.isEmpty() ? null : from.resolve(text);
      answer.response().close();
      answer.endDeadline();
      if (++hops > MAX_REDIRECTS) {
        throw refusedRedirect(ask.object, "more than " + MAX_REDIRECTS + " in a row");
      }
      if (to == null) {
        throw refusedRedirect(ask.object, "it leads nowhere");
      }
      if (!to.username().isEmpty() || !to.password().isEmpty()) {
        throw refusedRedirect(ask.object, "its target holds userinfo");
      }
      if (from.isHttps() && !to.isHttps()) {
        throw refusedRedirect(ask.object, "it leads from https to http");
      }
      Optional<Secret> authorization =
          isOwn(to) ? auth.header(ask.scopes, ask.repository, ask.object) : Optional.empty();
      if (isOwn(to)) {
        gate.pace(ask.object);
      }
      answer = exchange(ask, to, authorization, permit);
    }
    return answer;
  }

  private static RegistryException refusedRedirect(String object, String why) {
    return new RegistryException(Reason.RedirectRefused, object, "a redirect is refused: " + why);
  }

  private Answer exchange(
      Ask ask, HttpUrl url, Optional<Secret> authorization, Gate.Permit permit) {
    Request.Builder request =
        new Request.Builder()
            .url(url)
            .method(ask.method, ask.body)
            .header("User-Agent", transport.userAgent())
            // Bytes are evidence: nothing on the way may unpack them.
            .header("Accept-Encoding", "identity");
    ask.headers.forEach(request::header);
    authorization.ifPresent(secret -> request.header("Authorization", secret.reveal()));
    UploadBody uploads = ask.body instanceof UploadBody body ? body : null;
    OkHttpClient client = !isOwn(url) ? foreign : uploads != null || ask.bulk ? bulk : small;
    Call call = fit(client, url).newCall(request.build());
    Deadline deadline = new Deadline(transport, call);
    Duration timeout = connection.limits().timeout();
    deadline.start(uploads == null && ask.bulk && ask.body != null ? commitTimeout() : timeout);
    if (uploads != null) {
      // What is under way has the stall watch; what has arrived is to be answered.
      uploads.under(
          new StallWatch(transport, connection.retry().stallTimeout(), call::cancel),
          deadline::callOff,
          () -> deadline.start(commitTimeout()));
    }
    requests.incrementAndGet();
    try {
      if (client == foreign) {
        guard.check(url);
      }
      Response response = transport.frames().watched(call.execute());
      requireLength(call, response, ask.object);
      if (ask.body != null) {
        deadline.start(timeout);
      }
      if (client != foreign) {
        gate.quota(response.headers());
      }
      return new Answer(response, permit, deadline, ask.object);
    } catch (IOException e) {
      deadline.callOff();
      if (deadline.isOver() && !Thread.currentThread().isInterrupted()) {
        throw new RegistryException(
            Reason.Timeout, ask.object, "no answer from " + Failures.origin(url) + " in time", e);
      }
      OptionalLong stalled = uploads == null ? OptionalLong.empty() : uploads.stalled();
      if (stalled.isPresent() && !Thread.currentThread().isInterrupted()) {
        throw new RegistryException(
            Reason.Stalled,
            ask.object,
            Failures.origin(url)
                + " took "
                + stalled.getAsLong()
                + " bytes in "
                + connection.retry().stallTimeout().toSeconds()
                + " s",
            e);
      }
      throw Failures.of(e, url, ask.object);
    } catch (IllegalArgumentException e) {
      deadline.callOff();
      throw noLength(url, ask.object, e);
    } catch (RuntimeException e) {
      deadline.callOff();
      throw e;
    }
  }

  private static void requireLength(Call call, Response response, String object) {
    if (response.body().contentLength() < -1) {
      // OkHttp cannot close such a body either: it would read the rest.
      call.cancel();
      throw new RegistryException(
          Reason.MalformedResponse,
          object,
          Failures.origin(response.request().url()) + " told a body of less than no bytes");
    }
  }

  /** OkHttp, when it closes a body of a negative length before anybody has seen it. */
  private static RegistryException noLength(
      HttpUrl url, String object, IllegalArgumentException e) {
    return new RegistryException(
        Reason.MalformedResponse,
        object,
        Failures.origin(url) + " told a length that cannot be",
        e);
  }

  /** A registry without TLS may lead to a place, or have its tokens from one, that has it. */
  private OkHttpClient fit(OkHttpClient client, HttpUrl url) {
    return !url.isHttps() || client.connectionSpecs().equals(TLS)
        ? client
        : secured.computeIfAbsent(
            client, plain -> secure(plain.newBuilder(), Trust.system()).build());
  }

  private static OkHttpClient.Builder secure(OkHttpClient.Builder client, Trust trust) {
    X509TrustManager manager = trust.trustManager();
    return client
        .connectionSpecs(TLS)
        .sslSocketFactory(trust.context(manager).getSocketFactory(), manager);
  }

  /** A target that assembles a large blob answers late. */
  private Duration commitTimeout() {
    return connection.limits().timeout().multipliedBy(COMMIT_FACTOR);
  }

  private Response askRealm(Request request, String object) throws IOException {
    HttpUrl url = request.url();
    boolean own = bases.stream().anyMatch(base -> base.host().equals(url.host()));
    if (own) {
      gate.pace(object);
    } else {
      guard.check(url);
    }
    requests.incrementAndGet();
    OkHttpClient client =
        fit(own ? small : foreign, url)
            .newBuilder()
            .callTimeout(connection.limits().timeout().toMillis(), TimeUnit.MILLISECONDS)
            .build();
    Call call =
        client.newCall(request.newBuilder().header("User-Agent", transport.userAgent()).build());
    Response response;
    try {
      response = transport.frames().watched(call.execute());
    } catch (IllegalArgumentException e) {
      throw noLength(url, object, e);
    }
    requireLength(call, response, object);
    // Without a token nobody gets in.
    Failures.retryAfter(response, transport.clock()).ifPresent(gate::closeFor);
    return response;
  }

  /** Repeats an operation while its failures are transient, within the connection's limits. */
  <T> T retrying(String object, Supplier<T> operation) {
    for (int attempt = 1; ; attempt++) {
      try {
        return operation.get();
      } catch (RegistryException e) {
        if (!mayRetry(e, attempt)) {
          throw e.withAttempts(attempt);
        }
        gate.rest(backoff(e, attempt), object);
      }
    }
  }

  /** Whether an attempt that failed is followed by another one. */
  boolean mayRetry(RegistryException e, int attempt) {
    boolean otherEndpoint = attempt < bases.size() && isOfEndpoint(e);
    return (e.isRetryable() && attempt <= connection.retry().limit() || otherEndpoint)
        && e.retryAfter().map(w -> w.compareTo(connection.retry().maxBackoff()) <= 0).orElse(true);
  }

  /** The pause before the next attempt. */
  Duration backoff(RegistryException e, int attempt) {
    Duration own = connection.retry().backoff(attempt, transport.random());
    if (e.retryAfter().isPresent()) {
      return e.retryAfter().get();
    }
    if (attempt < bases.size() && isOfEndpoint(e)) {
      return Duration.ZERO;
    }
    return own;
  }

  void rest(Duration duration, String object) {
    gate.rest(duration, object);
  }

  void expect(Answer answer, String object, boolean push, int... statuses) {
    for (int status : statuses) {
      if (answer.status() == status) {
        return;
      }
    }
    throw refusal(answer, object, push);
  }

  RegistryException refusal(Answer answer, String object, boolean push) {
    return Failures.of(answer.response(), object, push, transport.clock());
  }

  private boolean isOwn(HttpUrl url) {
    for (HttpUrl base : bases) {
      if (sameOrigin(base, url)) {
        return true;
      }
    }
    return false;
  }

  static boolean sameOrigin(HttpUrl one, HttpUrl other) {
    return one.scheme().equals(other.scheme())
        && one.host().equals(other.host())
        && one.port() == other.port();
  }

  String object(String repository, String identifier) {
    return connection.registry()
        + "/"
        + repository
        + (identifier.indexOf(':') >= 0 ? "@" : ":")
        + identifier;
  }

  String scope(String repository) {
    return connection.push() ? "repository:" + repository + ":pull,push" : pull(repository);
  }

  static String pull(String repository) {
    return "repository:" + repository + ":pull";
  }

  static String path(String repository, String rest) {
    return "v2/" + Repository.requirePath(repository) + "/" + rest;
  }

  static OptionalLong number(Optional<String> text) {
    if (text.isEmpty()
        || text.get().isEmpty()
        || text.get().length() > 18
        || !text.get().chars().allMatch(c -> c >= '0' && c <= '9')) {
      return OptionalLong.empty();
    }
    return OptionalLong.of(Long.parseLong(text.get()));
  }

  private static HttpUrl base(String endpoint) {
    HttpUrl url = HttpUrl.get(endpoint);
    return url.encodedPath().endsWith("/") ? url : url.newBuilder().addPathSegment("").build();
  }
}
