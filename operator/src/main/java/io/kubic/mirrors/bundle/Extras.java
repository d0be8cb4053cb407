package io.kubic.mirrors.bundle;

import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.Reference;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * What travels along with the images, below {@code extras/}.
 *
 * @param files that are copied, by their name there
 * @param made content that was made for this bundle, by its name there
 * @param loads images that a runtime's own tool can load from the bundle: of these {@code
 *     extras/load} has an index of their own, and the names of the files that it needs
 */
public record Extras(Map<String, Path> files, Map<String, byte[]> made, List<Reference> loads) {
  /** Nothing but images. */
  public static final Extras NONE = new Extras(Map.of(), Map.of(), List.of());

  static final String LOAD_INDEX = BundleDirectory.EXTRAS + "load/index.json";
  static final String LOAD_FILES = BundleDirectory.EXTRAS + "load/files";

  public Extras {
    files = new TreeMap<>(files);
    made = new TreeMap<>(made);
    loads = loads.stream().sorted().distinct().toList();
    files.keySet().forEach(Extras::requireName);
    made.keySet().forEach(Extras::requireName);
    for (String name : made.keySet()) {
      if (files.containsKey(name)) {
        throw refused(name, "is made by the export itself; give your file another name");
      }
    }
  }

  private static void requireName(String name) {
    if (!Checksums.isName(BundleDirectory.EXTRAS + name) || name.startsWith("load/")) {
      throw refused(
          name, "files that travel along have names of lower case letters, digits, '.', '-', '_'");
    }
  }

  private static RefusedException refused(String name, String problem) {
    return new RefusedException(Reason.MalformedResponse, name, problem);
  }
}
