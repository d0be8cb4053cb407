package io.kubic.mirrors.controller.registry;

import io.kubic.mirrors.api.v1alpha1.MirrorRegistry;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import io.kubic.mirrors.controller.support.Settings;
import java.util.List;
import java.util.Set;

/** Registries as tests write them. */
final class Models {
  private static final Settings SETTINGS =
      new Settings(
          "mirror-operator:1", "registry:3", "mirror-agents", "cluster.local", List.of(), Set.of());

  private Models() {}

  /** The registry {@code ns/mirror} of a spec in YAML's flow form. */
  static RegistryModel of(String spec) {
    MirrorRegistry registry =
        ResourceFile.read(
                """
                apiVersion: mirrors.kubic.io/v1alpha1
                kind: MirrorRegistry
                metadata: {name: mirror, namespace: ns, uid: u}
                spec: %s
                """
                    .formatted(spec),
                "test.yaml",
                MirrorRegistry.class)
            .getFirst();
    return RegistryModel.of(registry, SETTINGS);
  }
}
