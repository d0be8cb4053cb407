package io.kubic.mirrors.node.agent;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.Runtime;
import io.kubic.mirrors.node.apply.HostRoot;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DetectionTest {
  private static final String CONTAINERD = "/etc/containerd/config.toml";
  private static final List<String> CERTS = List.of("/etc/containerd/certs.d");

  @Test
  void anEmptyHostHasNoRuntime(@TempDir Path root) throws IOException {
    // what the kubelet makes for the mounts tells nothing
    Files.createDirectories(root.resolve("etc/containerd/certs.d"));
    Files.createDirectories(root.resolve("etc/containers/registries.conf.d"));
    assertThat(detect(root, "")).isEmpty();
  }

  @Test
  void containerdNamesItsDirectoryOfRegistries(@TempDir Path root) throws IOException {
    Files.createDirectories(root.resolve("etc/containerd/certs.d"));
    for (String plugin : List.of("io.containerd.cri.v1.images", "io.containerd.grpc.v1.cri")) {
      write(
          root,
          CONTAINERD,
          """
          version = 3
          [plugins."%s".registry]
          config_path = "/etc/containerd/certs.d"
          """
              .formatted(plugin));
      assertThat(detect(root, ""))
          .containsExactly(new Target.Registries(Runtime.CONTAINERD, CERTS));
    }
  }

  @Test
  void containerdNamesItInAnImportedFile(@TempDir Path root) throws IOException {
    Files.createDirectories(root.resolve("etc/containerd/certs.d"));
    write(root, CONTAINERD, "version = 2\nimports = [\"conf.d/*.toml\"]\n");
    write(
        root,
        "/etc/containerd/conf.d/certs.toml",
        "[plugins.\"io.containerd.grpc.v1.cri\".registry]\n"
            + "config_path = \"/etc/containerd/certs.d:/etc/docker/certs.d\"\n");
    assertThat(detect(root, ""))
        .containsExactly(
            new Target.Registries(
                Runtime.CONTAINERD, List.of("/etc/containerd/certs.d", "/etc/docker/certs.d")));
  }

  @Test
  void containerdWithoutOneNeedsItsAdministrator(@TempDir Path root) throws IOException {
    write(root, CONTAINERD, "version = 3\n");
    assertThat(detect(root, ""))
        .singleElement()
        .isInstanceOfSatisfying(
            Target.Unconfigured.class,
            missing ->
                assertThat(missing.message())
                    .contains("io.containerd.cri.v1.images", "config_path", "restart containerd"));
    write(root, CONTAINERD, "version = [broken\n");
    assertThat(detect(root, "")).singleElement().isInstanceOf(Target.Unconfigured.class);
  }

  @Test
  void podmanIsKnownByWhatItsPackageBrings(@TempDir Path root) throws IOException {
    write(root, "/etc/containers/policy.json", "{}");
    assertThat(detect(root, ""))
        .containsExactly(
            new Target.Library(List.of(Runtime.PODMAN), "/etc/containers", Optional.empty()));
  }

  @Test
  void crioMustLookForChangesItself(@TempDir Path root) throws IOException {
    String own = "36 35 0:40 / / rw - overlay overlay rw,upperdir=/var/lib/containers/storage/x";
    assertThat(detect(root, own))
        .satisfiesExactly(
            missing -> assertThat(missing).isInstanceOf(Target.Unconfigured.class),
            library ->
                assertThat(library)
                    .isEqualTo(
                        new Target.Library(
                            List.of(Runtime.CRIO), "/etc/containers", Optional.empty())));
    write(root, "/etc/crio/crio.conf.d/9.conf", "[crio.image]\nauto_reload_registries = true\n");
    assertThat(detect(root, own))
        .containsExactly(
            new Target.Library(List.of(Runtime.CRIO), "/etc/containers", Optional.empty()));
  }

  /** Packages of CRI-O bring no crio.conf any more, and an agent's own image may lie elsewhere. */
  @Test
  void crioIsKnownByItsDropIns(@TempDir Path root) throws IOException {
    Files.createDirectories(root.resolve("etc/crio/crio.conf.d"));
    write(root, "/etc/containers/policy.json", "{}");
    assertThat(detect(root, ""))
        .containsExactly(
            new Target.Library(List.of(Runtime.PODMAN), "/etc/containers", Optional.empty()));
    write(
        root,
        "/etc/crio/crio.conf.d/10-crio.conf",
        "[crio.image]\nauto_reload_registries = true\n");
    assertThat(detect(root, ""))
        .containsExactly(
            new Target.Library(List.of(Runtime.CRIO), "/etc/containers", Optional.empty()));
  }

  @Test
  void k3sKeepsItsOwnContainerd(@TempDir Path root) throws IOException {
    String directory = "/var/lib/rancher/k3s/agent/etc/containerd";
    Files.createDirectories(root.resolve(directory.substring(1) + "/certs.d"));
    write(
        root,
        directory + "/config.toml",
        "version = 3\n[plugins.\"io.containerd.cri.v1.images\".registry]\nconfig_path = \""
            + directory
            + "/certs.d\"\n");
    assertThat(detect(root, ""))
        .containsExactly(new Target.Registries(Runtime.K3S, List.of(directory + "/certs.d")));
  }

  private static List<Target> detect(Path root, String mountinfo) {
    return Detection.detect(new HostRoot(root), List.of(Runtime.Auto), mountinfo);
  }

  private static void write(Path root, String path, String text) throws IOException {
    Path file = root.resolve(path.substring(1));
    Files.createDirectories(file.getParent());
    Files.writeString(file, text);
  }
}
