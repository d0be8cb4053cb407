package io.kubic.mirrors.node.agent;

import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.Runtime;
import io.kubic.mirrors.node.render.Containers;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/** A set of files that one or several runtimes of a node read. */
public sealed interface Target {
  /** For messages, as in {@code containerd}. */
  String name();

  /**
   * containerd's directories of registries; ours go into the first.
   *
   * @param directories as of {@code config_path}, absolute
   */
  record Registries(Runtime runtime, List<String> directories) implements Target {
    @Override
    public String name() {
      return runtimeName(runtime);
    }
  }

  /**
   * The containers library's directory.
   *
   * @param runtimes CRI-O, podman, or both
   * @param authFile CRI-O's {@code global_auth_file}, where it has one
   */
  record Library(List<Runtime> runtimes, String directory, Optional<String> authFile)
      implements Target {
    @Override
    public String name() {
      return runtimes.stream().map(Target::runtimeName).collect(Collectors.joining(","));
    }

    /** The place of our drop-in. */
    String dropIn() {
      return Containers.dropIn(directory);
    }
  }

  /**
   * A runtime that is there and cannot be configured as it is.
   *
   * @param message one line: what to add where
   * @param unknown its configuration cannot be read just now: what it reads is not known, so
   *     nothing of ours may be taken away from it
   */
  record Unconfigured(Runtime runtime, String message, boolean unknown) implements Target {
    Unconfigured(Runtime runtime, String message) {
      this(runtime, message, false);
    }

    @Override
    public String name() {
      return runtimeName(runtime);
    }
  }

  /** Whether a runtime is there that reads nothing of ours as it is known to be configured. */
  static boolean anyUnconfigured(List<Target> targets, Runtime runtime) {
    return targets.stream().anyMatch(target -> isUnconfigured(target, runtime));
  }

  /** Whether it is this one. */
  static boolean isUnconfigured(Target target, Runtime runtime) {
    return target instanceof Unconfigured missing
        && missing.runtime() == runtime
        && !missing.unknown();
  }

  /** Whether one of them sends credentials with each request to a registry, as containerd does. */
  static boolean anyDirect(List<Target> targets) {
    return targets.stream().anyMatch(Registries.class::isInstance);
  }

  /** The name its users use. */
  static String runtimeName(Runtime runtime) {
    return runtime.name().toLowerCase(java.util.Locale.ROOT);
  }
}
