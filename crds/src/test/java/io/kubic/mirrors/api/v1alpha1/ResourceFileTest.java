package io.kubic.mirrors.api.v1alpha1;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import io.fabric8.kubernetes.api.model.ObjectMeta;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Iterator;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ResourceFileTest {
  private static final ObjectMapper YAML = new ObjectMapper(new YAMLFactory());
  private static final String LIST =
      """
      apiVersion: mirrors.kubic.io/v1alpha1
      kind: MirrorList
      metadata: {name: kubic}
      spec:
        registryRef: {name: mirror}
        sources:
        - registry: registry.opensuse.org
          repositories: {include: ["^kubic"]}
      """;

  @Test
  void theHowTosListIsReadWithItsDefaults() {
    MirrorListSpec spec =
        ResourceFile.read(LIST, "list.yaml", MirrorList.class).getFirst().getSpec();
    assertThat(spec.layout()).isEqualTo(MirrorListSpec.Layout.Scoped);
    assertThat(spec.sources().getFirst().tags().select()).isEqualTo(MirrorListSpec.Select.All);
    assertThat(spec.sources().getFirst().includeReferrers()).isTrue();
    assertThat(spec.concurrency().images()).isEqualTo(32);
  }

  @Test
  void writtenAndReadAgainItIsTheSame() {
    MirrorList list = ResourceFile.read(LIST, "list.yaml", MirrorList.class).getFirst();
    assertThat(
            ResourceFile.read(ResourceFile.write(list), "again.yaml", MirrorList.class)
                .getFirst()
                .getSpec())
        .isEqualTo(list.getSpec());
  }

  @Test
  void documentsOfOtherKindsArePassedOver() {
    String two = LIST + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n";
    assertThat(ResourceFile.read(two, "list.yaml", MirrorList.class)).hasSize(1);
    assertThat(ResourceFile.read(two, "list.yaml", MirrorRegistry.class)).isEmpty();
  }

  @Test
  void anUnknownFieldIsNamedWithItsPath() {
    assertThatThrownBy(
            () ->
                ResourceFile.read(
                    LIST.replace("repositories:", "repositoriez:"), "list.yaml", MirrorList.class))
        .isInstanceOf(InvalidSpecException.class)
        .hasMessageStartingWith("list.yaml: spec.sources[0].repositoriez: no such field");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "layout: Round | l.yaml: spec.layout: expected one of Scoped, Flat",
        "retry: {limit: many} | l.yaml: spec.retry.limit: expected a whole number",
        "suspend: perhaps | l.yaml: spec.suspend: expected true or false",
        "blockedImages: a | l.yaml: spec.blockedImages: expected a list",
        "retry: {limit: 1, limit: 2} | l.yaml: document: 'limit' is there twice",
        "retry: often | l.yaml: spec.retry: expected fields",
      })
  void aValueOfAnotherTypeIsToldAsWhatIsExpectedThere(String line, String message) {
    assertThatThrownBy(
            () -> ResourceFile.read(LIST + "  " + line + "\n", "l.yaml", MirrorList.class))
        .isInstanceOf(InvalidSpecException.class)
        .hasMessage(message);
  }

  @Test
  void metadataIsReadAsTheServerDoes() {
    assertThat(metadata("{name: kubic}").getName()).isEqualTo("kubic");
    assertThat(metadata("{name: kubic, namespace: mirror}").getNamespace()).isEqualTo("mirror");
    ObjectMeta all =
        metadata(
            "{name: kubic, labels: {app: a}, annotations: {b: c}, generation: 3,"
                + " managedFields: [{manager: kubectl}]}");
    assertThat(all.getName()).isEqualTo("kubic");
    assertThat(all.getLabels()).containsExactly(Map.entry("app", "a"));
    assertThat(all.getAnnotations()).containsExactly(Map.entry("b", "c"));
    assertThat(all.getGeneration()).isEqualTo(3);
    assertThat(all.getManagedFields().getFirst().getManager()).isEqualTo("kubectl");
    assertThatThrownBy(() -> metadata("{name: {a: b}}"))
        .isInstanceOf(InvalidSpecException.class)
        .hasMessageStartingWith("l.yaml: metadata.name: ");
    assertThatThrownBy(() -> metadata("{nome: kubic}"))
        .isInstanceOf(InvalidSpecException.class)
        .hasMessage(
            "l.yaml: metadata.nome: no such field; known here: annotations, labels, name,"
                + " namespace");
    assertThatThrownBy(() -> metadata("kubic"))
        .isInstanceOf(InvalidSpecException.class)
        .hasMessageStartingWith("l.yaml: metadata: ");
  }

  private static ObjectMeta metadata(String text) {
    return ResourceFile.read(LIST.replace("{name: kubic}", text), "l.yaml", MirrorList.class)
        .getFirst()
        .getMetadata();
  }

  @Test
  void anotherVersionIsRefused() {
    assertThatThrownBy(
            () -> ResourceFile.read(LIST.replace("v1alpha1", "v2"), "l.yaml", MirrorList.class))
        .hasMessageContaining("apiVersion: 'mirrors.kubic.io/v2' is not known");
  }

  @Test
  void textThatIsNoYamlIsRefusedWithItsPlace() {
    assertThatThrownBy(() -> ResourceFile.read("a: [", "l.yaml", MirrorList.class))
        .isInstanceOf(InvalidSpecException.class)
        .hasMessageStartingWith("l.yaml:");
  }

  @Test
  void durationsAreReadAndWritten() {
    assertThat(GoDuration.parse("1h30m", "x")).isEqualTo(Duration.ofMinutes(90));
    assertThat(GoDuration.parse("0s", "x")).isZero();
    assertThat(GoDuration.format(Duration.ofMinutes(90))).isEqualTo("1h30m");
    assertThatThrownBy(() -> GoDuration.parse("1d", "spec.interval"))
        .hasMessage(
            "spec.interval: '1d' is no duration; write hours, minutes or seconds, as in 90m or 720h");
    assertThatThrownBy(() -> GoDuration.parse("", "x")).isInstanceOf(InvalidSpecException.class);
    assertThatThrownBy(() -> GoDuration.parse("99999999999999h", "x"))
        .isInstanceOf(InvalidSpecException.class);
  }

  /** A file means the same with and without a cluster: the server's defaults are the records'. */
  @Test
  void theDefaultsOfTheSchemaAreThoseOfTheRecords() throws IOException {
    JsonNode list =
        YAML.readTree(
            ResourceFile.write(ResourceFile.read(LIST, "list.yaml", MirrorList.class).getFirst()));
    check("mirrorlists", list.get("spec"));
    JsonNode registry = YAML.readTree(ResourceFile.write(MirrorRegistrySpec.defaults()));
    check("mirrorregistries", registry);
    JsonNode config =
        YAML.readTree(
            ResourceFile.write(
                ResourceFile.read(
                        """
                        apiVersion: mirrors.kubic.io/v1alpha1
                        kind: NodeRegistryConfig
                        metadata: {name: mirror}
                        spec: {registryRef: {name: mirror, namespace: ns}}
                        """,
                        "nrc.yaml",
                        NodeRegistryConfig.class)
                    .getFirst()));
    check("noderegistryconfigs", config.get("spec"));
  }

  private static void check(String plural, JsonNode value) throws IOException {
    JsonNode crd = YAML.readTree(Path.of("..", "crds", plural + ".yaml").toFile());
    compare("spec", crd.at("/spec/versions/0/schema/openAPIV3Schema/properties/spec"), value);
  }

  private static void compare(String path, JsonNode schema, JsonNode value) {
    if (schema.has("default") && value != null) {
      assertThat(value.asText()).as(path).isEqualTo(schema.get("default").asText());
    }
    if (value != null && value.isArray() && !value.isEmpty() && schema.has("items")) {
      compare(path + "[0]", schema.get("items"), value.get(0));
    }
    Iterator<Map.Entry<String, JsonNode>> properties =
        schema.path("properties").properties().iterator();
    while (value != null && value.isObject() && properties.hasNext()) {
      Map.Entry<String, JsonNode> property = properties.next();
      if (property.getValue().has("default")) {
        assertThat(value.has(property.getKey())).as(path + "." + property.getKey()).isTrue();
      }
      compare(path + "." + property.getKey(), property.getValue(), value.get(property.getKey()));
    }
  }
}
