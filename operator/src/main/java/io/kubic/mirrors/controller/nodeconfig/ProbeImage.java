package io.kubic.mirrors.controller.nodeconfig;

import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.Pull;
import io.kubic.mirrors.node.ImageName;
import io.kubic.mirrors.node.NodeConfig;
import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.MediaTypes;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.zip.GZIPOutputStream;
import org.jspecify.annotations.Nullable;

/**
 * The image that every node pulls to prove itself: one that the user names, or one of ours that is
 * in the mirror and nowhere else. Ours is as small as an image can be and new with every
 * configuration, so that no cache answers for the mirror.
 *
 * @param name as a kubelet is told
 * @param digest that a node must have then
 * @param platforms digests of what it is made of where it is an index
 */
record ProbeImage(String name, String digest, Set<String> platforms) {
  private static final String REPOSITORY = "mirror-operator/probe";
  private static final String CONFIG = "application/vnd.oci.image.config.v1+json";
  private static final String LAYER = "application/vnd.oci.image.layer.v1.tar+gzip";

  ProbeImage(String name, String digest) {
    this(name, digest, Set.of());
  }

  /**
   * Whether a container was made from this image. Of an index, containerd tells the digest, and
   * CRI-O that of the platform's manifest. An image that was asked for by its digest is that image,
   * or a runtime does not take it.
   *
   * @param pulled what the runtime tells
   */
  boolean is(String pulled) {
    return digest.equals(pulled) || platforms.contains(pulled) || name.indexOf('@') >= 0;
  }

  /** An archive without a file: two blocks of zeros. */
  private static final byte[] EMPTY_TAR = new byte[1024];

  /**
   * Looks at the image that is named, or pushes ours where the mirror has an older one.
   *
   * @param registry {@code host:port} of the store
   * @param store the mirror; null where the configuration has no registryRef
   * @throws InvalidSpecException when no image can be had
   * @throws io.kubic.mirrors.oci.RegistryException when the mirror does not answer or refuses
   */
  static ProbeImage prepare(NodeConfig config, String registry, @Nullable ImageStore store) {
    String named = config.verify().image();
    if (named != null) {
      ImageName image = ImageName.parse(named, "spec.verify.image");
      if (image.digest() != null) {
        return new ProbeImage(named, image.digest());
      }
      return resolved(config, registry, store, image);
    }
    NodeConfig.Source source =
        config.sources().stream()
            .filter(NodeConfig.Source::isRegistry)
            .filter(one -> path(one, registry).isPresent())
            .findFirst()
            .orElseThrow(
                () ->
                    new InvalidSpecException(
                        "spec.verify.image",
                        "name an image: no whole registry is mirrored by spec.registryRef"));
    if (store == null) {
      throw new InvalidSpecException(
          "spec.verify.image", "name an image with its digest where there is no registryRef");
    }
    String path = path(source, registry).orElseThrow();
    String repository = path.isEmpty() ? REPOSITORY : path + "/" + REPOSITORY;
    Content content = Content.of(config.hash());
    String digest = content.manifest().digest().toString();
    String tag = config.name();
    if (!store
        .resolve(repository, tag)
        .map(d -> d.digest().toString())
        .equals(Optional.of(digest))) {
      content.push(store, repository, tag);
    }
    boolean byDigest = source.endpoints().stream().allMatch(e -> e.pull() == Pull.DigestOnly);
    return new ProbeImage(
        source.source() + "/" + REPOSITORY + (byDigest ? "@" + digest : ":" + tag), digest);
  }

  private static ProbeImage resolved(
      NodeConfig config, String registry, @Nullable ImageStore store, ImageName image) {
    for (NodeConfig.Source source : config.sources()) {
      String prefix = source.source() + "/";
      Optional<String> path = path(source, registry);
      if (store != null && path.isPresent() && image.name().startsWith(prefix)) {
        String rest = image.name().substring(prefix.length());
        String repository = path.get().isEmpty() ? rest : path.get() + "/" + rest;
        return store
            .resolve(repository, image.reference())
            .map(
                descriptor ->
                    new ProbeImage(
                        image.toString(),
                        descriptor.digest().toString(),
                        platforms(store, repository, descriptor)))
            .orElseThrow(
                () ->
                    new InvalidSpecException(
                        "spec.verify.image", registry + " has no " + repository));
      }
    }
    throw new InvalidSpecException(
        "spec.verify.image",
        "add the image's digest: it is of no source that spec.registryRef mirrors");
  }

  private static Set<String> platforms(ImageStore store, String repository, Descriptor image) {
    return MediaTypes.isIndex(image.mediaType())
        ? store.manifest(repository, image.digest().toString()).children().stream()
            .map(child -> child.digest().toString())
            .collect(Collectors.toUnmodifiableSet())
        : Set.of();
  }

  /** Where a source's images are in the registry; empty when they are not. */
  private static Optional<String> path(NodeConfig.Source source, String registry) {
    return source.endpoints().stream()
        .map(NodeConfig.Endpoint::location)
        .filter(location -> location.registry().equals(registry))
        .map(location -> location.path())
        .findFirst();
  }

  /** The bytes; the same for the same nonce. */
  private record Content(byte[] config, byte[] layer, Manifest manifest) {
    static Content of(String nonce) {
      byte[] layer = gzip(EMPTY_TAR);
      byte[] config =
          ("{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Entrypoint\":[\"/none\"],"
                  + "\"Labels\":{\"io.kubic.mirrors.config\":\""
                  + nonce
                  + "\"}},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\""
                  + Digest.of(EMPTY_TAR)
                  + "\"]}}")
              .getBytes(StandardCharsets.UTF_8);
      String manifest =
          "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":%s,\"layers\":[%s]}"
              .formatted(
                  MediaTypes.OCI_MANIFEST, described(CONFIG, config), described(LAYER, layer));
      return new Content(
          config,
          layer,
          Manifest.parse(manifest.getBytes(StandardCharsets.UTF_8), null, "the probe image"));
    }

    void push(ImageStore store, String repository, String tag) {
      put(store, repository, LAYER, layer);
      put(store, repository, CONFIG, config);
      store.putManifest(repository, manifest, tag);
    }

    private static void put(ImageStore store, String repository, String type, byte[] bytes) {
      store.putBlob(
          repository,
          new Descriptor(type, Digest.of(bytes), bytes.length),
          null,
          BlobContent.of(bytes));
    }

    private static String described(String type, byte[] bytes) {
      return "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%d}"
          .formatted(type, Digest.of(bytes), bytes.length);
    }

    private static byte[] gzip(byte[] bytes) {
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      try (GZIPOutputStream gzip = new GZIPOutputStream(out)) {
        gzip.write(bytes);
      } catch (IOException e) {
        throw new UncheckedIOException(e); // memory does not fail
      }
      return out.toByteArray();
    }
  }
}
