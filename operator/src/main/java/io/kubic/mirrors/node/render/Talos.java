package io.kubic.mirrors.node.render;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLGenerator;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.Pull;
import io.kubic.mirrors.node.Certificates;
import io.kubic.mirrors.node.Location;
import io.kubic.mirrors.node.NodeConfig;
import io.kubic.mirrors.node.NodeConfig.Endpoint;
import io.kubic.mirrors.node.NodeConfig.Source;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Documents for Talos 1.12 or newer, whose host nobody writes to: {@code RegistryMirrorConfig} and
 * {@code RegistryTLSConfig} of its machine configuration, for {@code talosctl patch mc
 * --patch @FILE}.
 */
public final class Talos {
  /** Where the patch lies in a preview. */
  public static final String FILE = "/talos/mirror-operator.yaml";

  private static final YAMLMapper YAML =
      YAMLMapper.builder()
          .enable(YAMLGenerator.Feature.LITERAL_BLOCK_STYLE)
          .enable(YAMLGenerator.Feature.MINIMIZE_QUOTES)
          .enable(YAMLGenerator.Feature.ALWAYS_QUOTE_NUMBERS_AS_STRINGS)
          .build();

  private Talos() {}

  /** One file; what Talos cannot be told is a note. */
  public static Rendering render(NodeConfig config) {
    List<Note> notes = new ArrayList<>();
    StringBuilder text = new StringBuilder("# ").append(NodeFile.marker(config)).append('\n');
    Map<String, Boolean> insecure = new TreeMap<>();
    for (Source source : config.sources()) {
      if (!source.isRegistry()) {
        notes.add(
            new Note(
                source.source(),
                source.never(),
                "Talos knows whole registries only, not " + source.source()));
        continue;
      }
      ObjectNode mirror = document("RegistryMirrorConfig", source.source());
      for (Endpoint endpoint : source.endpoints()) {
        if (endpoint.pull() != Pull.All) {
          notes.add(
              new Note(
                  source.source(),
                  false,
                  "Talos cannot use " + endpoint.location() + " for some references; left out"));
          continue;
        }
        insecure.merge(endpoint.location().registry(), endpoint.insecure(), Boolean::logicalOr);
        ObjectNode written = mirror.withArray("endpoints").addObject();
        written.put("url", endpoint.location().url("https"));
        if (!endpoint.location().path().isEmpty()) {
          written.put("overridePath", true);
        }
      }
      if (source.never()) {
        mirror.put("skipFallback", true);
      }
      if (mirror.has("endpoints") || source.never()) {
        text.append(yaml(mirror));
      }
    }
    for (String blocked : config.blocked()) {
      if (Location.isRegistry(blocked)) {
        ObjectNode mirror = document("RegistryMirrorConfig", blocked);
        mirror.putArray("endpoints");
        text.append(yaml(mirror.put("skipFallback", true)));
      } else {
        notes.add(new Note(blocked, true, "Talos can block whole registries only, not " + blocked));
      }
    }
    config
        .authorities()
        .forEach(
            (registry, pem) -> {
              insecure.remove(registry);
              text.append(
                  yaml(
                      document("RegistryTLSConfig", registry)
                          .put("ca", Certificates.canonical(pem))));
            });
    insecure.forEach(
        (registry, skip) -> {
          if (skip) {
            text.append(
                yaml(document("RegistryTLSConfig", registry).put("insecureSkipVerify", true)));
          }
        });
    return new Rendering(List.of(new NodeFile(FILE, NodeFile.Kind.PATCH, text.toString())), notes);
  }

  private static ObjectNode document(String kind, String name) {
    return YAML.createObjectNode()
        .put("apiVersion", "v1alpha1")
        .put("kind", kind)
        .put("name", name);
  }

  private static String yaml(ObjectNode document) {
    try {
      return YAML.writeValueAsString(document);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
