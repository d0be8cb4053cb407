package io.kubic.mirrors.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.http.HttpClient;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.LongAdder;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Collections on a real registry, by the real command in a process of its own: random graphs, pulls
 * running, and the process killed at each of its steps in turn. {@code -Dmirror.rounds=1000} for a
 * release.
 */
class GcIT {
  /** Graphs by default: three for each step. */
  private static final int ROUNDS = 3 * Collector.Step.values().length;

  /** Graphs of one registry at most, each in repositories of its own; layers they share. */
  private static final int GRAPHS = 6;

  /** Collections of one registry, each after its graphs have grown anew; then a new one. */
  private static final int COLLECTIONS = 5;

  /** The gateways' too: those of a class that is not loaded yet would be forgotten. */
  private static final Logger LOG = Logger.getLogger("");

  private static final Collector.Step[] STEPS = Collector.Step.values();

  private final Figures figures = new Figures();

  /** What the test saw, as it is printed. */
  private static final class Figures {
    final AtomicReference<Throwable> broken = new AtomicReference<>();
    final LongAdder graphs = new LongAdder();
    final LongAdder collections = new LongAdder();
    final Map<Collector.Step, LongAdder> kills = new ConcurrentSkipListMap<>();
    final LongAdder tooLate = new LongAdder();
    final LongAdder gaveUp = new LongAdder();
    final LongAdder pulls = new LongAdder();
    final LongAdder frozenPulls = new LongAdder();
    final LongAdder failed = new LongAdder();
    final Map<Integer, LongAdder> uploads = new ConcurrentSkipListMap<>();
    final LongAdder verified = new LongAdder();
    final LongAdder deleted = new LongAdder();
    final LongAdder blobs = new LongAdder();
    final LongAdder freed = new LongAdder();

    static <K> void count(Map<K, LongAdder> map, K key) {
      map.computeIfAbsent(key, k -> new LongAdder()).increment();
    }

    @Override
    public String toString() {
      return """
          %s graphs in %s collections, each killed and run again; %d kills, by step %s, %s came too late; %s more gave up; \
          %s pulls meanwhile, %s of them while writes were held back, %s failed; uploads answered %s; \
          %s kept digests read whole after a kill or a collection; \
          %s manifests deleted, %s blobs and %s bytes freed"""
          .formatted(
              graphs,
              collections,
              kills.values().stream().mapToLong(LongAdder::sum).sum(),
              kills,
              tooLate,
              gaveUp,
              pulls,
              frozenPulls,
              failed,
              uploads,
              verified,
              deleted,
              blobs,
              freed);
    }
  }

  @BeforeAll
  static void quiet() {
    // Each gateway that starts and stops tells so.
    LOG.setLevel(Level.WARNING);
  }

  @Test
  void whatIsNeededStaysWholeWhileTheRestGoesAndPullsAndKillsHappen(@TempDir Path directory)
      throws Exception {
    int rounds = Integer.getInteger("mirror.rounds", ROUNDS);
    int graphs = Math.clamp(rounds / STEPS.length, 1, GRAPHS);
    int collections = Math.ceilDiv(rounds, graphs);
    long seed = Long.getLong("mirror.seed", System.nanoTime());
    Path archive = directory.resolve("collector.jsa");
    train(directory, archive);
    AtomicInteger next = new AtomicInteger();
    long start = System.nanoTime();
    Callable<Void> lane =
        () -> {
          for (int first = next.getAndAdd(COLLECTIONS);
              first < collections && figures.broken.get() == null;
              first = next.getAndAdd(COLLECTIONS)) {
            int last = Math.min(first + COLLECTIONS, collections);
            try {
              registry(directory.resolve("from-" + first), archive, graphs, seed, first, last);
              // A long run that somebody ends has told what it saw.
              System.out.printf("gc so far, -Dmirror.seed=%d: %s%n", seed, figures);
            } catch (Exception | AssertionError e) {
              figures.broken.compareAndSet(null, e);
            }
          }
          return null;
        };
    try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
      executor.invokeAll(List.of(lane, lane));
    }
    System.out.printf(
        "gc -Dmirror.seed=%d: %s; %d s%n",
        seed, figures, Duration.ofNanos(System.nanoTime() - start).toSeconds());
    if (figures.broken.get() != null) {
      throw new AssertionError("-Dmirror.seed=" + seed, figures.broken.get());
    }
  }

  /** One collection that leaves its classes behind, so that the others start faster. */
  private static void train(Path directory, Path archive) throws Exception {
    Path files = Files.createDirectories(directory.resolve("training"));
    try (GatewayLab lab = lab(files);
        Collector collector = new Collector(lab, archive)) {
      new RandomGraph(lab, lab.client(), "training").grow(new Random(1));
      Files.writeString(files.resolve("in-use"), "");
      assertThat(collector.run()).as(collector.said()).isPresent();
    }
  }

  private void registry(Path directory, Path archive, int number, long seed, int first, int last)
      throws Exception {
    Files.createDirectories(directory);
    try (GatewayLab lab = lab(directory);
        HttpClient http = lab.client();
        Collector collector = new Collector(lab, archive)) {
      List<RandomGraph> graphs =
          IntStream.range(0, number)
              .mapToObj(graph -> new RandomGraph(lab, http, "g" + graph))
              .toList();
      Random random = new Random(seed + first);
      for (int one = first; one < last; one++) {
        try {
          collect(lab, collector, graphs, STEPS[one % STEPS.length], random);
        } catch (AssertionError e) {
          throw new AssertionError("collection " + one + " of those from " + first, e);
        }
      }
    }
    try (Stream<Path> files = Files.walk(directory)) {
      files.sorted(Comparator.reverseOrder()).forEach(file -> file.toFile().delete());
    }
  }

  private void collect(
      GatewayLab lab,
      Collector collector,
      List<RandomGraph> graphs,
      Collector.Step step,
      Random random)
      throws Exception {
    Set<String> running = new TreeSet<>();
    for (RandomGraph graph : graphs) {
      graph.grow(random);
      running.addAll(graph.running(random));
    }
    Files.writeString(lab.directory.resolve("in-use"), String.join("\n", running) + "\n");
    Map<RandomGraph, Set<String>> needed = new LinkedHashMap<>();
    graphs.forEach(graph -> needed.put(graph, graph.needed(running)));
    Map<String, Long> before = stored(lab);
    AtomicBoolean ended = new AtomicBoolean();
    AtomicReference<Throwable> broken = new AtomicReference<>();
    Thread puller = Thread.ofVirtual().start(() -> pull(needed, ended, broken));
    try {
      int deletions = 0;
      for (RandomGraph graph : graphs) {
        deletions += graph.unneeded(needed.get(graph)).size();
      }
      Optional<Collector.Step> killed = collector.killedAt(step, deletions, random);
      if (killed.isPresent()) {
        Figures.count(figures.kills, killed.get());
        check(needed);
      } else {
        figures.tooLate.increment();
      }
      Optional<JsonNode> done = collector.run();
      for (int again = 0; done.isEmpty() && again < 3; again++) {
        // On a machine that is overloaded; what it leaves must be as whole as after a kill.
        System.out.println("a collection gave up: " + collector.said().strip());
        figures.gaveUp.increment();
        check(needed);
        done = collector.run();
      }
      JsonNode report = done.orElseThrow();
      figures.deleted.add(report.path("deleted").asInt());
    } finally {
      ended.set(true);
      puller.join();
    }
    if (broken.get() != null) {
      throw new AssertionError("a pull", broken.get());
    }
    check(needed);
    assertThat(graphs.getFirst().upload()).as("writes are let in again").isEqualTo(202);
    Set<String> held = new TreeSet<>();
    for (RandomGraph graph : graphs) {
      graph.gone(needed.get(graph));
      held.addAll(graph.held());
    }
    Map<String, Long> after = stored(lab);
    assertThat(after.keySet()).as("blobs in the storage").isEqualTo(held);
    figures.blobs.add(before.size() - after.size());
    figures.freed.add(sum(before) - sum(after));
    figures.graphs.add(graphs.size());
    figures.collections.increment();
  }

  private void check(Map<RandomGraph, Set<String>> needed) throws Exception {
    for (Map.Entry<RandomGraph, Set<String>> entry : needed.entrySet()) {
      figures.verified.add(entry.getKey().check(entry.getValue()));
    }
  }

  private static long sum(Map<String, Long> sizes) {
    return sizes.values().stream().mapToLong(Long::longValue).sum();
  }

  /** Size of each blob in the storage, those of manifests too. */
  private static Map<String, Long> stored(GatewayLab lab) throws IOException {
    Map<String, Long> stored = new TreeMap<>();
    try (Stream<Path> files =
        Files.walk(lab.directory.resolve("storage/docker/registry/v2/blobs/sha256"))) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        stored.put("sha256:" + file.getParent().getFileName(), Files.size(file));
      }
    }
    return stored;
  }

  /** Pulls what is needed, one after the other, in a loop. */
  private void pull(
      Map<RandomGraph, Set<String>> needed,
      AtomicBoolean ended,
      AtomicReference<Throwable> broken) {
    boolean frozen = false;
    while (true) {
      for (Map.Entry<RandomGraph, Set<String>> entry : needed.entrySet()) {
        RandomGraph graph = entry.getKey();
        for (RandomGraph.Place place : graph.places(entry.getValue())) {
          if (ended.get()) {
            return;
          }
          try {
            if (figures.pulls.sum() % 8 == 0) {
              int answer = graph.upload();
              frozen = answer == 405;
              Figures.count(figures.uploads, answer);
            }
            graph.pull(place, new HashSet<>());
            figures.pulls.increment();
            if (frozen) {
              figures.frozenPulls.increment();
            }
            // At the pace of a few nodes, so that the collection gets on.
            TimeUnit.MILLISECONDS.sleep(40);
          } catch (InterruptedException e) {
            return;
          } catch (Exception | AssertionError e) {
            figures.failed.increment();
            broken.compareAndSet(null, e);
          }
        }
      }
    }
  }

  @Test
  void whereTheStorageCannotBeLookedAtWhatTheDeletedHeldIsTold(@TempDir Path directory)
      throws Exception {
    try (GatewayLab lab = lab(directory)) {
      RandomGraph graph = new RandomGraph(lab, lab.client(), "graph");
      graph.grow(new Random(1));
      graph.grow(new Random(2));
      Files.writeString(directory.resolve("in-use"), "");
      JsonNode estimated = Collector.inFrontOfABucket(lab, "--dry-run");
      JsonNode done = Collector.inFrontOfABucket(lab);
      assertThat(done.path("deleted").asInt()).isPositive();
      assertThat(done.path("freedBytes").asLong())
          .isPositive()
          .isEqualTo(estimated.path("freedBytes").asLong());
      assertThat(Collector.inFrontOfABucket(lab).path("freedBytes").asLong()).isZero();
    }
  }

  @Test
  void aRepositoryThatNeverHadALayerHoldsUpNoCollection(@TempDir Path directory) throws Exception {
    try (GatewayLab lab = lab(directory)) {
      Files.writeString(directory.resolve("in-use"), "");
      for (String name : List.of("one", "two")) {
        new RandomGraph(lab, lab.client(), name).sparse(new Random(1));
      }
      assertThat(Collector.inFrontOfABucket(lab, "--dry-run").at("/left/repositories").asInt())
          .isEqualTo(2);
      assertThat(Collector.inFrontOfABucket(lab).path("deleted").asInt()).isZero();
      assertThat(stored(lab)).as("two indexes, and nothing of ours").hasSize(2);
    }
  }

  @Test
  void whatAListSelectsByItsDigestStaysThoughNoTagNamesIt(@TempDir Path directory)
      throws Exception {
    try (GatewayLab lab = lab(directory)) {
      RandomGraph graph = new RandomGraph(lab, lab.client(), "graph");
      graph.grow(new Random(1));
      graph.grow(new Random(2));
      Files.writeString(directory.resolve("in-use"), "");
      RandomGraph.Place chosen =
          graph.unneeded(graph.needed(Set.of())).stream()
              .filter(graph::isImage)
              .findFirst()
              .orElseThrow();
      String source = "127.0.0.1:" + lab.backend;
      RandomGraph.Place copy =
          new RandomGraph.Place(
              source.replace(':', '_') + "/" + chosen.repository(), chosen.digest());
      synchronise(lab, source, chosen.repository() + "@" + chosen.digest());
      assertThat(Collector.inFrontOfABucket(lab).path("deleted").asInt()).isPositive();
      assertThat(graph.answer(copy)).isEqualTo(200);
      // Another selection, with a tag: the digest is nobody's from now on.
      String tag = graph.tags().getFirst();
      synchronise(lab, source, tag);
      Collector.inFrontOfABucket(lab);
      assertThat(graph.answer(copy)).isEqualTo(404);
    }
  }

  /** Copies an image of the registry itself by way of its gateway. */
  private static void synchronise(GatewayLab lab, String source, String image) throws Exception {
    Path list = lab.directory.resolve("list.yaml");
    Files.writeString(
        list,
        """
        apiVersion: mirrors.kubic.io/v1alpha1
        kind: MirrorList
        metadata: {name: pinned, namespace: it}
        spec:
          registryRef: {name: it}
          sources:
          - registry: "%s"
            tls: {plainHTTP: true}
            images: ["%s"]
        """
            .formatted(source, image));
    Path out = lab.directory.resolve("sync.out");
    int code =
        new ProcessBuilder(
                Lab.mirror(
                    List.of(),
                    "sync",
                    "-f",
                    list.toString(),
                    "--to",
                    lab.host(),
                    "--authfile",
                    lab.directory.resolve("auth.json").toString(),
                    "--ca",
                    lab.directory.resolve("ca.crt").toString()))
            .redirectErrorStream(true)
            .redirectOutput(out.toFile())
            .start()
            .waitFor();
    assertThat(code).as(Files.readString(out)).isZero();
  }

  private static GatewayLab lab(Path directory) throws Exception {
    GatewayLab lab = new GatewayLab(directory);
    Collector.login(lab);
    return lab;
  }
}
