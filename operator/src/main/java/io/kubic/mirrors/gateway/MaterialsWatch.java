package io.kubic.mirrors.gateway;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The newest good materials. Kubernetes replaces mounted files at any time; what cannot be used is
 * told once and the old stays in force.
 */
final class MaterialsWatch {
  private static final Logger LOG = LoggerFactory.getLogger("gateway");
  private final Path configFile;
  private volatile Materials current;
  private String told = "";

  /**
   * @throws IOException when there is nothing good to start with
   */
  MaterialsWatch(Path configFile) throws IOException {
    this.configFile = configFile;
    this.current = Materials.load(configFile);
  }

  Materials current() {
    return current;
  }

  /** Looks whether anything changed; to be called every second or so. */
  synchronized void look() {
    try {
      if (Materials.fingerprint(configFile).equals(current.fingerprint())) {
        told = "";
        return;
      }
      current = Materials.load(configFile);
      told = "";
      LOG.info(
          "new files are in force: certificate {} until {}, {} users, {} token keys",
          current.certificate().serial(),
          current.certificate().notAfter(),
          current.users().size(),
          current.keys().size());
    } catch (IOException | UncheckedIOException e) {
      String problem = String.valueOf(e.getMessage());
      if (!problem.equals(told)) {
        told = problem;
        LOG.warn("new files cannot be used, the old stay in force: {}", problem);
      }
    }
  }
}
