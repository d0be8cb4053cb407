import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;

/**
 * What a JVM is trained with: a sync from a registry in memory, with TLS and tokens, into another one
 * that has half of the images from a sync before, with its ledger and its report. Both live in this
 * process, on loopback.
 *
 * <pre>java Training.java DIRECTORY JAVA ARGUMENT...    runs JAVA ARGUMENT... sync ..., the second time as
 *     JAVA @DIRECTORY/training.options ARGUMENT... sync ..., and ends as that does</pre>
 */
class Training {
  static final int REPOSITORIES = 24;
  static final int TAGS = 16;
  static final String IMAGE = "application/vnd.oci.image.manifest.v1+json";
  static final String INDEX = "application/vnd.oci.image.index.v1+json";
  static final Random RANDOM = new Random(25);

  /** One registry: manifests by {@code repository:tag} and {@code repository@digest}, blobs by digest. */
  static final class Registry {
    final Map<String, byte[]> manifests = new ConcurrentHashMap<>();
    final Map<String, byte[]> blobs = new ConcurrentHashMap<>();
    final Map<String, byte[]> uploads = new ConcurrentHashMap<>();
    final AtomicInteger next = new AtomicInteger();
    final String realm;

    Registry(String realm) {
      this.realm = realm;
    }

    void serve(HttpExchange x) throws IOException {
      try (x) {
        String method = x.getRequestMethod();
        URI uri = x.getRequestURI();
        Map<String, String> query = query(uri.getQuery());
        String path = uri.getPath();
        byte[] body = x.getRequestBody().readAllBytes();
        if (path.equals("/token")) {
          answer(x, 200, "application/json", "{\"token\":\"t\",\"expires_in\":3600}");
          return;
        }
        if (!realm.isEmpty() && x.getRequestHeaders().getFirst("Authorization") == null) {
          x.getResponseHeaders().add("WWW-Authenticate", "Bearer realm=\"" + realm + "\",service=\"training\"");
          answer(x, 401, "application/json", "{\"errors\":[{\"code\":\"UNAUTHORIZED\"}]}");
          return;
        }
        String rest = path.substring(Math.min(path.length(), "/v2/".length()));
        int at = rest.lastIndexOf("/blobs/uploads");
        if (at >= 0) {
          upload(x, method, rest.substring(0, at), rest.substring(at + "/blobs/uploads/".length()), query, body);
        } else if ((at = rest.lastIndexOf("/manifests/")) >= 0) {
          manifest(x, method, rest.substring(0, at), rest.substring(at + "/manifests/".length()), body);
        } else if ((at = rest.lastIndexOf("/blobs/")) >= 0) {
          blob(x, method, rest.substring(at + "/blobs/".length()));
        } else if ((at = rest.lastIndexOf("/tags/list")) >= 0) {
          String repository = rest.substring(0, at);
          TreeSet<String> tags = new TreeSet<>();
          for (String key : manifests.keySet()) {
            if (key.startsWith(repository + ":")) {
              tags.add("\"" + key.substring(repository.length() + 1) + "\"");
            }
          }
          answer(x, 200, "application/json", "{\"name\":\"" + repository + "\",\"tags\":[" + String.join(",", tags) + "]}");
        } else {
          answer(x, rest.isEmpty() ? 200 : 404, "application/json", "{}");
        }
      } catch (RuntimeException e) {
        e.printStackTrace();
        throw e;
      }
    }

    void upload(HttpExchange x, String method, String repository, String id, Map<String, String> query, byte[] body)
        throws IOException {
      if (method.equals("POST")) {
        String mount = query.get("mount");
        if (mount != null && query.containsKey("from") && blobs.containsKey(mount)) {
          x.getResponseHeaders().add("Location", "/v2/" + repository + "/blobs/" + mount);
          answer(x, 201, null, "");
          return;
        }
        String upload = "u" + next.incrementAndGet();
        uploads.put(upload, new byte[0]);
        x.getResponseHeaders().add("Location", "/v2/" + repository + "/blobs/uploads/" + upload);
        x.getResponseHeaders().add("Range", "0-0");
        answer(x, 202, null, "");
        return;
      }
      byte[] before = uploads.getOrDefault(id, new byte[0]);
      byte[] all = Arrays.copyOf(before, before.length + body.length);
      System.arraycopy(body, 0, all, before.length, body.length);
      if (method.equals("PATCH")) {
        uploads.put(id, all);
        x.getResponseHeaders().add("Location", "/v2/" + repository + "/blobs/uploads/" + id);
        x.getResponseHeaders().add("Range", "0-" + (all.length - 1));
        answer(x, 202, null, "");
        return;
      }
      uploads.remove(id);
      String digest = digest(all);
      blobs.put(digest, all);
      x.getResponseHeaders().add("Docker-Content-Digest", digest);
      x.getResponseHeaders().add("Location", "/v2/" + repository + "/blobs/" + digest);
      answer(x, 201, null, "");
    }

    void manifest(HttpExchange x, String method, String repository, String identifier, byte[] body) throws IOException {
      String key = repository + (identifier.indexOf(':') > 0 ? "@" : ":") + identifier;
      if (method.equals("PUT")) {
        manifests.put(key, body);
        manifests.put(repository + "@" + digest(body), body);
        x.getResponseHeaders().add("Docker-Content-Digest", digest(body));
        answer(x, 201, null, "");
        return;
      }
      byte[] known = manifests.get(key);
      if (known == null) {
        answer(x, 404, "application/json", "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\"}]}");
        return;
      }
      x.getResponseHeaders().add("Docker-Content-Digest", digest(known));
      String text = new String(known, StandardCharsets.UTF_8);
      answer(x, 200, text.contains("\"manifests\"") ? INDEX : IMAGE, known);
    }

    void blob(HttpExchange x, String method, String digest) throws IOException {
      byte[] known = blobs.get(digest);
      if (known == null) {
        answer(x, 404, "application/json", "{\"errors\":[{\"code\":\"BLOB_UNKNOWN\"}]}");
      } else {
        answer(x, 200, "application/octet-stream", known);
      }
    }
  }

  static void answer(HttpExchange x, int status, String type, String body) throws IOException {
    answer(x, status, type, body.getBytes(StandardCharsets.UTF_8));
  }

  static void answer(HttpExchange x, int status, String type, byte[] body) throws IOException {
    if (type != null) {
      x.getResponseHeaders().add("Content-Type", type);
    }
    if (x.getRequestMethod().equals("HEAD")) {
      x.getResponseHeaders().add("Content-Length", String.valueOf(body.length));
      x.sendResponseHeaders(status, -1);
    } else {
      x.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
      x.getResponseBody().write(body);
    }
  }

  static Map<String, String> query(String text) {
    Map<String, String> all = new HashMap<>();
    for (String part : text == null ? new String[0] : text.split("&")) {
      int at = part.indexOf('=');
      all.put(at < 0 ? part : part.substring(0, at), at < 0 ? "" : part.substring(at + 1));
    }
    return all;
  }

  static String digest(byte[] bytes) {
    try {
      return "sha256:" + HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (java.security.NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  static String descriptor(String type, byte[] bytes, String more) {
    return "{\"mediaType\":\"" + type + "\",\"digest\":\"" + digest(bytes) + "\",\"size\":" + bytes.length + more + "}";
  }

  /** An image with a layer that others have, too, and one of its own. */
  static byte[] image(Registry registry, byte[] shared, String architecture) {
    byte[] own = new byte[RANDOM.nextInt(64 << 10) + 1000];
    RANDOM.nextBytes(own);
    byte[] config = ("{\"os\":\"linux\",\"architecture\":\"" + architecture + "\",\"n\":" + RANDOM.nextLong() + "}").getBytes(StandardCharsets.UTF_8);
    String layer = "application/vnd.oci.image.layer.v1.tar+gzip";
    for (byte[] blob : List.of(shared, own, config)) {
      registry.blobs.put(digest(blob), blob);
    }
    return ("{\"schemaVersion\":2,\"mediaType\":\"" + IMAGE + "\",\"config\":"
            + descriptor("application/vnd.oci.image.config.v1+json", config, "")
            + ",\"layers\":[" + descriptor(layer, shared, "") + "," + descriptor(layer, own, "") + "]}")
        .getBytes(StandardCharsets.UTF_8);
  }

  static void fill(Registry registry) {
    for (int r = 0; r < REPOSITORIES; r++) {
      String repository = "training/app" + r;
      byte[] shared = new byte[r % 4 == 0 ? 1 << 20 : 1 << 16]; // The trained JVM interprets its ciphers.
      RANDOM.nextBytes(shared);
      for (int t = 0; t < TAGS; t++) {
        byte[] top = image(registry, shared, "amd64");
        registry.manifests.put(repository + "@" + digest(top), top);
        if (t % 4 == 0) {
          byte[] other = image(registry, shared, "arm64");
          registry.manifests.put(repository + "@" + digest(other), other);
          top = ("{\"schemaVersion\":2,\"mediaType\":\"" + INDEX + "\",\"manifests\":["
                  + descriptor(IMAGE, top, ",\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}") + ","
                  + descriptor(IMAGE, other, ",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\"}") + "]}")
              .getBytes(StandardCharsets.UTF_8);
          registry.manifests.put(repository + "@" + digest(top), top);
        }
        registry.manifests.put(repository + ":1." + t + ".0", top);
      }
    }
  }

  static HttpServer started(HttpServer server, Registry registry) {
    server.createContext("/", registry::serve);
    server.setExecutor(Executors.newCachedThreadPool());
    server.start();
    return server;
  }

  public static void main(String[] args) throws Exception {
    System.setProperty("sun.net.httpserver.nodelay", "true");
    Path directory = Path.of(args[0]);
    Path store = directory.resolve("keys.p12");
    int made =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                "-genkeypair", "-keyalg", "EC", "-groupname", "secp256r1", "-dname", "CN=training", "-ext", "san=ip:127.0.0.1",
                "-ext", "bc=ca:true", "-alias", "a", "-storetype", "PKCS12", "-storepass", "training", "-keystore", store.toString())
            .inheritIO().start().waitFor();
    if (made != 0) {
      System.exit(made);
    }
    KeyStore keys = KeyStore.getInstance("PKCS12");
    try (InputStream in = Files.newInputStream(store)) {
      keys.load(in, "training".toCharArray());
    }
    Files.writeString(
        directory.resolve("ca.pem"),
        "-----BEGIN CERTIFICATE-----\n" + Base64.getMimeEncoder().encodeToString(keys.getCertificate("a").getEncoded())
            + "\n-----END CERTIFICATE-----\n");
    KeyManagerFactory managers = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    managers.init(keys, "training".toCharArray());
    SSLContext tls = SSLContext.getInstance("TLS");
    tls.init(managers.getKeyManagers(), null, null);
    InetSocketAddress any = new InetSocketAddress(InetAddress.getByName("127.0.0.1"), 0);
    HttpsServer https = HttpsServer.create(any, 64);
    https.setHttpsConfigurator(new HttpsConfigurator(tls));
    String from = "127.0.0.1:" + https.getAddress().getPort();
    Registry source = new Registry("https://" + from + "/token");
    fill(source);
    started(https, source);
    Registry target = new Registry("");
    HttpServer http = started(HttpServer.create(any, 64), target);
    String to = "127.0.0.1:" + http.getAddress().getPort();
    List<String> command = new ArrayList<>(Arrays.asList(args).subList(1, args.length));
    int before = sync(directory, command, from, REPOSITORIES / 2, to);
    command.add(1, "@" + directory.resolve("training.options"));
    System.exit(before != 0 ? before : sync(directory, command, from, REPOSITORIES, to));
  }

  /** Runs the command with the first repositories of the source, and says how it ended. */
  static int sync(Path directory, List<String> command, String from, int repositories, String to) throws Exception {
    List<String> images = new ArrayList<>();
    for (int r = 0; r < repositories; r++) {
      images.add("training/app" + r);
    }
    Path list = directory.resolve("list.yaml");
    Files.writeString(
        list,
        """
        apiVersion: mirrors.kubic.io/v1alpha1
        kind: MirrorList
        metadata: {name: training}
        spec:
          registryRef: {name: training}
          layout: Flat
          sources:
          - registry: %s
            images: [%s]
        """.formatted(from, String.join(", ", images)));
    List<String> all = new ArrayList<>(command);
    all.addAll(
        List.of("sync", "-q", "-f", list.toString(), "--to", to, "--plain-http", "--source-ca", directory.resolve("ca.pem").toString()));
    ProcessBuilder run = new ProcessBuilder(all).inheritIO();
    // Nobody's logins.
    run.environment().put("DOCKER_CONFIG", directory.toString());
    run.environment().put("HOME", directory.toString());
    run.environment().keySet().removeIf(name -> name.toLowerCase(java.util.Locale.ROOT).endsWith("_proxy"));
    return run.start().waitFor();
  }
}
