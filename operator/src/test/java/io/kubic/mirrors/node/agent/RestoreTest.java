package io.kubic.mirrors.node.agent;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.node.ImageName;
import io.kubic.mirrors.node.NodeConfig.Endpoint;
import io.kubic.mirrors.node.apply.HostRoot;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserDefinedFileAttributeView;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Whatever a host had before, it has again after us: content, mode, owner and attributes. */
class RestoreTest {
  private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();
  private Instant now = Instant.parse("2026-01-01T00:00:00Z");
  private final HostCommand commands = line -> new HostCommand.Result(0, "");
  private boolean answers = true;

  @Test
  void removalRestoresRandomHosts(@TempDir Path temporary) throws Exception {
    Path memory = Path.of("/dev/shm");
    Path base = Files.isWritable(memory) ? Files.createTempDirectory(memory, "restore") : temporary;
    try (executor) {
      for (int round = 0; round < Integer.getInteger("mirror.rounds", 40); round++) {
        long seed = Long.getLong("mirror.seed", 7000L) + round;
        Path host = base.resolve("host" + round);
        lay(host, new Random(seed));
        Map<String, String> before = tree(host);
        live(host, base.resolve("nodeconfig.json"), new Random(seed));
        assertThat(tree(host)).as("seed %d", seed).isEqualTo(before);
        delete(host);
      }
    } finally {
      if (!base.equals(temporary)) {
        delete(base);
      }
    }
  }

  /** Some configurations, some trouble, agents that come and go; at the end it is taken back. */
  private void live(Path host, Path file, Random random) throws Exception {
    Agent agent = agent(host, file);
    int turns = 1 + random.nextInt(4);
    for (int turn = 0; turn < turns; turn++) {
      configure(file, random, "");
      answers = random.nextInt(5) != 0;
      for (int i = random.nextInt(4); i >= 0; i--) {
        now = now.plusSeconds(10);
        agent.round();
      }
      if (random.nextInt(3) == 0) {
        agent.close();
        agent = agent(host, file);
      }
    }
    configure(file, random, ", \"remove\": true");
    now = now.plusSeconds(10);
    agent.round();
    assertThat(agent.state().ready()).as(agent.state().toJson()).isTrue();
    agent.close();
  }

  private Agent agent(Path host, Path file) {
    return new Agent(
        "n",
        file,
        file.resolveSibling("config.json"),
        file.resolveSibling("verdict"),
        new HostRoot(host),
        commands,
        "",
        _ ->
            new Prober() {
              @Override
              public Sight look(Endpoint endpoint, @Nullable String authorities) {
                return answers ? new Sight.Good() : new Sight.Unreachable("no answer");
              }

              @Override
              public Sight resolve(
                  Endpoint endpoint,
                  @Nullable String authorities,
                  @Nullable ImageName image,
                  @Nullable Login login) {
                return look(endpoint, authorities);
              }
            },
        executor,
        new Clock() {
          @Override
          public ZoneId getZone() {
            return ZoneOffset.UTC;
          }

          @Override
          public Clock withZone(ZoneId zone) {
            return this;
          }

          @Override
          public Instant instant() {
            return now;
          }
        },
        _ -> {});
  }

  private static void configure(Path file, Random random, String more) throws IOException {
    List<String> sources = new ArrayList<>();
    for (String source :
        List.of("registry.opensuse.org", "docker.io", "quay.io", "b.example:5000")) {
      if (random.nextBoolean()) {
        sources.add(
            "{\"source\": \"%s\", \"policy\": \"%s\", \"endpoints\": [{\"location\": \"m%d.lan:5000/x\"}]}"
                .formatted(
                    source,
                    random.nextInt(3) == 0 ? "NeverContactSource" : "AllowContactingSource",
                    random.nextInt(2)));
      }
    }
    int login = random.nextInt(4);
    if (login > 0) {
      more += ", \"credentials\": \"" + login + "\"";
    }
    Files.writeString(
        file.resolveSibling("config.json"),
        "{\"auths\": {\"m0.lan:5000\": {\"auth\": \"%s\"}, \"m1.lan:5000\": {\"auth\": \"eDp5\"}}}"
            .formatted(List.of("YTpi", "YTpj", "YTpk").get(login % 3)));
    Files.writeString(
        file, "{\"name\": \"d\", \"sources\": [" + String.join(",", sources) + "]" + more + "}");
  }

  private static void lay(Path host, Random random) throws IOException {
    directory(host, random);
    List<String> directories =
        new ArrayList<>(
            List.of(
                "etc",
                "etc/containerd",
                "etc/containerd/certs.d",
                "etc/containerd/certs.d/registry.opensuse.org",
                "etc/containerd/certs.d/quay.io",
                "etc/containerd/certs.d/b.example_5000_",
                "etc/containerd/certs.d/m0.lan:5000",
                "etc/containers",
                "etc/containers/registries.conf.d",
                "etc/containers/certs.d",
                "etc/containers/certs.d/m1.lan:5000",
                "etc/docker",
                "run",
                "run/containers",
                "run/containers/0",
                "var",
                "var/lib"));
    for (String name : directories) {
      if (Files.isDirectory(host.resolve(name).getParent()) && random.nextInt(5) != 0) {
        directory(host.resolve(name), random);
      }
    }
    file(
        host,
        "etc/containerd/config.toml",
        "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = \"/etc/containerd/certs.d\"\n",
        random);
    for (String path :
        List.of(
            "etc/containerd/certs.d/registry.opensuse.org/ca.crt",
            "etc/containerd/certs.d/quay.io/hosts.toml",
            "etc/containerd/certs.d/b.example_5000_/hosts.toml",
            "etc/containerd/certs.d/m0.lan:5000/hosts.toml",
            "etc/containers/certs.d/m1.lan:5000/ca.crt",
            "etc/containers/policy.json")) {
      if (random.nextBoolean()) {
        file(host, path, "server = \"https://x" + random.nextInt(9) + ".example\"\n", random);
      }
    }
    if (random.nextBoolean()) {
      file(
          host,
          "run/containers/0/auth.json",
          List.of(
                  "{}",
                  "{\"auths\": {\"other.example\": {\"auth\": \"bzpv\"}}}",
                  "{\"auths\":{\"m0.lan:5000\":{\"auth\":\"bTpt\"}},\"credHelpers\":{\"x\":\"y\"}}",
                  "no json")
              .get(random.nextInt(4)),
          random);
    }
    if (random.nextBoolean()) {
      file(
          host,
          "etc/containers/registries.conf",
          random.nextInt(5) == 0
              ? "[[registry]]\n"
              : "unqualified-search-registries = [\"docker.io\"]\n",
          random);
    }
    if (random.nextBoolean()) {
      file(
          host,
          "etc/containers/registries.conf.d/" + (random.nextBoolean() ? "10-a" : "99-z") + ".conf",
          "[[registry]]\nlocation = \"" + (random.nextBoolean() ? "docker.io" : "x.io") + "\"\n",
          random);
    }
  }

  private static void directory(Path path, Random random) throws IOException {
    Files.createDirectories(path);
    adorn(path, random.nextInt(4) == 0 ? "rwx------" : "rwxr-xr-x", random);
  }

  private static void file(Path host, String name, String content, Random random)
      throws IOException {
    Path path = host.resolve(name);
    if (Files.isDirectory(path.getParent())) {
      Files.writeString(path, content);
      adorn(path, List.of("rw-r--r--", "rw-------", "rwxr-xr-x").get(random.nextInt(3)), random);
    }
  }

  private static void adorn(Path path, String mode, Random random) throws IOException {
    int owner = random.nextInt(3) * 1000;
    String value = "v" + random.nextInt(100);
    if (Files.getAttribute(path, "unix:uid").equals(0)) {
      Files.setAttribute(path, "unix:uid", owner, LinkOption.NOFOLLOW_LINKS);
      Files.setAttribute(path, "unix:gid", owner, LinkOption.NOFOLLOW_LINKS);
    }
    UserDefinedFileAttributeView attributes =
        Files.getFileAttributeView(path, UserDefinedFileAttributeView.class);
    if (attributes != null && Files.getFileStore(path).supportsFileAttributeView("user")) {
      attributes.write("label", ByteBuffer.wrap(value.getBytes(StandardCharsets.UTF_8)));
    }
    Files.setPosixFilePermissions(path, PosixFilePermissions.fromString(mode));
  }

  /** Everything but our own directory, and the parents that it needs. */
  private static Map<String, String> tree(Path host) throws IOException {
    Map<String, String> tree = new TreeMap<>();
    try (Stream<Path> paths = Files.walk(host)) {
      for (Path path : paths.toList()) {
        String name = host.relativize(path).toString();
        if (name.startsWith("var")) {
          continue;
        }
        StringBuilder text =
            new StringBuilder(PosixFilePermissions.toString(Files.getPosixFilePermissions(path)))
                .append(' ')
                .append(Files.getAttribute(path, "unix:uid"))
                .append(' ')
                .append(Files.getAttribute(path, "unix:gid"));
        UserDefinedFileAttributeView view =
            Files.getFileAttributeView(path, UserDefinedFileAttributeView.class);
        if (view != null) {
          for (String attribute : view.list().stream().sorted().toList()) {
            ByteBuffer value = ByteBuffer.allocate(view.size(attribute));
            view.read(attribute, value);
            text.append(' ')
                .append(attribute)
                .append('=')
                .append(HexFormat.of().formatHex(value.array()));
          }
        }
        if (Files.isRegularFile(path)) {
          text.append(' ').append(new String(Files.readAllBytes(path), StandardCharsets.UTF_8));
        }
        tree.put(name, text.toString());
      }
    }
    return tree;
  }

  private static void delete(Path directory) throws IOException {
    try (Stream<Path> paths = Files.walk(directory)) {
      for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }
}
