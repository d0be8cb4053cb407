package io.kubic.mirrors.node.agent;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.node.ImageName;
import io.kubic.mirrors.node.NodeConfig.Endpoint;
import io.kubic.mirrors.node.apply.HostRoot;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * What other programs do to the host is imitated as their manuals say; Debian's own program runs in
 * SystemStoreIT.
 */
class SystemStoreTest {
  private static final String OTHERS =
      "-----BEGIN CERTIFICATE-----\nother\n-----END CERTIFICATE-----\n";

  @TempDir private Path directory;
  private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();
  private final List<String> ran = new ArrayList<>();
  private boolean deaf;

  @AfterEach
  void end() {
    executor.close();
  }

  @ParameterizedTest
  @CsvSource({
    "opensuse-tumbleweed, opensuse suse, etc/pki/trust/anchors, var/lib/ca-certificates/ca-bundle.pem,"
        + " update-ca-certificates, update-ca-certificates",
    "rocky, rhel centos fedora, etc/pki/ca-trust/source/anchors,"
        + " etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem, update-ca-trust extract,"
        + " update-ca-trust extract",
    "ubuntu, debian, usr/local/share/ca-certificates, etc/ssl/certs/ca-certificates.crt,"
        + " update-ca-certificates, update-ca-certificates --fresh",
    "alpine, , usr/local/share/ca-certificates, etc/ssl/certs/ca-certificates.crt,"
        + " update-ca-certificates, update-ca-certificates"
  })
  void everyFamilyTakesUpAndLetsGoByItsOwnTool(
      String id, @Nullable String like, String anchors, String bundle, String add, String remove)
      throws Exception {
    lay(id, like, anchors, bundle);
    Agent agent = agent(anchors, bundle);
    configure(true, "");
    agent.round();
    assertThat(agent.state().ready()).as(agent.state().toJson()).isTrue();
    assertThat(ran).containsExactly(add);
    assertThat(Files.readString(host().resolve(bundle))).startsWith(OTHERS).contains("MII");
    agent.round();
    assertThat(ran).as("nothing changed").hasSize(1);

    configure(false, "");
    agent.round();
    assertThat(ran).containsExactly(add, remove);
    assertThat(Files.readString(host().resolve(bundle))).isEqualTo(OTHERS);

    configure(true, "");
    agent.round();
    configure(true, ", \"remove\": true");
    agent.round();
    assertThat(agent.state().reason()).isEqualTo(NodeReason.Removed);
    assertThat(Files.readString(host().resolve(bundle))).isEqualTo(OTHERS);
    assertThat(host().resolve(anchors)).isEmptyDirectory();
    agent.close();
  }

  @Test
  void aToolThatEndsWellWithoutDoingAnythingIsNotBelieved() throws Exception {
    String anchors = "etc/pki/trust/anchors";
    lay("sles", "suse", anchors, "var/lib/ca-certificates/ca-bundle.pem");
    Agent agent = agent(anchors, "var/lib/ca-certificates/ca-bundle.pem");
    deaf = true; // as in a transactional update
    configure(true, "");
    agent.round();
    assertThat(agent.state().reason()).isEqualTo(NodeReason.RolledBack);
    assertThat(agent.state().message()).contains("ended well, but").contains("ca-bundle.pem lacks");
    assertThat(host().resolve(anchors)).isEmptyDirectory();
    deaf = false;
    agent.round();
    assertThat(agent.state().ready()).isTrue();
    agent.close();
  }

  @Test
  void anUnknownSystemIsSaidAndNotGuessed() throws Exception {
    lay("flatcar", "coreos", "usr/local/share/ca-certificates", "etc/ssl/certs/x");
    Agent agent = agent("usr/local/share/ca-certificates", "etc/ssl/certs/x");
    configure(true, "");
    agent.round();
    assertThat(agent.state().reason()).isEqualTo(NodeReason.UnsupportedOS);
    assertThat(ran).isEmpty();
    agent.close();
  }

  private void lay(String id, @Nullable String like, String anchors, String bundle)
      throws IOException {
    put(
        "etc/os-release",
        "NAME=x\nID=\"" + id + "\"\n" + (like == null ? "" : "ID_LIKE=\"" + like + "\"\n"));
    put(
        "etc/containerd/config.toml",
        "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/etc/containerd/certs.d'\n");
    Files.createDirectories(host().resolve("etc/containerd/certs.d"));
    Files.createDirectories(host().resolve(anchors));
    put(bundle, OTHERS);
  }

  private void configure(boolean store, String more) throws IOException {
    String pem =
        new String(
                Objects.requireNonNull(
                        SystemStoreTest.class.getResourceAsStream("../render/ca.pem"))
                    .readAllBytes(),
                StandardCharsets.US_ASCII)
            .replace("\n", "\\n");
    Files.writeString(
        directory.resolve("nodeconfig.json"),
        """
        {"name": "d", "sources": [{"source": "quay.io", "endpoints": [{"location": "m.lan:5000/q"}]}],
         "authorities": {"m.lan:5000": "%s"}, "systemStore": %s%s}"""
            .formatted(pem, store, more));
  }

  private Agent agent(String anchors, String bundle) {
    return new Agent(
        "n",
        directory.resolve("nodeconfig.json"),
        directory.resolve("none"),
        directory.resolve("none"),
        new HostRoot(host()),
        line -> {
          ran.add(String.join(" ", line));
          if (!deaf) {
            StringBuilder all = new StringBuilder(OTHERS);
            try (Stream<Path> files = Files.list(host().resolve(anchors))) {
              for (Path file : files.sorted().toList()) {
                all.append(Files.readString(file));
              }
            }
            put(bundle, all.toString());
          }
          return new HostCommand.Result(0, "");
        },
        "",
        _ ->
            new Prober() {
              @Override
              public Sight look(Endpoint endpoint, @Nullable String authorities) {
                return new Sight.Good();
              }

              @Override
              public Sight resolve(
                  Endpoint endpoint,
                  @Nullable String authorities,
                  @Nullable ImageName image,
                  @Nullable Login login) {
                return new Sight.Good();
              }
            },
        executor,
        Clock.systemUTC(),
        _ -> {});
  }

  private Path host() {
    return directory.resolve("host");
  }

  private void put(String path, String content) throws IOException {
    Path file = host().resolve(path);
    Files.createDirectories(file.getParent());
    Files.writeString(file, content);
  }
}
