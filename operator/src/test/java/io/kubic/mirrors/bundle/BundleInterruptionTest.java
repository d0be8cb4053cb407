package io.kubic.mirrors.bundle;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.oci.layout.Checkpoint;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The power fails at any step: what is done afterwards ends with the same bytes. {@code
 * -Dmirror.rounds=500} for a release.
 */
class BundleInterruptionTest {
  private static final int ROUNDS = Math.min(500, Integer.getInteger("mirror.rounds", 40));

  @TempDir private Path temp;

  /** Not an exception that anybody would handle. */
  private static final class PowerFailure extends Error {
    private static final long serialVersionUID = 1L;
  }

  /** Dies at a step, and stays dead. */
  private record Fuse(AtomicLong left) {
    void burn(long amount) {
      if (left.addAndGet(-amount) < 0) {
        throw new PowerFailure();
      }
    }
  }

  @Test
  void anExportThatWasCutAnywhereEndsWithTheSameBytes() {
    long seed = Long.getLong("mirror.seed", System.nanoTime());
    Random random = new Random(seed);
    for (long volumeSize : new long[] {0, 16_000}) {
      try (Story story = new Story().filled()) {
        story.volumeSize = volumeSize;
        AtomicLong steps = new AtomicLong();
        AtomicLong bytes = new AtomicLong();
        story.source.whileReading = bytes::addAndGet;
        Path whole = temp.resolve("whole" + volumeSize);
        story.export(whole, null, (step, file) -> steps.incrementAndGet());
        Map<String, String> expected = Story.tree(whole);
        for (int round = 0; round < ROUNDS; round++) {
          Path cut = temp.resolve("cut" + round);
          String about = "seed " + seed + " volumes " + volumeSize + " round " + round;
          int cuts = 1 + random.nextInt(3);
          for (int i = 0; i < cuts; i++) {
            boolean inStream = random.nextInt(3) == 0;
            Fuse fuse =
                new Fuse(new AtomicLong(random.nextLong(inStream ? bytes.get() : steps.get())));
            story.source.whileReading = inStream ? fuse::burn : b -> {};
            Checkpoint checkpoint = inStream ? Checkpoint.NONE : (s, f) -> fuse.burn(1);
            try {
              story.export(cut, null, checkpoint);
            } catch (PowerFailure | RuntimeException e) {
              // As expected; with little left to do, the fuse does not burn down.
            }
            if (Files.exists(cut.resolve("SHA256SUMS"))) {
              // What looks complete is complete.
              assertThat(Story.tree(cut)).as(about).isEqualTo(expected);
            }
          }
          story.source.whileReading = b -> {};
          story.export(cut, null, Checkpoint.NONE);
          assertThat(Story.tree(cut)).as(about).isEqualTo(expected);
          Story.removeAll(cut);
        }
      }
    }
    System.out.println(
        "exports cut and resumed, whole and in volumes, each byte-identical: " + 2 * ROUNDS);
  }

  @Test
  void anImportThatWasCutAnywhereEndsWithTheSameRegistry() {
    long seed = Long.getLong("mirror.seed", System.nanoTime());
    Random random = new Random(seed);
    try (Story story = new Story().filled()) {
      Path bundle = temp.resolve("b");
      story.export(bundle);
      MemoryRegistry whole = new MemoryRegistry("mirror.local");
      AtomicLong changes = new AtomicLong();
      whole.beforeChange = changes::incrementAndGet;
      story.take(bundle, whole);
      for (int round = 0; round < ROUNDS; round++) {
        String about = "seed " + seed + " round " + round;
        MemoryRegistry target = new MemoryRegistry("mirror.local");
        Fuse fuse = new Fuse(new AtomicLong(random.nextLong(changes.get())));
        target.beforeChange = () -> fuse.burn(1);
        try {
          story.take(bundle, target);
        } catch (PowerFailure | RuntimeException e) {
          // As expected.
        }
        target
            .tags()
            .forEach(
                (tag, digest) -> assertThat(whole.tags()).as(about).containsEntry(tag, digest));
        target.beforeChange = () -> {};
        story.take(bundle, target);
        assertThat(target.manifests).as(about).isEqualTo(whole.manifests);
        assertThat(target.blobs.keySet()).as(about).isEqualTo(whole.blobs.keySet());
      }
    }
    System.out.println("imports cut and resumed, each with the same registry: " + ROUNDS);
  }
}
