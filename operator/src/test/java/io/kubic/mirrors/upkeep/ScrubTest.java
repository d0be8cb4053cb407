package io.kubic.mirrors.upkeep;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.oci.Digest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ScrubTest {
  private static final Instant NOW = Instant.parse("2026-01-01T12:00:00Z");
  @TempDir private Path storage;

  private Path put(byte[] content, Instant written) throws IOException {
    Digest digest = Digest.of(content);
    Path data = data(digest);
    Files.createDirectories(data.getParent());
    Files.write(data, content);
    Files.setLastModifiedTime(data, FileTime.from(written));
    return data;
  }

  private Path data(Digest digest) {
    return storage
        .resolve("docker/registry/v2/blobs/sha256")
        .resolve(digest.hex().substring(0, 2))
        .resolve(digest.hex())
        .resolve("data");
  }

  private static void flip(Path data, Random random) throws IOException {
    FileTime time = Files.getLastModifiedTime(data);
    byte[] content = Files.readAllBytes(data);
    content[random.nextInt(content.length)] ^= (byte) (1 << random.nextInt(8));
    Files.write(data, content);
    Files.setLastModifiedTime(data, time);
  }

  private ScrubReport scrub(boolean dryRun, Instant now) {
    return new Scrub(storage, dryRun, Clock.fixed(now, ZoneOffset.UTC), line -> {}).run();
  }

  @Test
  void everyFlippedBitIsFoundAndNothingElse() throws IOException {
    long seed = Long.getLong("mirror.seed", System.nanoTime());
    Random random = new Random(seed);
    Set<Path> rotten = new TreeSet<>();
    Set<Path> good = new TreeSet<>();
    for (int i = 0; i < 500; i++) {
      byte[] content = new byte[1 + random.nextInt(5000)];
      random.nextBytes(content);
      Path data = put(content, NOW.minusSeconds(3600));
      if (random.nextInt(5) == 0) {
        flip(data, random);
        rotten.add(data);
      } else {
        good.add(data);
      }
    }
    ScrubReport dry = scrub(true, NOW);
    assertThat(dry.corrupt()).as("mirror.seed=" + seed).isEqualTo(rotten.size());
    assertThat(rotten).allMatch(Files::exists);
    ScrubReport report = scrub(false, NOW);
    assertThat(report.blobs()).isEqualTo(500);
    assertThat(report.corrupt()).isEqualTo(rotten.size());
    assertThat(rotten).noneMatch(Files::exists);
    assertThat(good).allMatch(Files::exists);
    try (var aside = Files.list(storage.resolve(Scrub.QUARANTINE))) {
      assertThat(aside).hasSameSizeAs(rotten);
    }
    assertThat(scrub(false, NOW).corrupt()).isZero();
  }

  @Test
  void whatWasWrittenAMomentAgoIsLeftAlone() throws IOException {
    Path data = put(new byte[] {1, 2, 3}, NOW.minusSeconds(5));
    flip(data, new Random(1));
    ScrubReport report = scrub(false, NOW);
    assertThat(report.corrupt()).isZero();
    assertThat(report.fresh()).isEqualTo(1);
    assertThat(data).exists();
  }

  @Test
  void whatWasSetAsideGoesAfterAMonth() throws IOException {
    Path data = put(new byte[] {1, 2, 3}, NOW.minusSeconds(3600));
    flip(data, new Random(1));
    scrub(false, NOW);
    Path aside = storage.resolve(Scrub.QUARANTINE);
    assertThat(aside).isNotEmptyDirectory();
    scrub(false, NOW.plusSeconds(40L * 24 * 3600));
    assertThat(aside).isEmptyDirectory();
  }

  /** What is kept for a month counts from when it was set aside, not from when it was pushed. */
  @Test
  void anOldBlobThatIsSetAsideIsKeptLikeANewOne() throws IOException {
    Path data = put(new byte[] {1, 2, 3}, NOW.minusSeconds(400L * 24 * 3600));
    flip(data, new Random(1));
    assertThat(scrub(false, NOW).corrupt()).isEqualTo(1);
    Path aside = storage.resolve(Scrub.QUARANTINE);
    assertThat(aside).isNotEmptyDirectory();
    scrub(false, NOW.plusSeconds(29L * 24 * 3600));
    assertThat(aside).isNotEmptyDirectory();
    scrub(false, NOW.plusSeconds(31L * 24 * 3600));
    assertThat(aside).isEmptyDirectory();
  }

  @Test
  void anEmptyStorageIsNoMistake() {
    assertThat(scrub(false, NOW).blobs()).isZero();
  }
}
