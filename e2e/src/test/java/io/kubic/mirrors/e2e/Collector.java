package io.kubic.mirrors.e2e;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.kubic.mirrors.Main;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/**
 * The collecting command in a process of its own, in front of a lab's gateway, and where it is:
 * seen from outside, by what it asks the gateway. It can be killed at any of its steps, with all
 * that it started, as a container's processes are.
 */
final class Collector implements AutoCloseable {
  /** Where a collection is, in order. */
  enum Step {
    START,
    FREEZE,
    INVENTORY,
    READ,
    NARROW,
    DELETE,
    WIDEN,
    SWEEP,
    THAW
  }

  /** The account of the command; nobody else may use it while it runs. */
  static final String ACCOUNT = "admin";

  /** Exit codes. */
  private static final int FAILED = 1;

  private static final int UNAVAILABLE = 4;

  private static final ObjectMapper JSON = new ObjectMapper();

  /** How long a step lasts of which nothing is known yet, in nanoseconds. */
  private static final long GUESS = 50_000_000;

  private final GatewayLab lab;
  private final List<String> jvm;
  private final HttpServer admin;
  private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();
  private final HttpClient http = HttpClient.newHttpClient();
  private final Map<Step, Long> begun = new EnumMap<>(Step.class);
  private final Map<Step, Long> lasted = new EnumMap<>(Step.class);
  private Step step = Step.START;
  private int reads;
  private int lastReads = 20;
  private int deletes;
  private Kill kill;
  private Process process;
  private Optional<Step> killed = Optional.empty();

  /**
   * When the process is to die.
   *
   * @param nth of the requests of this step, of those that have some
   * @param nanos after that
   */
  private record Kill(Step step, int nth, long nanos) {}

  /**
   * @param archive classes that start faster, as {@link #train} leaves them; may be absent
   */
  Collector(GatewayLab lab, Path archive) throws IOException {
    this.lab = lab;
    jvm =
        Files.exists(archive)
            ? List.of("-XX:+UseSerialGC", "-XX:SharedArchiveFile=" + archive)
            : List.of("-XX:+UseSerialGC", "-XX:ArchiveClassesAtExit=" + archive);
    admin = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    admin.setExecutor(executor);
    admin.createContext("/", this::forward);
    admin.start();
    lab.decisions = this::decided;
  }

  /** Leaves the command's login where it is looked for. */
  static void login(GatewayLab lab) throws IOException {
    Files.writeString(
        lab.directory.resolve("auth.json"),
        Registries.dockerConfig(lab.host(), ACCOUNT, ACCOUNT + "-secret"));
  }

  /** The report of a collection that is told of no storage, as in front of a bucket. */
  static JsonNode inFrontOfABucket(GatewayLab lab, String... flags) throws Exception {
    List<String> arguments = lab.collection(lab.directory);
    int at = arguments.indexOf("--storage");
    arguments.subList(at, at + 2).clear();
    Path log = lab.directory.resolve("termination-log");
    arguments.addAll(List.of("--max-percent", "100", "--termination-log", log.toString()));
    arguments.addAll(List.of(flags));
    Path out = lab.directory.resolve("gc.out");
    int code =
        new ProcessBuilder(Lab.mirror(List.of(), arguments.toArray(String[]::new)))
            .redirectErrorStream(true)
            .redirectOutput(out.toFile())
            .start()
            .waitFor();
    if (code != 0) {
      throw new AssertionError("ended with " + code + ": " + Files.readString(out));
    }
    return JSON.readTree(log.toFile());
  }

  /**
   * Collects, undisturbed.
   *
   * @return its report; empty when it gave up, as it does when something does not answer in time
   */
  Optional<JsonNode> run() throws Exception {
    start(null);
    int code = process.waitFor();
    if (code == FAILED || code == UNAVAILABLE) {
      return Optional.empty();
    }
    if (code != 0) {
      throw new AssertionError("ended with " + code + ": " + said());
    }
    synchronized (this) {
      enter(null);
      lastReads = Math.max(1, reads);
    }
    return Optional.of(JSON.readTree(lab.directory.resolve("termination-log").toFile()));
  }

  /** What the process printed. */
  String said() throws IOException {
    return Files.readString(out());
  }

  /**
   * Collects, and is killed at a random moment of a step.
   *
   * @param deletions how many manifests it will delete if it gets so far
   * @return where it was; empty if it ended before
   */
  Optional<Step> killedAt(Step wanted, int deletions, Random random) throws Exception {
    Kill planned =
        switch (wanted) {
          case START, INVENTORY, SWEEP ->
              new Kill(
                  wanted, 0, (long) (random.nextDouble() * lasted.getOrDefault(wanted, GUESS)));
          case READ -> new Kill(wanted, 1 + random.nextInt(lastReads), 0);
          case DELETE ->
              deletions == 0
                  ? new Kill(Step.NARROW, 0, 0)
                  : new Kill(wanted, 1 + random.nextInt(deletions), 0);
          case FREEZE, NARROW, WIDEN, THAW -> new Kill(wanted, 0, 0);
        };
    start(planned);
    process.waitFor();
    synchronized (this) {
      return killed;
    }
  }

  private Path out() {
    return lab.directory.resolve("gc.out");
  }

  private synchronized void start(Kill planned) throws IOException {
    kill = planned;
    killed = Optional.empty();
    reads = 0;
    deletes = 0;
    begun.clear();
    List<String> arguments = lab.collection(lab.directory.resolve("storage"));
    arguments.set(
        arguments.indexOf("--gateway") + 1, "http://127.0.0.1:" + admin.getAddress().getPort());
    arguments.addAll(
        List.of(
            "--max-percent",
            "100",
            "--termination-log",
            lab.directory.resolve("termination-log").toString()));
    List<String> command = Lab.mirror(jvm, arguments.toArray(String[]::new));
    if (Files.isRegularFile(ours())) {
      // Classes cannot be archived out of directories, and these are the tests' own.
      int path = command.indexOf("-cp") + 1;
      command.set(
          path,
          Arrays.stream(command.get(path).split(File.pathSeparator))
              .filter(entry -> Files.isRegularFile(Path.of(entry)))
              .collect(Collectors.joining(File.pathSeparator)));
    }
    // A group of its own, so that a kill takes all of it at once.
    command.add(0, "setsid");
    process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(out().toFile())
            .start();
    enter(Step.START);
  }

  private static Path ours() {
    try {
      return Path.of(Main.class.getProtectionDomain().getCodeSource().getLocation().toURI());
    } catch (java.net.URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  /** The next step has begun; null: the end. */
  private synchronized void enter(Step next) {
    long now = System.nanoTime();
    if (!begun.isEmpty()) {
      lasted.put(step, now - begun.get(step));
    }
    if (next == null) {
      return;
    }
    step = next;
    begun.put(next, now);
    if (kill != null && kill.step == next && kill.nth == 0) {
      die(kill);
    }
  }

  private synchronized void counted(Step in, int nth) {
    if (kill != null && kill.step == in && kill.nth == nth) {
      die(kill);
    }
  }

  /** At once, before whoever asked is answered; or later. */
  private void die(Kill planned) {
    if (planned.nanos == 0) {
      dieNow(planned);
      return;
    }
    executor.execute(
        () -> {
          try {
            TimeUnit.NANOSECONDS.sleep(planned.nanos);
          } catch (InterruptedException e) {
            return;
          }
          dieNow(planned);
        });
  }

  private synchronized void dieNow(Kill planned) {
    if (kill != planned || !process.isAlive()) {
      return;
    }
    try {
      new ProcessBuilder("kill", "-KILL", "--", "-" + process.pid()).start().waitFor();
      process.waitFor();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
    if (process.exitValue() == 128 + 9) {
      killed = Optional.of(step);
    }
    kill = null;
  }

  private void forward(HttpExchange exchange) throws IOException {
    try (exchange) {
      String query = exchange.getRequestURI().getRawQuery();
      boolean narrow = query != null && query.contains("scope=uploads");
      boolean asks = exchange.getRequestMethod().equals("POST");
      synchronized (this) {
        if (exchange.getRequestMethod().equals("DELETE")) {
          enter(Step.THAW);
        } else if (asks && step == Step.START) {
          enter(Step.FREEZE);
        } else if (asks && narrow && step.compareTo(Step.NARROW) < 0) {
          enter(Step.NARROW);
        } else if (asks && !narrow && (step == Step.NARROW || step == Step.DELETE)) {
          enter(Step.WIDEN);
        }
        if (killed.isPresent()) {
          return;
        }
      }
      HttpResponse<byte[]> answer =
          http.send(
              HttpRequest.newBuilder(
                      URI.create("http://127.0.0.1:" + lab.gateway.adminPort())
                          .resolve(exchange.getRequestURI().toString()))
                  .timeout(Duration.ofSeconds(10))
                  .header("Authorization", exchange.getRequestHeaders().getFirst("Authorization"))
                  .method(exchange.getRequestMethod(), HttpRequest.BodyPublishers.noBody())
                  .build(),
              HttpResponse.BodyHandlers.ofByteArray());
      exchange.sendResponseHeaders(answer.statusCode(), answer.body().length);
      exchange.getResponseBody().write(answer.body());
      synchronized (this) {
        if (asks && step == Step.FREEZE) {
          enter(Step.INVENTORY);
        } else if (asks && step == Step.WIDEN) {
          enter(Step.SWEEP);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void decided(String line) {
    JsonNode decision;
    try {
      decision = JSON.readTree(line);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    if (!decision.path("account").asText().equals(ACCOUNT)) {
      return;
    }
    synchronized (this) {
      switch (decision.path("request").asText()) {
        case "MANIFEST_READ", "MANIFEST_HEAD", "TAGS" -> {
          if (step == Step.INVENTORY) {
            enter(Step.READ);
          }
          counted(Step.READ, ++reads);
        }
        case "MANIFEST_DELETE" -> {
          if (step == Step.NARROW) {
            enter(Step.DELETE);
          }
          counted(Step.DELETE, ++deletes);
        }
        default -> {
          // Tokens and the version of the API.
        }
      }
    }
  }

  @Override
  public void close() {
    lab.decisions = line -> {};
    admin.stop(0);
    if (process != null) {
      process.destroyForcibly();
    }
    executor.shutdownNow();
    http.shutdownNow();
  }
}
