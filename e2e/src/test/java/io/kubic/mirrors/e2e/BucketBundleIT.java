package io.kubic.mirrors.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** Bundles in a bucket of a real S3 server, over TLS, between real registries. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class BucketBundleIT {
  private static final Duration LIMIT = Duration.ofMinutes(3);
  private static final int KILLS = Math.min(250, Integer.getInteger("mirror.rounds", 4));
  private static final String EPOCH = "1700000000";

  private Path temp;
  private LocalRegistry source;
  private Registries servers;
  private Registries.Bucket bucket;
  private Path list;
  private Path key;
  private Path publicKey;
  private Path credentials;

  @BeforeAll
  void start(@TempDir Path directory) throws Exception {
    temp = directory;
    source = LocalRegistry.start(temp, "source", "");
    servers = new Registries(Files.createDirectories(temp.resolve("servers")));
    bucket = servers.secureBucket("carried");
    list = temp.resolve("list.yaml");
    Files.writeString(
        list,
        """
        apiVersion: mirrors.kubic.io/v1alpha1
        kind: MirrorList
        metadata: {name: demo}
        spec:
          registryRef: {name: mirror}
          sources:
          - registry: "%s"
            tls: {plainHTTP: true}
            repositories: {include: [".*"]}
        """
            .formatted(source.host()));
    key = temp.resolve("export.key");
    publicKey = temp.resolve("export.pub");
    run("openssl", "genpkey", "-algorithm", "ed25519", "-out", key.toString()).orFail();
    run("openssl", "pkey", "-in", key + "", "-pubout", "-out", publicKey + "").orFail();
    credentials = keys("keys", bucket.secretKey());
    // More than the 8 MiB that are sent at once: this one goes in parts.
    push("team/app", "1.0", 25 << 20);
    push("team/app", "1.1", 300_000);
    push("other", "latest", 20_000);
  }

  @AfterAll
  void stop() {
    servers.close();
    source.close();
  }

  /** As a Secret is mounted. */
  private Path keys(String name, String secretKey) throws IOException {
    Path directory = Files.createDirectories(temp.resolve(name));
    Files.writeString(directory.resolve("accessKey"), bucket.accessKey());
    Files.writeString(directory.resolve("secretKey"), secretKey + "\n");
    return directory;
  }

  private void push(String repository, String tag, int size) throws IOException {
    Path root = Files.createDirectories(temp.resolve("layer" + size));
    byte[] bytes = new byte[size];
    new Random(size).nextBytes(bytes);
    Files.write(root.resolve("file"), bytes);
    Path tar = temp.resolve("layer" + size + ".tar");
    run("tar", "-C", root + "", "--sort=name", "--mtime=@0", "-cf", tar + "", "file").orFail();
    run(
            Lab.tool("crane"),
            "append",
            "--insecure",
            "--oci-empty-base",
            "-f",
            tar.toString(),
            "-t",
            source.host() + "/" + repository + ":" + tag)
        .orFail();
  }

  private static Lab.Result run(String... command) {
    return Lab.run(LIMIT, Map.of(), List.of(command));
  }

  private String place(String prefix) {
    return "s3://" + bucket.name() + "/" + prefix;
  }

  private List<String> command(Path keys, String... arguments) {
    return Lab.join(
        Lab.mirror(List.of("-Xmx256m"), arguments),
        "--s3-endpoint",
        bucket.endpoint(),
        "--s3-path-style",
        "--s3-credentials",
        keys.toString(),
        "--s3-ca",
        servers.caFile().toString());
  }

  private List<String> exporting(String prefix) {
    return command(
        credentials,
        "export",
        "-q",
        "-f",
        list.toString(),
        "--to",
        place(prefix),
        "--sign-key",
        key.toString());
  }

  private List<String> importing(String prefix, LocalRegistry far) {
    return command(
        credentials,
        "import",
        "-q",
        place(prefix),
        "--to",
        far.host(),
        "--plain-http",
        "--verify-key",
        publicKey.toString());
  }

  private static Lab.Result km(List<String> command) {
    return Lab.run(LIMIT, Map.of("SOURCE_DATE_EPOCH", EPOCH), command);
  }

  private Path content(String prefix) {
    return bucket.content().resolve(prefix);
  }

  private String digest(String reference) {
    return run(Lab.tool("crane"), "digest", "--insecure", reference).orFail().line();
  }

  @Test
  void aBundleCrossesInABucketAsItWouldInADirectory() throws Exception {
    Path directory = temp.resolve("directory");
    km(Lab.mirror(
            List.of(),
            "export",
            "-q",
            "-f",
            list.toString(),
            "--to",
            directory.toString(),
            "--sign-key",
            key.toString()))
        .orFail();
    km(exporting("in/whole")).orFail();
    assertThat(tree(content("in/whole"))).isEqualTo(tree(directory));

    Lab.Result verified =
        km(command(credentials, "verify", place("in/whole"), "--verify-key", publicKey + ""));
    assertThat(verified.orFail().out()).contains("signature Verified: as it was exported");
    Lab.Result again = km(exporting("in/whole"));
    assertThat(again.orFail().out()).contains("3 images");

    try (LocalRegistry far = LocalRegistry.start(temp, "far", "")) {
      km(importing("in/whole", far)).orFail();
      for (String image : List.of("team/app:1.0", "team/app:1.1", "other:latest")) {
        assertThat(digest(far.host() + "/" + source.host().replace(':', '_') + "/" + image))
            .isEqualTo(digest(source.host() + "/" + image));
      }
    }
  }

  @Test
  void killedAtAnyMomentTheNextRunEndsWithTheSameBytesAndSendsNothingAgain() throws Exception {
    long seed = Long.getLong("mirror.seed", System.nanoTime());
    Random random = new Random(seed);
    long begun = System.nanoTime();
    km(exporting("killed/whole")).orFail();
    long whole = (System.nanoTime() - begun) / 1_000_000;
    Map<String, Integer> expected = tree(content("killed/whole"));
    int resumed = 0;
    for (int round = 0; round < KILLS; round++) {
      String prefix = "killed/" + round;
      long after = whole / 2 + random.nextLong(whole / 2);
      kill(exporting(prefix), after);
      Map<String, FileTime> before = blobs(content(prefix));
      resumed += before.size();
      if (Files.exists(content(prefix)) && !Files.exists(content(prefix).resolve("SHA256SUMS"))) {
        try (LocalRegistry far = LocalRegistry.start(temp, "unfinished" + round, "")) {
          Lab.Result refused = km(importing(prefix, far));
          assertThat(refused.code()).as(refused.err()).isEqualTo(3);
        }
      }
      km(exporting(prefix)).orFail();
      assertThat(tree(content(prefix))).as("seed %s round %s", seed, round).isEqualTo(expected);
      assertThat(blobs(content(prefix))).containsAllEntriesOf(before);
    }
    System.out.println(
        "exports into a bucket killed and resumed: " + KILLS + ", blobs kept: " + resumed);
  }

  private void kill(List<String> command, long afterMillis) throws Exception {
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(temp.resolve("killed.log").toFile());
    builder.environment().put("SOURCE_DATE_EPOCH", EPOCH);
    Process process = builder.start();
    if (!process.waitFor(afterMillis, TimeUnit.MILLISECONDS)) {
      process.destroyForcibly().waitFor();
    }
  }

  @Test
  void anObjectThatIsNotWhatItWasIsFoundBeforeTheFirstTag() throws Exception {
    km(exporting("damaged")).orFail();
    Path blob;
    try (Stream<Path> all = Files.walk(content("damaged"))) {
      blob = all.filter(f -> f.toFile().length() > 20 << 20).findFirst().orElseThrow();
    }
    byte[] bytes = Files.readAllBytes(blob);
    bytes[bytes.length / 2] ^= 1;
    Files.write(blob, bytes);
    try (LocalRegistry far = LocalRegistry.start(temp, "far-damaged", "")) {
      Lab.Result refused = km(importing("damaged", far));
      assertThat(refused.code()).as(refused.err()).isEqualTo(3);
      assertThat(refused.err()).contains("DigestMismatch").contains("no tag was moved");
      assertThat(Files.readString(far.log())).doesNotContain("_manifests/tags");
      try (Stream<Path> all = Files.walk(far.storage())) {
        assertThat(all.filter(path -> path.endsWith("current/link"))).isEmpty();
      }
      Files.write(blob, Arrays.copyOf(bytes, bytes.length - 1));
      assertThat(km(importing("damaged", far)).code()).isEqualTo(3);
      bytes[bytes.length / 2] ^= 1;
      Files.write(blob, bytes);
      km(importing("damaged", far)).orFail();
    }
    Lab.Result other = km(command(credentials, "verify", place("nothing"), "-o", "json"));
    assertThat(other.code()).isEqualTo(3);
    assertThat(other.err())
        .isEqualTo("error: NotFound: " + place("nothing") + ": holds no bundle\n");
  }

  @Test
  void whatIsWrongIsSaidOnOneLineWithoutTheKey() throws Exception {
    Path wrong = keys("wrong", "not-the-secret");
    Lab.Result refused = km(command(wrong, "verify", place("x")));
    assertThat(refused.code()).isEqualTo(4);
    assertThat(refused.err())
        .isEqualTo(
            "error: s3://carried: "
                + bucket.endpoint()
                + " does not know these keys (SignatureDoesNotMatch)\n");

    refused = km(command(credentials, "verify", "s3://missing/x"));
    assertThat(refused.code()).isEqualTo(1);
    assertThat(refused.err())
        .isEqualTo(
            "error: s3://missing: "
                + bucket.endpoint()
                + " has no such bucket; it is never created here\n");

    List<String> untrusted = command(credentials, "verify", place("x"));
    refused = km(untrusted.subList(0, untrusted.size() - 2));
    assertThat(refused.code()).isEqualTo(4);
    assertThat(refused.err())
        .isEqualTo(
            "error: "
                + place("x")
                + ": the certificate of "
                + bucket.endpoint()
                + " is not trusted\n");

    Path empty = Files.createDirectories(temp.resolve("empty"));
    refused = km(command(empty, "verify", place("x")));
    assertThat(refused.code()).isEqualTo(2);
    assertThat(refused.err())
        .isEqualTo(
            "error: " + empty + ": needs the files accessKey and secretKey, and lacks accessKey\n");

    Path profile =
        Files.writeString(
            temp.resolve("credentials"),
            "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n"
                .formatted(bucket.accessKey(), bucket.secretKey()));
    refused = km(command(profile, "verify", place("x")));
    assertThat(refused.err()).isEqualTo("error: NotFound: " + place("x") + ": holds no bundle\n");

    Lab.Result export = km(command(wrong, "export", "-f", list + "", "--to", place("x")));
    assertThat(export.code()).isEqualTo(4);
    assertThat(export.err().lines()).hasSize(1);
    assertThat(servers.log("versitygw") + export.err()).doesNotContain("not-the-secret");
  }

  private static Map<String, FileTime> blobs(Path root) throws IOException {
    Map<String, FileTime> times = new TreeMap<>();
    if (Files.exists(root.resolve("blobs"))) {
      try (Stream<Path> all = Files.walk(root.resolve("blobs"))) {
        for (Path file : all.filter(Files::isRegularFile).toList()) {
          times.put(file.getFileName().toString(), Files.getLastModifiedTime(file));
        }
      }
    }
    return times;
  }

  private static Map<String, Integer> tree(Path root) throws IOException {
    Map<String, Integer> files = new TreeMap<>();
    try (Stream<Path> all = Files.walk(root)) {
      for (Path file : all.filter(Files::isRegularFile).toList()) {
        files.put(root.relativize(file).toString(), Arrays.hashCode(Files.readAllBytes(file)));
      }
    }
    return files;
  }
}
