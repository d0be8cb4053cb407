package io.kubic.mirrors.gateway;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * How much a registry keeps in files, as {@code GET /contents} on the admin port tells it. Counted
 * when asked: some 100,000 directories a second out of the page cache.
 */
final class StoredContents {
  private static final Path ROOT = Path.of("docker", "registry", "v2");
  private static final String MANIFESTS = "_manifests";

  private StoredContents() {}

  /** {@code repositories}, {@code tags}, and {@code bytes} of all blobs, each counted once. */
  static Map<String, Object> of(Path storage) throws IOException {
    long repositories = 0;
    long tags = 0;
    Deque<Path> next = new ArrayDeque<>();
    next.add(storage.resolve(ROOT).resolve("repositories"));
    while (!next.isEmpty()) {
      Path directory = next.removeLast();
      Path manifests = directory.resolve(MANIFESTS);
      if (Files.isDirectory(manifests)) {
        long of = children(manifests.resolve("tags"), child -> 1);
        tags += of;
        // One whose last manifest was deleted stays as a directory for ever.
        repositories += of > 0 || revisions(manifests.resolve("revisions")) > 0 ? 1 : 0;
      }
      children(
          directory,
          child -> {
            if (!String.valueOf(child.getFileName()).startsWith("_") && Files.isDirectory(child)) {
              next.add(child);
            }
            return 0;
          });
    }
    long bytes =
        children(
            storage.resolve(ROOT).resolve("blobs"),
            algorithm ->
                children(
                    algorithm, prefix -> children(prefix, blob -> size(blob.resolve("data")))));
    Map<String, Object> contents = new LinkedHashMap<>();
    contents.put("repositories", repositories);
    contents.put("tags", tags);
    contents.put("bytes", bytes);
    return contents;
  }

  private static long revisions(Path directory) throws IOException {
    return children(
        directory,
        algorithm -> children(algorithm, digest -> Files.exists(digest.resolve("link")) ? 1 : 0));
  }

  private interface Amount {
    long of(Path child) throws IOException;
  }

  private static long children(Path directory, Amount amount) throws IOException {
    long sum = 0;
    try (DirectoryStream<Path> children = Files.newDirectoryStream(directory)) {
      for (Path child : children) {
        sum += amount.of(child);
      }
    } catch (NoSuchFileException | NotDirectoryException e) {
      return sum; // It was deleted meanwhile, or is no part of a registry.
    }
    return sum;
  }

  private static long size(Path data) throws IOException {
    try {
      return Files.size(data);
    } catch (NoSuchFileException e) {
      return 0;
    }
  }
}
