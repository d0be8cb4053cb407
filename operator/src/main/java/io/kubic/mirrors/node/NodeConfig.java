package io.kubic.mirrors.node;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.kubic.mirrors.api.v1alpha1.GoDuration;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.DriftPolicy;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.Pull;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.RemovalPolicy;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.Runtime;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.RuntimeRestart;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.ShortNameMode;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.SourcePolicy;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.VerifyMode;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * All that an agent is told, resolved: the document {@code nodeconfig.json} of an immutable
 * ConfigMap, one for each NodeRegistryConfig. Equal configurations have equal text: lists whose
 * order means nothing are sorted, endpoints and search registries keep their order.
 *
 * @param name name of the NodeRegistryConfig, a DNS-1123 subdomain
 * @param sources sorted by source, each source once
 * @param blocked registries or prefixes that are never contacted; none of them is a source
 * @param unqualifiedSearchRegistries CRI-O and podman, {@code host[:port]}, in order
 * @param shortNameMode CRI-O and podman
 * @param runtimes never empty; {@code Auto} stands alone
 * @param authorities {@code host[:port]} of an endpoint to its CA certificates as PEM
 * @param credentials names the content of the {@link PullCredentials} that lie beside this
 *     document, without telling it; null for none
 * @param systemStore whether all programs of the node are to trust the authorities
 * @param runtimeRestart whether a runtime may be restarted that reads no per-registry files yet
 * @param dialTimeout for a connection of a runtime, 100ms to 1m
 * @param remove take everything back and report ready; the rest then only names what to undo
 * @param hold touch nothing and report ready: agents are there, their first turn is yet to come
 */
@JsonInclude(JsonInclude.Include.NON_EMPTY)
public record NodeConfig(
    String name,
    List<Source> sources,
    List<String> blocked,
    List<String> unqualifiedSearchRegistries,
    @Nullable ShortNameMode shortNameMode,
    List<Runtime> runtimes,
    SortedMap<String, String> authorities,
    @Nullable String credentials,
    boolean systemStore,
    RuntimeRestart runtimeRestart,
    String dialTimeout,
    Health health,
    Verify verify,
    DriftPolicy driftPolicy,
    RemovalPolicy removalPolicy,
    boolean remove,
    boolean hold) {

  /** The key of the ConfigMap and the name of the file. */
  public static final String FILE = "nodeconfig.json";

  private static final int MAX_PEM = 256 * 1024;

  private static final JsonMapper JSON =
      JsonMapper.builder()
          .disable(MapperFeature.AUTO_DETECT_IS_GETTERS)
          .enable(MapperFeature.SORT_PROPERTIES_ALPHABETICALLY)
          .enable(SerializationFeature.ORDER_MAP_ENTRIES_BY_KEYS)
          .enable(SerializationFeature.INDENT_OUTPUT)
          .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_READING_DUP_TREE_KEY)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  public NodeConfig {
    if (name == null || name.isEmpty() || name.length() > 253 || !isName(name)) {
      throw new InvalidSpecException("name", "is no object's name");
    }
    sources = sources == null ? List.of() : sources.stream().sorted().toList();
    blocked = blocked == null ? List.of() : blocked.stream().sorted().distinct().toList();
    unqualifiedSearchRegistries =
        unqualifiedSearchRegistries == null ? List.of() : List.copyOf(unqualifiedSearchRegistries);
    runtimes =
        runtimes == null || runtimes.isEmpty()
            ? List.of(Runtime.Auto)
            : runtimes.stream().sorted().distinct().toList();
    authorities =
        Collections.unmodifiableSortedMap(
            new TreeMap<>(authorities == null ? Map.of() : authorities));
    runtimeRestart = runtimeRestart == null ? RuntimeRestart.Never : runtimeRestart;
    dialTimeout = dialTimeout == null ? "2s" : dialTimeout;
    health = health == null ? new Health("10s", 0, 0, true) : health;
    verify = verify == null ? new Verify(VerifyMode.Resolve, null) : verify;
    driftPolicy = driftPolicy == null ? DriftPolicy.Correct : driftPolicy;
    removalPolicy = removalPolicy == null ? RemovalPolicy.Restore : removalPolicy;

    between(dialTimeout, "dialTimeout", Duration.ofMillis(100), Duration.ofMinutes(1));
    if (runtimes.size() > 1 && runtimes.contains(Runtime.Auto)) {
      throw new InvalidSpecException("runtimes", "name Auto alone, or the runtimes without it");
    }
    Set<String> seen = new HashSet<>();
    for (int i = 0; i < sources.size(); i++) {
      if (!seen.add(sources.get(i).source())) {
        throw new InvalidSpecException(
            "sources[" + i + "].source", "'" + sources.get(i).source() + "' stands twice");
      }
    }
    for (int i = 0; i < blocked.size(); i++) {
      prefix(blocked.get(i), "blocked[" + i + "]");
      if (!seen.add(blocked.get(i))) {
        throw new InvalidSpecException(
            "blocked[" + i + "]",
            "'"
                + blocked.get(i)
                + "' is a source with mirrors; give it the policy NeverContactSource instead");
      }
    }
    for (int i = 0; i < unqualifiedSearchRegistries.size(); i++) {
      if (!Location.isRegistry(unqualifiedSearchRegistries.get(i))) {
        throw new InvalidSpecException(
            "unqualifiedSearchRegistries[" + i + "]",
            "'" + Location.printable(unqualifiedSearchRegistries.get(i)) + "' is no host[:port]");
      }
    }
    authorities.forEach(
        (registry, pem) -> {
          if (!Location.isRegistry(registry)) {
            throw new InvalidSpecException(
                "authorities", "'" + Location.printable(registry) + "' is no host[:port]");
          }
          if (pem.length() > MAX_PEM || Certificates.parse(pem).isEmpty()) {
            throw new InvalidSpecException(
                "authorities." + registry, "is no bundle of PEM certificates under 256 KiB");
          }
        });
  }

  /**
   * What is asked for the images of one source.
   *
   * @param source {@code host[:port]}, {@code host[:port]/path} or {@code *.host}
   * @param endpoints in the order in which they are asked, 1 to 16, each once
   */
  public record Source(String source, List<Endpoint> endpoints, SourcePolicy policy)
      implements Comparable<Source> {
    public Source {
      prefix(source == null ? "" : source, "sources.source");
      endpoints = endpoints == null ? List.of() : List.copyOf(endpoints);
      policy = policy == null ? SourcePolicy.AllowContactingSource : policy;
      String field = "sources[" + source + "].endpoints";
      if (endpoints.isEmpty() || endpoints.size() > 16) {
        throw new InvalidSpecException(field, "name 1 to 16 endpoints");
      }
      Set<Location> seen = new HashSet<>();
      for (Endpoint endpoint : endpoints) {
        if (!seen.add(endpoint.location())) {
          throw new InvalidSpecException(field, "'" + endpoint.location() + "' stands twice");
        }
        if (matches(source, endpoint.location().toString())) {
          throw new InvalidSpecException(
              field,
              "'" + endpoint.location() + "' is the source itself; name a mirror of another place");
        }
      }
    }

    /** Whether it is a whole registry: what containerd can tell apart. */
    public boolean isRegistry() {
      return Location.isRegistry(source);
    }

    public boolean isWildcard() {
      return source.startsWith("*.");
    }

    public boolean never() {
      return policy == SourcePolicy.NeverContactSource;
    }

    /** The same source with fewer endpoints; none left means that the source is left alone. */
    public java.util.Optional<Source> without(Set<Location> withdrawn) {
      List<Endpoint> rest =
          endpoints.stream().filter(e -> !withdrawn.contains(e.location())).toList();
      return rest.isEmpty()
          ? java.util.Optional.empty()
          : java.util.Optional.of(new Source(source, rest, policy));
    }

    @Override
    public int compareTo(Source other) {
      return source.compareTo(other.source);
    }
  }

  /**
   * One mirror.
   *
   * @param location where the images are; the rest of an image's name is appended
   * @param pull which references it serves
   * @param insecure certificates are not verified and plain HTTP is tried
   */
  public record Endpoint(Location location, Pull pull, boolean insecure) {
    public Endpoint {
      if (location == null) {
        throw new InvalidSpecException("sources.endpoints.location", "is missing");
      }
      pull = pull == null ? Pull.All : pull;
    }
  }

  /**
   * When a mirror is taken out of the files of a node.
   *
   * @param interval 1s to 1h, between two looks at a healthy mirror
   * @param failureThreshold failures in a row that withdraw it, 1 to 100
   * @param successThreshold successes in a row that bring it back, 1 to 100
   */
  public record Health(
      String interval, int failureThreshold, int successThreshold, Boolean withdraw) {
    public Health {
      interval = interval == null ? "10s" : interval;
      failureThreshold = failureThreshold == 0 ? 3 : failureThreshold;
      successThreshold = successThreshold == 0 ? 2 : successThreshold;
      withdraw = withdraw == null || withdraw;
      between(interval, "health.interval", Duration.ofSeconds(1), Duration.ofHours(1));
      if (failureThreshold < 1 || failureThreshold > 100) {
        throw new InvalidSpecException("health.failureThreshold", "is not within 1 and 100");
      }
      if (successThreshold < 1 || successThreshold > 100) {
        throw new InvalidSpecException("health.successThreshold", "is not within 1 and 100");
      }
    }

    Duration every() {
      return GoDuration.parse(interval, "health.interval");
    }
  }

  /**
   * The proof of a node.
   *
   * @param image {@code host/repository[:tag][@digest]} of a source, resolved through every
   *     endpoint of it; none means that an endpoint must only let us in
   */
  @JsonInclude(JsonInclude.Include.NON_EMPTY)
  public record Verify(VerifyMode mode, @Nullable String image) {
    public Verify {
      mode = mode == null ? VerifyMode.Resolve : mode;
      if (image != null) {
        ImageName.parse(image, "verify.image");
      }
    }
  }

  /** Time for a connection. */
  public Duration dial() {
    return GoDuration.parse(dialTimeout, "dialTimeout");
  }

  /** Time between two looks at a healthy mirror. */
  public Duration interval() {
    return health.every();
  }

  /** The locations of all endpoints, each once, sorted. */
  public List<Endpoint> endpoints() {
    return sources.stream()
        .flatMap(source -> source.endpoints().stream())
        .sorted(
            Comparator.comparing(Endpoint::location)
                .thenComparing(Endpoint::insecure)
                .thenComparing(Endpoint::pull))
        .distinct()
        .toList();
  }

  /** The same, without the endpoints that are out of service; forbidden sources keep theirs. */
  public NodeConfig without(Set<Location> withdrawn) {
    return with(
        sources.stream()
            .flatMap(
                source -> source.never() ? Stream.of(source) : source.without(withdrawn).stream())
            .toList(),
        blocked);
  }

  /** The same with other sources and other blocked registries. */
  public NodeConfig with(List<Source> otherSources, List<String> otherBlocked) {
    return new NodeConfig(
        name,
        otherSources,
        otherBlocked,
        unqualifiedSearchRegistries,
        shortNameMode,
        runtimes,
        authorities,
        credentials,
        systemStore,
        runtimeRestart,
        dialTimeout,
        health,
        verify,
        driftPolicy,
        removalPolicy,
        remove,
        hold);
  }

  /** The document that touches nothing: agents start with it before one is given its turn. */
  public static NodeConfig holding(String name) {
    return fromJson("{\"name\": \"" + name + "\", \"hold\": true}");
  }

  /** The document, indented, sorted, ending in a newline; equal for equal configurations. */
  public String toJson() {
    try {
      return JSON.writeValueAsString(this) + "\n";
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  /** SHA-256 of {@link #toJson}, 64 hexadecimal digits: what status and agents call the hash. */
  public String hash() {
    return sha256(toJson().getBytes(StandardCharsets.UTF_8));
  }

  /**
   * Reads what {@link #toJson} wrote.
   *
   * @throws InvalidSpecException naming the field, when it is anything else
   */
  public static NodeConfig fromJson(String text) {
    try {
      return JSON.readValue(text, NodeConfig.class);
    } catch (JsonMappingException e) {
      for (Throwable cause = e.getCause(); cause != null; cause = cause.getCause()) {
        if (cause instanceof InvalidSpecException invalid) {
          throw invalid;
        }
      }
      StringBuilder path = new StringBuilder();
      for (JsonMappingException.Reference step : e.getPath()) {
        if (step.getFieldName() != null) {
          path.append(path.isEmpty() ? "" : ".").append(step.getFieldName());
        } else {
          path.append('[').append(step.getIndex()).append(']');
        }
      }
      throw new InvalidSpecException(
          path.isEmpty() ? FILE : path.toString(), firstLine(e.getOriginalMessage()));
    } catch (JsonProcessingException e) {
      throw new InvalidSpecException(FILE, "is no JSON: " + firstLine(e.getOriginalMessage()));
    }
  }

  /** SHA-256 of bytes as 64 hexadecimal digits. */
  public static String sha256(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every Java has it
    }
  }

  /** Whether a table for the prefix would also apply to the name. */
  private static boolean matches(String prefix, String name) {
    if (prefix.startsWith("*.")) {
      String host = name.indexOf('/') < 0 ? name : name.substring(0, name.indexOf('/'));
      int colon = host.indexOf(':');
      return (colon < 0 ? host : host.substring(0, colon)).endsWith(prefix.substring(1));
    }
    return name.equals(prefix) || name.startsWith(prefix + "/");
  }

  private static void prefix(String text, String field) {
    String rest = text.startsWith("*.") ? text.substring(2) : text;
    if (text.startsWith("*.") && (!Location.isHost(rest) || rest.startsWith("["))) {
      throw new InvalidSpecException(
          field, "'" + Location.printable(text) + "' is no wildcard; write *.host");
    }
    Location.parse(rest, field);
  }

  private static void between(String text, String field, Duration least, Duration most) {
    Duration value = GoDuration.parse(text, field);
    if (value.compareTo(least) < 0 || value.compareTo(most) > 0) {
      throw new InvalidSpecException(
          field,
          "'"
              + text
              + "' is not within "
              + GoDuration.format(least)
              + " and "
              + GoDuration.format(most));
    }
  }

  private static boolean isName(String name) {
    return Location.isHost(name) && name.equals(name.toLowerCase(java.util.Locale.ROOT));
  }

  private static String firstLine(String message) {
    int end = message.indexOf('\n');
    return end < 0 ? message : message.substring(0, end);
  }
}
