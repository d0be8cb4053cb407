package io.kubic.mirrors.api.v1alpha1;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLGenerator;
import io.fabric8.crd.generator.annotation.AdditionalPrinterColumn;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The committed CustomResourceDefinitions are those that the classes generate. {@code make
 * manifests} runs this with {@code -Dmanifests.update=true}, which writes them instead.
 */
class ManifestsTest {
  private static final Path ROOT = Path.of("..").toAbsolutePath().normalize();
  private static final ObjectMapper YAML =
      new ObjectMapper(
          YAMLFactory.builder()
              .enable(YAMLGenerator.Feature.MINIMIZE_QUOTES)
              .enable(YAMLGenerator.Feature.INDENT_ARRAYS_WITH_INDICATOR)
              .disable(YAMLGenerator.Feature.WRITE_DOC_START_MARKER)
              .disable(YAMLGenerator.Feature.SPLIT_LINES)
              .build());
  private static final String HEADER =
      "# Generated from crds/src/main/java by 'make manifests'; do not edit.\n";

  @ParameterizedTest
  @ValueSource(classes = {MirrorRegistry.class, MirrorList.class, NodeRegistryConfig.class})
  void everyCopyOfACrdIsInStepWithItsClass(Class<?> kind) throws IOException {
    ObjectNode crd = generated(kind);
    String plain = HEADER + YAML.writeValueAsString(crd);
    ObjectNode kept = crd.deepCopy();
    ObjectNode metadata = (ObjectNode) kept.get("metadata");
    metadata.putObject("annotations").put("helm.sh/resource-policy", "keep");
    String templated =
        "{{- if .Values.crds.install }}\n"
            + HEADER
            + YAML.writeValueAsString(kept)
            + "{{- end }}\n";
    String file = crd.at("/spec/names/plural").asText() + ".yaml";
    Map<String, String> copies =
        Map.of(
            "crds/" + file, plain,
            "config/crd/" + file, plain,
            "helm/mirror-operator/templates/crds/" + file, templated);
    for (Map.Entry<String, String> copy : copies.entrySet()) {
      Path path = ROOT.resolve(copy.getKey());
      if (Boolean.getBoolean("manifests.update")) {
        Files.createDirectories(path.getParent());
        Files.writeString(path, copy.getValue());
      }
      assertThat(path).as("run 'make manifests'").content().isEqualTo(copy.getValue());
    }
  }

  /** The generator sorts printer columns by path; people read them in the order we wrote them. */
  private static ObjectNode generated(Class<?> kind) throws IOException {
    String plural = kind.getSimpleName().toLowerCase(java.util.Locale.ROOT);
    plural = plural.endsWith("y") ? plural.substring(0, plural.length() - 1) + "ies" : plural + "s";
    ObjectNode crd =
        (ObjectNode)
            YAML.readTree(
                ROOT.resolve("crds/target/classes/META-INF/fabric8")
                    .resolve(plural + "." + Api.GROUP + "-v1.yml")
                    .toFile());
    ObjectNode version = (ObjectNode) crd.at("/spec/versions/0");
    JsonNode sorted = version.get("additionalPrinterColumns");
    ArrayNode ours = version.putArray("additionalPrinterColumns");
    for (AdditionalPrinterColumn column :
        kind.getAnnotationsByType(AdditionalPrinterColumn.class)) {
      for (JsonNode candidate : sorted) {
        if (candidate.path("name").asText().equals(column.name())) {
          ours.add(candidate);
        }
      }
    }
    assertThat(ours.size()).isEqualTo(sorted.size());
    return crd;
  }
}
