package io.kubic.mirrors.sync;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.BlobVerifier;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.Listing;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.stream.Stream;

/** A registry in memory that insists, as a real one does, on everything below a manifest. */
final class MemoryStore implements ImageStore {
  final Map<String, byte[]> blobs = new ConcurrentHashMap<>();
  final Map<String, Manifest> manifests = new ConcurrentHashMap<>();
  final List<String> log = Collections.synchronizedList(new ArrayList<>());
  boolean insistsOnChildren = true;
  boolean metered;

  /** What answers with a broken connection, as the log calls it. */
  final Set<String> broken = ConcurrentHashMap.newKeySet();

  boolean hasReferrersApi;
  boolean mounts = true;

  /** Repositories that the login may not read. */
  final Set<String> closed = ConcurrentHashMap.newKeySet();

  boolean deletesTags = true;

  /** What the referrers API tells of every manifest besides. */
  final List<Descriptor> attachedToAll = new ArrayList<>();

  /** Whether it says of every tag that is to be deleted that there is none. */
  boolean deniesTags;

  /** Whether a manifest goes with the last tag that named it, whatever else does; as in zot. */
  boolean forgetsUntagged;

  /** Entries of the log at which a request fails, the first time. */
  final Set<String> failsOnce = ConcurrentHashMap.newKeySet();

  /** Told about every request, before it is answered. */
  Consumer<String> onRequest = question -> {};

  /** Blobs that are not taken, each with its repository. */
  final Set<String> refused = ConcurrentHashMap.newKeySet();

  /** Manifests that are not taken, whatever is below them. */
  Predicate<Manifest> refuses = manifest -> false;

  /** Places of manifests at whose writing the program dies. */
  Predicate<String> dies = key -> false;

  /** The end of the program, as far as a test can have it. */
  static final class Died extends Error {
    private static final long serialVersionUID = 1L;
  }

  private final String name;

  MemoryStore(String name) {
    this.name = name;
  }

  Descriptor addBlob(String repository, String text) {
    byte[] bytes = text.getBytes(UTF_8);
    Digest digest = Digest.of(bytes);
    blobs.put(repository + "@" + digest, bytes);
    return new Descriptor("application/x", digest, bytes.length);
  }

  Manifest image(String repository, String tag, String... layers) {
    StringBuilder list = new StringBuilder();
    for (String layer : layers) {
      list.append(list.isEmpty() ? "" : ",").append(json(addBlob(repository, layer), null));
    }
    return add(
        repository,
        tag,
        MediaTypes.OCI_MANIFEST,
        "{\"schemaVersion\":2,\"config\":"
            + json(addBlob(repository, "config of " + String.join("", layers)), null)
            + ",\"layers\":["
            + list
            + "]}");
  }

  Manifest index(String repository, String tag, Map<String, Manifest> children) {
    StringBuilder list = new StringBuilder();
    children.forEach(
        (arch, child) ->
            list.append(list.isEmpty() ? "" : ",").append(json(child.descriptor(), arch)));
    return add(
        repository,
        tag,
        MediaTypes.OCI_INDEX,
        "{\"schemaVersion\":2,\"manifests\":[" + list + "]}");
  }

  /** Something that is attached to a manifest. */
  Manifest attached(String repository, Manifest subject, String text) {
    return add(
        repository,
        null,
        MediaTypes.OCI_MANIFEST,
        "{\"schemaVersion\":2,\"artifactType\":\"application/x-sbom\",\"config\":"
            + json(addBlob(repository, "{}"), null)
            + ",\"layers\":["
            + json(addBlob(repository, text), null)
            + "],\"subject\":"
            + json(subject.descriptor(), null)
            + ",\"annotations\":{\"of\":\""
            + text
            + "\"}}");
  }

  Manifest add(String repository, String tag, String type, String json) {
    Manifest manifest = Manifest.parse(json.getBytes(UTF_8), type, repository);
    manifests.put(repository + "@" + manifest.digest(), manifest);
    if (tag != null) {
      manifests.put(repository + ":" + tag, manifest);
    }
    return manifest;
  }

  private static String json(Descriptor d, String arch) {
    return "{\"mediaType\":\""
        + d.mediaType()
        + "\",\"digest\":\""
        + d.digest()
        + "\",\"size\":"
        + d.size()
        + (arch == null ? "" : ",\"platform\":{\"os\":\"linux\",\"architecture\":\"" + arch + "\"}")
        + "}";
  }

  private static String key(String repository, String identifier) {
    return repository + (identifier.indexOf(':') >= 0 ? "@" : ":") + identifier;
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public Optional<Descriptor> resolve(String repository, String identifier) {
    log("HEAD " + key(repository, identifier));
    return Optional.ofNullable(manifests.get(key(repository, identifier)))
        .map(Manifest::descriptor);
  }

  @Override
  public Manifest manifest(String repository, String identifier) {
    log("GET " + key(repository, identifier));
    if (failsOnce.remove("GET " + key(repository, identifier))) {
      throw new RegistryException(Reason.ServerError, key(repository, identifier), "broke");
    }
    Manifest manifest = manifests.get(key(repository, identifier));
    if (manifest == null) {
      throw new RegistryException(Reason.NotFound, key(repository, identifier), "is not there");
    }
    return manifest;
  }

  @Override
  public InputStream blob(String repository, Descriptor blob, long offset) {
    log("BLOB " + repository + "@" + blob.digest());
    byte[] bytes = blobs.get(repository + "@" + blob.digest());
    if (bytes == null) {
      throw new RegistryException(Reason.NotFound, "" + blob.digest(), "is not there");
    }
    return new ByteArrayInputStream(bytes, (int) offset, bytes.length - (int) offset);
  }

  @Override
  public boolean isMetered() {
    return metered;
  }

  private void log(String question) {
    log.add(question);
    onRequest.accept(question);
    if (broken.contains(question)) {
      throw new RegistryException(Reason.ConnectionFailed, question, "refused");
    }
  }

  @Override
  public Listing tags(String repository) {
    log("TAGS " + repository);
    if (manifests.keySet().stream().noneMatch(k -> k.startsWith(repository + ":"))) {
      throw new RegistryException(Reason.NotFound, repository, "NAME_UNKNOWN");
    }
    return new Listing(
        manifests.keySet().stream()
            .filter(k -> k.startsWith(repository + ":"))
            .map(k -> k.substring(repository.length() + 1))
            .sorted()
            .toList(),
        List.of());
  }

  @Override
  public Optional<List<Descriptor>> referrers(String repository, Digest subject) {
    log("REFERRERS " + key(repository, subject.toString()));
    return hasReferrersApi
        ? Optional.of(
            Stream.concat(
                    manifests.entrySet().stream()
                        .filter(e -> e.getKey().startsWith(repository + "@"))
                        .map(Map.Entry::getValue)
                        .filter(m -> m.subject().map(d -> d.digest().equals(subject)).orElse(false))
                        .map(Manifest::descriptor),
                    attachedToAll.stream())
                .toList())
        : Optional.empty();
  }

  @Override
  public BlobWrite putBlob(
      String repository, Descriptor blob, String mountFrom, BlobContent content) {
    String place = repository + "@" + blob.digest();
    if (refused.contains(place)) {
      throw new RegistryException(Reason.TargetRejected, place, "DENIED");
    }
    if (blobs.containsKey(place)) {
      return BlobWrite.PRESENT;
    }
    if (mountFrom != null && closed.contains(mountFrom)) {
      throw new RegistryException(Reason.Forbidden, place, "may not read " + mountFrom);
    }
    byte[] mounted =
        mountFrom == null || !mounts ? null : blobs.get(mountFrom + "@" + blob.digest());
    if (mounted != null) {
      blobs.put(place, mounted);
      return BlobWrite.MOUNTED;
    }
    try (InputStream in = content.open(0)) {
      byte[] bytes = in.readAllBytes();
      BlobVerifier verifier = new BlobVerifier(blob, place);
      verifier.update(0, bytes, 0, bytes.length);
      if (!verifier.isComplete()) {
        throw new RegistryException(Reason.DigestMismatch, place, "ends early");
      }
      blobs.put(place, bytes);
      return BlobWrite.WRITTEN;
    } catch (IOException e) {
      throw new RegistryException(Reason.ConnectionFailed, place, "broke", e);
    }
  }

  @Override
  public void putManifest(String repository, Manifest manifest, String tag) {
    if (dies.test(repository)) {
      throw new Died();
    }
    if (refuses.test(manifest)) {
      throw new RegistryException(Reason.TargetRejected, repository, "DENIED");
    }
    for (Descriptor blob : manifest.blobs()) {
      if (!blobs.containsKey(repository + "@" + blob.digest())) {
        throw new RegistryException(Reason.TargetRejected, repository, "MANIFEST_BLOB_UNKNOWN");
      }
    }
    for (Descriptor child : manifest.children()) {
      if (insistsOnChildren && !manifests.containsKey(repository + "@" + child.digest())) {
        throw new RegistryException(Reason.TargetRejected, repository, "MANIFEST_BLOB_UNKNOWN");
      }
    }
    manifests.put(repository + "@" + manifest.digest(), manifest);
    if (tag != null) {
      manifests.put(repository + ":" + tag, manifest);
    }
  }

  @Override
  public boolean delete(String repository, String identifier) {
    Manifest gone = manifests.get(key(repository, identifier));
    if (gone != null && identifier.indexOf(':') >= 0) {
      manifests
          .entrySet()
          .removeIf(e -> e.getKey().startsWith(repository + ":") && e.getValue().equals(gone));
    } else if (!deletesTags) {
      throw new RegistryException(Reason.TargetRejected, repository, "UNSUPPORTED");
    } else if (deniesTags) {
      return false;
    }
    manifests.remove(key(repository, identifier));
    if (gone != null
        && forgetsUntagged
        && manifests.entrySet().stream()
            .noneMatch(e -> e.getKey().startsWith(repository + ":") && e.getValue().equals(gone))) {
      manifests.remove(key(repository, gone.digest().toString()));
    }
    return gone != null;
  }
}
