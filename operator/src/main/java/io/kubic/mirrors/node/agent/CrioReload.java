package io.kubic.mirrors.node.agent;

import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.Runtime;
import io.kubic.mirrors.node.NodeConfig;
import io.kubic.mirrors.node.apply.HostRoot;
import io.kubic.mirrors.node.apply.Journal;
import io.kubic.mirrors.node.render.NodeFile;
import java.io.IOException;
import java.util.List;
import java.util.Optional;

/**
 * Tells a CRI-O that looks for no changes itself of a new drop-in, where programs of the host may
 * be run: its unit sends it SIGHUP (crio(8); ExecReload in contrib/systemd/crio.service). It is not
 * restarted.
 */
final class CrioReload {
  private CrioReload() {}

  /** Whether a node has such a CRI-O, and it may be told. */
  static boolean isAllowed(HostRoot host, NodeConfig config, List<Target> targets) {
    return Target.anyUnconfigured(targets, Runtime.CRIO)
        && RuntimeSetup.mayAskServices(host, config);
  }

  /** The targets of a node whose CRI-O is told. */
  static List<Target> told(List<Target> targets) {
    return targets.stream().filter(target -> !Target.isUnconfigured(target, Runtime.CRIO)).toList();
  }

  /**
   * Whether our drop-in is about to change, or may have been changed by an agent that did not live
   * to tell of it.
   *
   * @param wanted files to come; none when everything is taken back
   */
  static boolean isDue(HostRoot host, Journal journal, List<Target> targets, List<NodeFile> wanted)
      throws IOException {
    for (Target target : targets) {
      if (target instanceof Target.Library library) {
        String path = library.dropIn();
        Optional<String> content =
            wanted.stream()
                .filter(file -> file.path().equals(path))
                .map(NodeFile::content)
                .findFirst();
        if (journal.intended().contains(path)
            || !host.read(path).equals(content)
            || content.isEmpty() && journal.files().containsKey(path)) {
          return true;
        }
      }
    }
    return false;
  }

  /**
   * Tells it. One that does not run needs no telling.
   *
   * @return a problem, or nothing
   */
  static Optional<String> tell(HostCommand command) throws IOException, InterruptedException {
    if (command.run(List.of("systemctl", "is-active", "crio")).code() != 0) {
      return Optional.empty();
    }
    HostCommand.Result reload = command.run(List.of("systemctl", "reload", "crio"));
    return reload.code() == 0
        ? Optional.empty()
        : Optional.of("CRI-O does not take up its new registries: " + reload.lastLine());
  }
}
