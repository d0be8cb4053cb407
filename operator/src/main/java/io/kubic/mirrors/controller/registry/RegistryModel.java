package io.kubic.mirrors.controller.registry;

import io.fabric8.kubernetes.api.model.OwnerReference;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistry;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistrySpec;
import io.kubic.mirrors.controller.support.Owner;
import io.kubic.mirrors.controller.support.Settings;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/**
 * One MirrorRegistry with everything that its objects are computed from.
 *
 * @param owner the reference that lets Kubernetes collect the objects with the custom resource
 */
public record RegistryModel(
    RegistryNames names, MirrorRegistrySpec spec, Settings settings, OwnerReference owner) {

  public static RegistryModel of(MirrorRegistry registry, Settings settings) {
    return new RegistryModel(
        new RegistryNames(registry.getMetadata().getNamespace(), registry.getMetadata().getName()),
        registry.getSpec(),
        settings,
        Owner.of(registry));
  }

  /** The image of the registry itself. */
  public String image() {
    String image = spec.image();
    return image == null ? settings.registryImage() : image;
  }

  /** Whether the content survives the pod, and may be mounted by one node only. */
  public boolean tiedToOneNode() {
    return spec.storage().onClaim()
        && spec.storage().claim().accessMode() != MirrorRegistrySpec.AccessMode.ReadWriteMany;
  }

  /** Whether a pod of ours that needs the content must run on a node of the registry. */
  public boolean besideTheRegistry() {
    return tiedToOneNode() || spec.storage().hostPath() != null;
  }

  /** Whether another pod can see the content at all. */
  public boolean contentCanBeShared() {
    return spec.storage().emptyDir() == null
        && !(spec.storage().onClaim()
            && spec.storage().claim().accessMode()
                == MirrorRegistrySpec.AccessMode.ReadWriteOncePod);
  }

  /** The claim that holds the content. */
  public String claimName() {
    String existing = spec.storage().claim().existingClaim();
    return existing == null ? names.main() : existing;
  }

  /**
   * Names and addresses for the certificate, in a stable order.
   *
   * @param hosts those by which somebody may come from outside
   */
  public List<String> subjectAlternativeNames(String clusterIp, List<String> hosts) {
    Set<String> names = new LinkedHashSet<>();
    String service = this.names.main();
    String namespace = this.names.namespace();
    Stream.of(
            service,
            service + "." + namespace,
            service + "." + namespace + ".svc",
            service + "." + namespace + ".svc." + settings.clusterDomain())
        .forEach(names::add);
    hosts.stream().sorted().forEach(names::add);
    names.add(clusterIp);
    spec.endpoint().extraNames().stream().sorted().forEach(names::add);
    return List.copyOf(names);
  }
}
