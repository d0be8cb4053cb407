package io.kubic.mirrors.gateway;

import java.io.IOException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What a gateway has in force and sees of its registry's volume, as {@code GET /state} on the admin
 * port tells it. It holds no secret: the operator computes the progress of a rotation from it.
 */
final class AdminState {
  /** What every filesystem of the registry holds below its root from the first push on. */
  private static final Path CONTENT = Path.of("docker", "registry", "v2", "repositories");

  private AdminState() {}

  /**
   * {@code certificate}, {@code tokenKeys}, {@code users}, {@code frozen}, {@code inFlight}, and
   * {@code storage} where mounted.
   */
  static Map<String, Object> of(Materials materials, Freeze.State freeze) {
    Map<String, Object> state = new LinkedHashMap<>();
    state.put("certificate", materials.certificate().serial());
    state.put("tokenKeys", materials.keys().size());
    state.put("users", materials.users().version());
    state.put("frozen", freeze.frozen());
    state.put("inFlight", freeze.inFlight());
    String directory = materials.config().storageDirectory();
    if (directory != null) {
      state.put("storage", storage(Path.of(directory)));
    }
    return state;
  }

  private static Map<String, Object> storage(Path directory) {
    Map<String, Object> storage = new LinkedHashMap<>();
    try {
      FileStore store = Files.getFileStore(directory);
      storage.put("capacityBytes", store.getTotalSpace());
      storage.put("usedBytes", store.getTotalSpace() - store.getUsableSpace());
      storage.put("content", Files.isDirectory(directory.resolve(CONTENT)));
    } catch (IOException e) {
      storage.put("problem", String.valueOf(e.getMessage()));
    }
    return storage;
  }
}
