package io.kubic.mirrors.oci.registry;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.BlobVerifier;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.Listing;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Repository;
import io.kubic.mirrors.oci.Shown;
import io.kubic.mirrors.oci.Tag;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Predicate;
import java.util.function.Supplier;
import okhttp3.Call;
import okhttp3.HttpUrl;
import okhttp3.MediaType;
import okhttp3.OkHttpClient;
import okhttp3.Protocol;
import okhttp3.Request;
import okhttp3.RequestBody;
import okhttp3.Response;
import okio.BufferedSink;
import org.jspecify.annotations.Nullable;

/**
 * One remote registry: OCI distribution specification 1.1. Safe for many threads. Every method
 * blocks, keeps within the connection's limits, tries transient failures again, and throws a {@link
 * RegistryException} with a reason otherwise. Made by {@link Transport#connect}.
 */
public final class RegistryClient implements ImageStore {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final RequestBody NOTHING = RequestBody.create(new byte[0], (MediaType) null);
  private static final MediaType OCTETS = MediaType.get("application/octet-stream");
  private static final int MAX_REDIRECTS = 5;
  private static final int MAX_PAGE_BYTES = 16 << 20;
  private static final int MAX_PAGES = 10_000;
  private static final int MAX_NAMES = 500_000;
  private static final int MAX_MALFORMED = 20;
  private static final int PAGE_SIZE = 1000;

  /** A target that assembles a large blob answers late. */
  private static final Duration COMMIT_TIMEOUT = Duration.ofMinutes(10);

  /** From here on a question saves more than it costs. */
  private static final long WORTH_ASKING = 1 << 20;

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
  private final OkHttpClient upload;
  private final OkHttpClient foreign;
  private volatile SelfMount selfMount = SelfMount.UNKNOWN;

  /** Whether mounting a blob from its own repository tells that it is there. */
  private enum SelfMount {
    UNKNOWN,
    WORKS,
    REFUSED
  }

  RegistryClient(Connection connection, Transport transport) {
    this.connection = connection;
    this.transport = transport;
    this.gate = new Gate(connection, transport.clock(), transport.pause());
    this.bases =
        connection.endpoints().stream().map(URI::toString).map(RegistryClient::base).toList();
    this.guard = new AddressGuard(bases.stream().map(HttpUrl::host).toList());
    Duration timeout = connection.limits().timeout();
    var trustManager = connection.trust().trustManager();
    OkHttpClient.Builder builder =
        transport
            .http()
            .newBuilder()
            .connectTimeout(
                timeout.compareTo(Duration.ofSeconds(30)) > 0 ? Duration.ofSeconds(30) : timeout)
            .readTimeout(timeout)
            .writeTimeout(connection.retry().stallTimeout())
            .sslSocketFactory(
                connection.trust().context(trustManager).getSocketFactory(), trustManager)
            .proxySelector(new ProxyChoice(connection.proxies()))
            .proxyAuthenticator(new ProxyLogin(connection.proxies()));
    if (connection.trust().insecure()) {
      builder.hostnameVerifier((host, session) -> true);
    }
    this.small = builder.build();
    // One connection for each transfer: HTTP/2's flow control makes large bodies slow.
    this.bulk =
        small
            .newBuilder()
            .protocols(List.of(Protocol.HTTP_1_1))
            .readTimeout(connection.retry().stallTimeout())
            .build();
    this.upload = bulk.newBuilder().readTimeout(COMMIT_TIMEOUT).build();
    this.foreign = bulk.newBuilder().socketFactory(guard).build();
    this.auth = new TokenAuth(connection, this::askRealm, transport.clock());
  }

  private static HttpUrl base(String endpoint) {
    HttpUrl url = HttpUrl.get(endpoint);
    return url.encodedPath().endsWith("/") ? url : url.newBuilder().addPathSegment("").build();
  }

  @Override
  public String name() {
    return connection.registry();
  }

  /** How this registry is reached. */
  public Connection connection() {
    return connection;
  }

  /** How many HTTP requests were sent so far, repetitions and token requests included. */
  public long requests() {
    return requests.get();
  }

  /** What is left of the registry's quota of pulls, as it said last. */
  public OptionalInt quotaRemaining() {
    return gate.remaining();
  }

  // ---- questions -------------------------------------------------------------------------------

  /**
   * Makes sure that the registry answers, speaks the protocol, and takes the credentials that there
   * are for it, without asking for any repository. A 401 is fine as long as there are none: it may
   * still let anybody pull.
   */
  public void ping() {
    retrying(
        name(),
        () -> {
          Ask ask = new Ask("GET", "v2/", name());
          boolean anonymous = connection.credentials().find(name(), "").isEmpty();
          try (Answer answer = send(anonymous ? ask.anonymousIsFine() : ask)) {
            if (answer.status() != 200 && !(anonymous && answer.status() == 401)) {
              throw refusal(answer, name(), false);
            }
            return true;
          }
        });
  }

  /**
   * All repositories, in the registry's order.
   *
   * @throws RegistryException DiscoveryUnsupported when the registry has no catalog
   */
  public Listing catalog() {
    try {
      return list("v2/_catalog", "registry:catalog:*", "", "repositories", Repository::isPath);
    } catch (RegistryException e) {
      throw switch (e.reason()) {
        case NotFound, MalformedResponse ->
            e.problem().contains("answered")
                ? new RegistryException(
                    Reason.DiscoveryUnsupported,
                    name(),
                    "has no catalog; name its repositories under images (" + e.problem() + ")")
                : e;
        case Unauthorized, Forbidden ->
            new RegistryException(
                e.reason(),
                name(),
                "does not let us list its catalog; give credentials, or name the repositories under"
                    + " images ("
                    + e.problem()
                    + ")");
        default -> e;
      };
    }
  }

  @Override
  public Listing tags(String repository) {
    return list(path(repository, "tags/list"), pull(repository), repository, "tags", Tag::isValid);
  }

  @Override
  public Optional<Descriptor> resolve(String repository, String identifier) {
    String object = object(repository, identifier);
    Ask ask =
        new Ask("HEAD", path(repository, "manifests/" + identifier), object)
            .scope(repository, scope(repository))
            .accept();
    Optional<Descriptor> known =
        retrying(
            object,
            () -> {
              try (Answer answer = send(ask)) {
                if (answer.status() == 404) {
                  return Optional.empty();
                }
                expect(answer, object, false, 200);
                String type = MediaTypes.bare(answer.header("Content-Type").orElse(""));
                Optional<Digest> digest =
                    answer.header("Docker-Content-Digest").flatMap(Digest::tryParse);
                long size = number(answer.header("Content-Length")).orElse(-1);
                if (digest.isEmpty() || size < 0 || !MediaTypes.isManifest(type)) {
                  // Not enough to go by: the whole manifest tells.
                  return Optional.of(UNTOLD);
                }
                return Optional.of(new Descriptor(type, digest.get(), size));
              }
            });
    if (known.isPresent() && known.get() == UNTOLD) {
      return Optional.of(manifest(repository, identifier).descriptor());
    }
    return known;
  }

  private static final Descriptor UNTOLD = new Descriptor("", Digest.of(new byte[0]), 0);

  @Override
  public Manifest manifest(String repository, String identifier) {
    String object = object(repository, identifier);
    Ask ask =
        new Ask("GET", path(repository, "manifests/" + identifier), object)
            .scope(repository, scope(repository))
            .accept();
    Optional<Digest> wanted = Digest.tryParse(identifier);
    gate.spend(object);
    return retrying(
        object,
        () -> {
          try (Answer answer = send(ask)) {
            expect(answer, object, false, 200);
            byte[] bytes = answer.bytes(Manifest.MAX_BYTES, "the manifest");
            String type = answer.header("Content-Type").orElse(null);
            if (wanted.isPresent()) {
              return Manifest.parse(bytes, type, object, wanted.get());
            }
            Manifest manifest = Manifest.parse(bytes, type, object);
            Optional<String> told = answer.header("Docker-Content-Digest");
            if (told.isPresent()
                && !Digest.tryParse(told.get()).map(d -> d.same(bytes).equals(d)).orElse(false)) {
              throw new RegistryException(
                  Reason.DigestMismatch,
                  object,
                  "the registry calls it "
                      + Shown.of(told.get())
                      + " but sent "
                      + manifest.digest());
            }
            return manifest;
          }
        });
  }

  /** The size of a blob; empty when the repository does not have it. */
  public OptionalLong blobSize(String repository, Digest digest) {
    String object = object(repository, digest.toString());
    Ask ask =
        new Ask("HEAD", path(repository, "blobs/" + digest), object)
            .scope(repository, scope(repository));
    return retrying(
        object,
        () -> {
          try (Answer answer = send(ask)) {
            if (answer.status() == 404) {
              return OptionalLong.empty();
            }
            expect(answer, object, false, 200);
            return OptionalLong.of(number(answer.header("Content-Length")).orElse(0));
          }
        });
  }

  @Override
  public InputStream blob(String repository, Descriptor blob, long offset) {
    return new BlobStream(this, repository, blob, offset);
  }

  /** One attempt at a blob; {@link BlobStream} makes the others. */
  Answer openBlob(String repository, Descriptor blob, long offset, String object) {
    Ask ask =
        new Ask("GET", path(repository, "blobs/" + blob.digest()), object)
            .scope(repository, scope(repository))
            .bulk();
    if (offset > 0) {
      ask.header("Range", "bytes=" + offset + "-");
    }
    Answer answer = send(ask);
    try {
      if (answer.status() == 416) {
        throw new RegistryException(
            Reason.MalformedResponse, object, "the registry has fewer bytes than promised");
      }
      expect(answer, object, false, 200, 206);
      if (answer.status() == 206) {
        String range = answer.header("Content-Range").orElse("");
        if (!range.startsWith("bytes " + offset + "-")) {
          throw new RegistryException(
              Reason.MalformedResponse,
              object,
              "asked for bytes from " + offset + " on, got '" + Shown.of(range) + "'");
        }
      }
      long expected = blob.size() - (answer.status() == 206 ? offset : 0);
      OptionalLong length = number(answer.header("Content-Length"));
      if (length.isPresent() && length.getAsLong() != expected) {
        throw new RegistryException(
            Reason.DigestMismatch,
            object,
            "the registry announces "
                + length.getAsLong()
                + " bytes, the manifest says "
                + expected);
      }
      answer.endDeadline();
      return answer;
    } catch (RuntimeException e) {
      answer.close();
      throw e;
    }
  }

  @Override
  public Optional<List<Descriptor>> referrers(String repository, Digest subject) {
    String object = object(repository, subject.toString());
    String first = path(repository, "referrers/" + subject);
    return retrying(
        object,
        () -> {
          List<Descriptor> all = new ArrayList<>();
          Set<HttpUrl> seen = new HashSet<>();
          Ask ask = new Ask("GET", first, object).scope(repository, scope(repository));
          while (true) {
            try (Answer answer = send(ask.header("Accept", MediaTypes.OCI_INDEX))) {
              String type = MediaTypes.bare(answer.header("Content-Type").orElse(""));
              if (answer.status() == 404
                  || answer.status() == 400
                  || answer.status() == 405
                  || answer.status() == 200 && !type.equals(MediaTypes.OCI_INDEX)) {
                return Optional.empty();
              }
              expect(answer, object, false, 200);
              Manifest page =
                  Manifest.parse(
                      answer.bytes(Manifest.MAX_BYTES, "the list of referrers"), type, object);
              all.addAll(page.children());
              Optional<HttpUrl> next = next(answer, object);
              if (next.isEmpty()) {
                return Optional.of(List.copyOf(all));
              }
              advance(seen, next.get(), all.size(), object);
              ask = new Ask("GET", next.get(), object).scope(repository, scope(repository));
            }
          }
        });
  }

  private Listing list(
      String path, String scope, String repository, String field, Predicate<String> valid) {
    String object = repository.isEmpty() ? name() : name() + "/" + repository;
    Set<String> names = new LinkedHashSet<>();
    Set<String> malformed = new LinkedHashSet<>();
    Set<HttpUrl> seen = new HashSet<>();
    Ask first =
        new Ask("GET", path, object)
            .query("n", Integer.toString(PAGE_SIZE))
            .scope(repository, scope);
    Ask plain = new Ask("GET", path, object).scope(repository, scope);
    Ask[] ask = {first};
    while (true) {
      int before = names.size();
      Optional<HttpUrl> next =
          retrying(
              object,
              () -> {
                try (Answer answer = send(ask[0])) {
                  if (answer.status() != 400 || ask[0] != first) {
                    return page(answer, object, field, valid, names, malformed);
                  }
                }
                // Page sizes above the registry's own limit are an error to some: no wish then.
                ask[0] = plain;
                try (Answer answer = send(plain)) {
                  return page(answer, object, field, valid, names, malformed);
                }
              });
      if (names.size() > MAX_NAMES) {
        throw new RegistryException(
            Reason.TooLarge, object, "lists more than " + MAX_NAMES + " " + field);
      }
      if (next.isEmpty()) {
        return new Listing(List.copyOf(names), List.copyOf(malformed));
      }
      if (names.size() == before) {
        throw new RegistryException(
            Reason.MalformedResponse, object, "the list of " + field + " has pages without end");
      }
      advance(seen, next.get(), names.size(), object);
      ask[0] = new Ask("GET", next.get(), object).scope(repository, scope);
    }
  }

  private Optional<HttpUrl> page(
      Answer answer,
      String object,
      String field,
      Predicate<String> valid,
      Set<String> names,
      Set<String> malformed) {
    expect(answer, object, false, 200);
    JsonNode root;
    try {
      root = JSON.readTree(answer.bytes(MAX_PAGE_BYTES, "a page of " + field));
    } catch (IOException e) {
      throw new RegistryException(
          Reason.MalformedResponse, object, "the list of " + field + " is no JSON");
    }
    JsonNode list = root == null ? null : root.get(field);
    if (root == null || !root.isObject() || list != null && !list.isArray() && !list.isNull()) {
      throw new RegistryException(
          Reason.MalformedResponse, object, "the registry sent no list of " + field);
    }
    if (list != null) {
      for (JsonNode node : list) {
        String text = node.asText("");
        if (node.isTextual() && valid.test(text)) {
          names.add(text);
        } else if (malformed.size() < MAX_MALFORMED) {
          malformed.add(Shown.of(text));
        }
      }
    }
    return next(answer, object);
  }

  private static void advance(Set<HttpUrl> seen, HttpUrl next, int names, String object) {
    if (!seen.add(next) || seen.size() > MAX_PAGES || names > MAX_NAMES) {
      throw new RegistryException(
          Reason.MalformedResponse, object, "the list has pages without end");
    }
  }

  /** The next page, by {@code Link} (RFC 8288) in any of its forms; of the same origin only. */
  private Optional<HttpUrl> next(Answer answer, String object) {
    for (String header : answer.response().headers("Link")) {
      int at = 0;
      while (at < header.length()) {
        int open = header.indexOf('<', at);
        int close = header.indexOf('>', open + 1);
        if (open < 0 || close < 0) {
          break;
        }
        int end = header.indexOf('<', close);
        String parameters =
            header.substring(close + 1, end < 0 ? header.length() : end).toLowerCase(Locale.ROOT);
        String spaceless = parameters.replace(" ", "").replace("\t", "");
        if (spaceless.contains("rel=\"next\"") || spaceless.contains("rel=next")) {
          HttpUrl next = answer.url().resolve(header.substring(open + 1, close).strip());
          if (next == null || !sameOrigin(next, answer.url())) {
            throw new RegistryException(
                Reason.MalformedResponse, object, "the next page lies at another host");
          }
          return Optional.of(next);
        }
        at = end < 0 ? header.length() : end;
      }
    }
    return Optional.empty();
  }

  // ---- writing ---------------------------------------------------------------------------------

  @Override
  public BlobWrite putBlob(
      String repository, Descriptor blob, @Nullable String mountFrom, BlobContent content) {
    String object = object(repository, blob.digest().toString());
    boolean asked = false;
    if (mountFrom == null && selfMount == SelfMount.REFUSED) {
      asked = true;
      if (blobSize(repository, blob.digest()).isPresent()) {
        return BlobWrite.PRESENT;
      }
    }
    Optional<HttpUrl> session = start(repository, blob, mountFrom == null ? repository : mountFrom);
    if (session.isEmpty()) {
      if (mountFrom == null) {
        selfMount = SelfMount.WORKS;
      }
      return mountFrom == null ? BlobWrite.PRESENT : BlobWrite.MOUNTED;
    }
    HttpUrl location = session.get();
    if (!asked && selfMount == SelfMount.UNKNOWN && blob.size() >= WORTH_ASKING) {
      if (blobSize(repository, blob.digest()).isPresent()) {
        // It is there although mounting it from its own repository was not granted.
        selfMount = SelfMount.REFUSED;
        cancel(repository, location, object);
        return BlobWrite.PRESENT;
      }
    }
    write(repository, blob, location, content, object);
    return BlobWrite.WRITTEN;
  }

  /** Mounts a blob or starts an upload; empty when the blob is now there. */
  private Optional<HttpUrl> start(String repository, Descriptor blob, String from) {
    String object = object(repository, blob.digest().toString());
    Ask ask =
        new Ask("POST", path(repository, "blobs/uploads/"), object)
            .query("mount", blob.digest().toString())
            .query("from", from)
            .scope(repository, scope(repository))
            .body(NOTHING);
    if (!from.equals(repository)) {
      ask.scope(repository, "repository:" + from + ":pull");
    }
    return retrying(
        object,
        () -> {
          try (Answer answer = send(ask)) {
            if (answer.status() == 201) {
              return Optional.empty();
            }
            expect(answer, object, true, 202);
            return Optional.of(location(answer, object));
          }
        });
  }

  private HttpUrl location(Answer answer, String object) {
    HttpUrl location =
        answer.header("Location").map(text -> answer.url().resolve(text)).orElse(null);
    if (location == null
        || !location.username().isEmpty()
        || !location.isHttps() && answer.url().isHttps()) {
      throw new RegistryException(
          Reason.MalformedResponse, object, "the registry named no usable place for the upload");
    }
    return location;
  }

  private void cancel(String repository, HttpUrl location, String object) {
    Ask ask = new Ask("DELETE", location, object).scope(repository, scope(repository));
    try (Answer answer = send(ask)) {
      // 204, or the registry purges the session some day.
      var _ = answer.status();
    } catch (RegistryException e) {
      if (e.reason() == Reason.Cancelled) {
        throw e;
      }
    }
  }

  private void write(
      String repository, Descriptor blob, HttpUrl session, BlobContent content, String object) {
    BlobVerifier verifier = new BlobVerifier(blob, object);
    HttpUrl location = session;
    long offset = 0;
    long best = 0;
    int attempt = 0;
    while (true) {
      Upload body = new Upload(blob, offset, content, verifier);
      try {
        if (offset == 0) {
          commit(repository, location, blob, body, object);
        } else {
          HttpUrl rest = append(repository, location, blob, offset, body, object);
          commit(repository, rest, blob, null, object);
        }
        return;
      } catch (RegistryException e) {
        if (body.failure() != null || !e.isRetryable()) {
          cancel(repository, location, object);
          throw body.failure() != null ? body.failure() : e;
        }
        attempt = body.position() > best ? 1 : attempt + 1;
        best = Math.max(best, body.position());
        if (attempt > connection.retry().limit()) {
          cancel(repository, location, object);
          throw e.withAttempts(attempt);
        }
        // Most breaks are those of one connection: the first is mended at once.
        if (attempt > 1 || e.reason() != Reason.ConnectionFailed) {
          gate.rest(backoff(e, attempt), object);
        }
        if (blobSize(repository, blob.digest()).isPresent()) {
          return; // Only the answer was lost.
        }
        Progress progress = progress(repository, location, object);
        if (progress == null) {
          Optional<HttpUrl> fresh = start(repository, blob, repository);
          if (fresh.isEmpty()) {
            return;
          }
          location = fresh.get();
          offset = 0;
        } else {
          location = progress.location();
          offset = Math.min(progress.offset(), blob.size());
          if (offset > body.furthest()) {
            // It claims bytes that were never sent.
            cancel(repository, location, object);
            throw new RegistryException(
                Reason.MalformedResponse, object, "the target claims more bytes than it got");
          }
        }
      }
    }
  }

  private record Progress(HttpUrl location, long offset) {}

  /** How far an upload got; null when the registry has forgotten it. */
  private @Nullable Progress progress(String repository, HttpUrl location, String object) {
    Ask ask = new Ask("GET", location, object).scope(repository, scope(repository));
    return retrying(
            object,
            () -> {
              try (Answer answer = send(ask)) {
                if (answer.status() == 404) {
                  return Optional.<Progress>empty();
                }
                expect(answer, object, true, 204, 202, 200);
                String range = answer.header("Range").orElse("");
                String last = range.substring(range.lastIndexOf('-') + 1);
                long end = number(Optional.of(last)).orElse(0);
                // "0-0" is nothing or one byte: nobody can tell, so nothing.
                return Optional.of(
                    new Progress(
                        answer.header("Location").isPresent() ? location(answer, object) : location,
                        end == 0 ? 0 : end + 1));
              }
            })
        .orElse(null);
  }

  private HttpUrl append(
      String repository,
      HttpUrl location,
      Descriptor blob,
      long offset,
      Upload body,
      String object) {
    if (offset == blob.size()) {
      return location;
    }
    Ask ask =
        new Ask("PATCH", location, object)
            .header("Content-Range", offset + "-" + (blob.size() - 1))
            .scope(repository, scope(repository))
            .body(body)
            .bulk();
    try (Answer answer = send(ask)) {
      expect(answer, object, true, 202, 204);
      return location(answer, object);
    }
  }

  private void commit(
      String repository, HttpUrl location, Descriptor blob, @Nullable Upload body, String object) {
    HttpUrl url =
        location.newBuilder().setQueryParameter("digest", blob.digest().toString()).build();
    Ask ask =
        new Ask("PUT", url, object)
            .scope(repository, scope(repository))
            .body(body == null ? NOTHING : body)
            .bulk();
    try (Answer answer = send(ask)) {
      expect(answer, object, true, 201, 204);
      Optional<Digest> told = answer.header("Docker-Content-Digest").flatMap(Digest::tryParse);
      if (told.isPresent()
          && told.get().algorithm() == blob.digest().algorithm()
          && !told.get().equals(blob.digest())) {
        throw new RegistryException(
            Reason.DigestMismatch, object, "the target stored it as " + told.get());
      }
    }
  }

  /** A blob on its way from its source; reads, checks and writes in one thread. */
  private static final class Upload extends RequestBody {
    private static final int BUFFER = 64 << 10;
    private final Descriptor blob;
    private final long offset;
    private final BlobContent content;
    private final BlobVerifier verifier;
    private long position;
    private @Nullable RegistryException failure;

    Upload(Descriptor blob, long offset, BlobContent content, BlobVerifier verifier) {
      this.blob = blob;
      this.offset = offset;
      this.content = content;
      this.verifier = verifier;
      this.position = offset;
    }

    @Override
    public MediaType contentType() {
      return OCTETS;
    }

    @Override
    public long contentLength() {
      return blob.size() - offset;
    }

    @Override
    public boolean isOneShot() {
      return true;
    }

    long position() {
      return position;
    }

    long furthest() {
      return blob.size();
    }

    /** What went wrong at the source, as opposed to the target. */
    @Nullable RegistryException failure() {
      return failure;
    }

    @Override
    public void writeTo(BufferedSink sink) throws IOException {
      byte[] buffer = new byte[(int) Math.max(1, Math.min(BUFFER, blob.size() - offset))];
      try (InputStream in = open()) {
        while (position < blob.size()) {
          int count = read(in, buffer);
          sink.write(buffer, 0, count);
          position += count;
        }
      }
    }

    private InputStream open() {
      try {
        return content.open(offset);
      } catch (RegistryException e) {
        failure = e;
        throw e;
      }
    }

    private int read(InputStream in, byte[] buffer) {
      try {
        int count = in.read(buffer, 0, (int) Math.min(buffer.length, blob.size() - position));
        if (count < 0) {
          throw new RegistryException(
              Reason.DigestMismatch, blob.digest().toString(), "the content ends early");
        }
        verifier.update(position, buffer, 0, count);
        return count;
      } catch (RegistryException e) {
        failure = e;
        throw e;
      } catch (IOException e) {
        failure =
            new RegistryException(
                Reason.ConnectionFailed,
                blob.digest().toString(),
                "the source cannot be read: " + e.getMessage(),
                e);
        throw failure;
      }
    }
  }

  @Override
  public void putManifest(String repository, Manifest manifest, @Nullable String tag) {
    String identifier = tag == null ? manifest.digest().toString() : tag;
    String object = object(repository, identifier);
    byte[] bytes = manifest.bytes();
    MediaType type = MediaType.get(manifest.mediaType());
    Ask ask =
        new Ask("PUT", path(repository, "manifests/" + identifier), object)
            .scope(repository, scope(repository))
            .body(RequestBody.create(bytes, type));
    retrying(
        object,
        () -> {
          try (Answer answer = send(ask)) {
            expect(answer, object, true, 201, 200, 202);
            Optional<String> told = answer.header("Docker-Content-Digest");
            if (told.isPresent()
                && !Digest.tryParse(told.get()).map(d -> d.same(bytes).equals(d)).orElse(false)) {
              throw new RegistryException(
                  Reason.DigestMismatch,
                  object,
                  "the target stored it as "
                      + Shown.of(told.get())
                      + " instead of "
                      + manifest.digest());
            }
            return true;
          }
        });
  }

  @Override
  public boolean delete(String repository, String identifier) {
    String object = object(repository, identifier);
    Ask ask =
        new Ask("DELETE", path(repository, "manifests/" + identifier), object)
            .scope(repository, "repository:" + repository + ":delete");
    return retrying(
        object,
        () -> {
          try (Answer answer = send(ask)) {
            if (answer.status() == 404) {
              return false;
            }
            expect(answer, object, true, 202, 200, 204);
            return true;
          }
        });
  }

  // ---- the wire --------------------------------------------------------------------------------

  /** A request to be sent, perhaps more than once. */
  private static final class Ask {
    private final String method;
    private final @Nullable String path;
    private final @Nullable HttpUrl url;
    private final String object;
    private final Map<String, String> headers = new TreeMap<>();
    private final Map<String, String> query = new TreeMap<>();
    private final Set<String> scopes = new LinkedHashSet<>();
    private String repository = "";
    private @Nullable RequestBody body;
    private boolean bulk;
    private boolean anonymous;

    Ask(String method, String path, String object) {
      this.method = method;
      this.path = path;
      this.url = null;
      this.object = object;
    }

    Ask(String method, HttpUrl url, String object) {
      this.method = method;
      this.path = null;
      this.url = url;
      this.object = object;
    }

    Ask query(String name, String value) {
      query.put(name, value);
      return this;
    }

    Ask header(String name, String value) {
      headers.put(name, value);
      return this;
    }

    Ask accept() {
      return header("Accept", String.join(", ", MediaTypes.ACCEPTED));
    }

    Ask scope(String ofRepository, String scope) {
      repository = ofRepository;
      scopes.add(scope);
      return this;
    }

    Ask body(RequestBody value) {
      body = value;
      return this;
    }

    Ask bulk() {
      bulk = true;
      return this;
    }

    /** A 401 is an answer, too. */
    Ask anonymousIsFine() {
      anonymous = true;
      return this;
    }

    HttpUrl at(HttpUrl base) {
      if (url != null) {
        return url;
      }
      HttpUrl.Builder builder = base.newBuilder().addPathSegments(String.valueOf(path));
      query.forEach(builder::addQueryParameter);
      return builder.build();
    }
  }

  /** One attempt: authorises, follows redirects, and gives the answer whatever its status. */
  private Answer send(Ask ask) {
    boolean uploads = ask.body instanceof Upload;
    int chosen = base.get();
    HttpUrl url = ask.at(bases.get(chosen));
    Optional<Secret> authorization =
        isOwn(url) ? auth.header(ask.scopes, ask.repository, ask.object) : Optional.empty();
    Gate.Permit permit = gate.enter(uploads, ask.object);
    try {
      Answer answer = exchange(ask, url, authorization, permit);
      if (answer.status() == 401 && isOwn(url) && !uploads && !ask.anonymous) {
        Optional<Secret> better =
            auth.answer(
                answer.response(),
                ask.scopes,
                ask.repository,
                ask.object,
                authorization.orElse(null));
        if (better.isPresent()) {
          answer.endDeadline();
          answer.response().close();
          answer = exchange(ask, url, better, permit);
        }
      }
      return follow(ask, answer, permit);
    } catch (RegistryException e) {
      permit.close();
      if (ask.url == null && isOfEndpoint(e)) {
        // The next attempt goes to the next endpoint.
        base.compareAndSet(chosen, (chosen + 1) % bases.size());
      }
      throw e;
    } catch (RuntimeException e) {
      permit.close();
      throw e;
    }
  }

  private static boolean isOfEndpoint(RegistryException e) {
    return switch (e.reason()) {
      case ConnectionFailed, NameResolution, Timeout, TLSVerification -> true;
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
    boolean uploads = ask.body instanceof Upload;
    OkHttpClient client = !isOwn(url) ? foreign : uploads ? upload : ask.bulk ? bulk : small;
    Call call = client.newCall(request.build());
    boolean[] late = {false};
    Transport.Alarm deadline =
        uploads || ask.bulk && ask.body != null
            ? () -> {}
            : transport.after(
                connection.limits().timeout(),
                () -> {
                  late[0] = true;
                  call.cancel();
                });
    requests.incrementAndGet();
    try {
      if (client == foreign) {
        guard.check(url);
      }
      Response response = call.execute();
      String quota = response.header("ratelimit-remaining");
      if (quota != null) {
        gate.quota(quota);
      }
      return new Answer(response, permit, deadline, ask.object);
    } catch (IOException e) {
      deadline.callOff();
      if (Thread.currentThread().isInterrupted()) {
        throw Gate.cancelled(ask.object);
      }
      if (late[0]) {
        throw new RegistryException(
            Reason.Timeout,
            ask.object,
            "no answer from " + Failures.origin(url) + " within " + connection.limits().timeout());
      }
      throw Failures.of(e, url, ask.object);
    } catch (RuntimeException e) {
      deadline.callOff();
      throw e;
    }
  }

  private Response askRealm(Request request, String object) throws IOException {
    HttpUrl url = request.url();
    boolean own = bases.stream().anyMatch(base -> base.host().equals(url.host()));
    if (!own) {
      guard.check(url);
    }
    requests.incrementAndGet();
    OkHttpClient client =
        (own ? small : foreign)
            .newBuilder()
            .callTimeout(connection.limits().timeout().toMillis(), TimeUnit.MILLISECONDS)
            .build();
    return client
        .newCall(request.newBuilder().header("User-Agent", transport.userAgent()).build())
        .execute();
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

  /** The pause before the next attempt; closes the gate for all when the registry asked so. */
  Duration backoff(RegistryException e, int attempt) {
    Duration own = connection.retry().backoff(attempt, transport.random());
    if (e.retryAfter().isPresent()) {
      gate.closeFor(e.retryAfter().get());
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

  Transport transport() {
    return transport;
  }

  private void expect(Answer answer, String object, boolean push, int... statuses) {
    for (int status : statuses) {
      if (answer.status() == status) {
        return;
      }
    }
    throw refusal(answer, object, push);
  }

  private RegistryException refusal(Answer answer, String object, boolean push) {
    return Failures.of(answer.response(), object, push, transport.clock());
  }

  private boolean isOwn(HttpUrl url) {
    return bases.stream().anyMatch(base -> sameOrigin(base, url));
  }

  private static boolean sameOrigin(HttpUrl one, HttpUrl other) {
    return one.scheme().equals(other.scheme())
        && one.host().equals(other.host())
        && one.port() == other.port();
  }

  private String object(String repository, String identifier) {
    return name() + "/" + repository + (identifier.indexOf(':') >= 0 ? "@" : ":") + identifier;
  }

  private String scope(String repository) {
    return connection.push() ? "repository:" + repository + ":pull,push" : pull(repository);
  }

  private static String pull(String repository) {
    return "repository:" + repository + ":pull";
  }

  private static String path(String repository, String rest) {
    return "v2/" + Repository.requirePath(repository) + "/" + rest;
  }

  private static OptionalLong number(Optional<String> text) {
    if (text.isEmpty()
        || text.get().isEmpty()
        || text.get().length() > 18
        || !text.get().chars().allMatch(c -> c >= '0' && c <= '9')) {
      return OptionalLong.empty();
    }
    return OptionalLong.of(Long.parseLong(text.get()));
  }
}
