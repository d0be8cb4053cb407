package io.kubic.mirrors.controller.registry;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLGenerator;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistrySpec;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The configuration of the distribution registry behind the gateway
 * (https://distribution.github.io/distribution/about/configuration/). It listens on loopback
 * without TLS and without authorisation: the gateway does both.
 */
final class DistributionConfig {
  private static final ObjectMapper YAML =
      new ObjectMapper(
          YAMLFactory.builder().disable(YAMLGenerator.Feature.WRITE_DOC_START_MARKER).build());

  private DistributionConfig() {}

  /**
   * Its files: the configuration, and the CA certificates of the bucket where there are some.
   *
   * @param httpSecret as for {@link #yaml}
   * @param s3Keys as for {@link #yaml}
   */
  static SortedMap<String, String> files(
      MirrorRegistrySpec spec,
      String httpSecret,
      @Nullable S3Keys s3Keys,
      Optional<String> s3Authorities) {
    SortedMap<String, String> files = new TreeMap<>();
    files.put("config.yml", yaml(spec, httpSecret, s3Keys));
    s3Authorities.ifPresent(pem -> files.put("s3-ca.crt", pem));
    return files;
  }

  /**
   * @param httpSecret signs the state of uploads; equal on all replicas
   * @param s3Keys the keys of an S3 service, null where it takes the pod's identity
   */
  private static String yaml(MirrorRegistrySpec spec, String httpSecret, @Nullable S3Keys s3Keys) {
    ObjectNode config = YAML.createObjectNode();
    config.put("version", "0.1");
    ObjectNode log = config.putObject("log");
    log.put("level", "warn");
    // The gateway writes one line for each decision; a second access log tells nothing more.
    log.putObject("accesslog").put("disabled", true);
    ObjectNode storage = config.putObject("storage");
    MirrorRegistrySpec.S3 s3 = spec.storage().s3();
    if (s3 == null) {
      storage.putObject("filesystem").put("rootdirectory", "/var/lib/registry");
    } else {
      ObjectNode driver = storage.putObject("s3");
      driver.put("bucket", s3.bucket());
      driver.put("region", s3.region());
      String endpoint = s3.endpoint();
      if (endpoint != null) {
        driver.put("regionendpoint", endpoint);
        driver.put("secure", endpoint.startsWith("https:"));
      }
      driver.put("forcepathstyle", s3.forcePathStyle());
      String root = s3.rootDirectory();
      if (root != null) {
        driver.put("rootdirectory", root);
      }
      if (s3Keys != null) {
        driver.put("accesskey", s3Keys.accessKey());
        driver.put("secretkey", s3Keys.secretKey());
      }
      // A redirect would send nodes to an address that only this cluster's pods can reach.
      storage.putObject("redirect").put("disable", true);
    }
    storage.putObject("delete").put("enabled", true);
    ObjectNode purge = storage.putObject("maintenance").putObject("uploadpurging");
    purge.put("enabled", true);
    purge.put("age", "168h");
    purge.put("interval", "24h");
    purge.put("dryrun", false);
    ObjectNode http = config.putObject("http");
    http.put("addr", "127.0.0.1:5001");
    http.put("relativeurls", true);
    http.put("draintimeout", "70s");
    http.put("secret", httpSecret);
    ObjectNode manifests = config.putObject("validation").putObject("manifests");
    // Without a pattern no URL is allowed, so no image with a layer that stays at its vendor.
    manifests.putObject("urls").putArray("allow").add("^https?://");
    if (spec.sparseIndexes()) {
      // "list" would panic on an entry without a platform (distribution#4804).
      manifests.putObject("indexes").put("platforms", "none");
    }
    ObjectNode health = config.putObject("health").putObject("storagedriver");
    health.put("enabled", true);
    health.put("interval", "10s");
    health.put("threshold", 3);
    try {
      return YAML.writeValueAsString(config);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Credentials of an S3 service. */
  record S3Keys(String accessKey, String secretKey) {
    @Override
    public String toString() {
      return "***";
    }
  }
}
