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
   * @throws InvalidSpecException when it does not hold that one list, or a number in it is out of
   *     range
   */
  static MirrorList read(Path file, @Nullable String name) {
    MirrorList list = find(file, name);
    MirrorListSpec spec = list.getSpec();
    // With nothing at once a run would wait for ever, and without its limit prune might take all.
    require(spec.concurrency().images(), 1, Integer.MAX_VALUE, "spec.concurrency.images");
    require(spec.concurrency().blobs(), 1, Integer.MAX_VALUE, "spec.concurrency.blobs");
    require(spec.prune().maxDeletePercent(), 0, 100, "spec.prune.maxDeletePercent");
    return list;
  }

  /** In a cluster the schema says so. */
  private static void require(int number, int least, int most, String path) {
    if (number < least || number > most) {
      String remedy =
          most == Integer.MAX_VALUE ? "write at least " + least : "write " + least + " to " + most;
      throw new InvalidSpecException(path, "is " + number + "; " + remedy);
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
