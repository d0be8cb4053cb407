package io.kubic.mirrors.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.node.agent.Agent;
import io.kubic.mirrors.node.agent.Chroot;
import io.kubic.mirrors.node.agent.HttpProber;
import io.kubic.mirrors.node.apply.HostRoot;
import io.kubic.mirrors.node.rules.NodeTree;
import io.kubic.mirrors.pki.CertificateAuthority;
import io.kubic.mirrors.pki.KeySpec;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * An agent that is killed, or whose host refuses, at a system call of an apply: every file is the
 * old one or the new one, the real readers read the tree, and the next run brings it to the end.
 */
class NodeFaultsIT {
  /** How many injections; the whole is about a thousand. */
  private static final int ROUNDS = Integer.getInteger("mirror.rounds", 20);

  /** Which calls are injected, comma-separated; empty: all. */
  private static final String ONLY = System.getProperty("mirror.calls", "");

  private static final List<String> FAULTS =
      List.of("signal=KILL", "error=ENOSPC", "error=EIO", "error=EROFS");

  /** Long: the run of all is for idle hours of a busy machine. */
  private static final Duration LIMIT = Duration.ofMinutes(15);

  private Path directory;
  private ServerSocket mirror;

  /** One call of the main thread at a path of the host. */
  private record Injection(String call, int number, String fault) {}

  @Test
  void everyFileIsOldOrNewAndTheNextRunEndsIt(@TempDir Path temporary) throws Exception {
    Lab.require(Files.isExecutable(Path.of("/usr/bin/strace")), "strace is not installed");
    Path memory = Path.of("/dev/shm");
    directory = Files.isWritable(memory) ? Files.createTempDirectory(memory, "faults") : temporary;
    try (Oracle oracle = new Oracle();
        ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();
        ServerSocket listening = new ServerSocket(0, 16, InetAddress.getLoopbackAddress())) {
      mirror = listening;
      var _ = executor.submit(() -> serve(listening));
      run(oracle, executor);
    } finally {
      if (!directory.equals(temporary)) {
        delete(directory);
      }
    }
  }

  private void run(Oracle oracle, ExecutorService executor) throws Exception {
    Path host = directory.resolve("host");
    Path saved = directory.resolve("saved");
    lay(host);
    Path before = config("before.json", List.of("docker.io", "quay.io"));
    Path after = config("after.json", List.of("quay.io", "registry.opensuse.org"));
    agent(host, before, executor);
    SortedMap<String, String> old = files(host);
    copy(host, saved);
    agent(host, after, executor);
    SortedMap<String, String> wanted = files(host);
    assertThat(wanted).isNotEqualTo(old);

    // Which calls there are: first everything of the main thread, then those at the host's paths.
    List<String> java = java(after, host); // makes the class archive by a run on the host
    back(saved, host);
    Path trace = directory.resolve("trace");
    Lab.run(LIMIT, Map.of(), strace(trace, List.of("-e", "trace=%file,%desc", "-y"), java))
        .orFail();
    SortedSet<String> paths = paths(trace, host);
    back(saved, host);
    List<String> narrow = new ArrayList<>(List.of("-e", "trace=%file,%desc"));
    paths.forEach(path -> Collections.addAll(narrow, "-P", path));
    Lab.run(LIMIT, Map.of(), strace(trace, narrow, java)).orFail();
    SortedMap<String, Integer> calls = calls(trace);
    List<Injection> all = new ArrayList<>();
    calls.forEach(
        (call, count) -> {
          boolean injected = ONLY.isEmpty() || List.of(ONLY.split(",")).contains(call);
          for (int number = 1; injected && number <= count; number++) {
            for (String fault : FAULTS) {
              all.add(new Injection(call, number, fault));
            }
          }
        });
    List<Injection> chosen = new ArrayList<>(all);
    long seed = Long.getLong("mirror.seed", 11L);
    Collections.shuffle(chosen, new Random(seed));
    int from =
        Math.min(Integer.getInteger("mirror.from", 0), chosen.size()); // goes on where one ended
    chosen = chosen.subList(from, Math.min(from + ROUNDS, chosen.size()));

    int ended = 0;
    int done = 0;
    List<String> broken = new ArrayList<>();
    for (Injection injection : chosen) {
      back(saved, host);
      List<String> options = new ArrayList<>(narrow);
      options.add(
          "--inject=" + injection.call() + ":" + injection.fault() + ":when=" + injection.number());
      Lab.Result result = Lab.run(LIMIT, Map.of(), strace(trace, options, java));
      ended += result.code() == 0 ? 0 : 1;
      String problem = judge(host, old, wanted, oracle);
      if (problem.isEmpty()) {
        agent(host, after, executor);
        if (!files(host).equals(wanted)) {
          problem = "the next run does not end it: " + files(host).keySet();
        }
      }
      if (++done % 50 == 0) {
        System.out.printf(
            "NodeFaultsIT: %d of %d done, %d broken%n", from + done, all.size(), broken.size());
      }
      if (!problem.isEmpty()) {
        broken.add(injection + ": " + problem + "\n" + result.out());
        System.out.println("NodeFaultsIT: " + broken.getLast());
      }
    }
    System.out.printf(
        "NodeFaultsIT: %d of %d injections (%d calls of %s x kill, ENOSPC, EIO, EROFS); agents that"
            + " ended otherwise than well: %d; broken trees: %d%n",
        chosen.size(), all.size(), all.size() / FAULTS.size(), calls, ended, broken.size());
    assertThat(broken).isEmpty();
  }

  /** A mirror in the clear that answers everything with 200, and TLS with what is none. */
  private static Void serve(ServerSocket listening) throws IOException {
    while (!listening.isClosed()) {
      try (Socket client = listening.accept()) {
        client.setSoTimeout(2000);
        InputStream in = client.getInputStream();
        int last = in.read();
        if (last != 0x16) {
          for (int four = 0; last >= 0 && four != 0x0d0a0d0a; last = in.read()) {
            four = four << 8 | last;
            if (four == 0x0d0a0d0a) {
              break;
            }
          }
        }
        client
            .getOutputStream()
            .write(
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    .getBytes(StandardCharsets.US_ASCII));
      } catch (IOException e) {
        continue; // a client that was killed
      }
    }
    return null;
  }

  private static String judge(
      Path host, Map<String, String> old, Map<String, String> wanted, Oracle oracle)
      throws IOException {
    for (Map.Entry<String, String> file : files(host).entrySet()) {
      String name = file.getKey();
      String content = file.getValue();
      if (!old.containsKey(name) && !wanted.containsKey(name)) {
        if (name.endsWith(".conf")
            || name.endsWith(".toml")
            || name.endsWith(".crt")
            || name.endsWith(".cert")
            || name.endsWith(".key")
            || name.endsWith(".json")) {
          return name + " is neither of before nor of after, and would be loaded";
        }
      } else if (!content.equals(old.get(name)) && !content.equals(wanted.get(name))) {
        return name + " is neither old nor new: " + content;
      }
    }
    for (String name : old.keySet()) {
      if (wanted.containsKey(name) && !Files.exists(host.resolve(name))) {
        return name + " is gone";
      }
    }
    NodeTree tree = NodeTree.read(host);
    if (!tree.problems().isEmpty()) {
      return "our rules: " + tree.problems();
    }
    Oracle.Answer real =
        oracle.ask(
            host.resolve("etc"),
            List.of("docker.io/x:1", "quay.io/x:1", "registry.opensuse.org/x"));
    return real.libraryError().isEmpty() && real.containerdErrors().isEmpty()
        ? ""
        : "the real readers: " + real;
  }

  private void lay(Path host) throws IOException {
    Path etc = host.resolve("etc");
    for (String made :
        List.of("containerd/certs.d/foreign.example", "containers/registries.conf.d")) {
      Files.createDirectories(etc.resolve(made));
    }
    Files.createDirectories(host.resolve("var/lib"));
    Files.createDirectories(host.resolve("run/containers/0"));
    Files.writeString(
        host.resolve("run/containers/0/auth.json"),
        "{\"auths\": {\"other.example\": {\"auth\": \"bzpv\"}}}");
    Files.writeString(
        etc.resolve("containerd/config.toml"),
        "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/etc/containerd/certs.d'\n");
    Files.writeString(
        etc.resolve("containerd/certs.d/foreign.example/hosts.toml"),
        "[host.\"https://other.example\"]\n");
    Files.writeString(
        etc.resolve("containers/registries.conf"),
        "unqualified-search-registries = [\"docker.io\"]\n");
    Files.writeString(etc.resolve("containers/policy.json"), "{}");
  }

  private Path config(String name, List<String> sources) throws IOException {
    String registry = "127.0.0.1:" + mirror.getLocalPort();
    String authority =
        CertificateAuthority.create(
                name, KeySpec.DEFAULT, Duration.ofDays(30), new SecureRandom(), Clock.systemUTC())
            .certificatePem()
            .replace("\n", "\\n");
    List<String> written = new ArrayList<>();
    for (String source : sources) {
      written.add(
          "{\"source\": \"%s\", \"endpoints\": [{\"location\": \"%s/%s\", \"insecure\": true}]}"
              .formatted(source, registry, source));
    }
    Path file = directory.resolve(name);
    Files.writeString(
        file,
        "{\"name\": \"d\", \"sources\": ["
            + String.join(",", written)
            + "], \"authorities\": {\""
            + registry
            + "\": \""
            + authority
            + "\"}, \"credentials\": \""
            + name
            + "\"}");
    Files.writeString(
        file.resolveSibling("logins.json"),
        "{\"auths\": {\"" + registry + "\": {\"auth\": \"cHVsbDpzZWNyZXQ=\"}}}");
    return file;
  }

  private static void agent(Path host, Path config, ExecutorService executor) throws Exception {
    Agent agent =
        new Agent(
            "n",
            config,
            config.resolveSibling("logins.json"),
            config.resolveSibling("verdict"),
            new HostRoot(host),
            new Chroot(host, LIMIT),
            "",
            settings -> new HttpProber(settings.dial(), Duration.ofSeconds(4)),
            executor,
            Clock.systemUTC(),
            _ -> {});
    try {
      agent.round();
      assertThat(agent.state().ready()).as(agent.state().toJson()).isTrue();
    } finally {
      agent.close();
    }
  }

  /** The agent as it is shipped, one round, with a class archive so that it starts quickly. */
  private List<String> java(Path config, Path host) {
    Path archive = directory.resolve("agent.jsa");
    List<String> command =
        List.of(
            Path.of(System.getProperty("java.home"), "bin/java").toString(),
            Files.exists(archive)
                ? "-XX:SharedArchiveFile=" + archive
                : "-XX:ArchiveClassesAtExit=" + archive,
            "-Xlog:cds=off",
            "-Xlog:cds+dynamic=off",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            Stream.of(
                    System.getProperty(
                            "surefire.test.class.path", System.getProperty("java.class.path"))
                        .split(":"))
                .filter(path -> path.endsWith(".jar")) // an archive is of jars only
                .collect(Collectors.joining(":")),
            "io.kubic.mirrors.Main",
            "agent",
            "--once",
            "--config",
            config.toString(),
            "--credentials",
            config.resolveSibling("logins.json").toString(),
            "--host-root",
            host.toString());
    if (!Files.exists(archive)) {
      Lab.run(LIMIT, Map.of(), command).orFail();
      return java(config, host);
    }
    return command;
  }

  private static List<String> strace(Path trace, List<String> options, List<String> command) {
    List<String> all =
        new ArrayList<>(List.of("strace", "-f", "--seccomp-bpf", "-qq", "-o", trace.toString()));
    all.addAll(options);
    all.addAll(command);
    return all;
  }

  /** Paths of the host in a trace, of files, of directories, and behind descriptors. */
  private static SortedSet<String> paths(Path trace, Path host) throws IOException {
    SortedSet<String> paths = new TreeSet<>();
    String root = host.toString();
    for (String line : Files.readAllLines(trace, StandardCharsets.ISO_8859_1)) {
      for (int at = line.indexOf(root); at >= 0; at = line.indexOf(root, at + 1)) {
        int end = at;
        while (end < line.length() && "\">,)".indexOf(line.charAt(end)) < 0) {
          end++;
        }
        if (at > 0 && "\"<".indexOf(line.charAt(at - 1)) >= 0) {
          paths.add(line.substring(at, end));
        }
      }
    }
    return paths;
  }

  /** How often each call is made by the thread that makes most of them: the one that applies. */
  private static SortedMap<String, Integer> calls(Path trace) throws IOException {
    Map<String, SortedMap<String, Integer>> threads = new TreeMap<>();
    for (String line : Files.readAllLines(trace, StandardCharsets.ISO_8859_1)) {
      String[] words = line.strip().split("\\s+", 2);
      int open = words.length < 2 ? -1 : words[1].indexOf('(');
      if (open > 0 && words[1].substring(0, open).chars().allMatch(Character::isLetterOrDigit)) {
        threads
            .computeIfAbsent(words[0], _ -> new TreeMap<>())
            .merge(words[1].substring(0, open), 1, Integer::sum);
      }
    }
    return threads.values().stream()
        .max(
            Comparator.comparingInt(
                calls -> calls.values().stream().mapToInt(Integer::intValue).sum()))
        .orElseThrow();
  }

  /** Everything below the host but our own state, by content. */
  private static SortedMap<String, String> files(Path host) throws IOException {
    SortedMap<String, String> files = new TreeMap<>();
    try (Stream<Path> paths = Files.walk(host)) {
      for (Path path : paths.filter(Files::isRegularFile).toList()) {
        if (!path.startsWith(host.resolve("var"))) {
          files.put(host.relativize(path).toString(), Files.readString(path));
        }
      }
    }
    return files;
  }

  private static void back(Path saved, Path host) throws IOException {
    delete(host);
    copy(saved, host);
  }

  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> paths = Files.walk(from)) {
      for (Path path : paths.toList()) {
        Files.copy(path, to.resolve(from.relativize(path)));
      }
    }
  }

  private static void delete(Path directory) throws IOException {
    try (Stream<Path> paths = Files.walk(directory)) {
      for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }
}
