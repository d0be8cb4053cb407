package io.kubic.mirrors.sync;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * What the target tells of manifests that are attached to others. Where it has the referrers API it
 * sees to that itself; where not, the tag {@code sha256-<hex>} with an index of them is kept for it
 * (OCI distribution specification 1.1, "Referrers Tag Schema"). Safe for threads.
 */
final class Attachments {
  private static final JsonMapper JSON = JsonMapper.builder().build();

  private static final int MAX_HEX = 64;

  private final ImageStore target;
  private final Map<List<Object>, ReentrantLock> locks = new ConcurrentHashMap<>();

  /** Fallback tags, {@code repository:tag}, that something selected needs. */
  private final Map<String, Digest> kept = new ConcurrentHashMap<>();

  private final Map<String, Ledger.Tagged> found = new ConcurrentHashMap<>();
  private final Map<String, Ledger.Tagged> written = new ConcurrentHashMap<>();
  private volatile @Nullable Boolean api;

  Attachments(ImageStore target) {
    this.target = target;
  }

  /**
   * The tag of the index of what is attached to a subject: of a digest at most 64 characters (OCI
   * distribution specification 1.1, "Referrers Tag Schema"), since a tag has no room for a sha512.
   */
  static String tag(Digest subject) {
    String hex = subject.hex();
    return subject.algorithm().id() + "-" + hex.substring(0, Math.min(hex.length(), MAX_HEX));
  }

  /** Fallback tags that were needed so far, with the subject of each. */
  Map<String, Digest> kept() {
    return Map.copyOf(kept);
  }

  /** Fallback tags that were needed and there, each once. */
  List<Ledger.Tagged> found() {
    return List.copyOf(found.values());
  }

  /** Fallback tags that were written, each once. */
  List<Ledger.Tagged> written() {
    return List.copyOf(written.values());
  }

  /** Whether somebody who asks for what is attached to the subject is told of this one. */
  boolean isListed(String place, Digest subject, Digest referrer) {
    if (!Boolean.FALSE.equals(api)) {
      Optional<List<Descriptor>> told = target.referrers(place, subject);
      api = told.isPresent();
      if (told.isPresent()) {
        return told.get().stream().anyMatch(d -> d.digest().equals(referrer));
      }
    }
    kept.put(place + ":" + tag(subject), subject);
    Manifest index = index(place, subject).orElse(null);
    if (index == null) {
      return false;
    }
    found.put(place + ":" + tag(subject), tagged(place, subject, index));
    return index.children().stream().anyMatch(d -> d.digest().equals(referrer));
  }

  /** After a manifest with a subject was stored: makes sure that it is found from there. */
  void attach(String place, Manifest referrer) {
    Descriptor subject = referrer.subject().orElse(null);
    if (subject == null || isListed(place, subject.digest(), referrer.digest())) {
      return;
    }
    if (Boolean.TRUE.equals(api)) {
      throw new RegistryException(
          Reason.TargetRejected,
          target.name() + "/" + place + "@" + referrer.digest(),
          "the target took it, but does not list it as attached to " + subject.digest());
    }
    ReentrantLock lock =
        locks.computeIfAbsent(List.of(place, subject.digest()), any -> new ReentrantLock());
    lock.lock();
    try {
      Optional<Manifest> old = index(place, subject.digest());
      Manifest wanted = with(old.orElse(null), referrer);
      if (old.isEmpty() || !old.get().equals(wanted)) {
        target.putManifest(place, wanted, tag(subject.digest()));
        written.put(place + ":" + tag(subject.digest()), tagged(place, subject.digest(), wanted));
      }
    } finally {
      lock.unlock();
    }
  }

  private static Ledger.Tagged tagged(String place, Digest subject, Manifest index) {
    return new Ledger.Tagged(
        place, tag(subject), index.digest(), place + "@" + subject, index.size(), false);
  }

  private Optional<Manifest> index(String place, Digest subject) {
    return target.findManifest(place, tag(subject)).filter(Manifest::isIndex);
  }

  /** An index with one more entry; the others stay as they are, whatever they hold. */
  static Manifest with(@Nullable Manifest index, Manifest referrer) {
    try {
      ObjectNode root;
      if (index != null && JSON.readTree(index.bytes()) instanceof ObjectNode old) {
        root = old;
      } else {
        root = JSON.createObjectNode().put("schemaVersion", 2);
        root.put("mediaType", MediaTypes.OCI_INDEX);
      }
      ArrayNode list = root.withArray("manifests");
      for (JsonNode entry : list) {
        if (entry.path("digest").asText().equals(referrer.digest().toString())) {
          return index == null ? referrer : index;
        }
      }
      ObjectNode entry =
          list.addObject()
              .put("mediaType", referrer.mediaType())
              .put("digest", referrer.digest().toString())
              .put("size", referrer.size());
      String type = referrer.content().artifactType();
      if (type == null && referrer.content() instanceof Manifest.Image image) {
        type = image.config().mediaType();
      }
      if (type != null) {
        entry.put("artifactType", type);
      }
      if (JSON.readTree(referrer.bytes()).path("annotations") instanceof ObjectNode annotations) {
        entry.set("annotations", annotations);
      }
      return Manifest.parse(
          JSON.writeValueAsBytes(root), MediaTypes.OCI_INDEX, "index of what is attached");
    } catch (IOException e) {
      throw new IllegalStateException("a manifest that was parsed is no JSON", e);
    }
  }
}
