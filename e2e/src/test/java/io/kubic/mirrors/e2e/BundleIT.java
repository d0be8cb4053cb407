package io.kubic.mirrors.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
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

/** Bundles between real registries, read by other people's tools, and cut by SIGKILL. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class BundleIT {
  private static final Duration LIMIT = Duration.ofMinutes(3);
  private static final int KILLS = Math.min(250, Integer.getInteger("mirror.rounds", 3));
  private static final String EPOCH = "1700000000";

  private final List<Process> started = new ArrayList<>();
  private Path temp;
  private String source;
  private String target;
  private Path list;
  private Path key;
  private Path publicKey;

  @BeforeAll
  void start(@TempDir Path directory) throws Exception {
    temp = directory;
    source = registry("source");
    target = registry("target");
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
            .formatted(source));
    key = temp.resolve("export.key");
    publicKey = temp.resolve("export.pub");
    run("openssl", "genpkey", "-algorithm", "ed25519", "-out", key.toString()).orFail();
    run("openssl", "pkey", "-in", key + "", "-pubout", "-out", publicKey + "").orFail();
    byte[] base = layer("base", 200_000);
    push("team/app", "1.0", base, layer("app", 3_000_000));
    push("team/app", "1.1", base, layer("app2", 20_000));
    push("other", "latest", base);
  }

  @AfterAll
  void stop() throws InterruptedException {
    for (Process process : started) {
      process.destroy();
      process.waitFor(10, TimeUnit.SECONDS);
    }
  }

  private static Lab.Result run(String... command) {
    return Lab.run(LIMIT, Map.of(), List.of(command));
  }

  private String registry(String name) throws Exception {
    int port;
    try (ServerSocket socket = new ServerSocket(0)) {
      port = socket.getLocalPort();
    }
    Path config = temp.resolve(name + ".yml");
    Files.writeString(
        config,
        """
        version: 0.1
        log: {level: error, accesslog: {disabled: true}}
        storage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}
        http: {addr: "127.0.0.1:%d"}
        """
            .formatted(temp.resolve(name), port));
    ProcessBuilder builder =
        new ProcessBuilder(Lab.tool("registry"), "serve", config.toString())
            .redirectErrorStream(true)
            .redirectOutput(temp.resolve(name + ".log").toFile());
    builder.environment().put("OTEL_TRACES_EXPORTER", "none");
    started.add(builder.start());
    String host = "127.0.0.1:" + port;
    Lab.eventually(
        Duration.ofSeconds(30),
        name + " answers",
        () -> run("curl", "-sf", "-o", "/dev/null", "http://" + host + "/v2/").code() == 0);
    return host;
  }

  /** A layer as a runtime unpacks it. */
  private byte[] layer(String name, int size) throws IOException {
    Path root = Files.createDirectories(temp.resolve("layer-" + name));
    byte[] bytes = new byte[size];
    new Random(name.hashCode()).nextBytes(bytes);
    Files.write(root.resolve(name), bytes);
    Path tar = temp.resolve(name + ".tar");
    run("tar", "-C", root.toString(), "--sort=name", "--mtime=@0", "-cf", tar + "", name).orFail();
    return Files.readAllBytes(tar);
  }

  private void push(String repository, String tag, byte[]... layers) throws Exception {
    Path layout = temp.resolve("image-" + repository.replace('/', '-') + tag);
    Files.createDirectories(layout.resolve("blobs/sha256"));
    List<String> descriptors = new ArrayList<>();
    List<String> ids = new ArrayList<>();
    for (byte[] layer : layers) {
      descriptors.add(blob(layout, "application/vnd.oci.image.layer.v1.tar", layer));
      ids.add("\"sha256:" + hex(layer) + "\"");
    }
    String config =
        blob(
            layout,
            "application/vnd.oci.image.config.v1+json",
            ("{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},\"rootfs\":{\"type\":"
                    + "\"layers\",\"diff_ids\":["
                    + String.join(",", ids)
                    + "]}}")
                .getBytes(StandardCharsets.UTF_8));
    String manifest =
        blob(
            layout,
            "application/vnd.oci.image.manifest.v1+json",
            ("{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
                    + "\"config\":"
                    + config
                    + ",\"layers\":["
                    + String.join(",", descriptors)
                    + "]}")
                .getBytes(StandardCharsets.UTF_8));
    Files.writeString(
        layout.resolve("index.json"), "{\"schemaVersion\":2,\"manifests\":[" + manifest + "]}");
    Files.writeString(layout.resolve("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}");
    run(
            "skopeo",
            "copy",
            "-q",
            "--dest-tls-verify=false",
            "oci:" + layout,
            "docker://" + source + "/" + repository + ":" + tag)
        .orFail();
  }

  private static String blob(Path layout, String type, byte[] bytes) throws Exception {
    Files.write(layout.resolve("blobs/sha256").resolve(hex(bytes)), bytes);
    return "{\"mediaType\":\""
        + type
        + "\",\"digest\":\"sha256:"
        + hex(bytes)
        + "\",\"size\":"
        + bytes.length
        + "}";
  }

  private static String hex(byte[] bytes) throws Exception {
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
  }

  private static List<String> mirror(String... arguments) {
    return Lab.mirror(List.of("-Xmx256m"), arguments);
  }

  private static Lab.Result km(String... arguments) {
    return Lab.run(LIMIT, Map.of("SOURCE_DATE_EPOCH", EPOCH), mirror(arguments));
  }

  private Path export(String name, String... more) {
    Path directory = temp.resolve(name);
    Lab.Result done =
        Lab.run(LIMIT, Map.of("SOURCE_DATE_EPOCH", EPOCH), exporting(directory, more));
    done.orFail();
    return directory;
  }

  private List<String> exporting(Path directory, String... more) {
    return Lab.join(
        mirror(
            "export",
            "-q",
            "-f",
            list.toString(),
            "--to",
            directory.toString(),
            "--sign-key",
            key.toString()),
        more);
  }

  private List<String> importing(Path directory, String host) {
    return mirror(
        "import",
        "-q",
        directory.toString(),
        "--to",
        host,
        "--plain-http",
        "--verify-key",
        publicKey.toString(),
        "--receipt",
        temp.resolve(host.replace(':', '_') + ".receipt.json").toString());
  }

  private String digest(String reference) {
    return run("skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", reference)
        .orFail()
        .line();
  }

  @Test
  void otherPeoplesToolsReadABundleAndVerifyIt() throws IOException {
    Path bundle = export("read");
    String name = source + "/team/app:1.0";
    assertThat(digest("oci:" + bundle + ":" + name)).isEqualTo(digest("docker://" + name));
    Lab.run(
            LIMIT,
            Map.of(),
            List.of(
                "bash", "-c", "cd '" + bundle + "' && sha256sum --strict -c --quiet SHA256SUMS"))
        .orFail();
    Lab.run(
            LIMIT,
            Map.of(),
            List.of(
                "bash",
                "-c",
                "cd '"
                    + bundle
                    + "' && base64 -d SHA256SUMS.sig >../sig && openssl pkeyutl -verify -pubin"
                    + " -inkey '"
                    + publicKey
                    + "' -rawin -in SHA256SUMS -sigfile ../sig"))
        .orFail();
    run(Lab.tool("crane"), "push", "--insecure", "--index", bundle + "", target + "/crane:all")
        .orFail();
    assertThat(
            run(Lab.tool("crane"), "manifest", "--insecure", target + "/crane:all").orFail().out())
        .isEqualTo(Files.readString(bundle.resolve("index.json")));
    run(
            "podman",
            "--root",
            temp.resolve("podman").toString(),
            "--runroot",
            temp.resolve("podman-run").toString(),
            "--storage-driver",
            "vfs",
            "pull",
            "-q",
            "oci:" + bundle + ":" + name)
        .orFail();
  }

  @Test
  void regclientReadsABundleByDigest() throws IOException {
    Path bundle = export("regclient");
    String digest = digest("docker://" + source + "/team/app:1.0");
    Path config = temp.resolve("regsync.yaml");
    Files.writeString(
        config,
        """
        version: 1
        creds: [{registry: "%1$s", tls: disabled}]
        sync: [{type: image, source: "ocidir://%2$s@%3$s", target: "%1$s/regclient:1"}]
        """
            .formatted(target, bundle, digest));
    run(Lab.tool("regsync"), "once", "-c", config.toString()).orFail();
    assertThat(digest("docker://" + target + "/regclient:1")).isEqualTo(digest);
  }

  @Test
  void aSignatureByEcdsaIsWhatOpensslAndCosignCallOneOfABlob() {
    Path ec = temp.resolve("ec.key");
    Path ecPublic = temp.resolve("ec.pub");
    run(
            "openssl",
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-out",
            ec + "")
        .orFail();
    run("openssl", "pkey", "-in", ec + "", "-pubout", "-out", ecPublic + "").orFail();
    Path bundle = temp.resolve("ecdsa");
    km("export", "-q", "-f", list + "", "--to", bundle + "", "--sign-key", ec + "").orFail();
    Path raw = temp.resolve("ec.sig");
    run(
            "openssl",
            "base64",
            "-d",
            "-A",
            "-in",
            bundle.resolve("SHA256SUMS.sig") + "",
            "-out",
            raw + "")
        .orFail();
    run(
            "openssl",
            "dgst",
            "-sha256",
            "-verify",
            ecPublic + "",
            "-signature",
            raw + "",
            bundle.resolve("SHA256SUMS") + "")
        .orFail();
    km("verify", bundle + "", "--verify-key", ecPublic + "").orFail();
    assertThat(km("verify", bundle + "", "--verify-key", publicKey + "").code()).isEqualTo(3);
  }

  @Test
  void aFullDiskIsSaidAndWithRoomTheExportGoesOn() throws IOException {
    Map<String, String> expected = tree(export("roomy"));
    Path disk = Files.createDirectories(temp.resolve("small"));
    String export = quoted(exporting(disk.resolve("b")));
    Path copy = temp.resolve("carried");
    Lab.Result done =
        Lab.run(
            LIMIT,
            Map.of("SOURCE_DATE_EPOCH", EPOCH),
            List.of(
                "unshare",
                "--mount",
                "bash",
                "-uc",
                """
                mount -t tmpfs -o size=1m,nr_inodes=10000 tmpfs "$0" || exit 10
                %1$s
                [ $? = 3 ] && [ ! -e "$0/b/blobs" ] || exit 11
                mount -o remount,size=64m,nr_inodes=$(($(find "$0" | wc -l) + 5)) "$0" || exit 12
                %1$s
                [ $? != 0 ] && [ ! -e "$0/b/SHA256SUMS" ] || exit 13
                mount -o remount,nr_inodes=10000 "$0" || exit 14
                %1$s || exit 15
                cp -r "$0/b" "$1"
                """
                    .formatted(export),
                disk.toString(),
                copy.toString()));
    done.orFail();
    assertThat(done.out() + done.err()).contains("bytes free").contains("no space is left");
    assertThat(tree(copy)).isEqualTo(expected);
  }

  private static String quoted(List<String> command) {
    return String.join(" ", command.stream().map(word -> "'" + word + "'").toList());
  }

  @Test
  void theFarSideHasTheSameDigestsAndADeltaOfNothingIsSmall() throws IOException {
    Path bundle = export("full");
    String far = target;
    Lab.run(LIMIT, Map.of(), importing(bundle, far)).orFail();
    for (String image : List.of("team/app:1.0", "team/app:1.1", "other:latest")) {
      assertThat(digest("docker://" + far + "/" + source.replace(':', '_') + "/" + image))
          .isEqualTo(digest("docker://" + source + "/" + image));
    }
    Path receipt = temp.resolve(far.replace(':', '_') + ".receipt.json");
    Path fetched = temp.resolve("fetched.json");
    km("receipt", far, "--plain-http", "--list", "demo", "--to", fetched.toString()).orFail();
    assertThat(fetched).hasSameBinaryContentAs(receipt);
    Path delta = export("delta", "--base", receipt.toString());
    assertThat(tree(delta)).hasSize(5);
    Lab.run(LIMIT, Map.of(), importing(delta, far)).orFail();
    assertThat(Lab.run(LIMIT, Map.of(), importing(bundle, far)).code()).isEqualTo(3);
  }

  @Test
  void theReadmesCommandsDoWhatTheySay() throws Exception {
    String readme = Files.readString(Lab.TREE.resolve("README.md"));
    int start = readme.indexOf("## Across an air gap");
    int block = readme.indexOf("```", start) + 3;
    List<String> lines =
        readme
            .substring(block, readme.indexOf("```", block))
            .lines()
            .filter(line -> line.startsWith("kubectl mirror "))
            .toList();
    assertThat(lines).hasSize(5);
    String far = registry("empty");
    Path media = Files.createDirectories(temp.resolve("media"));
    for (String line : lines) {
      int comment = line.indexOf('#');
      List<String> words = new ArrayList<>();
      for (String word : (comment < 0 ? line : line.substring(0, comment)).strip().split(" +")) {
        words.add(
            switch (word) {
              case "list.yaml" -> list.toString();
              case "export.key" -> key.toString();
              case "export.pub" -> publicKey.toString();
              case "kubic.json" -> temp.resolve("kubic.json").toString();
              case "mirror.local:5000" -> far;
              default -> word.replace("/media/disk", media.toString());
            });
      }
      List<String> arguments = new ArrayList<>(words.subList(2, words.size()));
      if (arguments.contains(far)) {
        arguments.add("--plain-http");
      }
      km(arguments.toArray(String[]::new)).orFail();
    }
    assertThat(digest("docker://" + far + "/" + source.replace(':', '_') + "/other:latest"))
        .isEqualTo(digest("docker://" + source + "/other:latest"));
  }

  @Test
  void skopeosDirectoriesGoBothWays() {
    Path ours = temp.resolve("ours");
    km("export", "-q", "-f", list + "", "--to", ours + "", "--format", "skopeo-dir").orFail();
    run(
            "skopeo",
            "sync",
            "--scoped",
            "--all",
            "--src",
            "dir",
            "--dest",
            "docker",
            "--dest-tls-verify=false",
            ours.resolve(source).toString(),
            target + "/skopeo")
        .orFail();
    assertThat(digest("docker://" + target + "/skopeo/team/app:1.0"))
        .isEqualTo(digest("docker://" + source + "/team/app:1.0"));
    Path theirs = temp.resolve("theirs");
    run(
            "skopeo",
            "sync",
            "--scoped",
            "--all",
            "--src",
            "docker",
            "--src-tls-verify=false",
            "--dest",
            "dir",
            source + "/team/app",
            theirs.toString())
        .orFail();
    km("import", "-q", theirs + "", "--to", target, "--plain-http").orFail();
    assertThat(digest("docker://" + target + "/" + source.replace(':', '_') + "/team/app:1.1"))
        .isEqualTo(digest("docker://" + source + "/team/app:1.1"));
  }

  @Test
  void killedAtAnyMomentTheNextRunEndsWithTheSameBytes() throws Exception {
    long seed = Long.getLong("mirror.seed", System.nanoTime());
    Random random = new Random(seed);
    long begun = System.nanoTime();
    Map<String, String> expected = tree(export("whole", "--volume-size", "2Mi"));
    long whole = (System.nanoTime() - begun) / 1_000_000;
    for (int round = 0; round < KILLS; round++) {
      Path directory = temp.resolve("killed" + round);
      kill(exporting(directory, "--volume-size", "2Mi"), random.nextLong(whole));
      Path done = export("killed" + round, "--volume-size", "2Mi");
      assertThat(tree(done)).as("seed %s round %s", seed, round).isEqualTo(expected);
    }
    String far = registry("far");
    for (int round = 0; round < KILLS; round++) {
      kill(importing(temp.resolve("whole"), far), random.nextLong(whole));
    }
    Lab.run(LIMIT, Map.of(), importing(temp.resolve("whole"), far)).orFail();
    assertThat(digest("docker://" + far + "/" + source.replace(':', '_') + "/team/app:1.0"))
        .isEqualTo(digest("docker://" + source + "/team/app:1.0"));
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

  private static Map<String, String> tree(Path root) throws IOException {
    Map<String, String> files = new TreeMap<>();
    try (Stream<Path> all = Files.walk(root)) {
      for (Path file : all.filter(Files::isRegularFile).toList()) {
        try {
          files.put(root.relativize(file).toString(), hex(Files.readAllBytes(file)));
        } catch (Exception e) {
          throw new IOException(e);
        }
      }
    }
    return files;
  }
}
