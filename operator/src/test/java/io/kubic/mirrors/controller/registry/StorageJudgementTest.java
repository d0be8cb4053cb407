package io.kubic.mirrors.controller.registry;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus;
import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class StorageJudgementTest {
  private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");
  private static final long GIB = 1L << 30;

  private static StorageJudgement judge(
      MirrorRegistryStatus.@Nullable Storage old,
      @Nullable Instant settled,
      RegistryProbe.Volume... volumes) {
    return StorageJudgement.of(old, List.of(volumes), true, settled, NOW);
  }

  @Test
  void anEmptyVolumeOfANewRegistryIsNoLoss() {
    StorageJudgement judgement = judge(null, null, new RegistryProbe.Volume(50 * GIB, GIB, false));
    assertThat(judgement.healthy()).isEqualTo("True");
    assertThat(judgement.status().capacity()).isEqualTo("51200Mi");
    assertThat(judgement.status().used()).isEqualTo("1024Mi");
  }

  @Test
  void anEmptyVolumeWhereContentWasIsALossUntilItIsSettled() {
    var had = judge(null, null, new RegistryProbe.Volume(50 * GIB, GIB, true)).status();
    StorageJudgement lost = judge(had, null, new RegistryProbe.Volume(50 * GIB, 0, false));
    assertThat(lost.dataLost()).isTrue();
    assertThat(lost.healthy()).isEqualTo("False");
    StorageJudgement refilling =
        judge(lost.status(), NOW.minusSeconds(1), new RegistryProbe.Volume(50 * GIB, GIB, true));
    assertThat(refilling.dataLost()).as("one image is not all images").isTrue();
    assertThat(judge(refilling.status(), null).dataLost()).as("no pod answers").isTrue();
    StorageJudgement settled =
        judge(refilling.status(), NOW, new RegistryProbe.Volume(50 * GIB, GIB, true));
    assertThat(settled.healthy()).isEqualTo("True");
    assertThat(settled.status().lostAt()).isNull();
  }

  @Test
  void pressureIsToldBeforeTheVolumeIsFull() {
    assertThat(judge(null, null, new RegistryProbe.Volume(100 * GIB, 84 * GIB, true)).healthy())
        .isEqualTo("True");
    StorageJudgement tight = judge(null, null, new RegistryProbe.Volume(100 * GIB, 85 * GIB, true));
    assertThat(tight.reason()).isEqualTo("StoragePressure");
    assertThat(tight.message()).contains("85 %");
  }

  @Test
  void aLittleMoreUseIsNoNewStatus() {
    var a = judge(null, null, new RegistryProbe.Volume(100 * GIB, 10 * GIB + 1, true));
    var b = judge(a.status(), null, new RegistryProbe.Volume(100 * GIB, 10 * GIB + 4096, true));
    assertThat(b).isEqualTo(a);
  }

  @Test
  void anObjectStoreCannotBeMeasured() {
    assertThat(StorageJudgement.of(null, List.of(), false, null, NOW).healthy())
        .isEqualTo("Unknown");
  }
}
