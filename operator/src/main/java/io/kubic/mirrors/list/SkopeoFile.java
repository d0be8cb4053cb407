package io.kubic.mirrors.list;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.cfg.CoercionAction;
import com.fasterxml.jackson.databind.cfg.CoercionInputShape;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLGenerator;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.oci.Repository;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * The YAML that {@code skopeo sync --src yaml} reads and mirror-registry writes: skopeo-sync(1),
 * "YAML file content". Tags are text: {@code 1.10} is read as such and always written in quotes.
 */
public final class SkopeoFile {
  private static final ObjectMapper YAML =
      new ObjectMapper(
              YAMLFactory.builder()
                  .disable(YAMLGenerator.Feature.WRITE_DOC_START_MARKER)
                  .disable(YAMLGenerator.Feature.SPLIT_LINES)
                  .build())
          .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);

  static {
    // "repository:" with nothing behind it means every tag.
    YAML.coercionConfigDefaults()
        .setCoercion(CoercionInputShape.EmptyString, CoercionAction.AsNull);
  }

  private SkopeoFile() {}

  /** What the file says of one registry. */
  private record Entry(
      @Nullable Map<String, @Nullable List<String>> images,
      @JsonProperty("images-by-tag-regex") @Nullable Map<String, String> byRegex,
      @JsonProperty("images-by-semver") @Nullable Map<String, String> bySemver,
      @Nullable Map<String, String> credentials,
      @JsonProperty("tls-verify") @Nullable Boolean tlsVerify,
      @JsonProperty("cert-dir") @Nullable String certDir) {}

  /**
   * A MirrorList made of a file.
   *
   * @param yaml ready for {@code kubectl apply}
   * @param notes what a person has to know: what was left out, and what to do instead
   */
  public record Converted(String yaml, List<String> notes) {
    public Converted {
      notes = List.copyOf(notes);
    }
  }

  /**
   * @param text of the file
   * @param file its name, for messages
   * @param name of the MirrorList
   * @param registry of the MirrorRegistry that it fills
   * @throws InvalidSpecException when it is no such file
   */
  public static Converted convert(String text, String file, String name, String registry) {
    Map<String, @Nullable Entry> entries = read(text, file);
    ObjectNode root = YAML.createObjectNode();
    root.put("apiVersion", "mirrors.kubic.io/v1alpha1").put("kind", "MirrorList");
    root.putObject("metadata").put("name", name);
    ObjectNode spec = root.putObject("spec");
    spec.putObject("registryRef").put("name", registry);
    ArrayNode sources = spec.putArray("sources");
    List<String> notes = new ArrayList<>();
    new TreeMap<>(entries)
        .forEach(
            (host, entry) -> {
              if (!Repository.isRegistry(host)) {
                throw new InvalidSpecException(file + ": " + host, "is no registry, host[:port]");
              }
              if (entry == null) {
                notes.add(host + ": names no images and was left out");
              } else {
                convert(host, entry, sources, notes);
              }
            });
    if (sources.isEmpty()) {
      throw new InvalidSpecException(file, "names no images");
    }
    return new Converted(write(root), notes);
  }

  private static void convert(String host, Entry entry, ArrayNode sources, List<String> notes) {
    Set<String> images = new TreeSet<>();
    if (entry.images() != null) {
      entry
          .images()
          .forEach(
              (repository, tags) -> {
                if (tags == null || tags.isEmpty()) {
                  images.add(repository);
                } else {
                  tags.forEach(
                      tag -> images.add(repository + (tag.indexOf(':') >= 0 ? "@" : ":") + tag));
                }
              });
    }
    int before = sources.size();
    if (!images.isEmpty()) {
      source(host, "default", images, entry, sources);
    }
    rules(entry.byRegex())
        .forEach(
            (regex, repositories) ->
                source(host, "regex-" + (sources.size() - before), repositories, entry, sources)
                    .putObject("tags")
                    .putArray("include")
                    .add(regex));
    rules(entry.bySemver())
        .forEach(
            (range, repositories) ->
                source(host, "semver-" + (sources.size() - before), repositories, entry, sources)
                    .putObject("tags")
                    .put("semver", range));
    if (entry.credentials() != null) {
      notes.add(
          host
              + ": credentials are not copied; in a cluster name a Secret in credentialsSecretRef,"
              + " on the command line use --authfile");
    }
    if (entry.certDir() != null) {
      notes.add(
          host
              + ": cert-dir is not copied; in a cluster name a ConfigMap in tls.caBundleRef, on the"
              + " command line use --source-ca");
    }
  }

  /** Repositories by their common rule, so that each rule becomes one source. */
  private static Map<String, Set<String>> rules(@Nullable Map<String, String> byRepository) {
    Map<String, Set<String>> byRule = new TreeMap<>();
    if (byRepository != null) {
      byRepository.forEach(
          (repository, rule) ->
              byRule.computeIfAbsent(rule, any -> new TreeSet<>()).add(repository));
    }
    return byRule;
  }

  private static ObjectNode source(
      String host, String name, Collection<String> images, Entry entry, ArrayNode sources) {
    ObjectNode source = sources.addObject().put("registry", host);
    if (!name.equals("default")) {
      source.put("name", name);
    }
    ArrayNode list = source.putArray("images");
    images.forEach(list::add);
    if (Boolean.FALSE.equals(entry.tlsVerify())) {
      source.putObject("tls").put("insecureSkipVerify", true);
    }
    return source;
  }

  /**
   * The selected images as a file for skopeo. A tag that is pinned to a digest stands with its tag:
   * skopeo takes one or the other.
   *
   * @param withoutTls registries that skopeo is to reach without verification
   */
  public static String of(List<SelectedImage> images, Set<String> withoutTls) {
    Map<String, Map<String, Set<String>>> hosts = new TreeMap<>();
    for (SelectedImage image : images) {
      hosts
          .computeIfAbsent(image.registry(), any -> new TreeMap<>())
          .computeIfAbsent(image.repository().path(), any -> new LinkedHashSet<>())
          .add(image.tag() != null ? image.tag() : String.valueOf(image.digest()));
    }
    ObjectNode root = YAML.createObjectNode();
    hosts.forEach(
        (host, repositories) -> {
          ObjectNode entry = root.putObject(host);
          entry.put("tls-verify", !withoutTls.contains(host));
          ObjectNode list = entry.putObject("images");
          repositories.forEach(
              (name, tags) -> {
                ArrayNode values = list.putArray(name);
                tags.forEach(values::add);
              });
        });
    return write(root);
  }

  private static Map<String, @Nullable Entry> read(String text, String file) {
    try {
      Map<String, @Nullable Entry> entries =
          YAML.readValue(text, new TypeReference<LinkedHashMap<String, @Nullable Entry>>() {});
      if (entries == null || entries.isEmpty()) {
        throw new InvalidSpecException(file, "is empty");
      }
      return entries;
    } catch (JsonProcessingException e) {
      String message = e.getOriginalMessage();
      int end = message.indexOf('\n');
      throw new InvalidSpecException(
          file
              + (e.getLocation() == null
                  ? ""
                  : ":" + e.getLocation().getLineNr() + ":" + e.getLocation().getColumnNr()),
          "is no file for skopeo sync --src yaml: "
              + (end < 0 ? message : message.substring(0, end)));
    }
  }

  private static String write(ObjectNode root) {
    try {
      return YAML.writeValueAsString(root);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
