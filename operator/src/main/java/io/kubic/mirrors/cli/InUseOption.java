package io.kubic.mirrors.cli;

import io.kubic.mirrors.oci.Digest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** What pods run, for commands that remove tags. */
final class InUseOption {
  @Option(
      names = "--in-use",
      paramLabel = "FILE",
      description = "Digests that are in use, one a line: they are never pruned.")
  private @Nullable Path file;

  /** Whether somebody wants what is in use to be kept. */
  boolean isGiven() {
    return file != null;
  }

  /** The digests; empty when nobody knows them. */
  Optional<Set<Digest>> digests() {
    if (file == null) {
      return Optional.empty();
    }
    Set<Digest> digests = new HashSet<>();
    try {
      for (String line : Files.readAllLines(file)) {
        if (!line.isBlank()) {
          digests.add(Digest.parse(line.strip()));
        }
      }
      return Optional.of(digests);
    } catch (NoSuchFileException e) {
      // The operator leaves the file out when it could not see all pods.
      return Optional.empty();
    } catch (IOException e) {
      throw new CommandException(ExitCode.USAGE, file + ": cannot be read");
    } catch (IllegalArgumentException e) {
      throw new CommandException(ExitCode.USAGE, file + ": " + e.getMessage());
    }
  }
}
