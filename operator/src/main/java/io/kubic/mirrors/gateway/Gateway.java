package io.kubic.mirrors.gateway;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.eclipse.jetty.http.HttpURI;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.SecureRequestCustomizer;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.SslConnectionFactory;
import org.eclipse.jetty.server.handler.GracefulHandler;
import org.eclipse.jetty.util.ssl.SslContextFactory;
import org.eclipse.jetty.util.thread.QueuedThreadPool;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The running gateway: an HTTPS origin in front of the registry, and an admin port. */
public final class Gateway implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger("gateway");
  private static final int MAX_THREADS = 200;

  private final Server front;
  private final Server admin;
  private final ServerConnector frontPort;
  private final ServerConnector adminPort;
  private final ScheduledExecutorService ticker =
      Executors.newSingleThreadScheduledExecutor(
          task -> Thread.ofPlatform().daemon().name("gateway-ticker").unstarted(task));
  private final AtomicBoolean stopping = new AtomicBoolean();
  private final GatewayConfig config;

  /**
   * Reads the files and starts listening.
   *
   * @param audit where decisions are written, a line each
   * @throws IOException when a file cannot be read or a port is taken
   */
  public Gateway(Path configFile, PrintStream audit, SecureRandom random, Clock clock)
      throws IOException {
    MaterialsWatch materials = new MaterialsWatch(configFile);
    config = materials.current().config();
    FairGate blobs = new FairGate(config.maxBlobReads());
    Freeze freeze = new Freeze(clock);
    GatewayMetrics metrics = new GatewayMetrics(blobs, freeze);
    Logins logins = new Logins(random, clock);
    AuditLog log = new AuditLog(audit, clock);
    BackendProxy proxy = new BackendProxy(HttpURI.from(config.backend()));
    HeadGuard guard = new HeadGuard();
    FrontHandler handler =
        new FrontHandler(
            materials,
            new TokenEndpoint(logins, metrics, log, random, clock),
            new Tokens(),
            logins,
            blobs,
            freeze,
            metrics,
            log,
            proxy,
            guard,
            clock);
    QueuedThreadPool threads = new QueuedThreadPool(MAX_THREADS);
    threads.setName("gateway");
    front = new Server(threads);
    front.setHandler(new GracefulHandler(handler));
    front.addBean(proxy);
    proxy.setServer(front);
    front.setStopTimeout(TimeUnit.SECONDS.toMillis(Math.max(1, config.drainSeconds())));
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
    frontPort =
        new ServerConnector(
            front, new SslConnectionFactory(tls, "http/1.1"), new HttpConnectionFactory(http));
    listen(frontPort, config.listen());
    frontPort.setIdleTimeout(TimeUnit.SECONDS.toMillis(config.idleTimeoutSeconds()));
    frontPort.setShutdownIdleTimeout(1000);
    frontPort.addBean(guard);
    front.addConnector(frontPort);

    QueuedThreadPool adminThreads = new QueuedThreadPool(8, 2);
    adminThreads.setName("admin");
    admin = new Server(adminThreads);
    admin.setHandler(new AdminHandler(materials, metrics, freeze, stopping));
    adminPort = new ServerConnector(admin, 1, 1);
    listen(adminPort, config.admin());
    admin.addConnector(adminPort);
    try {
      front.start();
      admin.start();
    } catch (Exception e) {
      close();
      throw e instanceof IOException io ? io : new IOException(e);
    }
    ticker.scheduleWithFixedDelay(
        () -> {
          try {
            materials.look();
            blobs.sweep(clock.instant());
            guard.sweep(System.nanoTime());
          } catch (RuntimeException e) {
            LOG.warn("looking at the files failed: {}", String.valueOf(e));
          }
        },
        1,
        1,
        TimeUnit.SECONDS);
  }

  /** The effective configuration, which holds no secret. */
  public GatewayConfig config() {
    return config;
  }

  /** The port of the origin. */
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
    ticker.shutdownNow();
    try {
      front.stop();
      admin.stop();
    } catch (Exception e) {
      LOG.warn("not stopped cleanly: {}", String.valueOf(e));
    }
  }

  private static void listen(ServerConnector connector, String address) {
    int colon = address.lastIndexOf(':');
    String host = address.substring(0, Math.max(0, colon));
    connector.setHost(host.isEmpty() ? null : host);
    connector.setPort(Integer.parseInt(address.substring(colon + 1)));
  }
}
