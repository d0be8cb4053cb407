package io.kubic.mirrors.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Collections on a real registry, by the real command in a process of its own: random images,
 * indexes (some sparse), shared layers and signatures, pulls running, and the process killed.
 * {@code -Dmirror.rounds=} says how often.
 */
class GcIT {
  private static final String MANIFEST = "application/vnd.oci.image.manifest.v1+json";
  private static final String INDEX = "application/vnd.oci.image.index.v1+json";
  private static final String[] REPOSITORIES = {"a/app", "b/app", "c"};
  private HttpClient http;

  /** A manifest that was pushed: its bytes by digest, and what it names. */
  private record Pushed(
      String digest,
      String type,
      byte[] bytes,
      List<String> children,
      List<String> blobs,
      String subject) {}

  /** What is in the registry, and what of it must stay. */
  private static final class Model {
    final Map<String, Pushed> manifests = new LinkedHashMap<>();
    final Map<String, Set<String>> present = new LinkedHashMap<>();
    final Map<String, String> tags = new LinkedHashMap<>();

    /** By repetition until nothing is added: not how the product does it. */
    Set<String> needed(Set<String> running) {
      Set<String> needed = new HashSet<>(running);
      needed.addAll(tags.values());
      for (int before = -1; before != needed.size(); ) {
        before = needed.size();
        for (Pushed one : manifests.values()) {
          if (needed.contains(one.digest)) {
            needed.addAll(one.children);
            if (one.subject != null) {
              needed.add(one.subject);
            }
          }
          if (one.subject != null && needed.contains(one.subject)) {
            needed.add(one.digest);
          }
        }
      }
      return needed;
    }
  }

  @Test
  void whatIsNeededStaysWholeWhileTheRestGoesAndPullsAndKillsHappen(@TempDir Path directory)
      throws Exception {
    int rounds = Integer.getInteger("mirror.rounds", 3);
    long seed = Long.getLong("mirror.seed", System.nanoTime());
    try (GatewayLab lab = new GatewayLab(directory)) {
      login(lab);
      http = lab.client();
      Model model = new Model();
      for (int round = 0; round < rounds; round++) {
        Random random = new Random(seed + round);
        grow(lab, model, random);
        Set<String> running = new TreeSet<>();
        model.manifests.keySet().stream()
            .filter(digest -> random.nextInt(12) == 0)
            .forEach(running::add);
        Files.writeString(directory.resolve("in-use"), String.join("\n", running) + "\n");
        collect(lab, model, running, random, round, "mirror.seed=" + seed + " round " + round);
      }
    }
  }

  @Test
  void whereTheStorageCannotBeLookedAtWhatTheDeletedHeldIsTold(@TempDir Path directory)
      throws Exception {
    try (GatewayLab lab = new GatewayLab(directory)) {
      login(lab);
      http = lab.client();
      Model model = new Model();
      grow(lab, model, new Random(1));
      grow(lab, model, new Random(2));
      Files.writeString(directory.resolve("in-use"), "");
      JsonNode estimated = report(lab, "--dry-run");
      JsonNode done = report(lab);
      assertThat(done.path("deleted").asInt()).isPositive();
      assertThat(done.path("freedBytes").asLong())
          .isPositive()
          .isEqualTo(estimated.path("freedBytes").asLong());
      assertThat(report(lab).path("freedBytes").asLong()).isZero();
    }
  }

  /** The report of a collection that is told of no storage, as in front of a bucket. */
  private static JsonNode report(GatewayLab lab, String... flags) throws Exception {
    List<String> arguments = lab.collection(lab.directory);
    int at = arguments.indexOf("--storage");
    arguments.subList(at, at + 2).clear();
    Path log = lab.directory.resolve("termination-log");
    arguments.addAll(List.of("--max-percent", "100", "--termination-log", log.toString()));
    arguments.addAll(List.of(flags));
    Path out = lab.directory.resolve("gc.out");
    int code =
        new ProcessBuilder(Lab.mirror(List.of(), arguments.toArray(String[]::new)))
            .redirectErrorStream(true)
            .redirectOutput(out.toFile())
            .start()
            .waitFor();
    assertThat(code).as(Files.readString(out)).isZero();
    return new ObjectMapper().readTree(log.toFile());
  }

  private static void login(GatewayLab lab) throws IOException {
    Files.writeString(
        lab.directory.resolve("auth.json"),
        "{\"auths\": {\"%s\": {\"auth\": \"%s\"}}}"
            .formatted(
                lab.host(),
                Base64.getEncoder()
                    .encodeToString("admin:admin-secret".getBytes(StandardCharsets.UTF_8))));
  }

  private void collect(
      GatewayLab lab, Model model, Set<String> running, Random random, int round, String name)
      throws Exception {
    Set<String> needed = model.needed(running);
    AtomicBoolean done = new AtomicBoolean();
    AtomicInteger pulls = new AtomicInteger();
    AtomicReference<String> broken = new AtomicReference<>();
    Set<Integer> uploads = ConcurrentHashMap.newKeySet();
    Thread puller =
        Thread.ofVirtual()
            .start(
                () -> {
                  while (!done.get()) {
                    try {
                      check(lab, model, needed);
                      pulls.incrementAndGet();
                      uploads.add(upload(lab));
                    } catch (Exception | AssertionError e) {
                      broken.compareAndSet(null, String.valueOf(e));
                    }
                  }
                });
    Path out = lab.directory.resolve("gc.out");
    try {
      if (round % 3 != 0) {
        Process killed = gc(lab, out);
        TimeUnit.MILLISECONDS.sleep(500 + random.nextInt(2500));
        killed.descendants().forEach(ProcessHandle::destroyForcibly);
        killed.destroyForcibly().waitFor();
      }
      Process process = gc(lab, out);
      int code = process.waitFor();
      assertThat(code).as(name + ": " + Files.readString(out)).isZero();
    } finally {
      done.set(true);
      puller.join();
    }
    assertThat(broken.get()).as(name).isNull();
    check(lab, model, needed);
    assertThat(upload(lab)).as(name + ": writes are let in again").isEqualTo(202);
    Set<String> gone = new TreeSet<>();
    for (Map.Entry<String, Set<String>> entry : model.present.entrySet()) {
      for (String digest : List.copyOf(entry.getValue())) {
        if (!needed.contains(digest)) {
          assertThat(get(lab, "/v2/" + entry.getKey() + "/manifests/" + digest).statusCode())
              .as(name + " " + digest)
              .isEqualTo(404);
          entry.getValue().remove(digest);
          gone.add(digest);
        }
      }
    }
    gone.stream()
        .filter(digest -> model.present.values().stream().noneMatch(set -> set.contains(digest)))
        .forEach(model.manifests::remove);
    System.out.printf(
        "gc %s: %d manifests gone, %d needed, %d whole pulls meanwhile, uploads answered %s%n",
        name, gone.size(), needed.size(), pulls.get(), new TreeSet<>(uploads));
  }

  private Process gc(GatewayLab lab, Path out) throws IOException {
    List<String> arguments = lab.collection(lab.directory.resolve("storage"));
    arguments.addAll(List.of("--max-percent", "100"));
    return new ProcessBuilder(Lab.mirror(List.of(), arguments.toArray(String[]::new)))
        .redirectErrorStream(true)
        .redirectOutput(out.toFile())
        .start();
  }

  /** Adds to what is there, and takes tags away. */
  private void grow(GatewayLab lab, Model model, Random random) throws Exception {
    // What an earlier round froze and left is thawed by now, or soon.
    for (int i = 0; i < 650 && upload(lab) != 202; i++) {
      TimeUnit.MILLISECONDS.sleep(100);
    }
    model
        .tags
        .keySet()
        .removeIf(
            name -> {
              if (random.nextInt(3) != 0) {
                return false;
              }
              int colon = name.indexOf(':');
              delete(lab, name.substring(0, colon), name.substring(colon + 1));
              return true;
            });
    List<Pushed> images = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      String repository = REPOSITORIES[random.nextInt(REPOSITORIES.length)];
      String subject =
          !images.isEmpty() && random.nextInt(3) == 0
              ? images.get(random.nextInt(images.size())).digest
              : null;
      images.add(image(lab, model, repository, random, subject));
    }
    for (int i = 0; i < 3; i++) {
      // Its images may be in another repository, or in this and another: the index is sparse then.
      String repository = REPOSITORIES[random.nextInt(REPOSITORIES.length)];
      List<Pushed> children = new ArrayList<>();
      for (int c = 0; c < 2; c++) {
        children.add(images.get(random.nextInt(images.size())));
      }
      index(lab, model, repository, children, random);
    }
  }

  private Pushed image(
      GatewayLab lab, Model model, String repository, Random random, String subject)
      throws Exception {
    List<String> blobs = new ArrayList<>();
    StringBuilder layers = new StringBuilder();
    for (int i = 0; i < 2; i++) {
      // Few different layers, so that they are shared.
      byte[] layer = ("layer " + random.nextInt(30)).repeat(100).getBytes(StandardCharsets.UTF_8);
      String digest = blob(lab, repository, layer);
      blobs.add(digest);
      layers
          .append(i == 0 ? "" : ",")
          .append(descriptor("application/vnd.oci.image.layer.v1.tar", digest, layer.length));
    }
    byte[] config = ("{\"n\": " + random.nextLong() + "}").getBytes(StandardCharsets.UTF_8);
    String configDigest = blob(lab, repository, config);
    blobs.add(configDigest);
    String text =
        "{\"schemaVersion\":2,\"mediaType\":\""
            + MANIFEST
            + "\",\"config\":"
            + descriptor("application/vnd.oci.image.config.v1+json", configDigest, config.length)
            + ",\"layers\":["
            + layers
            + "]"
            + (subject == null ? "" : ",\"subject\":" + descriptor(MANIFEST, subject, 1))
            + "}";
    return manifest(lab, model, repository, MANIFEST, text, List.of(), blobs, subject, random);
  }

  private void index(
      GatewayLab lab, Model model, String repository, List<Pushed> children, Random random)
      throws Exception {
    StringBuilder list = new StringBuilder();
    for (Pushed child : children) {
      list.append(list.isEmpty() ? "" : ",")
          .append(descriptor(child.type, child.digest, child.bytes.length));
    }
    String text =
        "{\"schemaVersion\":2,\"mediaType\":\""
            + INDEX
            + "\",\"annotations\":{\"n\":\""
            + random.nextLong()
            + "\"},\"manifests\":["
            + list
            + "]}";
    manifest(
        lab,
        model,
        repository,
        INDEX,
        text,
        children.stream().map(Pushed::digest).toList(),
        List.of(),
        null,
        random);
  }

  private static String descriptor(String type, String digest, int size) {
    return "{\"mediaType\":\"" + type + "\",\"digest\":\"" + digest + "\",\"size\":" + size + "}";
  }

  private Pushed manifest(
      GatewayLab lab,
      Model model,
      String repository,
      String type,
      String text,
      List<String> children,
      List<String> blobs,
      String subject,
      Random random)
      throws Exception {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    String digest = sha256(bytes);
    boolean tagged = random.nextInt(2) == 0;
    String reference = tagged ? "t" + model.tags.size() + "-" + random.nextInt(1000) : digest;
    HttpResponse<byte[]> answer =
        send(
            request(lab, "/v2/" + repository + "/manifests/" + reference)
                .header("Content-Type", type)
                .PUT(HttpRequest.BodyPublishers.ofByteArray(bytes)));
    assertThat(answer.statusCode())
        .as(new String(answer.body(), StandardCharsets.UTF_8))
        .isEqualTo(201);
    Pushed pushed = new Pushed(digest, type, bytes, children, blobs, subject);
    model.manifests.put(digest, pushed);
    model.present.computeIfAbsent(repository, r -> new TreeSet<>()).add(digest);
    if (tagged) {
      model.tags.put(repository + ":" + reference, digest);
    }
    return pushed;
  }

  private String blob(GatewayLab lab, String repository, byte[] content) throws Exception {
    String digest = sha256(content);
    HttpResponse<byte[]> begun =
        send(
            request(lab, "/v2/" + repository + "/blobs/uploads/")
                .POST(HttpRequest.BodyPublishers.noBody()));
    String location = begun.headers().firstValue("Location").orElseThrow();
    HttpResponse<byte[]> answer =
        send(
            request(lab, location + "&digest=" + digest)
                .PUT(HttpRequest.BodyPublishers.ofByteArray(content)));
    assertThat(answer.statusCode()).isEqualTo(201);
    return digest;
  }

  private void delete(GatewayLab lab, String repository, String tag) {
    try {
      assertThat(
              send(request(lab, "/v2/" + repository + "/manifests/" + tag).DELETE()).statusCode())
          .isEqualTo(202);
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  /** Every needed manifest where it was, with every blob of it, byte for byte. */
  private void check(GatewayLab lab, Model model, Set<String> needed) throws Exception {
    for (Map.Entry<String, Set<String>> entry : model.present.entrySet()) {
      for (String digest : List.copyOf(entry.getValue())) {
        Pushed pushed = model.manifests.get(digest);
        if (!needed.contains(digest) || pushed == null) {
          continue;
        }
        HttpResponse<byte[]> answer = get(lab, "/v2/" + entry.getKey() + "/manifests/" + digest);
        assertThat(answer.statusCode()).as(entry.getKey() + "@" + digest).isEqualTo(200);
        assertThat(answer.body()).isEqualTo(pushed.bytes);
        for (String blob : pushed.blobs) {
          HttpResponse<byte[]> content = get(lab, "/v2/" + entry.getKey() + "/blobs/" + blob);
          assertThat(content.statusCode()).as(entry.getKey() + " blob " + blob).isEqualTo(200);
          assertThat(sha256(content.body())).isEqualTo(blob);
        }
      }
    }
    for (Map.Entry<String, String> tag : model.tags.entrySet()) {
      String path = "/v2/" + tag.getKey().replace(":", "/manifests/");
      assertThat(sha256(get(lab, path).body())).as(tag.getKey()).isEqualTo(tag.getValue());
    }
  }

  /** What a gateway says to somebody who begins an upload. */
  private int upload(GatewayLab lab) {
    try {
      return send(request(lab, "/v2/a/app/blobs/uploads/")
              .POST(HttpRequest.BodyPublishers.noBody()))
          .statusCode();
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  private HttpResponse<byte[]> get(GatewayLab lab, String path) throws Exception {
    return send(request(lab, path).header("Accept", MANIFEST + ", " + INDEX).GET());
  }

  private HttpRequest.Builder request(GatewayLab lab, String path) {
    return HttpRequest.newBuilder(URI.create("https://" + lab.host() + path))
        .header(
            "Authorization",
            "Basic "
                + Base64.getEncoder()
                    .encodeToString("admin:admin-secret".getBytes(StandardCharsets.UTF_8)));
  }

  private HttpResponse<byte[]> send(HttpRequest.Builder request) throws Exception {
    return http.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
  }

  private static String sha256(byte[] content) throws Exception {
    return "sha256:"
        + HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
  }
}
