package io.kubic.mirrors.oci;

import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What names an image: {@code host[:port]/repository[:tag][@digest]}. The grammar is that of the
 * OCI distribution specification; the registry is always written out.
 *
 * @param tag null when only a digest, or nothing, is given
 * @param digest null when only a tag, or nothing, is given
 */
public record Reference(Repository repository, @Nullable String tag, @Nullable Digest digest)
    implements Comparable<Reference> {
  private static final String DOCKER_HUB = "docker.io";

  public Reference {
    if (tag != null) {
      Tag.require(tag);
    }
  }

  /**
   * A reference with its registry written out.
   *
   * @throws IllegalArgumentException when the text is none; the message names the part
   */
  public static Reference parse(String text) {
    int slash = text.indexOf('/');
    if (slash <= 0 || !isRegistryLike(text.substring(0, slash))) {
      throw new IllegalArgumentException(
          "no reference: '"
              + Shown.of(text)
              + "'; expected host[:port]/repository[:tag][@digest] with the registry written out");
    }
    return parse(text.substring(0, slash), text.substring(slash + 1));
  }

  /**
   * A reference as Docker reads it: without a registry it is Docker Hub's, and there a single name
   * lies in {@code library}.
   *
   * @throws IllegalArgumentException when the text is none
   */
  public static Reference parseFamiliar(String text) {
    int slash = text.indexOf('/');
    if (slash > 0 && isRegistryLike(text.substring(0, slash))) {
      String host = text.substring(0, slash);
      String rest = text.substring(slash + 1);
      boolean hub = host.equals(DOCKER_HUB) || host.equals("index.docker.io");
      return parse(
          hub ? DOCKER_HUB : host, hub && rest.indexOf('/') < 0 ? "library/" + rest : rest);
    }
    return parse(DOCKER_HUB, slash < 0 ? "library/" + text : text);
  }

  /**
   * A reference within a registry.
   *
   * @param registry {@code host[:port]}
   * @param rest {@code repository[:tag][@digest]}
   * @throws IllegalArgumentException when either is malformed
   */
  public static Reference parse(String registry, String rest) {
    String name = rest;
    Digest digest = null;
    int at = name.indexOf('@');
    if (at >= 0) {
      digest = Digest.parse(name.substring(at + 1));
      name = name.substring(0, at);
    }
    String tag = null;
    int colon = name.lastIndexOf(':');
    if (colon > name.lastIndexOf('/')) {
      tag = name.substring(colon + 1);
      name = name.substring(0, colon);
    }
    return new Reference(new Repository(registry, name), tag, digest);
  }

  /** The digest if there is one, else the tag: what is asked of the registry. */
  public Optional<String> identifier() {
    return digest != null ? Optional.of(digest.toString()) : Optional.ofNullable(tag);
  }

  @Override
  public int compareTo(Reference other) {
    return toString().compareTo(other.toString());
  }

  @Override
  public String toString() {
    return repository + (tag == null ? "" : ":" + tag) + (digest == null ? "" : "@" + digest);
  }

  private static boolean isRegistryLike(String first) {
    return (first.indexOf('.') >= 0 || first.indexOf(':') >= 0 || first.equals("localhost"))
        && Repository.isRegistry(first);
  }
}
