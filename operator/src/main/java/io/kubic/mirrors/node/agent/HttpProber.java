package io.kubic.mirrors.node.agent;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.kubic.mirrors.node.Certificates;
import io.kubic.mirrors.node.ImageName;
import io.kubic.mirrors.node.NodeConfig.Endpoint;
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.Proxy;
import java.net.Socket;
import java.net.URI;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedTrustManager;
import org.jspecify.annotations.Nullable;

/**
 * Looks at mirrors with the HTTP client of the JDK, the smallest in memory. It may follow a
 * registry to any token server, as runtimes do (distribution-spec, token authentication), but takes
 * credentials to none that is not the registry itself. No proxy and no redirects.
 */
public final class HttpProber implements Prober {
  private static final int MAX_BODY = 1024 * 1024;
  private static final String MANIFESTS =
      "application/vnd.oci.image.index.v1+json,"
          + "application/vnd.docker.distribution.manifest.list.v2+json,"
          + "application/vnd.oci.image.manifest.v1+json,"
          + "application/vnd.docker.distribution.manifest.v2+json";
  private static final JsonFactory JSON = new JsonFactory();

  private final Duration dial;
  private final Duration answer;
  private final Map<String, SSLSocketFactory> factories = new HashMap<>();

  /**
   * @param dial for a connection
   * @param answer for the first byte of an answer
   */
  public HttpProber(Duration dial, Duration answer) {
    this.dial = dial;
    this.answer = answer;
  }

  private record Answer(int status, String body, Map<String, List<String>> headers) {
    Optional<String> header(String name) {
      return headers.entrySet().stream()
          .filter(e -> name.equalsIgnoreCase(e.getKey()))
          .flatMap(e -> e.getValue().stream())
          .findFirst();
    }
  }

  @Override
  public Sight look(Endpoint endpoint, @Nullable String authorities) {
    return guarded(
        endpoint,
        scheme -> {
          Answer answer = send("GET", base(endpoint, scheme) + "/v2/", null, endpoint, authorities);
          return answer.status() >= 500
              ? new Sight.Unreachable(said(endpoint, answer))
              : new Sight.Good();
        });
  }

  @Override
  public Sight resolve(
      Endpoint endpoint,
      @Nullable String authorities,
      @Nullable ImageName image,
      @Nullable Login login) {
    return guarded(
        endpoint,
        scheme -> {
          String path = endpoint.location().path();
          String repository =
              image == null
                  ? path
                  : path.isEmpty() ? image.repository() : path + "/" + image.repository();
          String authorization = login == null ? null : login.basic();
          Answer entry =
              send("GET", base(endpoint, scheme) + "/v2/", authorization, endpoint, authorities);
          if (entry.status() == 401 && login != null && login.direct()) {
            return new Sight.Refused(
                endpoint.location().registry()
                    + " refuses the login: it is wrong, or counts at the registry's token server"
                    + " only, while containerd sends it with each request");
          }
          if (entry.status() == 401) {
            Optional<String> challenge = entry.header("WWW-Authenticate");
            if (challenge.isEmpty()
                || !challenge.get().toLowerCase(Locale.ROOT).startsWith("bearer ")) {
              return new Sight.Refused(
                  endpoint.location().registry() + " wants credentials; allow anonymous pulls");
            }
            Map<String, String> values = parameters(challenge.get().substring(7));
            String realm = values.getOrDefault("realm", "");
            if (!realm.startsWith("https://") && !realm.startsWith("http://")) {
              return new Sight.Refused(
                  endpoint.location().registry() + " names no usable token server");
            }
            StringBuilder url = new StringBuilder(realm);
            url.append(realm.indexOf('?') < 0 ? '?' : '&')
                .append("service=")
                .append(encode(values.getOrDefault("service", "")));
            if (!repository.isEmpty()) {
              url.append("&scope=").append(encode("repository:" + repository + ":pull"));
            }
            // Credentials go to the registry's own origin only: its challenge may name any other.
            boolean own = realm.startsWith(base(endpoint, scheme) + "/");
            Answer token =
                send("GET", url.toString(), own ? authorization : null, endpoint, authorities);
            if (token.status() != 200) {
              return token.status() >= 500
                  ? new Sight.Unreachable("token server: " + said(endpoint, token))
                  : new Sight.Refused("token server: " + said(endpoint, token));
            }
            authorization = "Bearer " + token(token.body());
            entry =
                send("GET", base(endpoint, scheme) + "/v2/", authorization, endpoint, authorities);
          }
          if (entry.status() >= 500) {
            return new Sight.Unreachable(said(endpoint, entry));
          }
          if (entry.status() != 200) {
            return new Sight.Refused(said(endpoint, entry));
          }
          if (image == null) {
            return new Sight.Good();
          }
          Answer manifest =
              send(
                  "HEAD",
                  base(endpoint, scheme) + "/v2/" + repository + "/manifests/" + image.reference(),
                  authorization,
                  endpoint,
                  authorities);
          return manifest.status() == 200
              ? new Sight.Good()
              : new Sight.Refused(
                  repository + ":" + image.reference() + ": " + said(endpoint, manifest));
        });
  }

  /** The second number of schedstat: nanoseconds on a run queue (sched-stats.rst of the kernel). */
  @Override
  public Duration starved() {
    long nanos = 0;
    try (DirectoryStream<Path> threads = Files.newDirectoryStream(Path.of("/proc/self/task"))) {
      for (Path thread : threads) {
        try {
          nanos += Long.parseLong(Files.readString(thread.resolve("schedstat")).split(" ")[1]);
        } catch (NoSuchFileException e) {
          continue; // it has ended, or the kernel keeps no such account
        }
      }
    } catch (IOException | DirectoryIteratorException e) {
      return Duration.ZERO;
    }
    return Duration.ofNanos(nanos);
  }

  private interface Look {
    Sight at(String scheme) throws IOException;
  }

  private Sight guarded(Endpoint endpoint, Look look) {
    try {
      try {
        return look.at("https");
      } catch (SSLException e) {
        if (endpoint.insecure()) {
          return look.at("http");
        }
        throw e;
      }
    } catch (IOException e) {
      String message = String.valueOf(e.getMessage());
      int end = message.indexOf('\n');
      return new Sight.Unreachable(
          endpoint.location().registry()
              + ": "
              + e.getClass().getSimpleName()
              + ": "
              + (end < 0 ? message : message.substring(0, end)));
    }
  }

  private Answer send(
      String method,
      String url,
      @Nullable String authorization,
      Endpoint endpoint,
      @Nullable String authorities)
      throws IOException {
    HttpURLConnection connection;
    try {
      connection = (HttpURLConnection) URI.create(url).toURL().openConnection(Proxy.NO_PROXY);
    } catch (IllegalArgumentException e) {
      throw new IOException("no URL: " + url);
    }
    if (connection instanceof HttpsURLConnection tls) {
      if (endpoint.insecure()) {
        tls.setSSLSocketFactory(factory(""));
        tls.setHostnameVerifier((_, _) -> true);
      } else if (authorities != null) {
        tls.setSSLSocketFactory(factory(authorities));
      }
    }
    connection.setConnectTimeout((int) dial.toMillis());
    connection.setReadTimeout((int) answer.toMillis());
    connection.setInstanceFollowRedirects(false);
    connection.setUseCaches(false);
    connection.setRequestMethod(method);
    connection.setRequestProperty("Accept", method.equals("HEAD") ? MANIFESTS : "*/*");
    connection.setRequestProperty("User-Agent", "mirror-operator-agent");
    if (authorization != null) {
      connection.setRequestProperty("Authorization", authorization);
    }
    int status = connection.getResponseCode();
    String body = "";
    try (InputStream in =
        status < 400 ? connection.getInputStream() : connection.getErrorStream()) {
      if (in != null) {
        body = new String(in.readNBytes(MAX_BODY), StandardCharsets.UTF_8);
      }
    }
    return new Answer(status, body, connection.getHeaderFields());
  }

  private synchronized SSLSocketFactory factory(String authorities) throws IOException {
    SSLSocketFactory known = factories.get(authorities);
    if (known != null) {
      return known;
    }
    try {
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(
          null,
          authorities.isEmpty() ? new TrustManager[] {new Anybody()} : trust(authorities),
          null);
      if (factories.size() > 64) {
        factories.clear(); // bundles change with every rotation
      }
      factories.put(authorities, context.getSocketFactory());
      return context.getSocketFactory();
    } catch (GeneralSecurityException e) {
      throw new IOException("CA certificates cannot be used: " + e.getMessage());
    }
  }

  private static TrustManager[] trust(String authorities)
      throws GeneralSecurityException, IOException {
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    int number = 0;
    for (X509Certificate certificate : Certificates.parse(authorities)) {
      store.setCertificateEntry("ca" + number++, certificate);
    }
    if (number == 0) {
      throw new IOException("no CA certificate on the disk");
    }
    TrustManagerFactory factory =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    factory.init(store);
    return factory.getTrustManagers();
  }

  private static String base(Endpoint endpoint, String scheme) {
    return scheme + "://" + endpoint.location().registry();
  }

  private static String said(Endpoint endpoint, Answer answer) {
    return endpoint.location().registry() + " answers " + answer.status();
  }

  private static String encode(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8);
  }

  /** {@code token} or {@code access_token} of a token server's answer. */
  private static String token(String body) throws IOException {
    try (JsonParser json = JSON.createParser(body)) {
      if (json.nextToken() == JsonToken.START_OBJECT) {
        while (json.nextToken() == JsonToken.FIELD_NAME) {
          String name = json.currentName();
          json.nextToken();
          if ((name.equals("token") || name.equals("access_token"))
              && json.getText().length() > 1) {
            return json.getText();
          }
          json.skipChildren();
        }
      }
    }
    throw new IOException("the token server sent no token");
  }

  /** {@code key="value",key=value} as of RFC 9110, 11.2. */
  private static Map<String, String> parameters(String text) {
    Map<String, String> values = new HashMap<>();
    int at = 0;
    while (at < text.length()) {
      int equals = text.indexOf('=', at);
      if (equals < 0) {
        break;
      }
      String key = text.substring(at, equals).strip().toLowerCase(Locale.ROOT);
      StringBuilder value = new StringBuilder();
      int i = equals + 1;
      if (i < text.length() && text.charAt(i) == '"') {
        i++;
        while (i < text.length() && text.charAt(i) != '"') {
          if (text.charAt(i) == '\\' && i + 1 < text.length()) {
            i++;
          }
          value.append(text.charAt(i++));
        }
        i++;
      }
      while (i < text.length() && text.charAt(i) != ',') {
        value.append(text.charAt(i++));
      }
      values.put(key, value.toString().strip());
      at = i + 1;
    }
    return values;
  }

  /** For endpoints whose owner said that certificates are not to be verified. */
  private static final class Anybody extends X509ExtendedTrustManager {
    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket) {}

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket) {}

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type) {}

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type) {}

    @Override
    public X509Certificate[] getAcceptedIssuers() {
      return new X509Certificate[0];
    }
  }
}
