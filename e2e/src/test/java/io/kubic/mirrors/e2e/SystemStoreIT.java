package io.kubic.mirrors.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.node.agent.Agent;
import io.kubic.mirrors.node.agent.Chroot;
import io.kubic.mirrors.node.agent.HttpProber;
import io.kubic.mirrors.node.apply.HostRoot;
import io.kubic.mirrors.pki.CertificateAuthority;
import io.kubic.mirrors.pki.KeySpec;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The trust store of a Debian system, by Debian's own update-ca-certificates(8) in a root of its
 * own: that program, the shell and tools that it calls, and openssl, each with its libraries.
 */
class SystemStoreIT {
  private static final Duration LIMIT = Duration.ofSeconds(60);
  private static final Path PROGRAM = Path.of("/usr/sbin/update-ca-certificates");

  @Test
  void debiansOwnToolTakesUpAndLetsGo(@TempDir Path directory) throws Exception {
    Lab.require(
        Files.exists(Path.of("/etc/debian_version")) && Files.exists(PROGRAM),
        "this is no Debian with ca-certificates");
    Lab.require(System.getProperty("user.name").equals("root"), "chroot needs root");
    Path host = directory.resolve("host");
    lay(host);
    Chroot chroot = new Chroot(host, LIMIT);
    assertThat(chroot.run(List.of("update-ca-certificates", "--fresh")).code()).isZero();
    Map<String, String> before = store(host);
    assertThat(before.get("ca-certificates.crt")).contains("BEGIN CERTIFICATE");

    Path config = directory.resolve("nodeconfig.json");
    String pem =
        CertificateAuthority.create(
                "mirror",
                KeySpec.DEFAULT,
                Duration.ofDays(30),
                new SecureRandom(),
                Clock.systemUTC())
            .certificatePem();
    try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
      Agent agent =
          new Agent(
              "n",
              config,
              directory.resolve("none"),
              directory.resolve("none"),
              new HostRoot(host),
              chroot,
              "",
              settings -> new HttpProber(settings.dial(), Duration.ofSeconds(1)),
              executor,
              Clock.systemUTC(),
              _ -> {});
      configure(config, pem, "");
      agent.round();
      String bundle = Files.readString(host.resolve("etc/ssl/certs/ca-certificates.crt"));
      assertThat(bundle).as(agent.state().toJson()).contains(pem.strip());
      assertThat(
              chroot
                  .run(
                      List.of(
                          "sh",
                          "-c",
                          "openssl verify -CApath /etc/ssl/certs"
                              + " /usr/local/share/ca-certificates/mirror-operator-*.crt"))
                  .output())
          .as("what reads hash links trusts it too")
          .contains(": OK");
      configure(config, pem, ", \"remove\": true");
      agent.round();
      assertThat(agent.state().ready()).as(agent.state().toJson()).isTrue();
      assertThat(store(host)).isEqualTo(before);
      assertThat(host.resolve("usr/local/share/ca-certificates")).isEmptyDirectory();
      agent.close();
    }
  }

  private static void configure(Path config, String pem, String more) throws IOException {
    Files.writeString(
        config,
        "{\"name\": \"d\", \"authorities\": {\"m.lan:5000\": \"%s\"}, \"systemStore\": true%s}"
            .formatted(pem.replace("\n", "\\n"), more));
  }

  private static void lay(Path host) throws IOException {
    for (String linked : List.of("bin", "sbin", "lib", "lib64")) {
      Files.createDirectories(host.resolve("usr/" + linked));
      Files.createSymbolicLink(host.resolve(linked), Path.of("usr", linked));
    }
    for (String made :
        List.of(
            "etc/containerd/certs.d",
            "etc/ssl/certs",
            "etc/ca-certificates/update.d",
            "usr/local/share/ca-certificates",
            "usr/share/ca-certificates",
            "tmp",
            "dev",
            "var/lib")) {
      Files.createDirectories(host.resolve(made));
    }
    Files.writeString(host.resolve("dev/null"), "");
    Files.copy(Path.of("/etc/os-release"), host.resolve("etc/os-release"));
    Files.writeString(
        host.resolve("etc/containerd/config.toml"),
        "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/etc/containerd/certs.d'\n");
    Files.copy(PROGRAM, host.resolve("usr/sbin/update-ca-certificates"));
    Path certificates = Path.of("/usr/share/ca-certificates");
    try (Stream<Path> all = Files.walk(certificates)) {
      StringBuilder names = new StringBuilder();
      for (Path file : all.filter(Files::isRegularFile).sorted().limit(5).toList()) {
        Path copy = host.resolve("usr/share/ca-certificates/" + file.getFileName());
        Files.copy(file, copy);
        names.append(file.getFileName()).append('\n');
      }
      Files.writeString(host.resolve("etc/ca-certificates.conf"), names.toString());
    }
    for (String name :
        List.of(
            "sh",
            "basename",
            "cat",
            "chmod",
            "find",
            "ln",
            "mktemp",
            "mv",
            "openssl",
            "readlink",
            "rm",
            "run-parts",
            "sed",
            "sort",
            "test",
            "wc")) {
      Path program =
          Stream.of("/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/")
              .map(at -> Path.of(at + name))
              .filter(Files::exists)
              .findFirst()
              .orElseThrow();
      copy(program, host);
      for (String line :
          Lab.run(LIMIT, Map.of(), List.of("ldd", program.toString())).out().lines().toList()) {
        for (String word : line.strip().split(" ")) {
          if (word.startsWith("/")) {
            copy(Path.of(word), host);
          }
        }
      }
    }
  }

  private static void copy(Path file, Path host) throws IOException {
    Path place = host.resolve(file.toString().substring(1));
    if (!Files.exists(place)) {
      Files.createDirectories(place.getParent());
      Files.copy(file.toRealPath(), place);
    }
  }

  /** Names, links and contents. */
  private static Map<String, String> store(Path host) throws IOException {
    Map<String, String> store = new TreeMap<>();
    try (Stream<Path> files = Files.list(host.resolve("etc/ssl/certs"))) {
      for (Path file : files.toList()) {
        store.put(
            file.getFileName().toString(),
            Files.isSymbolicLink(file)
                ? "-> " + Files.readSymbolicLink(file)
                : Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)
                    ? Files.readString(file)
                    : "");
      }
    }
    return store;
  }
}
