package io.kubic.mirrors.e2e;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.http.HttpClient;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Assumptions;

/** The tools of this tree, and how a test runs them. */
final class Lab {
  static final Path TREE =
      Path.of(System.getProperty("mirror.tree", "..")).toAbsolutePath().normalize();
  static final Path TOOLS =
      Path.of(System.getProperty("mirror.tools", TREE.resolve("e2e/.run/bin").toString()))
          .toAbsolutePath();

  private Lab() {}

  /** How a command ended. */
  record Result(int code, String out, String err) {
    String line() {
      return out.strip();
    }

    Result orFail() {
      Assertions.assertEquals(0, code, () -> "out: " + tail(out) + "\nerr: " + tail(err));
      return this;
    }

    private static String tail(String text) {
      return text.substring(Math.max(0, text.length() - 2000));
    }
  }

  /** Skips the test, or fails it where a skip is not allowed. */
  static void require(boolean present, String what) {
    if (Boolean.getBoolean("mirror.noSkip")) {
      Assertions.assertTrue(present, what);
    }
    Assumptions.assumeTrue(present, what);
  }

  static String tool(String name) {
    Path path = TOOLS.resolve(name);
    require(Files.isExecutable(path), name + " is not built: make tools");
    return path.toString();
  }

  static Result run(Duration limit, Map<String, String> env, List<String> command) {
    try {
      Path out = Files.createTempFile("lab", ".out");
      Path err = Files.createTempFile("lab", ".err");
      try {
        ProcessBuilder builder =
            new ProcessBuilder(command)
                .directory(TREE.toFile())
                .redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()))
                .redirectOutput(out.toFile())
                .redirectError(err.toFile());
        builder.environment().putAll(env);
        Process process = builder.start();
        if (!process.waitFor(limit.toMillis(), TimeUnit.MILLISECONDS)) {
          process.destroyForcibly().waitFor();
          Assertions.fail(command + " did not end in " + limit + ": " + Files.readString(err));
        }
        return new Result(
            process.exitValue(),
            Files.readString(out, StandardCharsets.UTF_8),
            Files.readString(err, StandardCharsets.UTF_8));
      } finally {
        Files.delete(out);
        Files.delete(err);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }

  /**
   * A command of the command line of this tree, in a JVM of its own.
   *
   * @param jvm options of the JVM
   */
  static List<String> mirror(List<String> jvm, String... arguments) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("-XX:TieredStopAtLevel=1");
    command.addAll(jvm);
    command.addAll(
        List.of(
            "-cp",
            System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
            "io.kubic.mirrors.Main"));
    return join(command, arguments);
  }

  static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }

  /** TLS that trusts one authority. */
  static SSLContext trust(X509Certificate authority) throws GeneralSecurityException, IOException {
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null);
    store.setCertificateEntry("ca", authority);
    TrustManagerFactory trust =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(store);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, trust.getTrustManagers(), null);
    return context;
  }

  /** A client that trusts one authority and follows no redirect. */
  static HttpClient trusting(X509Certificate authority)
      throws GeneralSecurityException, IOException {
    return HttpClient.newBuilder()
        .sslContext(trust(authority))
        .followRedirects(HttpClient.Redirect.NEVER)
        .version(HttpClient.Version.HTTP_1_1)
        .build();
  }

  static List<String> join(List<String> head, String... tail) {
    List<String> all = new ArrayList<>(head);
    all.addAll(List.of(tail));
    return all;
  }

  /** Waits for a condition that other processes bring about. */
  static void eventually(Duration limit, String what, BooleanSupplier condition) {
    long end = System.nanoTime() + limit.toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > end) {
        Assertions.fail("not within " + limit.toSeconds() + " s: " + what);
      }
      try {
        Thread.sleep(500);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IllegalStateException(e);
      }
    }
  }
}
