package io.kubic.mirrors.controller.registry;

import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus;
import java.time.Instant;
import java.util.Collection;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What is to be said of a registry's volume. Loss is found without a marker of ours: from the first
 * push on a registry's filesystem has a directory of repositories, which neither a deletion nor a
 * garbage collection removes; where it was and is not any more, the volume is another.
 *
 * @param healthy {@code True}, {@code False}, or {@code Unknown} where nothing can be measured
 * @param status null where nothing was ever measured
 */
record StorageJudgement(
    String healthy, String reason, String message, MirrorRegistryStatus.@Nullable Storage status) {
  /** Above this part of the capacity is pressure: there is still room to push and to collect. */
  private static final int PRESSURE_PERCENT = 85;

  static final String DATA_LOST = "DataLost";

  boolean dataLost() {
    return reason.equals(DATA_LOST);
  }

  /**
   * Judges what the gateways see.
   *
   * @param old what was said before
   * @param volumes as every gateway that answered sees it
   * @param measurable false for an object store
   * @param settled until when a loss is accepted or filled up again; null: it is not
   */
  static StorageJudgement of(
      MirrorRegistryStatus.@Nullable Storage old,
      List<RegistryProbe.Volume> volumes,
      boolean measurable,
      @Nullable Instant settled,
      Instant now) {
    if (!measurable) {
      return new StorageJudgement(
          "Unknown", "NotMeasured", "the capacity of an object store cannot be seen", null);
    }
    String lostAt = old == null ? null : old.lostAt();
    if (lostAt != null && settled != null && !Instant.parse(lostAt).isAfter(settled)) {
      lostAt = null;
    }
    if (volumes.isEmpty()) {
      return lostAt != null
          ? lost(old, lostAt)
          : new StorageJudgement("Unknown", "NotSeen", "no gateway tells of the volume yet", old);
    }
    RegistryProbe.Volume fullest = fullest(volumes);
    boolean content = volumes.stream().anyMatch(RegistryProbe.Volume::content);
    boolean had = old != null && Boolean.TRUE.equals(old.content());
    if (had && !content && lostAt == null) {
      lostAt = now.toString();
    }
    long step = Math.max(1L << 20, fullest.capacityBytes() / 100);
    long used = Math.ceilDiv(fullest.usedBytes(), step) * step;
    MirrorRegistryStatus.Storage status =
        new MirrorRegistryStatus.Storage(
            bytes(fullest.capacityBytes()), bytes(used), content, lostAt);
    if (lostAt != null) {
      return lost(status, lostAt);
    }
    long percent =
        fullest.capacityBytes() == 0 ? 0 : fullest.usedBytes() * 100 / fullest.capacityBytes();
    String told = percent + " % of " + bytes(fullest.capacityBytes()) + " used";
    return percent >= PRESSURE_PERCENT
        ? new StorageJudgement(
            "False",
            "StoragePressure",
            told + "; grow the claim, or delete images and collect the garbage: both still work",
            status)
        : new StorageJudgement("True", "Room", "less than " + PRESSURE_PERCENT + " % used", status);
  }

  /** The same; of a store that cannot be measured the used part is what was counted in it. */
  StorageJudgement holding(MirrorRegistryStatus.@Nullable Contents contents) {
    return status != null || contents == null || contents.bytes() == null
        ? this
        : new StorageJudgement(
            healthy,
            reason,
            message,
            new MirrorRegistryStatus.Storage(null, bytes(contents.bytes()), null, null));
  }

  private static StorageJudgement lost(
      MirrorRegistryStatus.@Nullable Storage status, String lostAt) {
    return new StorageJudgement(
        "False",
        DATA_LOST,
        "an empty volume was found at "
            + lostAt
            + " where images had been; the lists fill it again, or put the volume back, or accept"
            + " the loss with the annotation mirrors.kubic.io/accept-data-loss=<time>",
        status);
  }

  private static RegistryProbe.Volume fullest(Collection<RegistryProbe.Volume> volumes) {
    return volumes.stream()
        .max(java.util.Comparator.comparingLong(RegistryProbe.Volume::usedBytes))
        .orElseThrow();
  }

  private static String bytes(long bytes) {
    return Math.ceilDiv(bytes, 1L << 20) + "Mi";
  }
}
