package io.kubic.mirrors.upkeep;

import io.kubic.mirrors.oci.Repository;
import io.kubic.mirrors.oci.Shown;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;

/**
 * Distribution's own program, run beside the registry on the same storage: its {@code
 * garbage-collect}, always without {@code --delete-untagged}.
 *
 * @param config what the registry itself is configured with
 */
public record RegistryProgram(Path binary, Path config) {

  private static final String MISSING = "Path not found: ";
  private static final String REPOSITORIES = "/docker/registry/v2/repositories/";
  private static final String LAYERS = "/_layers";

  private static final Duration START = Duration.ofSeconds(60);

  /**
   * The program out of the root of a process that runs it and whose files can be seen: a container
   * of the same pod, where the pod's processes are shared ({@code /proc/PID/root}, proc(5)).
   *
   * @param proc where processes are seen, {@code /proc}
   * @param binary its path in that root
   * @throws UpkeepException when no such process came up within a minute
   */
  public static RegistryProgram ofProcess(
      Path proc, Path binary, Path config, ScheduledExecutorService scheduler)
      throws InterruptedException {
    Path below = binary.getRoot() == null ? binary : binary.getRoot().relativize(binary);
    for (long waited = 0; ; waited += 200) {
      try (DirectoryStream<Path> processes = Files.newDirectoryStream(proc, "[0-9]*")) {
        for (Path process : processes) {
          Path found = process.resolve("root").resolve(below);
          if (Files.isExecutable(found)) {
            return new RegistryProgram(found, config);
          }
        }
      } catch (IOException e) {
        throw new UpkeepException("the processes of this pod cannot be seen", e);
      }
      if (waited > START.toMillis()) {
        throw new UpkeepException("no process of this pod has " + binary + " in its root");
      }
      try {
        scheduler.schedule(() -> {}, 200, TimeUnit.MILLISECONDS).get();
      } catch (ExecutionException e) {
        throw new IllegalStateException(e);
      }
    }
  }

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
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().put("OTEL_TRACES_EXPORTER", "none");
    // The roots that an image trusts are beside its program: an S3 service is reached over TLS.
    Path beside = binary.getParent() == null ? null : binary.getParent().getParent();
    Path roots = beside == null ? null : beside.resolve("etc/ssl/certs/ca-certificates.crt");
    if (roots != null && Files.isReadable(roots)) {
      builder.environment().put("SSL_CERT_FILE", roots.toString());
    }
    Process process;
    try {
      process = builder.start();
    } catch (IOException e) {
      throw new UpkeepException("the registry's program cannot be run: " + e.getMessage(), e);
    }
    StringBuilder output = new StringBuilder();
    Thread reader =
        read(
            process.getInputStream(),
            line -> {
              // Blobs by repository are most of it, and say nothing that is needed.
              if (!line.contains(": marking blob ")) {
                output.append(line).append('\n');
              }
            });
    AtomicReference<String> complaint = new AtomicReference<>("");
    Thread listener =
        read(
            process.getErrorStream(),
            line -> {
              if (!line.isBlank()) {
                complaint.set(line.strip());
              }
            });
    try {
      while (!process.waitFor(100, TimeUnit.MILLISECONDS)) {
        check.run();
      }
      reader.join();
      listener.join();
      check.run();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new UpkeepException("interrupted", e);
    } finally {
      process.destroyForcibly();
    }
    if (process.exitValue() != 0) {
      throw failed(process.exitValue(), Objects.requireNonNull(complaint.get()));
    }
    return output.toString();
  }

  /** Why it ended, by the last line that it printed. */
  static UpkeepException failed(int code, String complaint) {
    String message =
        "the registry's garbage-collect ended with "
            + code
            + ", nothing was swept; repair what it names: "
            + Shown.of(complaint);
    int at = complaint.indexOf(MISSING + REPOSITORIES);
    if (at >= 0 && complaint.endsWith(LAYERS)) {
      String path = complaint.substring(at + (MISSING + REPOSITORIES).length());
      String repository = path.substring(0, Math.max(0, path.length() - LAYERS.length()));
      if (Repository.isPath(repository)) {
        return new NoLayersException(repository, message);
      }
    }
    return new UpkeepException(message);
  }

  /** Reads what the program prints as it comes, so that it never waits for us. */
  private static Thread read(InputStream in, Consumer<String> line) {
    return Thread.ofVirtual()
        .start(
            () -> {
              try (BufferedReader reader =
                  new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8))) {
                reader.lines().forEach(line);
              } catch (IOException | UncheckedIOException e) {
                // The program was ended; what is missing is noticed by who reads the text.
              }
            });
  }
}
