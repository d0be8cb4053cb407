package io.kubic.mirrors.list;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;

/** Sets of tags as registries hold them, few enough versions that builds meet. */
final class RandomTags {
  private static final String[] VERSIONS = {
    "1",
    "1.0",
    "1.1",
    "1.10",
    "1.1.0",
    "2",
    "10",
    "0.9.0",
    "0.10.0",
    "2024.01",
    "1.24rc1",
    "1.1.1w",
    "20240115",
    "2024-01-15",
    "1_80_0",
    "01.0",
    "999999999999999999999"
  };
  private static final String[] VARIANTS = {
    "",
    "",
    "",
    "-bookworm",
    "-alpine3.20",
    "-alpine3.9",
    "-slim",
    "-debian-12",
    "-rc1",
    "-alpha",
    "-x86_64",
    "_slim",
    "-nanoserver-1809",
    "-lp152"
  };
  private static final String[] BUILDS = {
    "",
    "",
    "-%d",
    "-%d.%d",
    "_%d",
    "-r%d",
    "-build%d.%d",
    "-rev%d-build%d.%d",
    "-rc.%d",
    "-foo.%d",
    "-build-%d",
    "-0%d"
  };
  private static final String[] NAMES = {
    "latest",
    "edge",
    "main",
    "stable-alpine",
    "4f3c2a1",
    "sha-1234567",
    "bookworm-20240110",
    "_x",
    "v",
    "release-1.0-1",
    "A",
    "1.",
    "1-",
    "1..2",
    "1.0-",
    "v1.x",
    "1.0--1",
    "1.0-.1",
    "1__1"
  };
  private static final String ALPHABET = "0123vrc.-_ab9";

  private RandomTags() {}

  static List<String> set(Random random) {
    Set<String> tags = new LinkedHashSet<>();
    int size = random.nextInt(14);
    for (int i = 0; i < size; i++) {
      tags.add(one(random));
    }
    return new ArrayList<>(tags);
  }

  static String one(Random random) {
    return switch (random.nextInt(12)) {
      case 0 -> pick(NAMES, random);
      case 1 -> noise(random);
      default ->
          (random.nextInt(4) == 0 ? "v" : "")
              + pick(VERSIONS, random)
              + pick(VARIANTS, random)
              + pick(BUILDS, random)
                  .formatted(random.nextInt(12), random.nextInt(12), random.nextInt(3));
    };
  }

  private static String noise(Random random) {
    StringBuilder text = new StringBuilder();
    int length = 1 + random.nextInt(8);
    for (int i = 0; i < length; i++) {
      text.append(ALPHABET.charAt(random.nextInt(ALPHABET.length())));
    }
    return text.toString();
  }

  private static String pick(String[] from, Random random) {
    return from[random.nextInt(from.length)];
  }
}
