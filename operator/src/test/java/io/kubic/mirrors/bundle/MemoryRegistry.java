package io.kubic.mirrors.bundle;

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
import java.util.concurrent.ConcurrentSkipListMap;

/** A registry in memory that takes a manifest only after everything below it. */
final class MemoryRegistry implements ImageStore {
  final Map<String, byte[]> blobs = new ConcurrentSkipListMap<>();
  final Map<String, Manifest> manifests = new ConcurrentSkipListMap<>();
  final List<String> log = Collections.synchronizedList(new ArrayList<>());

  /** Is called before anything is changed; a test ends the run there. */
  Runnable beforeChange = () -> {};

  /** Is called while a blob is read, with the bytes so far. */
  java.util.function.LongConsumer whileReading = at -> {};

  private final String name;

  MemoryRegistry(String name) {
    this.name = name;
  }

  MemoryRegistry copy() {
    MemoryRegistry copy = new MemoryRegistry(name);
    copy.blobs.putAll(blobs);
    copy.manifests.putAll(manifests);
    return copy;
  }

  boolean holds(String repository, Digest digest) {
    return blobs.containsKey(repository + "@" + digest);
  }

  /** What every tag names. */
  Map<String, String> tags() {
    Map<String, String> tags = new ConcurrentSkipListMap<>();
    manifests.forEach(
        (key, manifest) -> {
          if (key.indexOf('@') < 0) {
            tags.put(key, manifest.digest().toString());
          }
        });
    return tags;
  }

  Descriptor addBlob(String repository, byte[] bytes) {
    Digest digest = Digest.of(bytes);
    blobs.put(repository + "@" + digest, bytes);
    return new Descriptor("application/x", digest, bytes.length);
  }

  Manifest image(String repository, String tag, byte[]... layers) {
    StringBuilder list = new StringBuilder();
    StringBuilder config = new StringBuilder("config");
    for (byte[] layer : layers) {
      Descriptor blob = addBlob(repository, layer);
      config.append(blob.digest());
      list.append(list.isEmpty() ? "" : ",").append(json(blob, null));
    }
    return add(
        repository,
        tag,
        MediaTypes.OCI_MANIFEST,
        "{\"schemaVersion\":2,\"config\":"
            + json(addBlob(repository, config.toString().getBytes(UTF_8)), null)
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

  /** Something that is attached to a manifest, found by the referrers API only. */
  Manifest attached(String repository, Manifest subject, String text) {
    return add(
        repository,
        null,
        MediaTypes.OCI_MANIFEST,
        "{\"schemaVersion\":2,\"artifactType\":\"application/x-sbom\",\"config\":"
            + json(addBlob(repository, text.getBytes(UTF_8)), null)
            + ",\"layers\":[],\"subject\":"
            + json(subject.descriptor(), null)
            + "}");
  }

  private Manifest add(String repository, String tag, String type, String json) {
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
    return Optional.ofNullable(manifests.get(key(repository, identifier)))
        .map(Manifest::descriptor);
  }

  @Override
  public Manifest manifest(String repository, String identifier) {
    log.add("GET " + key(repository, identifier));
    Manifest manifest = manifests.get(key(repository, identifier));
    if (manifest == null) {
      throw new RegistryException(Reason.NotFound, key(repository, identifier), "is not there");
    }
    return manifest;
  }

  @Override
  public InputStream blob(String repository, Descriptor blob, long offset) {
    log.add("BLOB " + repository + "@" + blob.digest());
    byte[] bytes = blobs.get(repository + "@" + blob.digest());
    if (bytes == null) {
      throw new RegistryException(Reason.NotFound, "" + blob.digest(), "is not there");
    }
    return new ByteArrayInputStream(bytes, (int) offset, bytes.length - (int) offset) {
      @Override
      public int read(byte[] to, int at, int length) {
        int read = super.read(to, at, Math.min(length, 1000));
        whileReading.accept(Math.max(0, read));
        return read;
      }
    };
  }

  @Override
  public Listing tags(String repository) {
    return new Listing(
        manifests.keySet().stream()
            .filter(k -> k.startsWith(repository + ":"))
            .map(k -> k.substring(repository.length() + 1))
            .toList(),
        List.of());
  }

  @Override
  public Optional<List<Descriptor>> referrers(String repository, Digest subject) {
    return Optional.of(
        manifests.entrySet().stream()
            .filter(e -> e.getKey().startsWith(repository + "@"))
            .filter(e -> e.getValue().subject().filter(s -> s.digest().equals(subject)).isPresent())
            .map(e -> e.getValue().descriptor())
            .toList());
  }

  @Override
  public BlobWrite putBlob(
      String repository, Descriptor blob, String mountFrom, BlobContent content) {
    String place = repository + "@" + blob.digest();
    if (blobs.containsKey(place)) {
      return BlobWrite.PRESENT;
    }
    beforeChange.run();
    byte[] mounted = mountFrom == null ? null : blobs.get(mountFrom + "@" + blob.digest());
    if (mounted != null) {
      blobs.put(place, mounted);
      return BlobWrite.MOUNTED;
    }
    try (InputStream in = content.open(0)) {
      byte[] bytes = in.readAllBytes();
      BlobVerifier verifier = new BlobVerifier(blob, place);
      if (bytes.length > 0) {
        verifier.update(0, bytes, 0, bytes.length);
      }
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
    for (Descriptor blob : manifest.blobs()) {
      if (!blobs.containsKey(repository + "@" + blob.digest())) {
        throw new RegistryException(Reason.TargetRejected, repository, "MANIFEST_BLOB_UNKNOWN");
      }
    }
    for (Descriptor child : manifest.children()) {
      if (!manifests.containsKey(repository + "@" + child.digest())) {
        throw new RegistryException(Reason.TargetRejected, repository, "MANIFEST_BLOB_UNKNOWN");
      }
    }
    beforeChange.run();
    manifests.put(repository + "@" + manifest.digest(), manifest);
    if (tag != null) {
      log.add("TAG " + repository + ":" + tag);
      manifests.put(repository + ":" + tag, manifest);
    }
  }

  @Override
  public boolean delete(String repository, String identifier) {
    beforeChange.run();
    return manifests.remove(key(repository, identifier)) != null;
  }
}
