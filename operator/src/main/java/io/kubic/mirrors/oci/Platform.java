package io.kubic.mirrors.oci;

import org.jspecify.annotations.Nullable;

/**
 * What an image runs on: OCI image specification, image-index.md.
 *
 * @param variant null when none is given
 * @param osVersion Windows only; null otherwise
 */
public record Platform(
    String os, String architecture, @Nullable String variant, @Nullable String osVersion) {

  /**
   * @param text {@code os/arch[/variant]}
   * @throws IllegalArgumentException when it has another form
   */
  public static Platform parse(String text) {
    int first = text.indexOf('/');
    int second = text.indexOf('/', first + 1);
    String os = first < 0 ? "" : text.substring(0, first);
    String arch = second < 0 ? text.substring(first + 1) : text.substring(first + 1, second);
    String variant = second < 0 ? null : text.substring(second + 1);
    if (!isWord(os) || !isWord(arch) || variant != null && !isWord(variant)) {
      throw new IllegalArgumentException(
          "no platform: '" + Shown.of(text) + "'; expected os/arch[/variant], as in linux/arm64");
    }
    return new Platform(os, arch, variant, null);
  }

  /**
   * Whether this platform, found in an index, is what {@code wanted} asks for. A wanted platform
   * without a variant takes every variant; {@code arm64} and {@code arm64/v8} are one.
   */
  public boolean satisfies(Platform wanted) {
    if (!os.equals(wanted.os) || !architecture.equals(wanted.architecture)) {
      return false;
    }
    return wanted.variant == null || wanted.normalVariant().equals(normalVariant());
  }

  private String normalVariant() {
    return variant != null
        ? variant
        : switch (architecture) {
          case "arm64" -> "v8";
          case "arm" -> "v7";
          case "amd64" -> "v1";
          default -> "";
        };
  }

  @Override
  public String toString() {
    return os + "/" + architecture + (variant == null ? "" : "/" + variant);
  }

  private static boolean isWord(String text) {
    if (text.isEmpty()) {
      return false;
    }
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (!(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '.')) {
        return false;
      }
    }
    return true;
  }
}
