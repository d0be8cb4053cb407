package io.kubic.mirrors.cli;

import io.kubic.mirrors.oci.Reference;
import java.util.regex.Pattern;

/** Reads an image that a person typed, as Docker would. */
final class ImageArgument {
  /** A host with a dot, or localhost, and a port. */
  private static final Pattern REGISTRY_ALONE =
      Pattern.compile("(localhost|[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)+|\\[[0-9a-fA-F:]+]):[0-9]{1,5}");

  private ImageArgument() {}

  static Reference parse(String text) {
    if (REGISTRY_ALONE.matcher(text).matches()) {
      // Docker reads it as an image of Docker Hub with a tag, which nobody means.
      throw new CommandException(
          ExitCode.USAGE,
          "'" + text + "' is a registry; name a repository: " + text + "/REPOSITORY");
    }
    try {
      return Reference.parseFamiliar(text);
    } catch (IllegalArgumentException e) {
      throw new CommandException(ExitCode.USAGE, String.valueOf(e.getMessage()));
    }
  }

  /** What is asked of the registry; {@code latest} when neither tag nor digest is given. */
  static String identifier(Reference reference) {
    return reference.identifier().orElse("latest");
  }
}
