package io.kubic.mirrors.controller.registry;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import java.io.IOException;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DistributionConfigTest {
  private static final ObjectMapper YAML = new ObjectMapper(new YAMLFactory());

  /** What the registry of a spec is told to refuse of manifests. */
  private static JsonNode manifests(String spec) throws IOException {
    return YAML.readTree(
            DistributionConfig.files(Models.of(spec).spec(), "secret", null, Optional.empty())
                .get("config.yml"))
        .at("/validation/manifests");
  }

  @ParameterizedTest
  @ValueSource(strings = {"{}", "{sparseIndexes: false}"})
  void aManifestMayNameLayersThatStayAtTheirVendor(String spec) throws IOException {
    assertThat(manifests(spec).at("/urls/allow"))
        .extracting(JsonNode::asText)
        .containsExactly("^https?://");
  }

  @Test
  void anIndexMayLackChildrenUnlessTheSpecForbidsIt() throws IOException {
    assertThat(manifests("{}").at("/indexes/platforms").asText()).isEqualTo("none");
    assertThat(manifests("{sparseIndexes: false}").has("indexes")).isFalse();
  }
}
