package io.kubic.mirrors.bundle;

import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.layout.PlainFile;
import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;

/**
 * A directory of a medium that somebody carried. Links and devices in it are refused.
 *
 * @param root its path
 */
record DirectoryMedium(Path root) implements Medium {
  @Override
  public String name() {
    return root.toString();
  }

  @Override
  public boolean exists() {
    return PlainFile.isDirectory(root);
  }

  @Override
  public Set<String> entries() {
    Set<String> names = new TreeSet<>();
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(root)) {
      for (Path entry : entries) {
        names.add(entry.getFileName() + (PlainFile.isDirectory(entry) ? "/" : ""));
      }
    } catch (IOException | DirectoryIteratorException e) {
      throw unreadable(root, e);
    }
    return names;
  }

  @Override
  public Medium below(String directory) {
    return new DirectoryMedium(root.resolve(directory));
  }

  @Override
  public PlainFile file(String file) {
    return PlainFile.of(root.resolve(file));
  }

  @Override
  public Set<String> files(Set<String> expected) {
    Set<String> found = new TreeSet<>();
    walk(root, "", expected, found);
    return found;
  }

  private static void walk(Path directory, String prefix, Set<String> expected, Set<String> found) {
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(directory)) {
      for (Path entry : entries) {
        String name = prefix + entry.getFileName();
        if (PlainFile.isDirectory(entry)) {
          String below = name + "/";
          if (expected.stream().noneMatch(e -> e.startsWith(below))) {
            throw Medium.surplus(entry.toString());
          }
          walk(entry, below, expected, found);
          continue;
        }
        PlainFile.of(entry);
        if (!expected.contains(name)) {
          throw Medium.surplus(entry.toString());
        }
        found.add(name);
      }
    } catch (IOException | DirectoryIteratorException e) {
      throw unreadable(directory, e);
    }
  }

  private static RefusedException unreadable(Path path, Exception e) {
    return new RefusedException(
        Reason.ServerError, path.toString(), "cannot be read: " + e.getClass().getSimpleName());
  }
}
