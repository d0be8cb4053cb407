package io.kubic.mirrors.sync;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.list.SelectedImage;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.Reference;
import io.kubic.mirrors.oci.Shown;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.yaml.snakeyaml.LoaderOptions;

/**
 * The digests of a plan or of a report, to be copied again exactly. Both are JSON with {@code
 * images}, of which {@code source} and {@code digest} count; what travels with images (marked
 * {@code referrer}) is not locked, but found at the source as always.
 */
public final class Lock {
  /** Of characters; a report of 100,000 images has some 40 million. */
  private static final int MAX_TEXT = 64 << 20;

  private static final ObjectMapper YAML =
      new ObjectMapper(YAMLFactory.builder().loaderOptions(options()).build());

  private final Map<Reference, Digest> images;

  private static LoaderOptions options() {
    LoaderOptions options = new LoaderOptions();
    options.setCodePointLimit(MAX_TEXT);
    return options;
  }

  private Lock(Map<Reference, Digest> images) {
    this.images = images;
  }

  /**
   * @param text JSON or YAML
   * @param file what it is called in messages
   * @throws InvalidSpecException when it is no plan and no report, or knows no digest of an image
   */
  public static Lock parse(String text, String file) {
    JsonNode root;
    try {
      root = YAML.readTree(text);
    } catch (JsonProcessingException e) {
      throw new InvalidSpecException(file, "is neither JSON nor YAML");
    }
    if (root == null || !root.path("images").isArray()) {
      throw new InvalidSpecException(
          file, "has no images: make it with kubectl mirror plan -o json, or take a report");
    }
    Map<Reference, Digest> images = new LinkedHashMap<>();
    for (JsonNode image : root.path("images")) {
      String action = image.path("action").asText();
      String result = image.path("result").asText();
      if (image.path("referrer").asBoolean() || action.equals("Prune") || result.equals("Pruned")) {
        continue;
      }
      String source = image.path("source").asText();
      Reference reference = reference(source, file);
      Digest digest =
          Digest.tryParse(image.path("digest").asText())
              .orElseThrow(
                  () ->
                      new InvalidSpecException(
                          file,
                          Shown.of(source)
                              + " has no digest: that plan was not complete; make it again"));
      String tag = reference.tag();
      images.put(new Reference(reference.repository(), tag, tag == null ? digest : null), digest);
    }
    return new Lock(images);
  }

  /** The images of both; where they differ, those of the other. */
  public Lock and(Lock other) {
    Map<Reference, Digest> all = new LinkedHashMap<>(images);
    all.putAll(other.images);
    return new Lock(all);
  }

  private static Reference reference(String source, String file) {
    int slash = source.indexOf('/');
    try {
      if (slash > 0) {
        return Reference.parse(source.substring(0, slash), source.substring(slash + 1));
      }
    } catch (IllegalArgumentException e) {
      // Told below.
    }
    throw new InvalidSpecException(file, "'" + Shown.of(source) + "' is no image");
  }

  /**
   * What the list means under this lock: every image of it, and nothing else.
   *
   * @return with a problem for each image whose registry is no source of the list
   */
  public Selection select(MirrorListSpec spec) {
    Map<String, MirrorListSpec.Source> sources = new TreeMap<>();
    spec.sources().forEach(source -> sources.putIfAbsent(source.registry(), source));
    List<SelectedImage> selected = new ArrayList<>();
    List<Selection.Problem> problems = new ArrayList<>();
    Map<String, Integer> counts = new TreeMap<>();
    images.forEach(
        (reference, digest) -> {
          String registry = reference.repository().registry();
          MirrorListSpec.Source source = sources.get(registry);
          if (source == null) {
            problems.add(
                new Selection.Problem(
                    reference.toString(),
                    Reason.NotFound,
                    "is in the lock, but " + registry + " is no source of the list"));
            return;
          }
          counts.merge(registry, 1, Integer::sum);
          selected.add(
              new SelectedImage(source.name(), reference.repository(), reference.tag(), digest));
        });
    selected.sort(null);
    problems.sort(null);
    return new Selection(
        selected,
        sources.values().stream()
            .map(
                source -> {
                  int count = counts.getOrDefault(source.registry(), 0);
                  return new Selection.SourceCount(
                      source.registry(), source.name(), 0, 0, count, count);
                })
            .toList(),
        problems,
        problems.isEmpty());
  }
}
