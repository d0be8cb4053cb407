package io.kubic.mirrors.node;

import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * An image as a runtime is asked for it, in full: {@code host[:port]/repository[:tag][@digest]}.
 * {@code docker.io/x} is read as {@code docker.io/library/x}, as every runtime does before it looks
 * for mirrors.
 *
 * @param name {@code host[:port]/repository}
 * @param tag the tag, {@code latest} when neither tag nor digest is given
 * @param digest {@code sha256:…}; with it a runtime pulls by digest
 */
public record ImageName(String name, @Nullable String tag, @Nullable String digest) {
  /**
   * @param field the field or argument that holds it, for the message
   * @throws InvalidSpecException when it is no image in full
   */
  public static ImageName parse(String text, String field) {
    String rest = text;
    String digest = null;
    int at = rest.indexOf('@');
    if (at >= 0) {
      digest = rest.substring(at + 1);
      rest = rest.substring(0, at);
    }
    String tag = null;
    int colon = rest.lastIndexOf(':');
    if (colon > rest.lastIndexOf('/')) {
      tag = rest.substring(colon + 1);
      rest = rest.substring(0, colon);
    }
    int slash = rest.indexOf('/');
    String registry = slash < 0 ? "" : rest.substring(0, slash);
    if (slash < 0
        || !Location.isRegistry(registry)
        || !isDomain(registry)
        || !Location.isRepository(rest.substring(slash + 1))
        || (tag != null && !isTag(tag))
        || (digest != null && !isDigest(digest))) {
      throw new InvalidSpecException(
          field,
          "'"
              + Location.printable(text)
              + "' is no image in full; write host/repository[:tag][@digest]");
    }
    if (registry.equals("docker.io") && rest.indexOf('/', slash + 1) < 0) {
      rest = "docker.io/library/" + rest.substring(slash + 1);
    }
    return new ImageName(rest, tag == null && digest == null ? "latest" : tag, digest);
  }

  /** {@code host[:port]}. */
  public String registry() {
    return name.substring(0, name.indexOf('/'));
  }

  /** The name without the registry. */
  public String repository() {
    return name.substring(name.indexOf('/') + 1);
  }

  /** What the manifests end point is asked for. */
  public String reference() {
    return digest != null ? digest : String.valueOf(tag);
  }

  /** A first component is a host only if it cannot be a repository: reference.go, splitDomain. */
  private static boolean isDomain(String first) {
    return first.indexOf('.') >= 0
        || first.indexOf(':') >= 0
        || first.equals("localhost")
        || !first.equals(first.toLowerCase(Locale.ROOT));
  }

  private static boolean isTag(String tag) {
    return !tag.isEmpty()
        && tag.length() <= 128
        && tag.charAt(0) != '.'
        && tag.charAt(0) != '-'
        && tag.chars()
            .allMatch(c -> c < 128 && (Character.isLetterOrDigit(c) || "._-".indexOf(c) >= 0));
  }

  private static boolean isDigest(String digest) {
    return (digest.startsWith("sha256:") && digest.length() == 7 + 64
            || digest.startsWith("sha512:") && digest.length() == 7 + 128)
        && digest.substring(7).chars().allMatch(c -> c >= '0' && c <= '9' || c >= 'a' && c <= 'f');
  }

  @Override
  public String toString() {
    return name + (tag == null ? "" : ":" + tag) + (digest == null ? "" : "@" + digest);
  }
}
