package io.kubic.mirrors.cli;

import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** The MirrorList that a command works on, out of a file that may hold other things too. */
final class ListFile {
  private ListFile() {}

  /**
   * What tells a list from the others that fill the same registry: {@code namespace.name}, {@code
   * _.name} for a list of no namespace.
   *
   * @param namespace where the list is or will be, when its file does not say
   */
  static String identity(MirrorList list, @Nullable String namespace) {
    String said = list.getMetadata().getNamespace();
    String known = said != null ? said : namespace;
    return (known == null ? "_" : known) + "." + list.getMetadata().getName();
  }

  /**
   * @param name of the MirrorList; null when the file holds but one
   * @throws CommandException when the file cannot be read
   * @throws InvalidSpecException when it does not hold that one list, or nothing is to be copied at
   *     once
   */
  static MirrorList read(Path file, @Nullable String name) {
    MirrorList list = find(file, name);
    MirrorListSpec.Concurrency concurrency = list.getSpec().concurrency();
    requirePositive(concurrency.images(), "spec.concurrency.images");
    requirePositive(concurrency.blobs(), "spec.concurrency.blobs");
    return list;
  }

  /** In a cluster the schema says so; with nothing at once a run would wait for ever. */
  private static void requirePositive(int number, String path) {
    if (number < 1) {
      throw new InvalidSpecException(path, "is " + number + "; write at least 1");
    }
  }

  private static MirrorList find(Path file, @Nullable String name) {
    List<MirrorList> lists;
    try {
      lists = ResourceFile.read(Files.readString(file), file.toString(), MirrorList.class);
    } catch (IOException e) {
      throw new CommandException(
          ExitCode.USAGE, file + ": cannot be read: " + e.getClass().getSimpleName());
    }
    if (name != null) {
      return lists.stream()
          .filter(list -> name.equals(list.getMetadata().getName()))
          .findFirst()
          .orElseThrow(
              () -> new InvalidSpecException(file.toString(), "has no MirrorList " + name));
    }
    if (lists.size() != 1) {
      throw new InvalidSpecException(
          file.toString(),
          lists.isEmpty()
              ? "has no MirrorList"
              : "has several MirrorLists, name one with --list: "
                  + lists.stream()
                      .map(list -> list.getMetadata().getName())
                      .collect(Collectors.joining(", ")));
    }
    return lists.getFirst();
  }
}
