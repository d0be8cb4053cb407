package io.kubic.mirrors.upkeep;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Distribution's own program, run beside the registry on the same storage: its {@code
 * garbage-collect}, always without {@code --delete-untagged}.
 *
 * @param config what the registry itself is configured with
 */
public record RegistryProgram(Path binary, Path config) {

  /** All manifests and what a sweep would delete; changes nothing. */
  Inventory inventory(Runnable check) {
    return Inventory.parse(run(List.of("--dry-run"), check));
  }

  /**
   * Deletes blobs that no manifest names.
   *
   * @param check called all the time; when it throws, the program is ended at once
   * @return how many blobs were deleted
   */
  int sweep(Runnable check) {
    return Inventory.parse(run(List.of(), check)).sweepable().size();
  }

  private String run(List<String> flags, Runnable check) {
    List<String> command = new ArrayList<>(List.of(binary.toString(), "garbage-collect"));
    command.addAll(flags);
    command.add(config.toString());
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD);
    builder.environment().put("OTEL_TRACES_EXPORTER", "none");
    Process process;
    try {
      process = builder.start();
    } catch (IOException e) {
      throw new UpkeepException("the registry's program cannot be run: " + e.getMessage(), e);
    }
    Output output = new Output(process);
    Thread reader = Thread.ofVirtual().start(output);
    try {
      while (!process.waitFor(100, TimeUnit.MILLISECONDS)) {
        check.run();
      }
      reader.join();
      check.run();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new UpkeepException("interrupted", e);
    } finally {
      process.destroyForcibly();
    }
    if (process.exitValue() != 0) {
      throw new UpkeepException(
          "the registry's garbage-collect ended with "
              + process.exitValue()
              + "; repair what it names, nothing was swept");
    }
    return output.text();
  }

  /** What the program prints, read as it comes so that it never waits for us. */
  private static final class Output implements Runnable {
    private final Process process;
    private final StringBuilder text = new StringBuilder();

    Output(Process process) {
      this.process = process;
    }

    @Override
    public void run() {
      try (BufferedReader reader =
          new BufferedReader(
              new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
        for (@Nullable String line = reader.readLine(); line != null; line = reader.readLine()) {
          // Blobs by repository are most of it, and say nothing that is needed.
          if (!line.contains(": marking blob ")) {
            synchronized (text) {
              text.append(line).append('\n');
            }
          }
        }
      } catch (IOException e) {
        // The program was ended; what is missing is noticed by who reads the text.
      }
    }

    String text() {
      synchronized (text) {
        return text.toString();
      }
    }
  }
}
