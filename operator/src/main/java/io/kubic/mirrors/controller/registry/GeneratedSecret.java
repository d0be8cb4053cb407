package io.kubic.mirrors.controller.registry;

import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.api.model.SecretBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.kubic.mirrors.controller.support.Secrets;
import java.util.HashMap;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A Secret whose content is random and must never be lost or made twice: it is read live, created
 * only where there is none, and changed only from the very version that was read. A conflict ends
 * the reconciliation, which starts again from what is there.
 */
final class GeneratedSecret {
  private static final Logger LOG = LoggerFactory.getLogger(GeneratedSecret.class);

  private GeneratedSecret() {}

  /**
   * Brings the content forward by one write at most.
   *
   * @param key the Secret without data
   * @param step what the members should be, given what they are; empty where there is no Secret
   * @return the members as they stand now
   */
  static Map<String, String> keep(
      KubernetesClient client, Secret key, UnaryOperator<Map<String, String>> step) {
    Secret live = client.resource(key).get();
    Map<String, String> present = members(live);
    Map<String, String> next = step.apply(Map.copyOf(present));
    if (live != null && next.equals(present)) {
      return next;
    }
    LOG.info(
        "{} Secret {}/{}",
        live == null ? "creating" : "changing",
        key.getMetadata().getNamespace(),
        key.getMetadata().getName());
    if (live == null) {
      client.resource(new SecretBuilder(key).withData(Secrets.encoded(next)).build()).create();
    } else {
      client.resource(new SecretBuilder(live).withData(Secrets.encoded(next)).build()).update();
    }
    return next;
  }

  private static Map<String, String> members(@org.jspecify.annotations.Nullable Secret secret) {
    Map<String, String> members = new HashMap<>();
    if (secret != null && secret.getData() != null) {
      secret.getData().keySet().forEach(key -> members.put(key, Secrets.text(secret, key)));
    }
    return members;
  }
}
