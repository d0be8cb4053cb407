package io.kubic.mirrors.cli;

import io.fabric8.kubernetes.client.Config;
import io.fabric8.kubernetes.client.ConfigBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.dsl.Resource;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The flags that say which cluster and namespace is meant, as kubectl has them. */
final class ClusterOptions {
  @Option(
      names = "--kubeconfig",
      paramLabel = "FILE",
      description = "Default: KUBECONFIG, then ~/.kube/config.")
  private @Nullable Path kubeconfig;

  @Option(names = "--context", paramLabel = "NAME", description = "Default: the current one.")
  private @Nullable String context;

  @Option(
      names = {"-n", "--namespace"},
      paramLabel = "NAME",
      description = "Default: the context's.")
  private @Nullable String namespace;

  /** Runs a question against the cluster, and tells of a failure in one line. */
  <T> T ask(Function<KubernetesClient, T> question) {
    Config config =
        kubeconfig == null
            ? Config.autoConfigure(context)
            : Config.fromKubeconfig(context, existing(kubeconfig));
    if (namespace != null) {
      config = new ConfigBuilder(config).withNamespace(namespace).build();
    }
    try (KubernetesClient client = new KubernetesClientBuilder().withConfig(config).build()) {
      return question.apply(client);
    } catch (KubernetesClientException e) {
      boolean refused = e.getCode() >= 400 && e.getCode() < 500;
      throw new CommandException(
          refused ? ExitCode.FAILED : ExitCode.UNAVAILABLE,
          refused && e.getStatus() != null
              ? String.valueOf(e.getStatus().getMessage())
              : "the cluster cannot be asked: " + e.getMessage());
    }
  }

  /** One MirrorList of the namespace. */
  static Resource<MirrorList> list(KubernetesClient client, String name) {
    Resource<MirrorList> resource =
        client.resources(MirrorList.class).inNamespace(namespace(client)).withName(name);
    if (resource.get() == null) {
      throw new CommandException(
          ExitCode.FAILED, "no MirrorList " + name + " in namespace " + namespace(client));
    }
    return resource;
  }

  static String namespace(KubernetesClient client) {
    String namespace = client.getNamespace();
    return namespace == null || namespace.isEmpty() ? "default" : namespace;
  }

  private static File existing(Path file) {
    if (!Files.isReadable(file)) {
      throw new CommandException(ExitCode.USAGE, file + ": cannot be read");
    }
    return file.toFile();
  }
}
