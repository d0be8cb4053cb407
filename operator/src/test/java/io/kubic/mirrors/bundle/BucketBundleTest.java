package io.kubic.mirrors.bundle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.layout.Checkpoint;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A bundle whose place is a bucket. */
class BucketBundleTest {
  private static final int ROUNDS = Math.min(500, Integer.getInteger("mirror.rounds", 40));
  private static final Import.Rules STRICT = new Import.Rules(false, false, false, Set.of(), null);

  private final Story story = new Story().filled();
  private final AtomicInteger runs = new AtomicInteger();
  @TempDir private Path temp;

  /** Not an exception that anybody would handle. */
  private static final class PowerFailure extends Error {
    private static final long serialVersionUID = 1L;
  }

  @AfterEach
  void close() {
    story.close();
  }

  /** Every run has an empty directory beside the bucket, as every pod has. */
  private Export.Result export(Bucket to) {
    Path near = temp.resolve("near" + runs.incrementAndGet());
    Export.Result result = story.export(near, to, null, Checkpoint.NONE);
    assertThat(Files.exists(near) ? Story.tree(near).keySet() : Set.<String>of())
        .as("no layer touches the disk")
        .noneMatch(name -> name.contains(layer()));
    return result;
  }

  private static String layer() {
    return io.kubic.mirrors.oci.Digest.of(Story.bytes(4, 20_000)).hex();
  }

  @Test
  void aBucketHoldsExactlyTheFilesOfTheDirectory() {
    story.export(temp.resolve("directory"));
    MemoryBucket bucket = new MemoryBucket();
    Export.Result done = export(bucket);

    assertThat(bucket.tree()).isEqualTo(Story.tree(temp.resolve("directory")));
    assertThat(List.copyOf(bucket.log)).startsWith("PUT .partial/state.json");
    assertThat(List.copyOf(bucket.log)).endsWith("PUT SHA256SUMS", "REMOVE .partial/state.json");

    BundleDirectory read =
        BundleDirectory.open(List.of(BucketMedium.of(bucket)), story.verifyingKey, false);
    assertThat(Verification.of(read)).isEmpty();
    assertThat(read.checksum()).isEqualTo(done.checksum());

    MemoryRegistry fromDirectory = new MemoryRegistry("mirror.local");
    story.take(temp.resolve("directory"), fromDirectory);
    MemoryRegistry fromBucket = new MemoryRegistry("mirror.local");
    story.take(BucketMedium.of(bucket), fromBucket, STRICT);
    assertThat(fromBucket.manifests).isEqualTo(fromDirectory.manifests);
    assertThat(fromBucket.blobs.keySet()).isEqualTo(fromDirectory.blobs.keySet());
  }

  @Test
  void aCompleteExportIsASuccessWithoutAskingTheSourceAgain() {
    MemoryBucket bucket = new MemoryBucket();
    Export.Result first = export(bucket);
    bucket.log.clear();
    story.source.whileReading =
        bytes -> {
          throw new IllegalStateException("asked");
        };
    story.now += 100;
    Export.Result second = export(bucket);
    assertThat(second.checksum()).isEqualTo(first.checksum());
    assertThat(second.plan()).isNull();
    assertThat(bucket.log).isEmpty();

    story.more = ", name: other";
    assertThatThrownBy(() -> export(bucket))
        .isInstanceOf(RefusedException.class)
        .hasMessageStartingWith("s3://b/p: holds the bundle ")
        .hasMessageEndingWith("a new bundle wants a new directory");
  }

  @Test
  void anExportThatWasCutAnywhereEndsWithTheSameBytesAndSendsNoBlobTwice() {
    long seed = Long.getLong("mirror.seed", System.nanoTime());
    Random random = new Random(seed);
    MemoryBucket whole = new MemoryBucket();
    AtomicLong changes = new AtomicLong();
    whole.beforeChange = changes::incrementAndGet;
    export(whole);
    Map<String, String> expected = whole.tree();
    int cutAtAll = 0;
    for (int round = 0; round < ROUNDS; round++) {
      String about = "seed " + seed + " round " + round;
      MemoryBucket bucket = new MemoryBucket();
      for (int i = 0; i < 1 + random.nextInt(3); i++) {
        AtomicLong left = new AtomicLong(random.nextLong(changes.get()));
        try (MemoryBucket process = bucket.process()) {
          process.beforeChange =
              () -> {
                if (left.decrementAndGet() < 0) {
                  throw new PowerFailure();
                }
              };
          export(process);
        } catch (PowerFailure | RuntimeException e) {
          cutAtAll++;
        }
        if (bucket.objects.containsKey("SHA256SUMS")) {
          // What looks complete is complete, but for a mark that says otherwise.
          Map<String, String> tree = bucket.tree();
          tree.remove(".partial/state.json");
          assertThat(tree).as(about).isEqualTo(expected);
        } else {
          assertThatThrownBy(() -> story.take(BucketMedium.of(bucket), null, STRICT))
              .as(about)
              .isInstanceOf(RefusedException.class);
        }
      }
      export(bucket);
      assertThat(bucket.tree()).as(about).isEqualTo(expected);
      List<String> blobs = bucket.log.stream().filter(l -> l.startsWith("PUT blobs/")).toList();
      assertThat(blobs).as(about).doesNotHaveDuplicates();
      MemoryRegistry target = new MemoryRegistry("mirror.local");
      story.take(BucketMedium.of(bucket), target, STRICT);
    }
    assertThat(cutAtAll).isGreaterThanOrEqualTo(ROUNDS);
    System.out.println("exports into a bucket cut and resumed: " + ROUNDS);
  }

  @Test
  void aResumedExportKeepsItsSequence() {
    MemoryBucket whole = new MemoryBucket();
    export(whole);
    MemoryBucket bucket = new MemoryBucket();
    AtomicInteger left = new AtomicInteger(6);
    bucket.beforeChange =
        () -> {
          if (left.decrementAndGet() < 0) {
            throw new PowerFailure();
          }
        };
    try {
      export(bucket);
      fail("was not cut");
    } catch (PowerFailure | RuntimeException e) {
      bucket.beforeChange = () -> {};
    }
    story.now += 1000;
    export(bucket);
    assertThat(bucket.tree()).isEqualTo(whole.tree());
    assertThat(bucket.log).contains("DROP");
  }

  @Test
  void whatAnEarlierRunLeftBehindIsRemovedAndWhatIsForeignIsNot() {
    MemoryBucket bucket = new MemoryBucket();
    bucket.beforeChange =
        () -> {
          if (bucket.objects.containsKey("index.json")) {
            throw new PowerFailure();
          }
        };
    story.extras = new Extras(Map.of(), Map.of("notes.txt", new byte[] {1}), List.of());
    assertThatThrownBy(() -> export(bucket)).isInstanceOf(PowerFailure.class);
    assertThat(bucket.objects).containsKey("extras/notes.txt");
    bucket.beforeChange = () -> {};
    bucket.objects.put("notes.txt", new byte[] {1});
    story.extras = Extras.NONE;
    assertThatThrownBy(() -> export(bucket))
        .isInstanceOf(RefusedException.class)
        .hasMessage(
            "s3://b/p/notes.txt: does not belong to the bundle; remove it, and run the export"
                + " again");
    assertThat(bucket.objects).containsKey("notes.txt").doesNotContainKey("SHA256SUMS");
    bucket.objects.remove("notes.txt");
    export(bucket);
    assertThat(bucket.objects).doesNotContainKey("extras/notes.txt").containsKey("SHA256SUMS");
  }

  @Test
  void whateverHappensToAnObjectIsFoundBeforeTheFirstTag() {
    long seed = Long.getLong("mirror.seed", System.nanoTime());
    Random random = new Random(seed);
    MemoryBucket whole = new MemoryBucket();
    export(whole);
    List<String> names = whole.objects.keySet().stream().sorted().toList();
    for (int round = 0; round < 5 * ROUNDS; round++) {
      MemoryBucket bucket = whole.copy();
      String name = names.get(random.nextInt(names.size()));
      byte[] bytes = bucket.objects.get(name).clone();
      String how;
      boolean late = false;
      switch (round % 6) {
        case 0, 1 -> {
          how = "flip";
          bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
          bucket.objects.put(name, bytes);
        }
        case 2 -> {
          how = "truncate";
          bucket.objects.put(name, java.util.Arrays.copyOf(bytes, random.nextInt(bytes.length)));
        }
        case 3 -> {
          how = "drop";
          bucket.objects.remove(name);
        }
        case 4 -> {
          how = "add";
          bucket.objects.put(name + random.nextInt(9), bytes);
        }
        default -> {
          how = "change after the listing";
          late = true;
        }
      }
      String about = "seed " + seed + " round " + round + ": " + how + " " + name;
      BucketMedium medium = BucketMedium.of(bucket);
      if (late) {
        bytes[0] ^= 1;
        bucket.objects.put(name, bytes);
      }
      MemoryRegistry target = new MemoryRegistry("mirror.local");
      try {
        story.take(medium, target, STRICT);
        fail(about + " was taken");
      } catch (RefusedException | RegistryException e) {
        assertThat(e.getMessage()).as(about).isNotBlank().doesNotContain("\n");
      }
      assertThat(target.tags()).as(about).isEmpty();
    }
  }

  @Test
  void volumesThatSomebodyUploadedAreRead() {
    story.volumeSize = 16_000;
    story.export(temp.resolve("volumes"));
    MemoryBucket bucket = new MemoryBucket().upload(temp.resolve("volumes"));
    // As consoles make them.
    bucket.objects.put("", new byte[0]);
    MemoryRegistry target = new MemoryRegistry("mirror.local");
    story.take(BucketMedium.of(bucket), target, STRICT);
    assertThat(target.tags()).isNotEmpty();

    bucket.objects.keySet().removeIf(name -> name.startsWith("volume-0002/"));
    assertThatThrownBy(() -> story.take(BucketMedium.of(bucket), target, STRICT))
        .hasMessageContaining("lacks here volume-0002");
  }

  @Test
  void aPrefixThatHoldsSomethingElseIsRefused() {
    MemoryBucket bucket = new MemoryBucket();
    bucket.objects.put("photo.jpg", "x".getBytes(StandardCharsets.UTF_8));
    assertThatThrownBy(() -> export(bucket))
        .isInstanceOf(RefusedException.class)
        .hasMessage("s3://b/p: is not empty; a bundle wants a prefix of its own");
    assertThat(bucket.objects.keySet()).isEqualTo(Collections.singleton("photo.jpg"));
    assertThatThrownBy(() -> story.take(BucketMedium.of(bucket), null, STRICT))
        .hasMessage("s3://b/p: is no complete bundle: it has no SHA256SUMS");
    assertThatThrownBy(() -> story.take(BucketMedium.of(new MemoryBucket()), null, STRICT))
        .hasMessage("s3://b/p: holds no bundle");
  }

  @Test
  void anUnfinishedExportOfAnotherListIsRefused() {
    MemoryBucket bucket = new MemoryBucket();
    bucket.beforeChange =
        () -> {
          if (bucket.objects.size() > 2) {
            throw new PowerFailure();
          }
        };
    try {
      export(bucket);
    } catch (PowerFailure | RuntimeException e) {
      bucket.beforeChange = () -> {};
    }
    story.more = ", name: other";
    assertThatThrownBy(() -> export(bucket))
        .hasMessageStartingWith("s3://b/p: holds an unfinished export of another list or base");
  }

  @Test
  void aBucketHasNoVolumes() {
    story.volumeSize = 16_000;
    assertThatThrownBy(() -> export(new MemoryBucket()))
        .isInstanceOf(RefusedException.class)
        .hasMessage("s3://b/p: takes objects of any size: leave out --volume-size");
  }
}
