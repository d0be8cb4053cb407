package io.kubic.mirrors.api.v1alpha1;

import io.fabric8.crdv2.generator.v1.SchemaCustomizer;
import io.fabric8.kubernetes.api.model.apiextensions.v1.JSONSchemaProps;
import io.fabric8.kubernetes.client.utils.KubernetesSerialization;
import java.util.List;
import java.util.Map;

/**
 * Gives every list of objects of our schemas its map keys, which the generator has no annotation
 * for. Lists of Kubernetes' own types stay as they are.
 */
public final class SchemaLists implements SchemaCustomizer.Customizer {
  private static final Map<String, List<String>> KEYS =
      Map.of(
          "conditions", List.of("type"),
          "sources", List.of("registry", "name"),
          "users", List.of("name"),
          "mirrors", List.of("source"),
          "endpoints", List.of("location"),
          "additionalCAs", List.of("host"),
          "certificates", List.of("sha256"),
          "caHashes", List.of("sha256"),
          "failures", List.of("image"),
          "failingNodes", List.of("name"));

  @Override
  public JSONSchemaProps apply(
      JSONSchemaProps schema, String input, KubernetesSerialization serialization) {
    walk(schema);
    return schema;
  }

  private static void walk(JSONSchemaProps schema) {
    if (schema.getProperties() == null) {
      return;
    }
    schema
        .getProperties()
        .forEach(
            (name, property) -> {
              if (property.getItems() != null && property.getItems().getSchema() != null) {
                JSONSchemaProps item = property.getItems().getSchema();
                List<String> keys = KEYS.get(name);
                if (keys != null && "object".equals(item.getType())) {
                  property.setXKubernetesListType("map");
                  property.setXKubernetesListMapKeys(keys);
                }
                walk(item);
              }
              walk(property);
            });
  }
}
