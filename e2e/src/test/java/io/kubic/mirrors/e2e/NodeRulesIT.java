package io.kubic.mirrors.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.node.ImageName;
import io.kubic.mirrors.node.rules.Attempt;
import io.kubic.mirrors.node.rules.InvalidFileException;
import io.kubic.mirrors.node.rules.NodeTree;
import io.kubic.mirrors.node.rules.RegistriesConf;
import io.kubic.mirrors.pki.CertificateAuthority;
import io.kubic.mirrors.pki.KeySpec;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Our reading of a node's files against the real readers: what we accept they accept, and both
 * would ask the same places in the same order.
 */
class NodeRulesIT {
  private static final int ROUNDS = Integer.getInteger("mirror.rounds", 2000);
  private static final long SEED = Long.getLong("mirror.seed", 42L);
  private static final int SHOWN = 12;

  private int readByLibrary;
  private int readByContainerd;
  private int stricterThanLibrary;
  private int stricterThanContainerd;

  @Test
  void whatWeAcceptTheRealReadersAcceptAndAskTheSamePlaces(@TempDir Path temporary)
      throws Exception {
    Path memory = Path.of("/dev/shm");
    Path etc =
        Files.isWritable(memory)
            ? Files.createTempDirectory(memory, "rules")
            : Files.createDirectory(temporary.resolve("etc"));
    String authority =
        CertificateAuthority.create(
                "it", KeySpec.DEFAULT, Duration.ofDays(30), new SecureRandom(), Clock.systemUTC())
            .certificatePem();
    List<String> disagreements = new ArrayList<>();
    try (Oracle oracle = new Oracle()) {
      for (int round = 0; round < ROUNDS && disagreements.size() < SHOWN; round++) {
        RandomNode node = new RandomNode(SEED + round, authority);
        clear(etc);
        node.write(etc);
        Oracle.Answer real = oracle.ask(etc, node.images());
        for (String disagreement : compare(NodeTree.read(etc), node.images(), real)) {
          disagreements.add(
              "seed " + (SEED + round) + ": " + disagreement + shown(node, disagreement));
        }
      }
    } finally {
      clear(etc);
      Files.delete(etc);
    }
    System.out.printf(
        "NodeRulesIT: %d configurations from seed %d; both read: registries.conf %d, hosts.toml %d;"
            + " only we refuse: %d, %d; disagreements where we accept: %d%n",
        ROUNDS,
        SEED,
        readByLibrary,
        readByContainerd,
        stricterThanLibrary,
        stricterThanContainerd,
        disagreements.size());
    assertThat(disagreements).isEmpty();
    assertThat(readByLibrary).as("most configurations are good").isGreaterThan(ROUNDS / 3);
    assertThat(readByContainerd).isGreaterThan(ROUNDS / 4);
  }

  @Test
  void skopeoOfThisMachineTriesTheSamePlaces(@TempDir Path temporary) throws Exception {
    Lab.require(Files.isExecutable(Path.of("/usr/bin/skopeo")), "skopeo is not installed");
    Path file = temporary.resolve("registries.conf");
    int asked = 0;
    for (long seed = SEED; asked < Math.max(20, ROUNDS / 100); seed++) {
      RandomNode node = new RandomNode(seed, "");
      String text = node.files().get("containers/registries.conf");
      ImageName image = ImageName.parse(node.images().getFirst(), "image");
      List<Attempt> ours;
      try {
        ours = RegistriesConf.parse(text == null ? "" : text, file.toString()).attempts(image);
      } catch (InvalidFileException e) {
        continue;
      }
      if (ours.size() == 1) {
        continue; // every reader would say the same
      }
      asked++;
      Files.writeString(file, text == null ? "" : text);
      // No network at all: every place is tried, and none answers.
      Lab.Result result =
          Lab.run(
              Duration.ofSeconds(30),
              Map.of(),
              List.of(
                  "unshare",
                  "-n",
                  "skopeo",
                  "--registries-conf",
                  file.toString(),
                  "--debug",
                  "inspect",
                  "--raw",
                  "docker://" + image));
      List<String> tried =
          result
              .err()
              .lines()
              .filter(line -> line.contains("Trying to access"))
              .map(line -> line.substring(line.indexOf("\\\"") + 2, line.lastIndexOf("\\\"")))
              .toList();
      assertThat(tried)
          .as("seed %d, %s\n%s\n%s", seed, image, text, result.err())
          .isEqualTo(ours.stream().map(Attempt::address).toList());
    }
  }

  private List<String> compare(NodeTree tree, List<String> images, Oracle.Answer real) {
    List<String> found = new ArrayList<>();
    if (tree.libraryProblems().isEmpty()) {
      if (!real.libraryError().isEmpty()) {
        found.add("library refuses: " + real.libraryError());
      } else {
        readByLibrary++;
        for (int i = 0; i < images.size(); i++) {
          ImageName image = ImageName.parse(images.get(i), "image");
          Oracle.Image theirs = real.library().get(i);
          try {
            same(found, "library", image, tree.library(image), theirs);
          } catch (InvalidFileException e) {
            if (theirs.error().isEmpty()) {
              stricterThanLibrary++;
            }
          }
        }
      }
    } else if (real.libraryError().isEmpty()) {
      stricterThanLibrary++;
    }
    if (tree.containerdProblems().isEmpty()) {
      if (!real.containerdErrors().isEmpty()) {
        found.add("containerd refuses: " + real.containerdErrors());
      } else {
        readByContainerd++;
        for (int i = 0; i < images.size(); i++) {
          ImageName image = ImageName.parse(images.get(i), "image");
          same(found, "containerd", image, tree.containerd(image), real.containerd().get(i));
        }
      }
    } else if (real.containerdErrors().isEmpty()) {
      stricterThanContainerd++;
    }
    return found;
  }

  private static void same(
      List<String> found, String reader, ImageName image, List<Attempt> ours, Oracle.Image real) {
    List<String> asked = ours.stream().map(Attempt::toString).toList();
    if (!real.error().isEmpty()) {
      found.add(reader + " asks nobody for " + image + ": " + real.error() + "; we say " + asked);
    } else if (!asked.equals(real.asks())) {
      found.add(reader + " asks " + real.asks() + " for " + image + "; we say " + asked);
    }
  }

  private static String shown(RandomNode node, String disagreement) {
    StringBuilder text = new StringBuilder();
    node.files()
        .forEach(
            (name, content) -> {
              if (name.startsWith(
                      disagreement.startsWith("containerd") ? "containerd" : "containers")
                  && !name.endsWith(".crt")) {
                text.append("\n--- ").append(name).append("\n").append(content);
              }
            });
    return text.append('\n').toString();
  }

  private static void clear(Path directory) throws IOException {
    try (Stream<Path> all = Files.walk(directory)) {
      for (Path path : all.sorted(Comparator.reverseOrder()).toList()) {
        if (!path.equals(directory)) {
          Files.delete(path);
        }
      }
    }
  }
}
