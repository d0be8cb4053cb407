package io.kubic.mirrors.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * What some repositories behind a gateway hold: images with shared layers in one repository or two,
 * indexes, nested, sparse, or of another repository's images, and referrers; and what of it must
 * stay.
 */
final class RandomGraph {
  private static final String MANIFEST = "application/vnd.oci.image.manifest.v1+json";
  private static final String INDEX = "application/vnd.oci.image.index.v1+json";

  /** A manifest that was pushed: its bytes by digest, and what it names. */
  private record Pushed(
      String digest,
      String type,
      byte[] bytes,
      List<String> children,
      List<String> blobs,
      String subject) {}

  /** A manifest or blob where it is. */
  record Place(String repository, String digest) {}

  private final GatewayLab lab;
  private final HttpClient http;
  private final List<String> repositories;
  private final Map<String, Pushed> manifests = new LinkedHashMap<>();
  private final Map<String, Set<String>> present = new LinkedHashMap<>();
  private final Map<String, String> tags = new LinkedHashMap<>();
  private int pushes;

  /**
   * @param name of a path that is no other graph's
   */
  RandomGraph(GatewayLab lab, HttpClient http, String name) {
    this.lab = lab;
    this.http = http;
    repositories = List.of(name + "/a/app", name + "/b/app", name);
  }

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

  /** Some that a pod runs, tagged or not. */
  Set<String> running(Random random) {
    Set<String> running = new TreeSet<>();
    manifests.keySet().stream().filter(digest -> random.nextInt(12) == 0).forEach(running::add);
    return running;
  }

  /** Where the needed are; each repository that has one keeps it. */
  List<Place> places(Set<String> needed) {
    return places().filter(place -> needed.contains(place.digest)).toList();
  }

  /** Where what nobody needs is. */
  List<Place> unneeded(Set<String> needed) {
    return places().filter(place -> !needed.contains(place.digest)).toList();
  }

  /** {@code repository:tag} of images, and not of indexes. */
  List<String> tags() {
    return tags.entrySet().stream()
        .filter(tag -> manifests.get(tag.getValue()).type.equals(MANIFEST))
        .map(Map.Entry::getKey)
        .toList();
  }

  /** Whether it is an image, and no index. */
  boolean isImage(Place place) {
    return manifests.get(place.digest).type.equals(MANIFEST);
  }

  /** What a gateway says to somebody who pulls a manifest, also one that is not of this graph. */
  int answer(Place place) throws Exception {
    return get("/v2/" + place.repository + "/manifests/" + place.digest).statusCode();
  }

  private Stream<Place> places() {
    return present.entrySet().stream()
        .flatMap(entry -> entry.getValue().stream().map(d -> new Place(entry.getKey(), d)));
  }

  /** Adds to what is there, and takes tags away. */
  void grow(Random random) throws Exception {
    for (String name : List.copyOf(tags.keySet())) {
      if (random.nextInt(3) == 0) {
        String path = "/v2/" + name.replace(":", "/manifests/");
        assertThat(send(request("admin", path).DELETE()).statusCode()).isEqualTo(202);
        tags.remove(name);
      }
    }
    List<Pushed> pushed = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      pushed.add(image(random, random.nextInt(3) == 0 ? any(pushed, random) : null));
    }
    for (int i = 0; i < 3; i++) {
      pushed.add(index(pushed, random));
    }
  }

  /** One of these, or of those that were there before. */
  private String any(List<Pushed> pushed, Random random) {
    if (!pushed.isEmpty() && random.nextInt(3) != 0) {
      return pushed.get(random.nextInt(pushed.size())).digest;
    }
    List<String> all = List.copyOf(manifests.keySet());
    return all.isEmpty() ? null : all.get(random.nextInt(all.size()));
  }

  private Pushed image(Random random, String subject) throws Exception {
    List<byte[]> blobs = new ArrayList<>();
    StringBuilder layers = new StringBuilder();
    for (int i = 0; i < 2; i++) {
      // Few different layers, so that they are shared.
      byte[] layer = ("layer " + random.nextInt(30)).repeat(100).getBytes(StandardCharsets.UTF_8);
      blobs.add(layer);
      layers
          .append(i == 0 ? "" : ",")
          .append(
              descriptor("application/vnd.oci.image.layer.v1.tar", sha256(layer), layer.length));
    }
    byte[] config = ("{\"n\": " + random.nextLong() + "}").getBytes(StandardCharsets.UTF_8);
    blobs.add(config);
    String text =
        "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":%s,\"layers\":[%s]%s}"
            .formatted(
                MANIFEST,
                descriptor(
                    "application/vnd.oci.image.config.v1+json", sha256(config), config.length),
                layers,
                subject(subject));
    Pushed image = null;
    // Its first repository, and now and then a second one.
    for (String repository : repositories(random, random.nextInt(4) == 0 ? 2 : 1)) {
      List<String> digests = new ArrayList<>();
      Set<String> there = blobs(repository);
      for (byte[] blob : blobs) {
        String digest = sha256(blob);
        if (there.add(digest)) {
          upload(repository, blob, digest);
        }
        digests.add(digest);
      }
      image = manifest(repository, MANIFEST, text, List.of(), digests, subject, random);
    }
    return image;
  }

  private List<String> repositories(Random random, int number) {
    List<String> shuffled = new ArrayList<>(repositories);
    Collections.shuffle(shuffled, random);
    return shuffled.subList(0, number);
  }

  /**
   * Its children may be indexes, may be in another repository, or in this and another, or nowhere:
   * the index is sparse then.
   */
  private Pushed index(List<Pushed> pushed, Random random) throws Exception {
    List<String> children = new ArrayList<>();
    StringBuilder list = new StringBuilder();
    for (int i = 0; i < 2; i++) {
      Pushed child = pushed.get(random.nextInt(pushed.size()));
      children.add(child.digest);
      list.append(i == 0 ? "" : ",")
          .append(descriptor(child.type, child.digest, child.bytes.length));
    }
    if (random.nextInt(4) == 0) {
      byte[] nowhere = new byte[16];
      random.nextBytes(nowhere);
      children.add(sha256(nowhere));
      list.append(',').append(descriptor(MANIFEST, sha256(nowhere), 500));
    }
    String subject = random.nextInt(6) == 0 ? any(pushed, random) : null;
    String text =
        "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"annotations\":{\"n\":\"%d\"},\"manifests\":[%s]%s}"
            .formatted(INDEX, random.nextLong(), list, subject(subject));
    return manifest(
        repositories(random, 1).getFirst(), INDEX, text, children, List.of(), subject, random);
  }

  /** Adds an index with a tag whose images are nowhere. */
  void sparse(Random random) throws Exception {
    String text =
        "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"annotations\":{\"n\":\"%s\"},\"manifests\":[%s]}"
            .formatted(
                INDEX,
                repositories.getFirst(),
                descriptor(MANIFEST, sha256(new byte[] {(byte) random.nextInt()}), 500));
    while (tags.isEmpty()) {
      manifest(repositories.getFirst(), INDEX, text, List.of(), List.of(), null, random);
    }
  }

  private static String subject(String digest) {
    return digest == null ? "" : ",\"subject\":" + descriptor(MANIFEST, digest, 1);
  }

  private static String descriptor(String type, String digest, int size) {
    return "{\"mediaType\":\"" + type + "\",\"digest\":\"" + digest + "\",\"size\":" + size + "}";
  }

  private Pushed manifest(
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
    String reference = tagged ? "t" + ++pushes : digest;
    HttpResponse<byte[]> answer =
        send(
            request("push", "/v2/" + repository + "/manifests/" + reference)
                .header("Content-Type", type)
                .PUT(HttpRequest.BodyPublishers.ofByteArray(bytes)));
    assertThat(answer.statusCode())
        .as(new String(answer.body(), StandardCharsets.UTF_8))
        .isEqualTo(201);
    Pushed pushed = new Pushed(digest, type, bytes, children, blobs, subject);
    manifests.put(digest, pushed);
    present.computeIfAbsent(repository, r -> new TreeSet<>()).add(digest);
    if (tagged) {
      tags.put(repository + ":" + reference, digest);
    }
    return pushed;
  }

  /** Those that a repository's manifests name. */
  private Set<String> blobs(String repository) {
    Set<String> blobs = new HashSet<>();
    present
        .getOrDefault(repository, Set.of())
        .forEach(digest -> blobs.addAll(manifests.get(digest).blobs));
    return blobs;
  }

  private void upload(String repository, byte[] content, String digest) throws Exception {
    HttpResponse<byte[]> begun =
        send(
            request("push", "/v2/" + repository + "/blobs/uploads/")
                .POST(HttpRequest.BodyPublishers.noBody()));
    String location = begun.headers().firstValue("Location").orElseThrow();
    HttpResponse<byte[]> answer =
        send(
            request("push", location + "&digest=" + digest)
                .PUT(HttpRequest.BodyPublishers.ofByteArray(content)));
    assertThat(answer.statusCode()).isEqualTo(201);
  }

  /**
   * Pulls a manifest with every blob of it, and compares each byte.
   *
   * @param have blobs by repository that need not be pulled again; those that were are added
   * @return how many digests that was
   */
  int pull(Place place, Set<Place> have) throws Exception {
    Pushed pushed = manifests.get(place.digest);
    HttpResponse<byte[]> answer = get("/v2/" + place.repository + "/manifests/" + place.digest);
    assertThat(answer.statusCode()).as(place.toString()).isEqualTo(200);
    assertThat(answer.body()).isEqualTo(pushed.bytes);
    int digests = 1;
    for (String blob : pushed.blobs) {
      if (have.add(new Place(place.repository, blob))) {
        HttpResponse<byte[]> content = get("/v2/" + place.repository + "/blobs/" + blob);
        assertThat(content.statusCode()).as(place + " blob " + blob).isEqualTo(200);
        assertThat(sha256(content.body())).as(place + " blob").isEqualTo(blob);
        digests++;
      }
    }
    return digests;
  }

  /**
   * Pulls all that is needed, by digest and by tag.
   *
   * @return how many digests that was
   */
  int check(Set<String> needed) throws Exception {
    int digests = 0;
    Set<Place> have = new HashSet<>();
    for (Place place : places(needed)) {
      digests += pull(place, have);
    }
    for (Map.Entry<String, String> tag : tags.entrySet()) {
      String path = "/v2/" + tag.getKey().replace(":", "/manifests/");
      assertThat(sha256(get(path).body())).as(tag.getKey()).isEqualTo(tag.getValue());
    }
    return digests;
  }

  /** What is not needed must be gone. */
  void gone(Set<String> needed) throws Exception {
    for (Place place : unneeded(needed)) {
      assertThat(get("/v2/" + place.repository + "/manifests/" + place.digest).statusCode())
          .as(place.toString())
          .isEqualTo(404);
      present.get(place.repository).remove(place.digest);
    }
    manifests
        .keySet()
        .removeIf(digest -> present.values().stream().noneMatch(set -> set.contains(digest)));
  }

  /** All manifests that are there, and all blobs that they name. */
  Set<String> held() {
    Set<String> held = new TreeSet<>(manifests.keySet());
    manifests.values().forEach(manifest -> held.addAll(manifest.blobs));
    return held;
  }

  /** What a gateway says to somebody who begins an upload. */
  int upload() throws Exception {
    return send(request("push", "/v2/" + repositories.getFirst() + "/blobs/uploads/")
            .POST(HttpRequest.BodyPublishers.noBody()))
        .statusCode();
  }

  private HttpResponse<byte[]> get(String path) throws Exception {
    return send(request("pull", path).header("Accept", MANIFEST + ", " + INDEX).GET());
  }

  private HttpRequest.Builder request(String user, String path) {
    return HttpRequest.newBuilder(URI.create("https://" + lab.host() + path))
        .header(
            "Authorization",
            "Basic "
                + Base64.getEncoder()
                    .encodeToString(
                        (user + ":" + user + "-secret").getBytes(StandardCharsets.UTF_8)));
  }

  private HttpResponse<byte[]> send(HttpRequest.Builder request) throws Exception {
    return http.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
  }

  private static String sha256(byte[] content) throws Exception {
    return "sha256:"
        + HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
  }
}
