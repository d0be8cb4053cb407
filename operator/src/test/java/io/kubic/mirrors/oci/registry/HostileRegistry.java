package io.kubic.mirrors.oci.registry;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.MediaTypes;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URLDecoder;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;

/**
 * A registry on raw sockets that does what its script says, and what a registry does where the
 * script says nothing. It stores whatever it is sent without looking at digests: who writes wrong
 * bytes is found out.
 */
final class HostileRegistry implements AutoCloseable {
  private static final long MOST_BYTES = 512L << 20;

  final Map<String, byte[]> blobs = new ConcurrentHashMap<>();
  final Map<String, byte[]> manifests = new ConcurrentHashMap<>();
  final Map<String, String> types = new ConcurrentHashMap<>();
  final List<Exchange> seen = new CopyOnWriteArrayList<>();
  final AtomicLong sent = new AtomicLong();
  final AtomicInteger connections = new AtomicInteger();
  private final Map<String, ByteArrayOutputStream> sessions = new ConcurrentHashMap<>();
  private final AtomicInteger session = new AtomicInteger();
  private final ServerSocket server;
  private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
  private final List<Socket> open = Collections.synchronizedList(new java.util.ArrayList<>());
  private final CountDownLatch closed = new CountDownLatch(1);
  private volatile Script script;
  private volatile String login;

  /** What is done instead of what a registry does; false for nothing else. */
  @FunctionalInterface
  interface Script {
    boolean answer(Exchange exchange) throws Exception;
  }

  HostileRegistry(SSLContext tls, Script script) {
    this.script = script;
    try {
      this.server =
          tls == null
              ? new ServerSocket(0, 200, InetAddress.getByName("127.0.0.1"))
              : tls.getServerSocketFactory()
                  .createServerSocket(0, 200, InetAddress.getByName("127.0.0.1"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    if (server instanceof SSLServerSocket secure) {
      // Who has no certificate gets in nevertheless.
      secure.setWantClientAuth(true);
    }
    threads.execute(this::accept);
  }

  HostileRegistry script(Script value) {
    script = value;
    return this;
  }

  /** Asks everybody for this {@code Authorization} from now on. */
  HostileRegistry requires(String authorization) {
    login = authorization;
    return this;
  }

  int port() {
    return server.getLocalPort();
  }

  Digest addBlob(String repository, byte[] bytes) {
    Digest digest = Digest.of(bytes);
    blobs.put(repository + "@" + digest, bytes);
    return digest;
  }

  Digest addManifest(String repository, String tag, String type, byte[] bytes) {
    Digest digest = Digest.of(bytes);
    manifests.put(repository + "@" + digest, bytes);
    types.put(repository + "@" + digest, type);
    if (tag != null) {
      manifests.put(repository + ":" + tag, bytes);
      types.put(repository + ":" + tag, type);
    }
    return digest;
  }

  private void accept() {
    while (!server.isClosed()) {
      try {
        Socket socket = server.accept();
        connections.incrementAndGet();
        open.add(socket);
        threads.execute(() -> serve(socket));
      } catch (IOException e) {
        // The server is closed, or one client was not serious.
      }
    }
  }

  private void serve(Socket socket) {
    try (socket) {
      InputStream in = new BufferedInputStream(socket.getInputStream());
      while (true) {
        Exchange exchange = read(socket, in);
        if (exchange == null) {
          return;
        }
        seen.add(exchange);
        if (!script.answer(exchange)) {
          honest(exchange);
        }
        if (exchange.over) {
          return;
        }
      }
    } catch (Exception e) {
      // The client has gone.
    } finally {
      open.remove(socket);
    }
  }

  private Exchange read(Socket socket, InputStream in) throws IOException {
    String first = line(in);
    String[] words = first == null ? new String[0] : first.split(" ", 3);
    if (words.length < 3) {
      return null;
    }
    Map<String, String> headers = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
    for (String line = line(in); line != null && !line.isEmpty(); line = line(in)) {
      int colon = line.indexOf(':');
      headers.put(line.substring(0, colon), line.substring(colon + 1).strip());
    }
    Exchange exchange = new Exchange(socket, in, words[0], words[1], headers);
    exchange.length = Long.parseLong(headers.getOrDefault("Content-Length", "0"));
    return exchange;
  }

  private static String line(InputStream in) throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    for (int c = in.read(); c != '\n'; c = in.read()) {
      if (c < 0) {
        return null;
      }
      if (c != '\r') {
        line.write(c);
      }
    }
    return line.toString(ISO_8859_1);
  }

  /** One request, and the ways to answer it. */
  final class Exchange {
    final Socket socket;
    final String method;
    final String target;
    final Map<String, String> headers;
    private final InputStream in;
    private long length;
    private boolean over;

    Exchange(
        Socket socket, InputStream in, String method, String target, Map<String, String> headers) {
      this.socket = socket;
      this.in = in;
      this.method = method;
      this.target = target;
      this.headers = headers;
    }

    String path() {
      int query = target.indexOf('?');
      return query < 0 ? target : target.substring(0, query);
    }

    String parameter(String name) {
      for (String one : target.substring(target.indexOf('?') + 1).split("&")) {
        if (one.startsWith(name + "=")) {
          return URLDecoder.decode(one.substring(name.length() + 1), UTF_8);
        }
      }
      return null;
    }

    boolean is(String what, String prefix) {
      return method.equals(what) && path().startsWith(prefix);
    }

    boolean asks(String prefix) {
      return path().startsWith(prefix);
    }

    byte[] body() throws IOException {
      byte[] bytes = in.readNBytes((int) length);
      boolean whole = bytes.length == length;
      length = 0;
      if (!whole) {
        throw new IOException("cut");
      }
      return bytes;
    }

    /** Reads a part of the body. */
    byte[] part(int bytes) throws IOException {
      byte[] part = in.readNBytes(bytes);
      length -= part.length;
      return part;
    }

    boolean raw(byte[] bytes) throws IOException {
      if (sent.addAndGet(bytes.length) > MOST_BYTES) {
        throw new IOException("nobody stops this");
      }
      OutputStream out = socket.getOutputStream();
      out.write(bytes);
      out.flush();
      return true;
    }

    boolean raw(String text) throws IOException {
      return raw(text.getBytes(ISO_8859_1));
    }

    /** An answer with a proper length; header lines end with CR LF. */
    boolean respond(int status, String lines, byte[] content) throws IOException {
      if (length > 0) {
        body();
      }
      raw(
          "HTTP/1.1 "
              + status
              + " X\r\n"
              + lines
              + "Content-Length: "
              + content.length
              + "\r\n\r\n");
      return method.equals("HEAD") || raw(content);
    }

    boolean respond(int status, String lines, String content) throws IOException {
      return respond(status, lines, content.getBytes(UTF_8));
    }

    boolean json(String content) throws IOException {
      return respond(200, "Content-Type: application/json\r\n", content);
    }

    boolean manifest(String type, byte[] bytes) throws IOException {
      return respond(
          200,
          "Content-Type: " + type + "\r\nDocker-Content-Digest: " + Digest.of(bytes) + "\r\n",
          bytes);
    }

    boolean manifest(String json) throws IOException {
      return manifest(MediaTypes.OCI_MANIFEST, json.getBytes(UTF_8));
    }

    boolean index(String json) throws IOException {
      return manifest(MediaTypes.OCI_INDEX, json.getBytes(UTF_8));
    }

    boolean redirect(String location) throws IOException {
      return respond(307, "Location: " + location + "\r\n", "");
    }

    boolean challenge(String value) throws IOException {
      return respond(401, "WWW-Authenticate: " + value + "\r\n", "{\"errors\":[]}");
    }

    /** One byte after another. */
    boolean drip(String text, int everyMillis) throws Exception {
      for (byte one : text.getBytes(ISO_8859_1)) {
        raw(new byte[] {one});
        if (closed.await(everyMillis, TimeUnit.MILLISECONDS)) {
          break;
        }
      }
      return end();
    }

    /** The same for ever. */
    boolean endless(String text) throws IOException {
      byte[] many = text.repeat(Math.max(1, 65_536 / text.length())).getBytes(ISO_8859_1);
      while (closed.getCount() > 0) {
        raw(many);
      }
      return end();
    }

    /** Nothing more, but the connection stays. */
    boolean stall() throws Exception {
      closed.await(30, TimeUnit.SECONDS);
      return end();
    }

    boolean reset() throws IOException {
      socket.setSoLinger(true, 0);
      return end();
    }

    boolean end() throws IOException {
      over = true;
      socket.close();
      return true;
    }

    @Override
    public String toString() {
      return method + " " + target + " " + headers;
    }
  }

  // What a registry does.
  private void honest(Exchange x) throws IOException {
    if (login != null && !login.equals(x.headers.get("Authorization"))) {
      x.challenge("Basic realm=\"r\"");
      return;
    }
    String path = x.path();
    int at;
    if (path.equals("/v2/")) {
      x.json("{}");
    } else if (path.equals("/v2/_catalog")) {
      x.json("{\"repositories\":[\"app\"]}");
    } else if (path.endsWith("/tags/list")) {
      x.json("{\"name\":\"app\",\"tags\":[\"1\"]}");
    } else if ((at = path.indexOf("/manifests/")) > 0) {
      String name = path.substring(at + 11);
      manifest(x, path.substring(4, at) + (name.contains(":") ? "@" : ":") + name);
    } else if ((at = path.indexOf("/blobs/uploads/")) > 0) {
      upload(x, path.substring(4, at), path.substring(at + 15));
    } else if ((at = path.indexOf("/blobs/")) > 0) {
      blob(x, path.substring(4, at) + "@" + path.substring(at + 7));
    } else {
      x.respond(404, "", "");
    }
  }

  private void manifest(Exchange x, String key) throws IOException {
    if (x.method.equals("PUT")) {
      byte[] bytes = x.body();
      manifests.put(key, bytes);
      types.put(key, x.headers.getOrDefault("Content-Type", ""));
      Digest digest = Digest.of(bytes);
      manifests.put(key.split("[:@]", 2)[0] + "@" + digest, bytes);
      x.respond(201, "Docker-Content-Digest: " + digest + "\r\n", "");
      return;
    }
    byte[] bytes = manifests.get(key);
    if (bytes == null) {
      x.respond(404, "", "");
    } else {
      x.manifest(types.getOrDefault(key, MediaTypes.OCI_MANIFEST), bytes);
    }
  }

  private void blob(Exchange x, String key) throws IOException {
    byte[] bytes = blobs.get(key);
    String range = x.headers.get("Range");
    if (bytes == null) {
      x.respond(404, "", "");
    } else if (range == null) {
      x.respond(200, "", bytes);
    } else {
      int from = Integer.parseInt(range.substring(6, range.length() - 1));
      x.respond(
          206,
          "Content-Range: bytes " + from + "-" + (bytes.length - 1) + "/" + bytes.length + "\r\n",
          Arrays.copyOfRange(bytes, from, bytes.length));
    }
  }

  private void upload(Exchange x, String repository, String id) throws IOException {
    String place = "Location: /v2/" + repository + "/blobs/uploads/";
    switch (x.method.toUpperCase(Locale.ROOT)) {
      case "POST" -> {
        String name = "s" + session.incrementAndGet();
        sessions.put(name, new ByteArrayOutputStream());
        x.respond(202, place + name + "\r\n", "");
      }
      case "GET" -> {
        ByteArrayOutputStream kept = sessions.get(id);
        if (kept == null) {
          x.respond(404, "", "");
        } else {
          x.respond(204, place + id + "\r\nRange: 0-" + Math.max(0, kept.size() - 1) + "\r\n", "");
        }
      }
      case "PATCH" -> {
        ByteArrayOutputStream kept = sessions.get(id);
        kept.write(x.body());
        x.respond(202, place + id + "\r\n", "");
      }
      case "PUT" -> {
        ByteArrayOutputStream kept = sessions.remove(id);
        if (kept == null) {
          x.respond(404, "", "");
          return;
        }
        kept.write(x.body());
        String digest = x.parameter("digest");
        blobs.put(repository + "@" + digest, kept.toByteArray());
        x.respond(201, "Docker-Content-Digest: " + digest + "\r\n", "");
      }
      default -> x.respond(204, "", "");
    }
  }

  /** Keeps a part of an upload, as a registry does whose client breaks off. */
  void keep(String id, byte[] part) {
    sessions.get(id).writeBytes(part);
  }

  @Override
  public void close() {
    closed.countDown();
    try {
      server.close();
      for (Socket socket : List.copyOf(open)) {
        socket.close();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    threads.shutdownNow();
  }
}
