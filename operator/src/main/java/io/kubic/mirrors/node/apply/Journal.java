package io.kubic.mirrors.node.apply;

import com.fasterxml.jackson.annotation.JsonInclude;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * What we did to a host, enough to take it back without asking anybody.
 *
 * @param config name of the NodeRegistryConfig whose files these are; empty before the first
 * @param hash of the configuration that was applied last and proven
 * @param files path to content of the last proven files
 * @param intended paths that were about to be written or removed when the journal was written;
 *     empty once they were proven
 * @param directories that we made, parents before children
 * @param former kept while a configuration is proven from outside, by a pull; null otherwise
 * @param shared files that others write too, path to our entries in them
 */
@JsonInclude(JsonInclude.Include.NON_EMPTY)
public record Journal(
    String config,
    String hash,
    SortedMap<String, String> files,
    SortedSet<String> intended,
    List<String> directories,
    SortedMap<String, SortedMap<String, String>> shared,
    @Nullable Former former) {
  static final Journal EMPTY =
      new Journal("", "", new TreeMap<>(), new TreeSet<>(), List.of(), new TreeMap<>(), null);

  /** What was there before the configuration that is not proven yet. */
  @JsonInclude(JsonInclude.Include.NON_EMPTY)
  public record Former(
      String hash,
      SortedMap<String, String> files,
      SortedMap<String, SortedMap<String, String>> shared) {
    public Former {
      hash = hash == null ? "" : hash;
      files = new TreeMap<>(files == null ? Map.of() : files);
      shared = new TreeMap<>(shared == null ? Map.of() : shared);
    }

    @Override
    public String toString() {
      return "former " + hash;
    }
  }

  public Journal {
    config = config == null ? "" : config;
    hash = hash == null ? "" : hash;
    files = new TreeMap<>(files == null ? Map.of() : files);
    intended = new TreeSet<>(intended == null ? List.of() : intended);
    directories = directories == null ? List.of() : List.copyOf(directories);
    shared = new TreeMap<>(shared == null ? Map.of() : shared);
  }

  /** Our entries in a file of everybody; none for any other file. */
  public SortedMap<String, String> entries(String path) {
    return shared.getOrDefault(path, new TreeMap<>());
  }

  @Override
  public String toString() {
    return "journal of " + config; // files may hold passwords
  }

  boolean names(String path) {
    return files.containsKey(path) || intended.contains(path);
  }
}
