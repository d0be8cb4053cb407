package io.kubic.mirrors.upkeep;

import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Repository;
import java.util.Optional;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * All manifests of a registry, tagged or not, as distribution's {@code garbage-collect --dry-run}
 * prints them; no API lists what has no tag.
 *
 * @param manifests by repository
 * @param sweepable blobs that no manifest names: what a sweep would delete
 */
public record Inventory(
    SortedMap<String, SortedSet<Digest>> manifests, SortedSet<Digest> sweepable) {
  private static final String MARKING = ": marking manifest ";
  private static final String BLOB = "blob eligible for deletion: ";

  public Inventory {
    manifests = java.util.Collections.unmodifiableSortedMap(new TreeMap<>(manifests));
    sweepable = java.util.Collections.unmodifiableSortedSet(new TreeSet<>(sweepable));
  }

  /**
   * Reads the output.
   *
   * @throws UpkeepException when it does not end as it does when the run was whole
   */
  public static Inventory parse(String output) {
    SortedMap<String, SortedSet<Digest>> manifests = new TreeMap<>();
    SortedSet<Digest> sweepable = new TreeSet<>();
    boolean whole = false;
    for (String line : output.split("\n", -1)) {
      int marking = line.indexOf(MARKING);
      if (marking > 0 && Repository.isPath(line.substring(0, marking))) {
        Optional<Digest> digest =
            Digest.tryParse(line.substring(marking + MARKING.length()).strip());
        if (digest.isEmpty()) {
          throw new UpkeepException("the registry's inventory names a manifest without a digest");
        }
        manifests
            .computeIfAbsent(line.substring(0, marking), name -> new TreeSet<>())
            .add(digest.get());
      } else if (line.startsWith(BLOB)) {
        Digest.tryParse(line.substring(BLOB.length()).strip()).ifPresent(sweepable::add);
      } else if (line.contains(" blobs marked, ") && line.contains(" eligible for deletion")) {
        whole = true;
      }
    }
    if (!whole) {
      throw new UpkeepException("the registry's inventory has no end; nothing is deleted");
    }
    return new Inventory(manifests, sweepable);
  }

  /** How many manifests there are; one in two repositories counts twice. */
  public int size() {
    return manifests.values().stream().mapToInt(SortedSet::size).sum();
  }
}
