package io.kubic.mirrors.bundle;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import io.kubic.mirrors.list.SelectedImage;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.Repository;
import io.kubic.mirrors.oci.layout.Checkpoint;
import io.kubic.mirrors.sync.Outcome;
import io.kubic.mirrors.sync.Plan;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.LongSupplier;
import java.util.stream.Stream;

/** Two sides and a directory between them. */
final class Story implements AutoCloseable {
  static final String HOST = "r.example:5000";
  static final String AT = "r.example_5000/";

  final MemoryRegistry source = new MemoryRegistry(HOST);
  final Set<String> wanted = new LinkedHashSet<>();
  final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();
  final SigningKey key;
  final VerifyingKey verifyingKey;
  String more = "";
  Watcher watcher = new Quiet();
  long now = 1_700_000_000L;
  long space = Long.MAX_VALUE;
  long volumeSize;
  boolean allowPartial;
  boolean signed = true;
  Extras extras = Extras.NONE;

  /** Nobody looks. */
  static class Quiet implements Watcher {
    @Override
    public void begin(Plan plan, int images, long bytes, LongSupplier settled) {}

    @Override
    public void image(Outcome outcome) {}
  }

  Story() {
    this("Ed25519");
  }

  Story(String algorithm) {
    try {
      KeyPairGenerator generator = KeyPairGenerator.getInstance(algorithm);
      if (algorithm.equals("EC")) {
        generator.initialize(256);
      }
      KeyPair pair = generator.generateKeyPair();
      key = SigningKey.parse(pem("PRIVATE KEY", pair.getPrivate().getEncoded()), "key");
      verifyingKey = VerifyingKey.parse(pem("PUBLIC KEY", pair.getPublic().getEncoded()), "pub");
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  static String pem(String label, byte[] der) {
    return "-----BEGIN "
        + label
        + "-----\n"
        + Base64.getMimeEncoder().encodeToString(der)
        + "\n-----END "
        + label
        + "-----\n";
  }

  static byte[] bytes(long seed, int length) {
    byte[] bytes = new byte[length];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }

  /** Images of every shape. */
  Story filled() {
    byte[] base = bytes(1, 5000);
    Manifest amd = source.image("a", null, base, bytes(2, 3000));
    Manifest arm = source.image("a", null, base, bytes(3, 100));
    Manifest index = source.index("a", "1.0", new TreeMap<>(Map.of("amd64", amd, "arm64", arm)));
    source.manifests.put("a:latest", index);
    Manifest plain = source.image("team/b", "2", base, bytes(4, 20_000));
    source.image("team/b", "sha256-" + plain.digest().hex() + ".sig", "signature".getBytes(UTF_8));
    source.attached("team/b", plain, "bill of material");
    source.image("c", "3", bytes(5, 1));
    wanted.addAll(List.of("a:1.0", "a:latest", "team/b:2", "c:3"));
    return this;
  }

  MirrorListSpec spec() {
    return ResourceFile.read(
            "{apiVersion: mirrors.kubic.io/v1alpha1, kind: MirrorList, metadata: {name: t}, spec: {"
                + "registryRef: {name: m}, sources: [{registry: \""
                + HOST
                + "\", images: [a]"
                + more
                + "}]}}",
            "list.yaml",
            MirrorList.class)
        .getFirst()
        .getSpec();
  }

  Selection selection() {
    List<SelectedImage> selected = new ArrayList<>();
    for (String image : wanted) {
      int at = image.indexOf('@');
      int end = at < 0 ? image.lastIndexOf(':') : at;
      String identifier = image.substring(end + 1);
      selected.add(
          new SelectedImage(
              "default",
              new Repository(HOST, image.substring(0, end)),
              at < 0 ? identifier : null,
              at < 0 ? null : Digest.parse(identifier)));
    }
    return new Selection(selected.stream().sorted().toList(), List.of(), List.of(), true);
  }

  Export.Result export(Path to, ReceiptStore.Kept base, Checkpoint checkpoint) {
    return export(to, null, base, checkpoint);
  }

  /**
   * @param directory that becomes the bundle, or an empty one beside the bucket
   */
  Export.Result export(
      Path directory, Bucket bucket, ReceiptStore.Kept base, Checkpoint checkpoint) {
    Receipt receipt = base == null ? null : Receipt.parse(base.bytes(), "receipt");
    return new Export(
            "t",
            spec(),
            new Export.Order(
                directory,
                bucket,
                receipt,
                base == null ? null : Digest.of(base.bytes()),
                signed ? key : null,
                volumeSize,
                allowPartial,
                extras),
            s -> source,
            executor,
            Clock.fixed(Instant.ofEpochSecond(now), ZoneOffset.UTC),
            path -> space,
            checkpoint)
        .run(this::selection, watcher);
  }

  Bundle export(Path to, ReceiptStore.Kept base) {
    return export(to, base, Checkpoint.NONE).bundle();
  }

  Bundle export(Path to) {
    return export(to, null);
  }

  Import.Result take(Path from, MemoryRegistry target, Import.Rules rules) {
    return take(Medium.directory(from), target, rules);
  }

  Import.Result take(Medium from, MemoryRegistry target, Import.Rules rules) {
    return new Import(
            BundleDirectory.open(List.of(from), signed ? verifyingKey : null, rules.allowPartial()),
            target,
            target::holds,
            rules,
            executor,
            Clock.fixed(Instant.ofEpochSecond(now), ZoneOffset.UTC))
        .run(watcher);
  }

  ReceiptStore.Kept take(Path from, MemoryRegistry target) {
    return take(from, target, new Import.Rules(false, false, false, Set.of(), null)).receipt();
  }

  /** Every file with its content. */
  static Map<String, String> tree(Path root) {
    Map<String, String> files = new TreeMap<>();
    try (Stream<Path> all = Files.walk(root)) {
      all.filter(Files::isRegularFile)
          .forEach(
              file -> {
                try {
                  files.put(
                      root.relativize(file).toString(),
                      Digest.of(Files.readAllBytes(file)).toString());
                } catch (IOException e) {
                  throw new UncheckedIOException(e);
                }
              });
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return files;
  }

  static long size(Path root) {
    try (Stream<Path> all = Files.walk(root)) {
      return all.filter(Files::isRegularFile).mapToLong(file -> file.toFile().length()).sum();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static void removeAll(Path root) {
    try (Stream<Path> all = Files.walk(root)) {
      all.sorted(java.util.Comparator.reverseOrder()).forEach(path -> path.toFile().delete());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static void copy(Path from, Path to) {
    try (Stream<Path> all = Files.walk(from)) {
      for (Path path : all.toList()) {
        Files.copy(path, to.resolve(from.relativize(path).toString()));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    executor.close();
  }
}
