package io.kubic.mirrors.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class StoredContentsTest {
  @TempDir private Path storage;

  private void put(String path, int size) throws IOException {
    Path file = storage.resolve("docker/registry/v2").resolve(path);
    Files.createDirectories(file.getParent());
    Files.write(file, new byte[size]);
  }

  @Test
  void repositoriesTagsAndBytesAreCountedOnce() throws IOException {
    put("repositories/a/_manifests/tags/1/current/link", 71);
    put("repositories/a/_manifests/tags/2/current/link", 71);
    put("repositories/a/_layers/sha256/abc/link", 71);
    put("repositories/a/b/_manifests/tags/_x/current/link", 71);
    put("repositories/a/b/_manifests/revisions/sha256/abc/link", 71);
    put("repositories/by-digest/_manifests/revisions/sha256/abc/link", 71);
    Files.createDirectories(
        storage.resolve("docker/registry/v2/repositories/empty/_manifests/tags"));
    Files.createDirectories(
        storage.resolve("docker/registry/v2/repositories/gone/_manifests/revisions/sha256/abc"));
    put("blobs/sha256/ab/abc/data", 1000);
    put("blobs/sha256/de/def/data", 234);
    Files.createDirectories(storage.resolve("docker/registry/v2/blobs/sha256/00/000"));
    assertThat(StoredContents.of(storage))
        .containsEntry("repositories", 3L)
        .containsEntry("tags", 3L)
        .containsEntry("bytes", 1234L);
  }

  @Test
  void anEmptyVolumeHoldsNothing() throws IOException {
    assertThat(StoredContents.of(storage)).containsEntry("repositories", 0L);
  }
}
