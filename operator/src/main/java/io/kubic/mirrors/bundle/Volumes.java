package io.kubic.mirrors.bundle;

import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Reason;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Which volume a blob goes to: large ones first, each where it fits first, and only what is larger
 * than a volume is split. Equal blobs are packed equally.
 *
 * @param volumes what is in each
 */
record Volumes(List<List<Piece>> volumes) {
  /** What a file costs besides its bytes: its line in SHA256SUMS. */
  private static final int LINE = 170;

  private static final int MAX_VOLUMES = 9999;

  Volumes {
    volumes = volumes.stream().map(List::copyOf).toList();
  }

  /**
   * A blob, or a part of one.
   *
   * @param part 0 for a whole blob, else counted from 1
   * @param offset within the blob, in bytes
   */
  record Piece(Digest digest, int part, long offset, long length) {
    String name() {
      String whole = BundleDirectory.nameOf(digest);
      return part == 0 ? whole : whole + BundleDirectory.PART + BundleDirectory.padded(part);
    }
  }

  /**
   * @param blobs with their sizes
   * @param size of a volume in bytes
   * @param fixed bytes of every volume that are no blobs
   * @param first bytes that only the first volume has
   * @throws RefusedException when nothing would fit
   */
  static Volumes pack(Map<Digest, Long> blobs, long size, long fixed, long first) {
    long room = size - fixed - LINE;
    if (room < LINE || room < first) {
      throw new RefusedException(
          Reason.TargetRejected,
          "--volume-size " + size,
          "is too small: each volume has " + (fixed + first) + " bytes besides its blobs");
    }
    List<Piece> pieces = new ArrayList<>();
    blobs.forEach(
        (digest, length) -> {
          if (length <= room) {
            pieces.add(new Piece(digest, 0, 0, length));
            return;
          }
          int part = 0;
          for (long offset = 0; offset < length; offset += room) {
            pieces.add(new Piece(digest, ++part, offset, Math.min(room, length - offset)));
          }
        });
    pieces.sort(
        Comparator.comparingLong(Piece::length)
            .reversed()
            .thenComparing(Piece::digest)
            .thenComparingInt(Piece::part));
    List<List<Piece>> volumes = new ArrayList<>(List.of(new ArrayList<>()));
    List<Long> free = new ArrayList<>(List.of(size - fixed - first));
    for (Piece piece : pieces) {
      long cost = piece.length() + LINE;
      int at = 0;
      while (at < volumes.size() && free.get(at) < cost) {
        at++;
      }
      if (at == volumes.size()) {
        volumes.add(new ArrayList<>());
        free.add(size - fixed);
      }
      volumes.get(at).add(piece);
      free.set(at, free.get(at) - cost);
    }
    if (volumes.size() > MAX_VOLUMES) {
      throw new RefusedException(
          Reason.TargetRejected,
          "--volume-size " + size,
          "would make " + volumes.size() + " volumes, at most " + MAX_VOLUMES);
    }
    return new Volumes(volumes);
  }

  /** Blobs that are split, with the number of their parts. */
  Map<Digest, Integer> parts() {
    Map<Digest, Integer> parts = new TreeMap<>();
    volumes.forEach(
        volume ->
            volume.stream()
                .filter(piece -> piece.part() > 0)
                .forEach(piece -> parts.merge(piece.digest(), 1, Integer::sum)));
    return parts;
  }
}
