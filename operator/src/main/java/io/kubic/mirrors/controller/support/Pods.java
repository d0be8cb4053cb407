package io.kubic.mirrors.controller.support;

import io.fabric8.kubernetes.api.model.EmptyDirVolumeSourceBuilder;
import io.fabric8.kubernetes.api.model.LocalObjectReference;
import io.fabric8.kubernetes.api.model.PodSecurityContext;
import io.fabric8.kubernetes.api.model.PodSecurityContextBuilder;
import io.fabric8.kubernetes.api.model.Quantity;
import io.fabric8.kubernetes.api.model.ResourceRequirements;
import io.fabric8.kubernetes.api.model.ResourceRequirementsBuilder;
import io.fabric8.kubernetes.api.model.SecurityContext;
import io.fabric8.kubernetes.api.model.SecurityContextBuilder;
import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.api.model.VolumeBuilder;
import io.fabric8.kubernetes.api.model.VolumeMount;
import io.fabric8.kubernetes.api.model.VolumeMountBuilder;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The parts that all pods of ours share: command, hardening, scratch space. */
public final class Pods {
  /** The unprivileged user of our image; the registry's volume belongs to its group. */
  public static final long USER = 65532L;

  private Pods() {}

  /**
   * The command of a role; its JVM flags are a file in the image, {@code /app/<role>.jvm}, and so
   * are its jars: all of them, but for the agent, which has a file of its own
   * (hack/image/build.sh).
   */
  public static List<String> command(String role) {
    return List.of(
        "/opt/java/bin/java",
        "@/app/" + role + ".jvm",
        "-cp",
        "@/app/" + (role.equals("agent") ? role : "jib") + "-classpath-file",
        "io.kubic.mirrors.Main");
  }

  /** Meets the restricted Pod Security Standard. */
  public static PodSecurityContext restricted() {
    return new PodSecurityContextBuilder()
        .withRunAsNonRoot(true)
        .withRunAsUser(USER)
        .withRunAsGroup(USER)
        .withFsGroup(USER)
        .withFsGroupChangePolicy("OnRootMismatch")
        .withNewSeccompProfile()
        .withType("RuntimeDefault")
        .endSeccompProfile()
        .build();
  }

  /** No privileges, no capabilities, and a root file system that cannot be written. */
  public static SecurityContext locked() {
    return new SecurityContextBuilder()
        .withAllowPrivilegeEscalation(false)
        .withReadOnlyRootFilesystem(true)
        .withNewCapabilities()
        .addToDrop("ALL")
        .endCapabilities()
        .build();
  }

  /** A requested amount, and a hard limit of memory; no CPU limit: it only makes things slow. */
  public static ResourceRequirements resources(String cpu, String memory, String memoryLimit) {
    return new ResourceRequirementsBuilder()
        .withRequests(Map.of("cpu", new Quantity(cpu), "memory", new Quantity(memory)))
        .withLimits(Map.of("memory", new Quantity(memoryLimit)))
        .build();
  }

  /** What the user asks for, else ours. */
  public static ResourceRequirements resources(
      @Nullable ResourceRequirements wanted, ResourceRequirements ours) {
    return wanted == null ? ours : wanted;
  }

  public static Volume scratch(String name, String limit) {
    return new VolumeBuilder()
        .withName(name)
        .withEmptyDir(new EmptyDirVolumeSourceBuilder().withSizeLimit(new Quantity(limit)).build())
        .build();
  }

  public static Volume secret(String name, String secret) {
    return new VolumeBuilder()
        .withName(name)
        .withNewSecret()
        .withSecretName(secret)
        .endSecret()
        .build();
  }

  public static Volume configMap(String name, String configMap) {
    return new VolumeBuilder()
        .withName(name)
        .withNewConfigMap()
        .withName(configMap)
        .endConfigMap()
        .build();
  }

  public static VolumeMount readOnly(String volume, String path) {
    return new VolumeMountBuilder().withName(volume).withMountPath(path).withReadOnly(true).build();
  }

  public static VolumeMount writable(String volume, String path) {
    return new VolumeMountBuilder().withName(volume).withMountPath(path).build();
  }

  /** References to Secrets that pull images, without repetition. */
  public static List<LocalObjectReference> pullSecrets(Stream<String> names) {
    return names.distinct().sorted().map(LocalObjectReference::new).toList();
  }
}
