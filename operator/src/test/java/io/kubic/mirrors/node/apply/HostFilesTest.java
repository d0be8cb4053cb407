package io.kubic.mirrors.node.apply;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kubic.mirrors.node.NodeConfig;
import io.kubic.mirrors.node.render.NodeFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HostFilesTest {
  private static final SortedMap<String, SortedMap<String, String>> NONE = new TreeMap<>();
  private static final String CERTS = "/etc/containerd/certs.d";
  private static final String CA = CERTS + "/10.96.1.2:5000/mirror-operator.crt";
  private static final String HOSTS = CERTS + "/registry.opensuse.org/hosts.toml";
  private static final String DROP_IN = "/etc/containers/registries.conf.d/50-mirror-operator.conf";
  private static final NodeConfig CONFIG =
      NodeConfig.fromJson(
          """
          {"name": "default", "sources": [
            {"source": "registry.opensuse.org",
             "endpoints": [{"location": "10.96.1.2:5000/registry.opensuse.org"}]}]}
          """);

  @Test
  void whatIsAppliedIsTakenBackByteForByte(@TempDir Path root) throws IOException {
    host(root);
    Map<String, String> before = tree(root);
    HostFiles files = new HostFiles(new HostRoot(root));
    assertThat(files.acquire()).isTrue();
    assertThat(files.bring(CONFIG, all("1"), List.of(), NONE, Optional::empty))
        .isEqualTo(new Outcome.Applied(List.of(CA, HOSTS, DROP_IN)));
    assertThat(tree(root)).isNotEqualTo(before);
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(at(root, HOSTS))))
        .isEqualTo("rw-r--r--");
    assertThat(files.journal().hash()).isEqualTo(CONFIG.hash());
    assertThat(files.restore(List.of(), Optional::empty)).isInstanceOf(Outcome.Applied.class);
    assertThat(tree(root)).isEqualTo(before);
    assertThat(files.restore(List.of(), Optional::empty)).isEqualTo(new Outcome.Applied(List.of()));
    files.close();
  }

  @Test
  void aSecondRoundWritesNothing(@TempDir Path root) throws IOException {
    host(root);
    HostFiles files = new HostFiles(new HostRoot(root));
    files.bring(CONFIG, all("1"), List.of(), NONE, Optional::empty);
    Object inode = Files.getAttribute(at(root, HOSTS), "unix:ino");
    Object journal =
        Files.getAttribute(at(root, "/var/lib/mirror-operator/journal.json"), "unix:ino");
    assertThat(files.bring(CONFIG, all("1"), List.of(), NONE, Optional::empty))
        .isEqualTo(new Outcome.Applied(List.of()));
    assertThat(Files.getAttribute(at(root, HOSTS), "unix:ino")).isEqualTo(inode);
    assertThat(Files.getAttribute(at(root, "/var/lib/mirror-operator/journal.json"), "unix:ino"))
        .isEqualTo(journal);
  }

  @Test
  void whenTheProofFailsTheFormerFilesAreBack(@TempDir Path root) throws IOException {
    host(root);
    HostFiles files = new HostFiles(new HostRoot(root));
    files.bring(CONFIG, all("1"), List.of(), NONE, Optional::empty);
    Map<String, String> first = tree(root);
    assertThat(
            files.bring(
                CONFIG, List.of(hosts("2")), List.of(), NONE, () -> Optional.of("does not serve")))
        .isEqualTo(new Outcome.RolledBack("does not serve"));
    assertThat(tree(root)).isEqualTo(first);
    assertThat(files.bring(CONFIG, List.of(hosts("2")), List.of(), NONE, Optional::empty))
        .isInstanceOf(Outcome.Applied.class);
    assertThat(Files.readString(at(root, HOSTS))).isEqualTo(hosts("2").content());
    assertThat(at(root, DROP_IN)).doesNotExist();
    assertThat(files.journal().intended()).isEmpty();
  }

  @Test
  void anEmptiedDirectoryOfARegistryGoesSinceContainerdWouldNotLookIntoDefault(@TempDir Path root)
      throws IOException {
    host(root);
    Files.createDirectories(at(root, CERTS + "/theirs.example"));
    HostFiles files = new HostFiles(new HostRoot(root));
    files.bring(CONFIG, all("1"), List.of(), NONE, Optional::empty);
    Path theirs = at(root, CA).resolveSibling("theirs.crt");
    Files.writeString(theirs, "theirs");
    files.bring(CONFIG, List.of(), List.of(), NONE, Optional::empty);
    assertThat(at(root, HOSTS).getParent()).doesNotExist();
    assertThat(theirs).hasContent("theirs");
    assertThat(at(root, CERTS + "/theirs.example")).isEmptyDirectory();
    assertThat(at(root, DROP_IN).getParent()).as("a runtime may watch it").isDirectory();
    assertThat(files.journal().directories())
        .contains(CERTS + "/10.96.1.2:5000")
        .doesNotContain(CERTS + "/registry.opensuse.org");

    Files.delete(theirs);
    files.bring(CONFIG, List.of(hosts("2")), List.of(), NONE, Optional::empty);
    files.bring(CONFIG, List.of(), List.of(CA), NONE, Optional::empty);
    assertThat(at(root, CERTS)).isDirectoryContaining("glob:**theirs.example");
    assertThat(at(root, CA).getParent()).doesNotExist();
    files.bring(CONFIG, all("3"), List.of(), NONE, () -> Optional.of("does not serve"));
    assertThat(at(root, HOSTS).getParent()).as("rolled back").doesNotExist();
    assertThat(at(root, CA).getParent()).as("rolled back").doesNotExist();
  }

  @Test
  void aForeignFileIsLeftAlone(@TempDir Path root) throws IOException {
    host(root);
    Files.createDirectories(at(root, HOSTS).getParent());
    Files.writeString(at(root, HOSTS), "server = \"https://theirs.example\"\n");
    Map<String, String> before = tree(root);
    HostFiles files = new HostFiles(new HostRoot(root));
    assertThat(files.bring(CONFIG, all("1"), List.of(), NONE, Optional::empty))
        .isEqualTo(new Outcome.Failed(HOSTS + " is not ours"));
    assertThat(tree(root)).isEqualTo(before);
    assertThat(files.restore(List.of(HOSTS), Optional::empty))
        .isEqualTo(new Outcome.Applied(List.of()));
    assertThat(tree(root)).isEqualTo(before);
  }

  @Test
  void aDirectoryThatIsALinkIsNotFollowed(@TempDir Path root, @TempDir Path elsewhere)
      throws IOException {
    host(root);
    Files.createSymbolicLink(at(root, CERTS + "/registry.opensuse.org"), elsewhere);
    HostFiles files = new HostFiles(new HostRoot(root));
    assertThat(files.bring(CONFIG, List.of(hosts("1")), List.of(), NONE, Optional::empty))
        .isInstanceOf(Outcome.Failed.class);
    assertThat(elsewhere).isEmptyDirectory();
  }

  @Test
  void whatSomebodyWroteIntoOurFileIsKeptAside(@TempDir Path root) throws IOException {
    host(root);
    HostFiles files = new HostFiles(new HostRoot(root));
    files.bring(CONFIG, all("1"), List.of(), NONE, Optional::empty);
    Files.writeString(at(root, HOSTS), "mine = true\n");
    assertThat(files.bring(CONFIG, all("1"), List.of(), NONE, Optional::empty))
        .isEqualTo(new Outcome.Applied(List.of(HOSTS)));
    try (Stream<Path> kept = Files.list(at(root, "/var/lib/mirror-operator/kept"))) {
      assertThat(kept.toList())
          .singleElement()
          .satisfies(copy -> assertThat(copy).hasContent("mine = true\n"));
    }
  }

  @Test
  void aLostJournalDoesNotLoseOurFiles(@TempDir Path root) throws IOException {
    host(root);
    HostFiles files = new HostFiles(new HostRoot(root));
    files.bring(CONFIG, all("1"), List.of(), NONE, Optional::empty);
    Files.writeString(at(root, "/var/lib/mirror-operator/journal.json"), "{\"half");
    assertThat(files.restore(List.of(CA, HOSTS, DROP_IN), Optional::empty))
        .isEqualTo(new Outcome.Applied(List.of(CA, HOSTS, DROP_IN)));
    assertThat(at(root, HOSTS)).doesNotExist();
  }

  @Test
  void whatADeadProcessLeftBesideTheFilesIsSwept(@TempDir Path root) throws IOException {
    host(root);
    HostFiles files = new HostFiles(new HostRoot(root));
    files.bring(CONFIG, all("1"), List.of(), NONE, Optional::empty);
    Path staged = at(root, CERTS + "/registry.opensuse.org/.hosts.toml.mirror-operator-tmp");
    Path journal = at(root, "/var/lib/mirror-operator/.journal.json.mirror-operator-tmp");
    Files.writeString(staged, "half");
    Files.writeString(journal, "half");
    files.restore(List.of(), Optional::empty);
    assertThat(staged).doesNotExist();
    assertThat(journal).doesNotExist();
    assertThat(at(root, CERTS + "/registry.opensuse.org")).doesNotExist();
  }

  @Test
  void onlyOneHoldsAHost(@TempDir Path root) throws IOException {
    host(root);
    HostFiles one = new HostFiles(new HostRoot(root));
    HostFiles other = new HostFiles(new HostRoot(root));
    assertThat(one.acquire()).isTrue();
    assertThat(other.acquire()).isFalse();
    one.close();
    assertThat(other.acquire()).isTrue();
    other.close();
  }

  /** Any history of changes, failed proofs and deaths ends, after a restore, where it began. */
  @Test
  void noHistoryLeavesATrace(@TempDir Path base) throws IOException {
    long seed = Long.getLong("mirror.seed", 20260101L);
    Random random = new Random(seed);
    int rounds = Integer.getInteger("mirror.rounds", 40);
    for (int round = 0; round < rounds; round++) {
      Path root = Files.createDirectory(base.resolve("host" + round));
      host(root);
      Map<String, String> before = tree(root);
      String at = "seed " + seed + " round " + round;
      for (int step = 0; step < 6; step++) {
        HostFiles files = new HostFiles(new HostRoot(root));
        List<NodeFile> wanted = new ArrayList<>(all("v" + random.nextInt(3)));
        wanted.removeIf(_ -> random.nextInt(3) == 0);
        switch (random.nextInt(4)) {
          case 0 ->
              assertThatThrownBy(
                      () ->
                          files.bring(
                              CONFIG,
                              wanted,
                              List.of(),
                              NONE,
                              () -> {
                                throw new IllegalStateException("died");
                              }))
                  .as(at)
                  .hasMessage("died");
          case 1 -> {
            Map<String, String> former = tree(root);
            Outcome outcome =
                files.bring(CONFIG, wanted, List.of(), NONE, () -> Optional.of("does not serve"));
            assertThat(outcome).as(at).isNotInstanceOf(Outcome.Applied.class);
            assertThat(contents(root)).as(at).isEqualTo(contents(former));
          }
          default -> {
            assertThat(files.bring(CONFIG, wanted, List.of(), NONE, Optional::empty))
                .as(at)
                .isInstanceOf(Outcome.Applied.class);
            Map<String, String> ours =
                contents(root).entrySet().stream()
                    .filter(e -> NodeFile.isOurs(e.getValue()))
                    .collect(Collectors.toMap(Map.Entry::getKey, Map.Entry::getValue));
            assertThat(ours)
                .as(at)
                .isEqualTo(
                    wanted.stream()
                        .collect(Collectors.toMap(f -> f.path().substring(1), NodeFile::content)));
          }
        }
      }
      assertThat(new HostFiles(new HostRoot(root)).restore(List.of(), Optional::empty))
          .as(at)
          .isInstanceOf(Outcome.Applied.class);
      assertThat(tree(root)).as(at).isEqualTo(before);
    }
  }

  private static List<NodeFile> all(String version) {
    return List.of(
        file(CA, NodeFile.Kind.TRUST, version),
        hosts(version),
        file(DROP_IN, NodeFile.Kind.DROP_IN, version));
  }

  private static NodeFile hosts(String version) {
    return file(HOSTS, NodeFile.Kind.HOSTS, version);
  }

  private static NodeFile file(String path, NodeFile.Kind kind, String version) {
    return new NodeFile(path, kind, NodeFile.MARKER + "\n# " + version + "\n");
  }

  private static void host(Path root) throws IOException {
    Files.createDirectories(at(root, CERTS + "/docker.io"));
    Files.createDirectories(at(root, "/etc/containers/registries.conf.d"));
    Files.createDirectories(at(root, "/var/lib"));
    Files.writeString(at(root, "/etc/containerd/config.toml"), "version = 3\n");
    Files.writeString(at(root, CERTS + "/docker.io/hosts.toml"), "server = \"https://x.example\"");
    Files.writeString(at(root, "/etc/containers/registries.conf.d/10-theirs.conf"), "# no end");
  }

  private static Path at(Path root, String path) {
    return root.resolve(path.substring(1));
  }

  private static Map<String, String> contents(Path root) throws IOException {
    return contents(tree(root));
  }

  private static Map<String, String> contents(Map<String, String> tree) {
    return tree.entrySet().stream()
        .filter(e -> e.getValue().startsWith("file "))
        .collect(Collectors.toMap(Map.Entry::getKey, e -> e.getValue().substring(15)));
  }

  /** Everything but our state: kinds, permissions and contents. */
  private static Map<String, String> tree(Path root) throws IOException {
    Map<String, String> tree = new TreeMap<>();
    try (Stream<Path> paths = Files.walk(root)) {
      for (Path path : paths.toList()) {
        String name = root.relativize(path).toString();
        if (name.startsWith("var/lib/mirror-operator")) {
          continue;
        }
        if (Files.isSymbolicLink(path)) {
          tree.put(name, "link " + Files.readSymbolicLink(path));
          continue;
        }
        String mode =
            PosixFilePermissions.toString(
                Files.getPosixFilePermissions(path, LinkOption.NOFOLLOW_LINKS));
        tree.put(
            name,
            Files.isDirectory(path)
                ? "dir " + mode
                : "file " + mode + " " + Files.readString(path));
      }
    }
    return tree;
  }
}
