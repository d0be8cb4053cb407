package io.kubic.mirrors.oci.registry;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.random.RandomGenerator;
import okhttp3.ConnectionPool;
import okhttp3.ConnectionSpec;
import okhttp3.OkHttpClient;

/** What all registry clients of a process share: connections, clock, chance, and waiting. */
public final class Transport implements AutoCloseable {
  /** What a registry is asked at once, and then some; what is more is dialled anew each time. */
  private static final int IDLE_CONNECTIONS = 256;

  private final OkHttpClient plain;
  private final Clock clock;
  private final RandomGenerator random;
  private final Pause pause;
  private final String userAgent;
  private final Network network;
  private final Frames frames = new Frames();
  private final ConcurrentHashMap<String, Gate> gates = new ConcurrentHashMap<>();

  /**
   * Of a registry each: OkHttp goes through all connections of a pool to find one, and again when
   * one is free.
   */
  private final ConcurrentHashMap<String, ConnectionPool> pools = new ConcurrentHashMap<>();

  /** Ends calls that do not get to their headers in time; idle but for that. */
  private final ScheduledExecutorService watchdog = watchdog();

  /**
   * @param random for jitter only
   * @param userAgent as in {@code mirror-operator/0.1.0}
   */
  public Transport(Clock clock, RandomGenerator random, Pause pause, String userAgent) {
    this(clock, random, pause, userAgent, Network.system());
  }

  private static ScheduledExecutorService watchdog() {
    var executor =
        new ScheduledThreadPoolExecutor(
            1, Thread.ofPlatform().name("registry-watchdog").daemon().factory());
    // Else each call of the last minutes, answered long ago, stays in memory.
    executor.setRemoveOnCancelPolicy(true);
    return executor;
  }

  Transport(Clock clock, RandomGenerator random, Pause pause, String userAgent, Network network) {
    this.network = network;
    this.clock = clock;
    this.random = random;
    this.pause = pause;
    this.userAgent = userAgent;
    this.plain =
        new OkHttpClient.Builder()
            .connectionSpecs(List.of(ConnectionSpec.CLEARTEXT))
            .dns(network::lookup)
            .socketFactory(new CheckedSockets(network, frames, address -> {}))
            // Redirects are followed by ourselves, since credentials must not follow them.
            .followRedirects(false)
            .followSslRedirects(false)
            .build();
  }

  /** A transport with the system's time, however that is set later, that really waits. */
  public static Transport standard(String userAgent) {
    return new Transport(
        new SteadyClock(Instant.now(), System::nanoTime),
        RandomGenerator.getDefault(),
        duration -> Thread.sleep(duration),
        userAgent);
  }

  /** A client for one registry. Clients need not be closed; closing the transport is enough. */
  public RegistryClient connect(Connection connection) {
    return new RegistryClient(connection, this);
  }

  /** The gate to a registry, the same for all who go there. */
  Gate gate(Connection connection) {
    AtomicBoolean made = new AtomicBoolean();
    Gate gate =
        gates.computeIfAbsent(
            connection.registry(),
            registry -> {
              made.set(true);
              return new Gate(connection, clock, pause);
            });
    if (!made.get()) {
      gate.join(connection);
    }
    return gate;
  }

  /** The connections to a registry, and to where it leads. */
  ConnectionPool pool(Connection connection) {
    return pools.computeIfAbsent(
        connection.registry(),
        registry -> new ConnectionPool(IDLE_CONNECTIONS, 1, TimeUnit.MINUTES));
  }

  Network network() {
    return network;
  }

  Frames frames() {
    return frames;
  }

  /** Without TLS: reading the certificates of the system is a good part of a start. */
  OkHttpClient plain() {
    return plain;
  }

  Clock clock() {
    return clock;
  }

  RandomGenerator random() {
    return random;
  }

  Pause pause() {
    return pause;
  }

  String userAgent() {
    return userAgent;
  }

  /** Runs an action later unless it is called off. */
  Alarm after(Duration delay, Runnable action) {
    var future = watchdog.schedule(action, delay.toMillis(), TimeUnit.MILLISECONDS);
    return () -> future.cancel(false);
  }

  /** A planned action that can be called off. */
  @FunctionalInterface
  interface Alarm {
    void callOff();
  }

  @Override
  public void close() {
    watchdog.shutdownNow();
    pools.values().forEach(ConnectionPool::evictAll);
  }
}
