package io.kubic.mirrors.cli;

import io.kubic.mirrors.api.v1alpha1.GoDuration;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.oci.Repository;
import io.kubic.mirrors.oci.registry.Connection;
import io.kubic.mirrors.oci.registry.Credentials;
import io.kubic.mirrors.oci.registry.Proxies;
import io.kubic.mirrors.oci.registry.RegistryClient;
import io.kubic.mirrors.oci.registry.Retry;
import io.kubic.mirrors.oci.registry.Secret;
import io.kubic.mirrors.oci.registry.Transport;
import io.kubic.mirrors.oci.registry.Trust;
import io.kubic.mirrors.ops.Terminal;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/**
 * The flags that say how registries are reached, the same for every command that reaches one, and
 * the clients made from them. What a cluster takes from Secrets and ConfigMaps comes from files.
 */
final class ConnectionOptions implements AutoCloseable {
  private static final int TARGET_CONCURRENCY = 32;

  @Option(
      names = "--authfile",
      paramLabel = "FILE",
      description =
          "Credentials in the form of Docker's config.json; repeatable, the first that knows a"
              + " registry wins. Default: REGISTRY_AUTH_FILE, then podman's and docker's own.")
  private List<Path> authFiles = List.of();

  @Option(
      names = "--ca",
      paramLabel = "FILE",
      description = "PEM bundle trusted for the target, besides the system's.")
  private @Nullable Path ca;

  @Option(
      names = "--source-ca",
      paramLabel = "FILE",
      description = "PEM bundle trusted for all sources, besides the system's.")
  private @Nullable Path sourceCa;

  @Option(names = "--plain-http", description = "Reach the target over HTTP without TLS.")
  private boolean plainHttp;

  @Option(
      names = "--insecure-skip-tls-verify",
      description = "Believe any certificate of the target.")
  private boolean insecure;

  @Option(
      names = "--source-files",
      paramLabel = "DIR",
      description =
          "Files for each source in DIR/<registry, ':' as '_'>/<source name>: .dockerconfigjson,"
              + " username and password, ca.crt, tls.crt and tls.key, proxy-username and"
              + " proxy-password; each may be missing.")
  private @Nullable Path sourceFiles;

  @Option(
      names = "--concurrency",
      paramLabel = "N",
      description = "Requests and transfers at once for each registry; default: as the list says.")
  private @Nullable Integer concurrency;

  @Option(
      names = {"-q", "--quiet"},
      description = "No progress; errors only.")
  private boolean quiet;

  @Option(
      names = {"-v", "--verbose"},
      description = "Tell about every image.")
  private boolean verbose;

  private @Nullable Transport transport;
  private int processes = 1;

  boolean isQuiet() {
    return quiet;
  }

  /** How progress is told. */
  Progress.Form progress() {
    return Progress.Form.of(quiet, verbose, Terminal::isStandardError);
  }

  /** The number of {@code --concurrency}. */
  Optional<Integer> concurrency() {
    if (concurrency != null && concurrency < 1) {
      throw new CommandException(
          ExitCode.USAGE, "--concurrency " + concurrency + ": write at least 1");
    }
    return Optional.ofNullable(concurrency);
  }

  /** So many processes like this one keep to the limits of the sources together. */
  void shareSources(int count) {
    processes = count;
  }

  /**
   * A client that reads from a source of a list.
   *
   * @param retry the list's
   */
  RegistryClient source(MirrorListSpec.Source source, MirrorListSpec.Retry retry) {
    return transport().connect(sourceConnection(source, retry));
  }

  /**
   * A client that reads from and writes to the target.
   *
   * @param host {@code HOST[:PORT]}
   */
  RegistryClient target(String host) {
    return transport().connect(named(host, concurrency().orElse(TARGET_CONCURRENCY)).withPush());
  }

  /**
   * The same for a list: with its retries, and with as many requests at once as it allows the
   * busiest of its sources, since each image asks both.
   *
   * @param host {@code HOST[:PORT]}
   */
  RegistryClient target(String host, MirrorListSpec list) {
    int atOnce =
        list.sources().stream()
            .mapToInt(source -> source.limits().maxConcurrent())
            .reduce(TARGET_CONCURRENCY, Math::max);
    return transport()
        .connect(
            named(host, concurrency().orElse(atOnce)).withRetry(retry(list.retry())).withPush());
  }

  /**
   * A client for a registry that is only looked at, with the flags for the target.
   *
   * @param host {@code HOST[:PORT]}
   */
  RegistryClient registry(String host) {
    return transport()
        .connect(named(host, concurrency().orElse(TARGET_CONCURRENCY)).withRetry(SOMEBODY_WAITS));
  }

  /** Somebody at a terminal hears what is wrong within seconds. */
  private static final Retry SOMEBODY_WAITS =
      new Retry(2, Duration.ofMillis(500), Duration.ofSeconds(10), Duration.ofSeconds(60));

  /** Where the files of a source are looked for. */
  static Path sourceDirectory(Path root, MirrorListSpec.Source source) {
    return root.resolve(source.registry().replace(':', '_')).resolve(source.name());
  }

  private Connection named(String host, int concurrent) {
    requireRegistry(host);
    Connection.Limits usual = Connection.Limits.standard();
    Connection connection =
        Connection.to(host)
            .withCredentials(credentials())
            .withTrust(new Trust(authorities(ca), null, insecure))
            .withProxies(proxies())
            .withLimits(
                new Connection.Limits(concurrent, null, 0, usual.timeout(), usual.tokenRealms()));
    return plainHttp ? connection.withPlainHttp() : connection;
  }

  private Connection sourceConnection(MirrorListSpec.Source source, MirrorListSpec.Retry retry) {
    requireRegistry(source.registry());
    Connection connection = Connection.to(source.registry());
    if (!source.endpoints().isEmpty()) {
      Connection plain = connection;
      connection =
          valid(
              "spec.sources: " + source.registry() + ": endpoints",
              () ->
                  plain.withEndpoints(
                      source.endpoints().stream().map(ConnectionOptions::endpoint).toList()));
    } else if (source.tls().plainHTTP()) {
      connection = connection.withPlainHttp();
    }
    Credentials credentials = credentials();
    List<X509Certificate> authorities = new ArrayList<>(authorities(sourceCa));
    Trust.ClientCertificate client = null;
    Credentials.Login proxyLogin = null;
    if (sourceFiles != null) {
      Path directory = sourceDirectory(sourceFiles, source);
      String config = readIfThere(directory.resolve(".dockerconfigjson"));
      if (config != null) {
        credentials = dockerConfig(config, directory.resolve(".dockerconfigjson")).or(credentials);
      }
      Credentials.Login login = login(directory, "username", "password");
      if (login != null) {
        credentials = Credentials.of(login);
      }
      String pem = readIfThere(directory.resolve("ca.crt"));
      if (pem != null) {
        authorities.addAll(certificates(pem, directory.resolve("ca.crt")));
      }
      String chain = readIfThere(directory.resolve("tls.crt"));
      String key = readIfThere(directory.resolve("tls.key"));
      if (chain != null && key != null) {
        client = clientCertificate(chain, key, directory.resolve("tls.key"));
      }
      proxyLogin = login(directory, "proxy-username", "proxy-password");
    }
    MirrorListSpec.Limits limits = source.limits();
    return connection
        .withCredentials(credentials)
        .withTrust(new Trust(authorities, client, source.tls().insecureSkipVerify()))
        .withProxies(proxies(source, proxyLogin))
        .withRetry(retry(retry))
        .withLimits(
            limits(concurrency().orElse(limits.maxConcurrent()), limits, source).shared(processes));
  }

  /** What is wrong with it may be a password in it, which is not shown. */
  private static URI endpoint(String url) {
    try {
      return URI.create(url);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("an endpoint is no URL of the form https://host[:port]");
    }
  }

  private static Retry retry(MirrorListSpec.Retry retry) {
    return valid(
        "spec.retry",
        () ->
            new Retry(
                retry.limit(),
                GoDuration.parse(retry.minBackoff(), "spec.retry.minBackoff"),
                GoDuration.parse(retry.maxBackoff(), "spec.retry.maxBackoff"),
                GoDuration.parse(retry.stallTimeout(), "spec.retry.stallTimeout")));
  }

  private static Connection.Limits limits(
      int atOnce, MirrorListSpec.Limits limits, MirrorListSpec.Source source) {
    Integer rate = limits.requestsPerSecond();
    return valid(
        "spec.sources: " + source.registry() + ": limits",
        () ->
            new Connection.Limits(
                atOnce,
                rate == null ? null : rate.doubleValue(),
                limits.minRemaining(),
                GoDuration.parse(limits.timeout(), "limits.timeout"),
                limits.tokenRealms()));
  }

  /** What is out of range is the list's fault, not ours: not everything has a schema's bounds. */
  private static <T> T valid(String path, Supplier<T> value) {
    try {
      return value.get();
    } catch (InvalidSpecException e) {
      throw e;
    } catch (IllegalArgumentException e) {
      throw new InvalidSpecException(path, String.valueOf(e.getMessage()));
    }
  }

  private static Proxies proxies(
      MirrorListSpec.Source source, Credentials.@Nullable Login proxyLogin) {
    if (source.proxy() == null) {
      return proxies();
    }
    String url = source.proxy().url();
    if (url == null) {
      throw new InvalidSpecException(
          "spec.sources: " + source.registry() + ": proxy.url", "is missing");
    }
    Proxies.Server server;
    try {
      server = Proxies.Server.parse(url);
    } catch (IllegalArgumentException e) {
      throw new CommandException(ExitCode.USAGE, source.registry() + ": " + e.getMessage());
    }
    return Proxies.of(
        proxyLogin == null ? server : new Proxies.Server(server.host(), server.port(), proxyLogin));
  }

  private static Proxies proxies() {
    try {
      return Proxies.fromEnvironment(System.getenv());
    } catch (IllegalArgumentException e) {
      throw new CommandException(ExitCode.USAGE, "HTTP_PROXY or HTTPS_PROXY: " + e.getMessage());
    }
  }

  private Credentials credentials() {
    Credentials all = Credentials.none();
    if (!authFiles.isEmpty()) {
      for (Path file : authFiles) {
        all = all.or(dockerConfig(read(file, "--authfile"), file));
      }
      return all;
    }
    for (Path file : usualPlaces(System.getenv())) {
      String text = readIfThere(file);
      if (text != null) {
        all = all.or(dockerConfig(text, file));
      }
    }
    return all;
  }

  /** As in containers-auth.json(5), and docker's. */
  private static List<Path> usualPlaces(Map<String, String> environment) {
    List<Path> places = new ArrayList<>();
    add(places, environment.get("REGISTRY_AUTH_FILE"), "");
    add(places, environment.get("XDG_RUNTIME_DIR"), "containers/auth.json");
    add(places, environment.get("HOME"), ".config/containers/auth.json");
    String docker = environment.get("DOCKER_CONFIG");
    if (docker != null) {
      add(places, docker, "config.json");
    } else {
      add(places, environment.get("HOME"), ".docker/config.json");
    }
    return places;
  }

  private static void add(List<Path> places, @Nullable String directory, String file) {
    if (directory != null && !directory.isEmpty()) {
      places.add(Path.of(directory).resolve(file));
    }
  }

  private static Credentials dockerConfig(String text, Path file) {
    try {
      return Credentials.fromDockerConfig(text, file.toString());
    } catch (IllegalArgumentException e) {
      throw new CommandException(ExitCode.USAGE, String.valueOf(e.getMessage()));
    }
  }

  private static Credentials.@Nullable Login login(Path directory, String user, String password) {
    String name = readIfThere(directory.resolve(user));
    String word = readIfThere(directory.resolve(password));
    return name == null || word == null
        ? null
        : new Credentials.Login(name.strip(), new Secret(word.strip()));
  }

  /** The certificates of a PEM file; none without one. */
  static List<X509Certificate> authorities(@Nullable Path file) {
    return file == null ? List.of() : certificates(read(file, "CA file"), file);
  }

  private static List<X509Certificate> certificates(String pem, Path file) {
    try {
      return Trust.certificates(pem, file.toString());
    } catch (IllegalArgumentException e) {
      throw new CommandException(ExitCode.USAGE, String.valueOf(e.getMessage()));
    }
  }

  private static Trust.ClientCertificate clientCertificate(String chain, String key, Path file) {
    try {
      return Trust.ClientCertificate.parse(chain, key, file.toString());
    } catch (IllegalArgumentException e) {
      throw new CommandException(ExitCode.USAGE, String.valueOf(e.getMessage()));
    }
  }

  private static void requireRegistry(String host) {
    if (!Repository.isRegistry(host)) {
      throw new CommandException(
          ExitCode.USAGE, "'" + host + "' is no registry; write HOST[:PORT] without a scheme");
    }
  }

  private static String read(Path file, String what) {
    String text = readIfThere(file);
    if (text == null) {
      throw new CommandException(ExitCode.USAGE, what + " " + file + ": there is no such file");
    }
    return text;
  }

  private static @Nullable String readIfThere(Path file) {
    try {
      return Files.readString(file);
    } catch (NoSuchFileException e) {
      return null;
    } catch (IOException e) {
      throw new CommandException(
          ExitCode.USAGE, file + ": cannot be read: " + e.getClass().getSimpleName());
    }
  }

  private Transport transport() {
    Transport current = transport;
    if (current == null) {
      current = Transport.standard("mirror-operator/" + Version.current());
      transport = current;
    }
    return current;
  }

  @Override
  public void close() {
    if (transport != null) {
      transport.close();
    }
  }
}
