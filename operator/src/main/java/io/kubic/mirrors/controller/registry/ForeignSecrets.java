package io.kubic.mirrors.controller.registry;

import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.KeyRef;
import io.kubic.mirrors.api.v1alpha1.LocalRef;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistrySpec;
import io.kubic.mirrors.controller.support.Secrets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Secrets that administrators made and a registry's spec names, and the CA of its bucket. They are
 * read, never written.
 */
final class ForeignSecrets {
  private final RegistryModel model;
  private final KubernetesClient client;

  ForeignSecrets(RegistryModel model, KubernetesClient client) {
    this.model = model;
    this.client = client;
  }

  /**
   * By user, what the gateway compares a password with.
   *
   * @param generated those of the operator's own users
   * @throws InvalidSpecException when a name is taken, or a Secret or its key is missing
   */
  Map<String, List<String>> passwords(Map<String, List<String>> generated) {
    Map<String, List<String>> passwords = new TreeMap<>(generated);
    int index = 0;
    for (MirrorRegistrySpec.User user : model.spec().auth().users()) {
      KeyRef ref = user.passwordSecretRef();
      String path = "spec.auth.users[" + index++ + "]";
      if (passwords.containsKey(user.name())) {
        throw new InvalidSpecException(
            path + ".name", "'" + user.name() + "' is there already; choose another name");
      }
      Secret secret = secret(ref.name());
      String password = secret == null ? "" : Secrets.text(secret, ref.keyOr("password"));
      if (password.isBlank()) {
        throw new InvalidSpecException(
            path + ".passwordSecretRef",
            "Secret "
                + ref.name()
                + " has no key "
                + ref.keyOr("password")
                + "; create it with a password, a bcrypt hash or an htpasswd -nB line");
      }
      passwords.put(user.name(), List.of(password.strip()));
    }
    return passwords;
  }

  /**
   * The keys to the bucket; null where there is none, or where the machine's own identity is used.
   *
   * @throws InvalidSpecException when the Secret or one of its keys is missing
   */
  DistributionConfig.@Nullable S3Keys s3Keys() {
    MirrorRegistrySpec.S3 s3 = model.spec().storage().s3();
    LocalRef ref = s3 == null ? null : s3.credentialsSecretRef();
    if (ref == null) {
      return null;
    }
    Secret secret = secret(ref.name());
    String access = secret == null ? "" : Secrets.text(secret, "accessKey");
    String key = secret == null ? "" : Secrets.text(secret, "secretKey");
    if (access.isEmpty() || key.isEmpty()) {
      throw new InvalidSpecException(
          "spec.storage.s3.credentialsSecretRef",
          "Secret " + ref.name() + " needs the keys accessKey and secretKey");
    }
    return new DistributionConfig.S3Keys(access.strip(), key.strip());
  }

  /**
   * What else the registry trusts at its bucket; empty where the system's certificates do.
   *
   * @throws InvalidSpecException when the ConfigMap or its certificates are missing
   */
  Optional<String> s3Authorities() {
    MirrorRegistrySpec.S3 s3 = model.spec().storage().s3();
    KeyRef ref = s3 == null ? null : s3.caBundleRef();
    return Optional.ofNullable(ref)
        .map(
            ca ->
                ForeignAuthorities.read(model, client, ca, "spec.storage.s3.caBundleRef").toPem());
  }

  private @Nullable Secret secret(String name) {
    return client.secrets().inNamespace(model.names().namespace()).withName(name).get();
  }
}
