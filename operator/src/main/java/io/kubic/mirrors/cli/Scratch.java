package io.kubic.mirrors.cli;

import io.kubic.mirrors.oci.layout.Checkpoint;
import io.kubic.mirrors.oci.layout.Disk;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** A directory for what is small and ends with the command; made only when it is asked for. */
final class Scratch implements AutoCloseable {
  private @Nullable Path directory;

  Path directory() {
    Path made = directory;
    if (made == null) {
      try {
        made = Files.createTempDirectory("kubectl-mirror-");
      } catch (IOException e) {
        throw new CommandException(
            ExitCode.FAILED,
            System.getProperty("java.io.tmpdir")
                + ": no directory can be made there: "
                + e.getClass().getSimpleName());
      }
      directory = made;
    }
    return made;
  }

  @Override
  public void close() {
    if (directory != null) {
      new Disk(Checkpoint.NONE).removeAll(directory);
    }
  }
}
