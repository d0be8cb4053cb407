package io.kubic.mirrors.sync;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.oci.RegistryException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import org.jspecify.annotations.Nullable;

/**
 * The digests that good runs of a list left in the target, for {@code spec.lock}. The same digests
 * make the same artifact, so that a run that changes nothing writes nothing. Each part of a run
 * leaves its own; whichever finds those of all the others leaves an index of them, which is the
 * same whoever writes it.
 */
final class Locks {
  static final String REPOSITORY = "mirror-operator/locks";
  static final String TYPE = "application/vnd.kubic.mirrors.lock.v1+json";

  /** Annotation of a part's lock: the run that it belongs to. */
  private static final String RUN = "io.kubic.mirrors.run";

  private static final JsonMapper JSON = JsonMapper.builder().build();

  private final ImageStore target;
  private final String list;
  private final Shard shard;
  private final @Nullable String run;

  /**
   * @param run what the parts of one run have in common; null when that is not known, and then the
   *     parts are never put together
   */
  Locks(ImageStore target, String list, Shard shard, @Nullable String run) {
    this.target = target;
    this.list = list;
    this.shard = shard;
    this.run = run;
  }

  /**
   * Leaves a lock.
   *
   * @param digests by the image's reference at the source
   * @return what names it, by digest; null when the lock of the whole run is not complete yet
   * @throws RegistryException when it cannot be written
   */
  @Nullable String save(SortedMap<String, Digest> digests) {
    Map<String, String> annotations = shard.isWhole() || run == null ? Map.of() : Map.of(RUN, run);
    Artifacts.Artifact own = new Artifacts.Artifact(REPOSITORY, TYPE, json(digests), annotations);
    String tag = Ledgers.tag(list, shard);
    Optional<Digest> there = target.resolve(REPOSITORY, tag).map(d -> d.digest());
    if (!there.equals(Optional.of(own.manifest().digest()))) {
      Artifacts.write(target, own, tag);
    }
    if (shard.isWhole()) {
      return name(own.manifest());
    }
    return parts(own.manifest()).map(this::index).orElse(null);
  }

  private String name(Manifest manifest) {
    return target.name() + "/" + REPOSITORY + "@" + manifest.digest();
  }

  private static byte[] json(SortedMap<String, Digest> digests) {
    ObjectNode root = JSON.createObjectNode().put("version", 1);
    ArrayNode images = root.putArray("images");
    digests.forEach(
        (source, digest) ->
            images.addObject().put("source", source).put("digest", digest.toString()));
    return bytes(root);
  }

  /** The locks of all parts of this run; empty when one of them has left none. */
  private Optional<List<Manifest>> parts(Manifest own) {
    if (run == null) {
      return Optional.empty();
    }
    List<Manifest> all = new ArrayList<>();
    for (int i = 0; i < shard.count(); i++) {
      Optional<Manifest> part =
          i == shard.index() ? Optional.of(own) : part(new Shard(i, shard.count()), run);
      if (part.isEmpty()) {
        return Optional.empty();
      }
      all.add(part.get());
    }
    return Optional.of(all);
  }

  private Optional<Manifest> part(Shard other, String wanted) {
    return target
        .findManifest(REPOSITORY, Ledgers.tag(list, other))
        .filter(manifest -> isOf(manifest, wanted));
  }

  private static boolean isOf(Manifest manifest, String wanted) {
    try {
      JsonNode root = JSON.readTree(manifest.bytes());
      return root.path("annotations").path(RUN).asText().equals(wanted);
    } catch (IOException e) {
      return false;
    }
  }

  private String index(List<Manifest> parts) {
    ObjectNode root = JSON.createObjectNode().put("schemaVersion", 2);
    root.put("mediaType", MediaTypes.OCI_INDEX).put("artifactType", TYPE);
    ArrayNode manifests = root.putArray("manifests");
    parts.forEach(part -> Artifacts.describe(manifests.addObject(), part.descriptor()));
    Manifest index = Manifest.parse(bytes(root), MediaTypes.OCI_INDEX, REPOSITORY);
    target.putManifest(REPOSITORY, index, Ledgers.tag(list, Shard.whole()));
    return name(index);
  }

  private static byte[] bytes(ObjectNode root) {
    try {
      return JSON.writeValueAsBytes(root);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
