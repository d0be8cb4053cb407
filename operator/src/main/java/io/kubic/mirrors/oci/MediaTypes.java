package io.kubic.mirrors.oci;

import java.util.List;

/** Media types of manifests: OCI image specification, media-types.md, and Docker image v2. */
public final class MediaTypes {
  public static final String OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
  public static final String OCI_INDEX = "application/vnd.oci.image.index.v1+json";
  public static final String DOCKER_MANIFEST =
      "application/vnd.docker.distribution.manifest.v2+json";
  public static final String DOCKER_LIST =
      "application/vnd.docker.distribution.manifest.list.v2+json";
  public static final String OCI_EMPTY = "application/vnd.oci.empty.v1+json";

  private static final String DOCKER_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+";

  /** What is asked for, always whole: distribution answers 404 to a narrower wish. */
  public static final List<String> ACCEPTED =
      List.of(OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST);

  private MediaTypes() {}

  /** Whether it is an index of manifests. */
  public static boolean isIndex(String mediaType) {
    return mediaType.equals(OCI_INDEX) || mediaType.equals(DOCKER_LIST);
  }

  /** Whether it is the manifest of one image or artifact. */
  public static boolean isImage(String mediaType) {
    return mediaType.equals(OCI_MANIFEST) || mediaType.equals(DOCKER_MANIFEST);
  }

  /** Whether it is any manifest that is copied. */
  public static boolean isManifest(String mediaType) {
    return isIndex(mediaType) || isImage(mediaType);
  }

  /** Whether it is Docker's schema 1, signed or not, which no current registry stores. */
  public static boolean isDockerSchema1(String mediaType) {
    return mediaType.startsWith(DOCKER_SCHEMA_1);
  }

  /** Whether a layer stays at its vendor: it is listed, but not copied. */
  public static boolean isForeignLayer(String mediaType) {
    return mediaType.equals("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")
        || mediaType.startsWith("application/vnd.oci.image.layer.nondistributable.");
  }

  /** The type without its parameters, lower case. */
  public static String bare(String contentType) {
    int semicolon = contentType.indexOf(';');
    String type = semicolon < 0 ? contentType : contentType.substring(0, semicolon);
    return type.strip().toLowerCase(java.util.Locale.ROOT);
  }
}
