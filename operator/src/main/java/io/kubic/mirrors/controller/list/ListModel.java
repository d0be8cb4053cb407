package io.kubic.mirrors.controller.list;

import io.fabric8.kubernetes.api.model.OwnerReference;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.controller.support.Owner;
import io.kubic.mirrors.controller.support.Settings;

/**
 * One MirrorList with its target, resolved.
 *
 * @param target {@code host:port} of the registry; empty when a bundle is written
 * @param pushSecret name of a dockerconfigjson Secret that may push to it
 * @param trustConfigMap name of a ConfigMap with its CA bundle, {@code ca.crt}
 * @param approved hash of the plan that may be carried out; empty when none was approved
 */
record ListModel(
    String namespace,
    String name,
    MirrorListSpec spec,
    Settings settings,
    OwnerReference owner,
    String target,
    String pushSecret,
    String trustConfigMap,
    String approved) {
  /** Longest name of a MirrorList: its Jobs' names must fit into 63 characters. */
  static final int MAX_NAME = 40;

  static ListModel of(MirrorList list, Settings settings, Target target) {
    return new ListModel(
        list.getMetadata().getNamespace(),
        list.getMetadata().getName(),
        list.getSpec(),
        settings,
        Owner.of(list),
        target.authority(),
        target.pushSecret(),
        target.trustConfigMap(),
        ListResources.approved(list));
  }

  /** ConfigMap with list.yaml. */
  String configMap() {
    return name + "-list";
  }
}
