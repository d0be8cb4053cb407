package io.kubic.mirrors.node.agent;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Programs of the host by chroot(8), with the host's own paths, libraries and hooks. Needs the
 * whole host below one directory, and CAP_SYS_CHROOT.
 */
public final class Chroot implements HostCommand {
  private static final int MAX_OUTPUT = 16 * 1024;

  private final Path root;
  private final Duration limit;

  /**
   * @param root the host's {@code /}
   */
  public Chroot(Path root, Duration limit) {
    this.root = root;
    this.limit = limit;
  }

  @Override
  public Result run(List<String> command) throws IOException, InterruptedException {
    List<String> all = new ArrayList<>(List.of("/usr/sbin/chroot", root.toString()));
    all.addAll(command);
    ProcessBuilder builder = new ProcessBuilder(all).redirectErrorStream(true);
    builder.environment().clear();
    builder
        .environment()
        .putAll(
            Map.of(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                // systemctl(1): it must talk to the host's manager although it is in a chroot
                "SYSTEMD_IGNORE_CHROOT",
                "1",
                "LC_ALL",
                "C"));
    Process process = builder.start();
    process.getOutputStream().close();
    StringBuilder output = new StringBuilder();
    Thread reader = Thread.ofVirtual().start(() -> read(process, output));
    try {
      if (!process.waitFor(limit.toMillis(), TimeUnit.MILLISECONDS)) {
        throw new IOException(
            command.getFirst() + " has not ended within " + limit.toSeconds() + " s");
      }
      reader.join(Duration.ofSeconds(2));
    } finally {
      process.descendants().forEach(ProcessHandle::destroyForcibly);
      process.destroyForcibly();
    }
    synchronized (output) {
      return new Result(process.exitValue(), output.toString());
    }
  }

  private static void read(Process process, StringBuilder output) {
    byte[] buffer = new byte[4096];
    try (InputStream in = process.getInputStream()) {
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        synchronized (output) {
          if (output.length() < MAX_OUTPUT) {
            output.append(new String(buffer, 0, n, StandardCharsets.UTF_8));
          }
        }
      }
    } catch (IOException e) {
      synchronized (output) {
        output.append('\n').append(e.getMessage());
      }
    }
  }
}
