package io.kubic.mirrors.node;

import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.Runtime;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * A directory of the host that an agent's pod needs, mounted at {@code <host-root><path>}.
 *
 * <p>Single directories and never {@code /etc}: an agent that can write {@code /etc} is root of the
 * host. What configures a runtime itself (config.toml, policy.json, registries.conf) lies in
 * directories that are mounted read-only; only the drop-in directories below them can be written.
 * The kubelet makes missing ones; an agent therefore never takes the existence of a directory for
 * the existence of a runtime, but looks for what the runtime's package puts into it, and at the
 * file system that it runs on itself.
 *
 * @param path absolute, on the host
 * @param readOnly whether it is only looked at
 * @param reason one sentence for the documentation
 */
public record HostMount(String path, boolean readOnly, String reason) {
  /** The type of the volume: always made when it is missing. */
  public static final String TYPE = "DirectoryOrCreate";

  /** Where the agent keeps its journal. */
  public static final String STATE = "/var/lib/mirror-operator";

  /** Where CRI-O and podman look for logins. */
  public static final String LOGINS = "/run/containers/0";

  /** All of a node. */
  public static final String ROOT = "/";

  /**
   * The mounts for the runtimes of a cluster, parents before children; the order is stable.
   *
   * @param runtimes those of the NodeRegistryConfig; for {@code Auto} those found at the nodes by
   *     {@link Runtimes#of}, without any of those containerd and the containers library
   */
  public static List<HostMount> of(Collection<Runtime> runtimes) {
    return of(runtimes, false);
  }

  /**
   * @param credentials whether logins are written too
   */
  public static List<HostMount> of(Collection<Runtime> runtimes, boolean credentials) {
    return of(runtimes, credentials, false);
  }

  /**
   * @param whole whether programs of the host are run
   */
  public static List<HostMount> of(
      Collection<Runtime> runtimes, boolean credentials, boolean whole) {
    if (whole) {
      return List.of(
          new HostMount(ROOT, false, "the host's own programs need all that they need at home"));
    }
    Set<Runtime> wanted = new TreeSet<>(runtimes);
    if (wanted.remove(Runtime.Auto) || wanted.isEmpty()) {
      wanted.add(Runtime.CONTAINERD);
      wanted.add(Runtime.PODMAN);
    }
    List<HostMount> mounts = new ArrayList<>();
    mounts.add(new HostMount(STATE, false, "the journal, by which every change can be taken back"));
    for (Runtime runtime : wanted) {
      switch (runtime) {
        case CONTAINERD -> {
          add(mounts, "/etc/containerd", true, "config.toml: where containerd looks for hosts");
          add(mounts, "/etc/containerd/certs.d", false, "hosts.toml and CA of each registry");
        }
        case CRIO, PODMAN -> {
          add(mounts, "/etc/containers", true, "registries.conf: the whole must stay valid");
          add(mounts, "/etc/containers/registries.conf.d", false, "one drop-in");
          add(mounts, "/etc/containers/certs.d", false, "CA of each registry");
          if (runtime == Runtime.CRIO) {
            add(mounts, "/etc/crio", true, "whether CRI-O reads a changed configuration by itself");
          }
          if (credentials) {
            add(mounts, LOGINS, false, "auth.json: our entries beside those of others");
          }
        }
        case K3S -> rancher(mounts, "k3s");
        case RKE2 -> rancher(mounts, "rke2");
        case DOCKER ->
            add(mounts, "/etc/docker/certs.d", false, "hosts.toml and CA of each registry");
        case Auto -> {}
      }
    }
    return List.copyOf(mounts);
  }

  private static void rancher(List<HostMount> mounts, String name) {
    String directory = "/var/lib/rancher/" + name + "/agent/etc/containerd";
    add(mounts, directory, true, name + "'s config.toml: where containerd looks for hosts");
    add(mounts, directory + "/certs.d", false, "hosts.toml and CA of each registry");
  }

  private static void add(List<HostMount> mounts, String path, boolean readOnly, String reason) {
    if (mounts.stream().noneMatch(mount -> mount.path().equals(path))) {
      mounts.add(new HostMount(path, readOnly, reason));
    }
  }
}
