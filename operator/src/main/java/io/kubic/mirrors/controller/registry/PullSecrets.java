package io.kubic.mirrors.controller.registry;

import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.LabelSelector;
import io.fabric8.kubernetes.api.model.Namespace;
import io.fabric8.kubernetes.api.model.ObjectMetaBuilder;
import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.api.model.SecretBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistrySpec;
import io.kubic.mirrors.controller.support.Applier;
import io.kubic.mirrors.controller.support.Labels;
import io.kubic.mirrors.controller.support.Secrets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * Keeps the pull user's Secret in the namespaces that are selected, under the name that it has in
 * the registry's own. A Secret is ours when its label says the registry's uid; any other of that
 * name is left alone and told of.
 */
final class PullSecrets {
  private static final String KIND = "mirror-registry-pull-secret";

  private final RegistryModel model;
  private final KubernetesClient client;
  private final Applier applier;

  PullSecrets(RegistryModel model, KubernetesClient client, Applier applier) {
    this.model = model;
    this.client = client;
    this.applier = applier;
  }

  /**
   * What came of it.
   *
   * @param namespaces how many hold the Secret now
   * @param refused where another Secret has the name, or where the operator has no rights
   */
  record Result(int namespaces, Set<String> refused) {}

  /**
   * @param credentials members of the Secret
   */
  Result keep(Map<String, String> credentials) {
    Set<String> wanted = selected();
    Set<String> refused = new TreeSet<>();
    Set<String> kept = new TreeSet<>();
    Map<String, Secret> ours = ours();
    String name = model.names().credentials(GeneratedUser.PULL);
    for (String namespace : wanted) {
      if (!model.settings().namespaces().isEmpty()
          && !model.settings().namespaces().contains(namespace)) {
        refused.add(namespace);
        continue;
      }
      Secret present = ours.get(namespace);
      if (present == null && client.secrets().inNamespace(namespace).withName(name).get() != null) {
        refused.add(namespace);
        continue;
      }
      Secret secret =
          new SecretBuilder()
              .withMetadata(
                  new ObjectMetaBuilder()
                      .withNamespace(namespace)
                      .withName(name)
                      .withLabels(labels())
                      .build())
              .withType(Credentials.SECRET_TYPE)
              .withData(Secrets.encoded(credentials))
              .build();
      if (present == null) {
        // Create-only: between the look and the write somebody else may have taken the name.
        client.resource(secret).create();
      } else {
        applier.apply(secret, Optional.of(present));
      }
      kept.add(namespace);
    }
    ours.forEach(
        (namespace, secret) -> {
          if (!wanted.contains(namespace)) {
            applier.delete(secret);
          }
        });
    return new Result(kept.size(), refused);
  }

  /** Removes all of them. */
  void remove() {
    ours().values().forEach(applier::delete);
  }

  private Map<String, String> labels() {
    Map<String, String> labels = new TreeMap<>();
    labels.put(Labels.MANAGED_BY, Labels.OPERATOR);
    labels.put(Labels.NAME, KIND);
    labels.put(Labels.OWNER, model.owner().getUid());
    return labels;
  }

  private Set<String> selected() {
    MirrorRegistrySpec.PullSecret pullSecret = model.spec().auth().pullSecret();
    LabelSelector selector = pullSecret == null ? null : pullSecret.namespaceSelector();
    if (selector == null) {
      return Set.of();
    }
    Set<String> names = new TreeSet<>();
    Stream<Namespace> namespaces =
        client.namespaces().withLabelSelector(selector).list().getItems().stream();
    namespaces
        .filter(namespace -> namespace.getMetadata().getDeletionTimestamp() == null)
        .map(HasMetadata::getMetadata)
        .map(meta -> Objects.requireNonNull(meta.getName()))
        .filter(name -> !name.equals(model.names().namespace()))
        .forEach(names::add);
    return names;
  }

  /** By namespace. */
  private Map<String, Secret> ours() {
    List<Secret> found = new ArrayList<>();
    Set<String> watched = model.settings().namespaces();
    if (watched.isEmpty()) {
      found.addAll(client.secrets().inAnyNamespace().withLabels(labels()).list().getItems());
    } else {
      watched.forEach(
          namespace ->
              found.addAll(
                  client.secrets().inNamespace(namespace).withLabels(labels()).list().getItems()));
    }
    Map<String, Secret> ours = new TreeMap<>();
    found.forEach(secret -> ours.put(secret.getMetadata().getNamespace(), secret));
    return ours;
  }
}
