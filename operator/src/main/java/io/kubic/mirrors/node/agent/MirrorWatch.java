package io.kubic.mirrors.node.agent;

import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.VerifyMode;
import io.kubic.mirrors.node.ImageName;
import io.kubic.mirrors.node.Location;
import io.kubic.mirrors.node.NodeConfig;
import io.kubic.mirrors.node.NodeConfig.Endpoint;
import io.kubic.mirrors.node.NodeConfig.Source;
import io.kubic.mirrors.node.PullCredentials;
import io.kubic.mirrors.node.apply.HostRoot;
import io.kubic.mirrors.node.apply.Journal;
import io.kubic.mirrors.node.render.Containerd;
import java.io.IOException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * What one configuration's mirrors show to this node: who answers, and who lets us in with what
 * lies on the disk. Looks come at the configuration's interval, and quickly while something is
 * about to be decided; a full proof counts for some minutes. Not for several threads.
 */
final class MirrorWatch {
  /** How long a full proof counts; looks at the mirrors go on in between. */
  private static final Duration PROOF = Duration.ofMinutes(5);

  /** Whoever has not answered by then did not answer, whatever he drips. */
  private static final Duration LOOK = Duration.ofSeconds(8);

  /** Between looks at a mirror about which something is about to be decided. */
  private static final Duration UNDECIDED = Duration.ofSeconds(1);

  /** Waiting for a CPU, in a look whose failure then says nothing of the mirror. */
  private static final Duration STARVED = Duration.ofSeconds(1);

  private final NodeConfig config;
  private final PullCredentials credentials;
  private final Prober prober;
  private final ExecutorService executor;
  private final Clock clock;
  private final Health health;
  private @Nullable Instant proven;
  private @Nullable Instant looked;
  private Map<String, String> dark = Map.of();
  private Map<Location, Prober.Sight> refusals = Map.of();

  /**
   * @param executor runs looks at several mirrors at once
   */
  MirrorWatch(
      NodeConfig config,
      PullCredentials credentials,
      Prober prober,
      ExecutorService executor,
      Clock clock) {
    this.config = config;
    this.credentials = credentials;
    this.prober = prober;
    this.executor = executor;
    this.clock = clock;
    this.health =
        new Health(config.health().failureThreshold(), config.health().successThreshold());
  }

  /** Until the next look. */
  Duration interval() {
    return health.isUndecided() && UNDECIDED.compareTo(config.interval()) < 0
        ? UNDECIDED
        : config.interval();
  }

  /** Whether the last full proof is too old, or was none. */
  boolean isProofDue() {
    return proven == null
        || !refusals.isEmpty()
        || Duration.between(proven, clock.instant()).compareTo(PROOF) > 0;
  }

  /** Why the first of the registries that are out of service is so; empty when all are in. */
  Optional<String> dark() {
    return config.endpoints().stream()
        .map(endpoint -> endpoint.location().registry())
        .filter(health::isOut)
        .findFirst()
        .map(registry -> dark.getOrDefault(registry, registry + " did not answer"));
  }

  /** What the first mirror that answers and does not serve has said. */
  Optional<String> refusal() {
    return refusals.values().stream().findFirst().flatMap(Prober.Sight::problem);
  }

  /** The same, of those that answer but do not let this node in. */
  Optional<String> noEntry() {
    return refusals.values().stream()
        .filter(Prober.Sight.Refused.class::isInstance)
        .findFirst()
        .flatMap(Prober.Sight::problem);
  }

  /**
   * Looks at every registry, all at once, when it is time. One that is out of the files comes back
   * to them only when it lets this node in.
   *
   * @param direct whether a runtime sends credentials with each request
   */
  void look(Journal journal, boolean direct) throws InterruptedException {
    Instant last = looked;
    if (last != null
        && Duration.between(last, clock.instant()).plusMillis(500).compareTo(interval()) < 0) {
      return;
    }
    looked = clock.instant();
    Map<String, Endpoint> registries = new TreeMap<>();
    for (Endpoint endpoint : config.endpoints()) {
      registries.putIfAbsent(endpoint.location().registry(), endpoint);
    }
    health.keep(registries.keySet());
    Duration before = prober.starved();
    for (String registry : registries.keySet()) {
      boolean used =
          journal.files().entrySet().stream()
              .anyMatch(
                  file ->
                      !file.getKey().endsWith(".crt")
                          && (file.getValue().contains(registry + "/")
                              || file.getValue().contains(registry + "\"")));
      if (used || journal.hash().equals(config.hash())) {
        health.assume(registry, used);
      }
    }
    Map<String, Prober.Sight> sights =
        all(
            registries,
            endpoint -> {
              String registry = endpoint.location().registry();
              String authorities = config.authorities().get(registry);
              return health.isOut(registry) && config.verify().mode() != VerifyMode.None
                  ? prober.resolve(endpoint, authorities, null, login(endpoint, direct))
                  : prober.look(endpoint, authorities);
            });
    boolean starved = prober.starved().minus(before).compareTo(STARVED) > 0;
    Map<String, String> silent = new TreeMap<>();
    sights.forEach(
        (registry, sight) -> {
          if (sight.problem().isEmpty() || !starved) {
            health.saw(registry, sight.problem().isEmpty());
          }
          sight.problem().ifPresent(problem -> silent.put(registry, problem));
        });
    dark = silent;
  }

  /** Mirrors that are to be out of the files: those that do not answer, where that may be. */
  Set<Location> withdrawn() {
    Set<Location> out = new TreeSet<>();
    if (config.health().withdraw()) {
      for (Source source : config.sources()) {
        for (Endpoint endpoint : source.endpoints()) {
          if (!source.never() && health.isOut(endpoint.location().registry())) {
            out.add(endpoint.location());
          }
        }
      }
    }
    return out;
  }

  /** A source that would be cut off: it must not be contacted, and no mirror of it answers. */
  Optional<String> unprovenSource() {
    for (Source source : config.sources()) {
      if (source.never()
          && source.endpoints().stream()
              .allMatch(endpoint -> dark.containsKey(endpoint.location().registry()))) {
        return Optional.of(
            "no mirror of "
                + source.source()
                + " answers, so the node keeps its former files: "
                + dark.get(source.endpoints().getFirst().location().registry()));
      }
    }
    return Optional.empty();
  }

  /** Resolves through every endpoint that is in the files, with the CA that lies on the disk. */
  void prove(HostRoot host, List<Target> targets) throws InterruptedException, IOException {
    Map<String, String> trusted = new TreeMap<>();
    for (String registry : config.authorities().keySet()) {
      for (Target target : targets) {
        for (String directory : Agent.trustDirectory(target)) {
          trusted.put(
              registry,
              host.read(directory + "/" + registry + "/" + Containerd.CA_FILE).orElse(""));
        }
      }
    }
    prove(trusted, Target.anyDirect(targets));
  }

  /**
   * The same before anything is written.
   *
   * @param trusted CA certificates by registry, as they will lie on the disk
   * @param direct whether a runtime sends credentials with each request
   */
  void prove(Map<String, String> trusted, boolean direct) throws InterruptedException {
    if (config.verify().mode() == VerifyMode.None) {
      refusals = Map.of();
      proven = clock.instant();
      return;
    }
    Set<Location> withdrawn = withdrawn();
    Map<Location, Endpoint> endpoints = new TreeMap<>();
    Map<Location, ImageName> images = new TreeMap<>();
    String image = config.verify().image();
    for (Source source : config.sources()) {
      for (Endpoint endpoint : source.endpoints()) {
        if (!withdrawn.contains(endpoint.location())) {
          endpoints.putIfAbsent(endpoint.location(), endpoint);
          if (image != null) {
            below(source, ImageName.parse(image, "verify.image"))
                .ifPresent(name -> images.put(endpoint.location(), name));
          }
        }
      }
    }
    // One look for each registry where no image is named: the sources do not differ there.
    Map<Location, Endpoint> asked = new TreeMap<>();
    Set<String> seen = new TreeSet<>();
    endpoints.forEach(
        (location, endpoint) -> {
          if (images.containsKey(location) || seen.add(location.registry())) {
            asked.put(location, endpoint);
          }
        });
    Map<Location, Prober.Sight> refused = new TreeMap<>();
    all(
            asked,
            endpoint ->
                prober.resolve(
                    endpoint,
                    trusted.get(endpoint.location().registry()),
                    images.get(endpoint.location()),
                    login(endpoint, direct)))
        .forEach(
            (location, sight) -> {
              if (sight.problem().isPresent()) {
                refused.put(location, sight);
              }
            });
    refusals = refused;
    proven = clock.instant();
  }

  private Prober.@Nullable Login login(Endpoint endpoint, boolean direct) {
    return credentials
        .basic(endpoint.location())
        .map(basic -> new Prober.Login(basic, direct))
        .orElse(null);
  }

  /** The part of an image's name that is appended to an endpoint of the source. */
  private static Optional<ImageName> below(Source source, ImageName image) {
    String prefix = source.source() + "/";
    return image.name().startsWith(prefix)
        ? Optional.of(
            new ImageName(
                source.source().indexOf('/') < 0
                    ? image.name()
                    : "x/" + image.name().substring(prefix.length()),
                image.tag(),
                image.digest()))
        : Optional.empty();
  }

  private <K> Map<K, Prober.Sight> all(
      Map<K, Endpoint> endpoints, java.util.function.Function<Endpoint, Prober.Sight> look)
      throws InterruptedException {
    long start = System.nanoTime();
    Map<K, Future<Prober.Sight>> running = new LinkedHashMap<>();
    endpoints.forEach(
        (key, endpoint) -> {
          Callable<Prober.Sight> task = () -> look.apply(endpoint);
          running.put(key, executor.submit(task));
        });
    Map<K, Prober.Sight> sights = new LinkedHashMap<>();
    for (Map.Entry<K, Future<Prober.Sight>> entry : running.entrySet()) {
      try {
        sights.put(
            entry.getKey(),
            entry
                .getValue()
                .get(
                    Math.max(1, LOOK.toNanos() - (System.nanoTime() - start)),
                    TimeUnit.NANOSECONDS));
      } catch (TimeoutException e) {
        entry.getValue().cancel(true);
        sights.put(
            entry.getKey(),
            new Prober.Sight.Unreachable(
                entry.getKey() + " did not answer within " + LOOK.toSeconds() + " s"));
      } catch (ExecutionException e) {
        sights.put(entry.getKey(), new Prober.Sight.Unreachable(String.valueOf(e.getCause())));
      }
    }
    return sights;
  }
}
