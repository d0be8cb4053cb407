package io.kubic.mirrors.oci.registry;

import io.kubic.mirrors.oci.Repository;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How a registry is reached and trusted; immutable, made with {@link #to} and the {@code with}
 * methods.
 *
 * @param registry {@code host[:port]}: its name in references, layout and credentials
 * @param endpoints base URLs, tried in order; never empty
 * @param push whether this connection writes: one token with {@code pull,push} is then fetched for
 *     each repository, instead of one for reading and one for writing
 */
public record Connection(
    String registry,
    List<URI> endpoints,
    Credentials credentials,
    Trust trust,
    Proxies proxies,
    Limits limits,
    Retry retry,
    boolean push) {

  public Connection {
    Repository.requireRegistry(registry);
    endpoints = List.copyOf(endpoints);
    if (endpoints.isEmpty()) {
      throw new IllegalArgumentException(registry + ": no endpoint");
    }
    for (URI endpoint : endpoints) {
      boolean http = "http".equals(endpoint.getScheme()) || "https".equals(endpoint.getScheme());
      if (!http || endpoint.getHost() == null || endpoint.getUserInfo() != null) {
        throw new IllegalArgumentException(
            registry + ": an endpoint is no URL of the form https://host[:port]");
      }
    }
  }

  /**
   * Care for the registry.
   *
   * @param maxConcurrent requests at once, at most half of them transfers; uploads count by
   *     themselves
   * @param requestsPerSecond may be less than one; null for no limit
   * @param minRemaining pulls of the registry's quota that are left to others
   * @param timeout for connecting, for the first byte, and for any answer but a blob's
   * @param tokenRealms further hosts, {@code host[:port]}, that may ask for the credentials
   */
  public record Limits(
      int maxConcurrent,
      @Nullable Double requestsPerSecond,
      int minRemaining,
      Duration timeout,
      List<String> tokenRealms) {
    public Limits {
      tokenRealms = List.copyOf(tokenRealms);
      if (maxConcurrent < 1 || !timeout.isPositive()) {
        throw new IllegalArgumentException("limits: maxConcurrent or timeout out of range");
      }
      if (requestsPerSecond != null && !(requestsPerSecond > 0)) {
        throw new IllegalArgumentException("limits: requestsPerSecond out of range");
      }
    }

    /**
     * The share of one of several processes that together keep to these limits. Each has one
     * request at once at least.
     *
     * @param processes at least 1
     */
    public Limits shared(int processes) {
      return new Limits(
          Math.max(1, maxConcurrent / processes),
          requestsPerSecond == null ? null : Double.valueOf(requestsPerSecond / processes),
          minRemaining,
          timeout,
          tokenRealms);
    }

    /** 32 at once, one minute. */
    public static Limits standard() {
      return new Limits(32, null, 5, Duration.ofMinutes(1), List.of());
    }
  }

  /** A connection to {@code https://<registry>} with the system's trust and no credentials. */
  public static Connection to(String registry) {
    Repository.requireRegistry(registry);
    // Docker Hub's images are named docker.io, its registry is not.
    String host = registry.equals("docker.io") ? "registry-1.docker.io" : registry;
    return new Connection(
        registry,
        List.of(URI.create("https://" + host)),
        Credentials.none(),
        Trust.system(),
        Proxies.none(),
        Limits.standard(),
        Retry.standard(),
        false);
  }

  /** The same over plain HTTP. */
  public Connection withPlainHttp() {
    List<URI> plain =
        endpoints.stream()
            .map(e -> URI.create("http" + e.toString().substring(e.getScheme().length())))
            .toList();
    return withEndpoints(plain);
  }

  public Connection withEndpoints(List<URI> value) {
    return new Connection(registry, value, credentials, trust, proxies, limits, retry, push);
  }

  public Connection withCredentials(Credentials value) {
    return new Connection(registry, endpoints, value, trust, proxies, limits, retry, push);
  }

  public Connection withTrust(Trust value) {
    return new Connection(registry, endpoints, credentials, value, proxies, limits, retry, push);
  }

  public Connection withProxies(Proxies value) {
    return new Connection(registry, endpoints, credentials, trust, value, limits, retry, push);
  }

  public Connection withLimits(Limits value) {
    return new Connection(registry, endpoints, credentials, trust, proxies, value, retry, push);
  }

  public Connection withRetry(Retry value) {
    return new Connection(registry, endpoints, credentials, trust, proxies, limits, value, push);
  }

  public Connection withPush() {
    return new Connection(registry, endpoints, credentials, trust, proxies, limits, retry, true);
  }
}
