package io.kubic.mirrors.controller.nodeconfig;

import io.kubic.mirrors.api.v1alpha1.LocalRef;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.api.v1alpha1.MirrorListStatus;
import io.kubic.mirrors.api.v1alpha1.ObjectRef;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Which sources a registry stands in for: those of the lists that fill it and were copied once. A
 * list that never succeeded is not offered to nodes.
 */
final class MirrorSources {
  private MirrorSources() {}

  /**
   * Source host to location in the mirror, sorted by host.
   *
   * @param authority {@code host:port} of the registry
   */
  static Map<String, String> of(
      ObjectRef registry, String authority, Collection<MirrorList> lists) {
    Map<String, String> locations = new TreeMap<>();
    for (MirrorList list : lists) {
      LocalRef target = list.getSpec().registryRef();
      MirrorListStatus status = list.getStatus();
      if (target == null
          || !target.name().equals(registry.name())
          || !list.getMetadata().getNamespace().equals(registry.namespace())
          || status == null
          || status.lastSuccessfulTime() == null) {
        continue;
      }
      for (String source : registries(list.getSpec(), status)) {
        locations.putIfAbsent(
            source,
            list.getSpec().layout() == MirrorListSpec.Layout.Flat
                ? authority
                : authority + "/" + source.replace(':', '_'));
      }
    }
    return locations;
  }

  /** What was exported is in no registry of ours; what was imported is told by the bundle. */
  private static List<String> registries(MirrorListSpec spec, MirrorListStatus status) {
    if (spec.exportTo() != null) {
      return List.of();
    }
    return spec.importFrom() != null
        ? status.sources().stream().map(MirrorListStatus.Source::registry).toList()
        : spec.sources().stream().map(MirrorListSpec.Source::registry).toList();
  }
}
