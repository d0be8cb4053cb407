package io.kubic.mirrors.controller.list;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.bundle.ReceiptStore;
import io.kubic.mirrors.bundle.RefusedException;
import io.kubic.mirrors.controller.support.Applier;
import io.kubic.mirrors.controller.support.ConfigMaps;
import io.kubic.mirrors.controller.support.MirrorStores;
import io.kubic.mirrors.controller.support.Secrets;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.sync.Termination;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Copies the receipt of an import out of its registry, once for each Job. */
final class ReceiptKeeper {
  private static final Logger LOG = LoggerFactory.getLogger(ReceiptKeeper.class);

  private final MirrorStores stores;

  ReceiptKeeper(MirrorStores stores) {
    this.stores = stores;
  }

  /**
   * @param job that ended
   * @param told what it told
   * @param there the ConfigMap as it is
   * @return false when the registry did not answer, and it is worth trying again
   */
  boolean keep(
      MirrorList list,
      String job,
      Optional<Termination> told,
      Target.Resolution target,
      Optional<ConfigMap> there,
      KubernetesClient client,
      Applier applier) {
    Optional<String> series =
        told.map(Termination::bundle).map(Termination.Bundle::ref).flatMap(ReceiptStore::series);
    if (list.getSpec().importFrom() == null
        || series.isEmpty()
        || there.filter(map -> ReceiptConfigMap.isOf(map, job)).isPresent()) {
      return true;
    }
    if (!(target instanceof Target.Resolved(Target registry))) {
      return false;
    }
    try {
      Optional<ReceiptStore.Kept> receipt =
          new ReceiptStore(open(list.getMetadata().getNamespace(), registry, client))
              .find(series.get());
      receipt.ifPresent(
          kept ->
              applier.apply(
                  ReceiptConfigMap.of(list, job, series.get(), registry.authority(), kept), there));
      return receipt.isPresent();
    } catch (RegistryException | RefusedException e) {
      LOG.warn(
          "the receipt of {} cannot be fetched: {}", list.getMetadata().getName(), e.getMessage());
      return false;
    }
  }

  private ImageStore open(String namespace, Target registry, KubernetesClient client) {
    Secret push = client.secrets().inNamespace(namespace).withName(registry.pushSecret()).get();
    ConfigMap trust =
        client.configMaps().inNamespace(namespace).withName(registry.trustConfigMap()).get();
    return stores.open(
        registry.authority(),
        ConfigMaps.text(trust, "ca.crt"),
        push == null ? "" : Secrets.text(push, ".dockerconfigjson"));
  }
}
