package io.kubic.mirrors.bundle;

import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Shown;
import io.kubic.mirrors.oci.layout.StoredFile;
import java.nio.file.Path;
import java.util.Set;

/**
 * Where the files of a bundle lie, as a reader sees it: a directory, or what has a common prefix in
 * a bucket. Whoever filled it is not trusted.
 */
public sealed interface Medium permits DirectoryMedium, BucketMedium {
  /** What it is called in messages: a path, or a URL. */
  String name();

  /** Whether it can be read, and not only named. */
  boolean exists();

  /**
   * The names right below it, sorted; those that have others below them end with a slash.
   *
   * @throws RefusedException ServerError when it cannot be read
   */
  Set<String> entries();

  /** The part of it that lies below a name. */
  Medium below(String directory);

  /**
   * A file.
   *
   * @param file with slashes
   * @throws RegistryException NotFound when there is none; MalformedResponse when it is something
   *     else than a file
   */
  StoredFile file(String file);

  /**
   * The names of all files.
   *
   * @param expected the names that may be there
   * @throws RefusedException MalformedResponse when there is anything else
   */
  Set<String> files(Set<String> expected);

  /** What a file of it is called in messages. */
  default String nameOf(String file) {
    return name() + "/" + file;
  }

  /** What is to be said when it does not exist. */
  default RefusedException absent() {
    return new RefusedException(Reason.NotFound, name(), "is no directory");
  }

  /** A directory. */
  static Medium directory(Path root) {
    return new DirectoryMedium(root);
  }

  /** What is to be said of something that nobody expected. */
  static RefusedException surplus(String name) {
    return new RefusedException(
        Reason.MalformedResponse,
        Shown.of(name),
        "does not belong to the bundle; put nothing else into its directory");
  }
}
