package io.kubic.mirrors.cli;

import io.kubic.mirrors.oci.Reference;

/** Reads an image that a person typed, as Docker would. */
final class ImageArgument {
  private ImageArgument() {}

  static Reference parse(String text) {
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
