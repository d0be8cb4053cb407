package io.kubic.mirrors.gateway;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.eclipse.jetty.http.HttpURI;
import org.eclipse.jetty.io.ArrayByteBufferPool;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.NetworkConnectionLimit;
import org.eclipse.jetty.server.SecureRequestCustomizer;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.handler.GracefulHandler;
import org.eclipse.jetty.util.ssl.SslContextFactory;
import org.eclipse.jetty.util.thread.QueuedThreadPool;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The running gateway: an HTTPS origin in front of the registry, and an admin port. The origin
 * opens when certificate and keys are there; until then the admin port says what is missing.
 */
public final class Gateway implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger("gateway");

  /** Nothing blocks them but a full pipe of audit lines. */
  private static final int MAX_THREADS = 64;

  /** What is kept of buffers that are free; those in use are bounded by connections and turns. */
  private static final long KEPT_BUFFERS = 16L * 1024 * 1024;

  /** Passwords that wait to be checked by bcrypt: some seconds' worth. */
  private static final int MAX_LOGINS_WAITING = 256;

  private static final long TICK_MILLIS = 200;
  private static final int TICKS_PER_LOOK = 5;

  private final MaterialsWatch materials;
  private final FairGate blobs;
  private final HeadGuard heads;
  private final BodyGuard bodies;
  private final Server front;
  private final Server admin;
  private final ServerConnector frontPort;
  private final ServerConnector adminPort;
  // One core is left for traffic whoever logs in.
  private final ThreadPoolExecutor passwords;
  private final ScheduledExecutorService ticker =
      Executors.newSingleThreadScheduledExecutor(
          task -> Thread.ofPlatform().daemon().name("gateway-ticker").unstarted(task));
  private final AtomicBoolean stopping = new AtomicBoolean();
  private final GatewayConfig config;
  private long ticks;

  /**
   * Reads the files and starts listening.
   *
   * @param audit where decisions are written, a line each
   * @throws IOException when gateway.json cannot be used or a port is taken
   */
  public Gateway(Path configFile, PrintStream audit, SecureRandom random, Clock clock)
      throws IOException {
    this(configFile, audit, random, clock, Limits.DEFAULT);
  }

  Gateway(Path configFile, PrintStream audit, SecureRandom random, Clock clock, Limits limits)
      throws IOException {
    materials = new MaterialsWatch(configFile, clock);
    config = materials.config();
    blobs = new FairGate(config.maxBlobReads(), limits.turn(), limits.stall());
    heads = new HeadGuard(limits);
    bodies = new BodyGuard(limits);
    int checkers = Math.max(1, Runtime.getRuntime().availableProcessors() - 1);
    passwords =
        new ThreadPoolExecutor(
            checkers,
            checkers,
            1,
            TimeUnit.MINUTES,
            new ArrayBlockingQueue<>(MAX_LOGINS_WAITING),
            task -> Thread.ofPlatform().daemon().name("gateway-login").unstarted(task));
    passwords.allowCoreThreadTimeOut(true);
    Freeze freeze = new Freeze(clock);
    GatewayMetrics metrics = new GatewayMetrics(blobs, freeze, materials);
    Logins logins = new Logins(random, clock, passwords);
    AuditLog log = new AuditLog(audit, clock);
    BackendProxy proxy = new BackendProxy(HttpURI.from(config.backend()));
    FrontHandler handler =
        new FrontHandler(
            materials,
            new TokenEndpoint(logins, metrics, log, bodies, random, clock),
            new Tokens(),
            logins,
            blobs,
            freeze,
            metrics,
            log,
            proxy,
            heads,
            bodies,
            stopping::get,
            clock);
    QueuedThreadPool threads = new QueuedThreadPool(MAX_THREADS);
    threads.setName("gateway");
    front =
        new Server(
            threads,
            null,
            new ArrayByteBufferPool(0, -1, 128 * 1024, 1024, KEPT_BUFFERS / 4, KEPT_BUFFERS));
    front.setHandler(new GracefulHandler(handler));
    front.setErrorHandler(new SpecErrorHandler());
    front.addBean(proxy);
    proxy.setServer(front);
    front.setStopTimeout(TimeUnit.SECONDS.toMillis(Math.max(1, config.drainSeconds())));
    frontPort = origin(random, limits);
    front.addConnector(frontPort);

    QueuedThreadPool adminThreads = new QueuedThreadPool(8, 2);
    adminThreads.setName("admin");
    admin = new Server(adminThreads);
    admin.setHandler(new AdminHandler(materials, metrics, freeze, this::unready));
    adminPort = new ServerConnector(admin, 1, 1);
    listen(adminPort, config.admin());
    admin.addConnector(adminPort);
    try {
      admin.start();
      if (materials.ready().isPresent()) {
        front.start();
      }
    } catch (Exception e) {
      close();
      throw e instanceof IOException io ? io : new IOException(e);
    }
    ticker.scheduleWithFixedDelay(this::tick, TICK_MILLIS, TICK_MILLIS, TimeUnit.MILLISECONDS);
  }

  private ServerConnector origin(SecureRandom random, Limits limits) {
    HttpConfiguration http = new HttpConfiguration();
    http.setSendServerVersion(false);
    http.setRequestHeaderSize(32 * 1024);
    http.setOutputBufferSize(64 * 1024);
    // Registries are reached by address as often as by name: SNI says nothing here.
    http.addCustomizer(new SecureRequestCustomizer(false));
    SslContextFactory.Server tls = new SslContextFactory.Server();
    tls.setSslContext(
        new ServedCertificate(() -> materials.current().certificate()).context(random));
    tls.setIncludeProtocols("TLSv1.3", "TLSv1.2");
    ServerConnector connector =
        new ServerConnector(
            front, new BatchedTls(tls, "http/1.1"), new HttpConnectionFactory(http));
    listen(connector, config.listen());
    connector.setIdleTimeout(TimeUnit.SECONDS.toMillis(config.idleTimeoutSeconds()));
    connector.setShutdownIdleTimeout(1000);
    connector.addBean(heads);
    connector.addBean(new NetworkConnectionLimit(limits.connections(), connector));
    return connector;
  }

  private void tick() {
    try {
      long now = System.nanoTime();
      blobs.sweep(now);
      ticks++;
      if (ticks % TICKS_PER_LOOK != 0) {
        return;
      }
      heads.sweep(now);
      bodies.sweep(now);
      materials.look();
      if (!stopping.get() && !front.isRunning() && materials.ready().isPresent()) {
        front.start();
      }
    } catch (Exception e) {
      LOG.warn("not everything could be looked at: {}", String.valueOf(e));
    }
  }

  /** Why nobody should come, empty when everybody may. */
  private String unready() {
    if (stopping.get()) {
      return "stopping";
    }
    return materials.ready().isPresent() ? "" : "waiting for files";
  }

  /** The effective configuration, which holds no secret. */
  public GatewayConfig config() {
    return config;
  }

  /** The port of the origin; -1 while it has not opened. */
  public int port() {
    return frontPort.getLocalPort();
  }

  /** The port of probes and metrics. */
  public int adminPort() {
    return adminPort.getLocalPort();
  }

  /** Says that it is not ready while it goes on serving, until nobody sends new requests. */
  public void linger() {
    stopping.set(true);
  }

  /** Lets running requests end, and stops. */
  @Override
  public void close() {
    stopping.set(true);
    try {
      // What runs still needs its turns and its time limits, so the ticker goes on until the end.
      front.stop();
      admin.stop();
    } catch (Exception e) {
      LOG.warn("not stopped cleanly: {}", String.valueOf(e));
    } finally {
      ticker.shutdownNow();
      passwords.shutdownNow();
    }
  }

  private static void listen(ServerConnector connector, String address) {
    int colon = address.lastIndexOf(':');
    String host = address.substring(0, Math.max(0, colon));
    connector.setHost(host.isEmpty() ? null : host);
    connector.setPort(Integer.parseInt(address.substring(colon + 1)));
  }
}
