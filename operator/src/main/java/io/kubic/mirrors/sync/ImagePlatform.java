package io.kubic.mirrors.sync;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.ImageSource;
import io.kubic.mirrors.oci.Platform;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.io.IOException;
import java.io.InputStream;
import org.jspecify.annotations.Nullable;

/**
 * What a single image says it is for, in its configuration: OCI image specification, config.md, and
 * Docker's image specification alike.
 */
final class ImagePlatform {
  private static final int MAX_CONFIG = 8 << 20;
  private static final JsonMapper JSON = JsonMapper.builder().build();

  private ImagePlatform() {}

  /**
   * @param config of an image
   * @return null when the configuration names none
   */
  static @Nullable Platform read(ImageSource source, String repository, Descriptor config) {
    String object = source.name() + "/" + repository + "@" + config.digest();
    if (config.size() > MAX_CONFIG) {
      throw new RegistryException(
          Reason.TooLarge, object, "the configuration has " + config.size() + " bytes");
    }
    byte[] bytes;
    try (InputStream stream = source.blob(repository, config, 0)) {
      bytes = stream.readNBytes(MAX_CONFIG);
    } catch (IOException e) {
      throw new RegistryException(Reason.ConnectionFailed, object, "the configuration broke off");
    }
    if (!config.digest().same(bytes).equals(config.digest())) {
      throw new RegistryException(
          Reason.DigestMismatch, object, "the configuration is not what its digest promises");
    }
    JsonNode tree;
    try {
      tree = JSON.readTree(bytes);
    } catch (IOException e) {
      throw new RegistryException(Reason.MalformedResponse, object, "the configuration is no JSON");
    }
    String os = tree.path("os").asText();
    String architecture = tree.path("architecture").asText();
    if (os.isEmpty() || architecture.isEmpty()) {
      return null;
    }
    String variant = tree.path("variant").asText();
    return new Platform(os, architecture, variant.isEmpty() ? null : variant, null);
  }
}
