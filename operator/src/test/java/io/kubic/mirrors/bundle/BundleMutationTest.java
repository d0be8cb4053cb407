package io.kubic.mirrors.bundle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import io.kubic.mirrors.oci.RegistryException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A carrier does something to a bundle: no tag moves. {@code -Dmirror.rounds=5000} for a release.
 */
class BundleMutationTest {
  private static final int ROUNDS = Integer.getInteger("mirror.rounds", 250);

  @TempDir private Path temp;

  enum Mutation {
    FLIP,
    TRUNCATE,
    LENGTHEN,
    DROP,
    ADD,
    SWAP,
    REPLAY,
    MIX,
    SYMLINK,
    HARDLINK,
    TRAVERSAL,
    CASE,
    EMPTY_DIRECTORY
  }

  @Test
  void whateverACarrierDoesIsFoundBeforeTheFirstTag() throws IOException {
    long seed = Long.getLong("mirror.seed", System.nanoTime());
    Random random = new Random(seed);
    Map<Mutation, Integer> counts = new EnumMap<>(Mutation.class);
    try (Story story = new Story().filled()) {
      Path old = temp.resolve("old");
      story.export(old);
      story.now += 60;
      story.source.image("c", "3", Story.bytes(6, 10));
      story.source.image("d", "1", Story.bytes(8, 4000));
      story.wanted.add("d:1");
      Path whole = temp.resolve("whole");
      story.export(whole);
      story.volumeSize = 16_000;
      Path volumes = temp.resolve("volumes");
      story.export(volumes);
      MemoryRegistry fresh = new MemoryRegistry("mirror.local");
      MemoryRegistry used = new MemoryRegistry("mirror.local");
      story.take(old, used);
      MemoryRegistry ahead = used.copy();
      story.take(whole, ahead);
      for (int round = 0; round < ROUNDS; round++) {
        Mutation mutation = Mutation.values()[round % Mutation.values().length];
        boolean inVolumes = random.nextInt(4) == 0;
        Path bundle = temp.resolve("m" + round);
        Story.copy(mutation == Mutation.REPLAY ? old : inVolumes ? volumes : whole, bundle);
        story.signed = random.nextBoolean();
        String what = mutate(mutation, bundle, old, random, story.signed);
        MemoryRegistry target =
            (mutation == Mutation.REPLAY ? ahead : random.nextBoolean() ? fresh : used).copy();
        Map<String, String> before = target.tags();
        String about = "seed " + seed + " round " + round + ": " + mutation + " " + what;
        try {
          story.take(bundle, target);
          fail(about + " was taken");
        } catch (RefusedException | RegistryException e) {
          assertThat(e.getMessage()).as(about).isNotBlank();
        }
        assertThat(target.tags()).as(about).isEqualTo(before);
        assertThat(target.log).as(about).noneMatch(line -> line.startsWith("TAG"));
        counts.merge(mutation, 1, Integer::sum);
        Story.removeAll(bundle);
      }
    }
    System.out.println("mutations refused before the first tag: " + counts);
  }

  private String mutate(Mutation mutation, Path bundle, Path old, Random random, boolean signed)
      throws IOException {
    List<Path> files = files(bundle, signed);
    Path file = files.get(random.nextInt(files.size()));
    byte[] bytes = Files.readAllBytes(file);
    switch (mutation) {
      case FLIP -> {
        bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
        Files.write(file, bytes);
      }
      case TRUNCATE ->
          Files.write(file, java.util.Arrays.copyOf(bytes, random.nextInt(bytes.length)));
      case LENGTHEN -> Files.write(file, java.util.Arrays.copyOf(bytes, bytes.length + 1));
      case DROP -> Files.delete(file);
      case ADD -> {
        Path more = file.resolveSibling("more" + random.nextInt(9));
        Files.write(more, bytes);
      }
      case SWAP -> {
        Path other = other(files, file, bytes, random);
        byte[] others = Files.readAllBytes(other);
        Files.write(file, others);
        Files.write(other, bytes);
      }
      case REPLAY -> {}
      case MIX -> {
        // One file of an older bundle of the same series.
        Path from = null;
        while (from == null) {
          Path candidate = old.resolve(bundle.relativize(file).toString());
          if (Files.exists(candidate)
              && !java.util.Arrays.equals(
                  Files.readAllBytes(candidate), Files.readAllBytes(file))) {
            from = candidate;
          } else {
            Path sums =
                files.stream().filter(f -> f.endsWith("bundle.json")).findFirst().orElseThrow();
            file = sums;
            from = old.resolve("bundle.json");
          }
        }
        Files.write(file, Files.readAllBytes(from));
      }
      case SYMLINK -> {
        Path away = temp.resolve("away" + random.nextLong());
        Files.move(file, away);
        Files.createSymbolicLink(file, away);
      }
      case HARDLINK -> {
        Path away = temp.resolve("away" + random.nextLong());
        Files.createLink(away, file);
      }
      case TRAVERSAL -> {
        Path sums = files.stream().filter(f -> f.endsWith("SHA256SUMS")).findFirst().orElseThrow();
        String line =
            "0".repeat(64)
                + "  "
                + List.of("../x", "/etc/passwd", "blobs/../../x", "a/./b", "blobs\\x", "C:/x")
                    .get(random.nextInt(6))
                + "\n";
        String text = Files.readString(sums);
        Files.writeString(sums, random.nextBoolean() ? text + line : line + text);
      }
      case CASE -> {
        String name = file.getFileName().toString();
        String upper = name.toUpperCase(Locale.ROOT);
        Files.write(
            file.resolveSibling(upper.equals(name) ? name.toLowerCase(Locale.ROOT) : upper), bytes);
      }
      case EMPTY_DIRECTORY -> Files.createDirectory(file.resolveSibling("empty"));
    }
    return bundle.relativize(file).toString();
  }

  private static Path other(List<Path> files, Path file, byte[] bytes, Random random)
      throws IOException {
    while (true) {
      Path other = files.get(random.nextInt(files.size()));
      if (!other.equals(file) && !java.util.Arrays.equals(bytes, Files.readAllBytes(other))) {
        return other;
      }
    }
  }

  /** Without a key nobody looks at the signature. */
  private static List<Path> files(Path bundle, boolean signed) throws IOException {
    List<Path> files = new ArrayList<>();
    try (Stream<Path> all = Files.walk(bundle)) {
      all.filter(Files::isRegularFile)
          .filter(f -> signed || !f.toString().endsWith(".sig"))
          .sorted()
          .forEach(files::add);
    }
    return files;
  }
}
