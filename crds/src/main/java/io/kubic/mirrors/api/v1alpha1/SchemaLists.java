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
      Map.ofEntries(
          Map.entry("conditions", List.of("type")),
          Map.entry("sources", List.of("registry", "name")),
          Map.entry("users", List.of("name")),
          Map.entry("mirrors", List.of("source")),
          Map.entry("endpoints", List.of("location")),
          Map.entry("additionalCAs", List.of("host")),
          Map.entry("certificates", List.of("sha256")),
          Map.entry("caHashes", List.of("sha256")),
          Map.entry("failures", List.of("image")),
          Map.entry("shards", List.of("index")),
          Map.entry("history", List.of("job")),
          Map.entry("failingNodes", List.of("name")),
          Map.entry("previous", List.of("url")));

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
