package io.kubic.mirrors.controller.registry;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.registry.Connection;
import io.kubic.mirrors.oci.registry.Credentials;
import io.kubic.mirrors.oci.registry.RegistryClient;
import io.kubic.mirrors.oci.registry.Retry;
import io.kubic.mirrors.oci.registry.Transport;
import io.kubic.mirrors.oci.registry.Trust;
import io.kubic.mirrors.pki.CertificateBundle;
import java.io.IOException;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import okhttp3.Handshake;
import okhttp3.HttpUrl;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.Response;

/**
 * Asks a registry what a node would ask it first: TLS with the published trust, a token, and {@code
 * GET /v2/} with it (distribution-spec, "Determining Support").
 */
public final class HttpRegistryProbe implements RegistryProbe {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final long MAX_BODY = 1 << 20;
  private final OkHttpClient http;
  private final OkHttpClient patient;
  private final Transport transport;

  /**
   * @param transport for registries that are not ours
   */
  public HttpRegistryProbe(OkHttpClient http, Transport transport) {
    this.transport = transport;
    this.http =
        http.newBuilder()
            .callTimeout(Duration.ofSeconds(5))
            .followRedirects(false)
            .retryOnConnectionFailure(false)
            .build();
    this.patient =
        this.http
            .newBuilder()
            .callTimeout(Duration.ofSeconds(30))
            .readTimeout(Duration.ofSeconds(30))
            .build();
  }

  @Override
  public Outcome check(String authority, CertificateBundle trust) {
    try {
      OkHttpClient client = trusting(trust, true);
      HttpUrl base = HttpUrl.get("https://" + authority + "/v2/");
      String token;
      try (Response first = client.newCall(new Request.Builder().url(base).build()).execute()) {
        if (first.code() == 200) {
          return new Healthy();
        }
        if (first.code() != 401) {
          return new Unhealthy("ServerError", base + " answered " + first.code());
        }
        Optional<HttpUrl> realm =
            first.challenges().stream()
                .filter(c -> c.scheme().equalsIgnoreCase("Bearer"))
                .map(c -> String.valueOf(c.authParams().get("realm")))
                .flatMap(realmUrl -> Optional.ofNullable(HttpUrl.parse(realmUrl)).stream())
                .findFirst();
        if (realm.isEmpty()) {
          return new Unhealthy("MalformedResponse", base + " asks for no Bearer token");
        }
        HttpUrl tokens = realm.get().newBuilder().addQueryParameter("service", authority).build();
        try (Response answer =
            client.newCall(new Request.Builder().url(tokens).build()).execute()) {
          if (answer.code() == 401) {
            // Nobody is let in without a password; that the token endpoint says so is the proof.
            return new Healthy();
          }
          if (answer.code() != 200) {
            return new Unhealthy(
                "ServerError", tokens.encodedPath() + " answered " + answer.code());
          }
          JsonNode body = JSON.readTree(answer.peekBody(MAX_BODY).bytes());
          token = body.path("token").asText();
        }
      }
      try (Response second =
          client
              .newCall(
                  new Request.Builder()
                      .url(base)
                      .header("Authorization", "Bearer " + token)
                      .build())
              .execute()) {
        return second.code() == 200
            ? new Healthy()
            : new Unhealthy(
                second.code() == 401 ? "Unauthorized" : "ServerError",
                base + " with a token answered " + second.code());
      }
    } catch (SSLException e) {
      return new Unhealthy("TLSVerification", authority + ": " + e.getMessage());
    } catch (IOException e) {
      return new Unhealthy("ConnectionFailed", authority + ": " + e.getMessage());
    }
  }

  @Override
  public List<X509Certificate> served(List<String> authorities, CertificateBundle trust) {
    OkHttpClient client = trusting(trust, false);
    return authorities.stream()
        .map(authority -> leaf(client, authority))
        .flatMap(Optional::stream)
        .toList();
  }

  private static Optional<X509Certificate> leaf(OkHttpClient client, String authority) {
    Request request = new Request.Builder().url("https://" + authority + "/v2/").head().build();
    try (Response response = client.newCall(request).execute()) {
      Handshake handshake = response.handshake();
      return handshake != null
              && handshake.peerCertificates().getFirst() instanceof X509Certificate leaf
          ? Optional.of(leaf)
          : Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  @Override
  public Optional<PodState> state(String admin) {
    Request request = new Request.Builder().url("http://" + admin + "/state").build();
    try (Response response = http.newCall(request).execute()) {
      return response.code() == 200
          ? Optional.of(PodState.parse(JSON.readTree(response.peekBody(MAX_BODY).bytes())))
          : Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  @Override
  public Optional<Stored> stored(String admin) {
    Request request = new Request.Builder().url("http://" + admin + "/contents").build();
    try (Response response = patient.newCall(request).execute()) {
      return response.code() == 200
          ? Optional.of(Stored.parse(JSON.readTree(response.peekBody(MAX_BODY).bytes())))
          : Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  @Override
  public Outcome ping(External external) {
    try {
      client(external).ping();
      return new Healthy();
    } catch (RegistryException e) {
      return new Unhealthy(e.reason().name(), String.valueOf(e.getMessage()));
    } catch (IllegalArgumentException e) {
      return new Unhealthy("Unauthorized", String.valueOf(e.getMessage()));
    }
  }

  @Override
  public MirrorRegistryStatus.Capabilities survey(External external, boolean writes) {
    byte[] nonce = new byte[12];
    new SecureRandom().nextBytes(nonce);
    ExternalSurvey survey = new ExternalSurvey(client(external), HexFormat.of().formatHex(nonce));
    return writes ? survey.writing() : survey.reading();
  }

  private RegistryClient client(External external) {
    return transport.connect(
        Connection.to(external.authority())
            .withTrust(
                Trust.system()
                    .plus(Trust.certificates(external.caPem(), "spec.external.caBundleRef")))
            .withCredentials(
                external.dockerConfig().isEmpty()
                    ? Credentials.none()
                    : Credentials.fromDockerConfig(
                        external.dockerConfig(), "spec.external.pushSecretRef"))
            // A reconciliation waits for this, and there is another one soon.
            .withRetry(
                new Retry(1, Duration.ofMillis(200), Duration.ofSeconds(1), Duration.ofSeconds(10)))
            .withPush());
  }

  /**
   * @param names false: a pod is asked by its own address, which is in no certificate; the chain is
   *     verified all the same
   */
  private OkHttpClient trusting(CertificateBundle trust, boolean names) {
    try {
      KeyStore roots = KeyStore.getInstance(KeyStore.getDefaultType());
      roots.load(null, null);
      for (X509Certificate root : trust.certificates()) {
        roots.setCertificateEntry(CertificateBundle.fingerprint(root), root);
      }
      TrustManagerFactory factory =
          TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
      factory.init(roots);
      X509TrustManager manager =
          Arrays.stream(factory.getTrustManagers())
              .filter(X509TrustManager.class::isInstance)
              .map(X509TrustManager.class::cast)
              .findFirst()
              .orElseThrow();
      SSLContext tls = SSLContext.getInstance("TLS");
      tls.init(null, new TrustManager[] {manager}, new SecureRandom());
      OkHttpClient.Builder builder =
          http.newBuilder().sslSocketFactory(tls.getSocketFactory(), manager);
      if (!names) {
        builder.hostnameVerifier((host, session) -> true);
      }
      return builder.build();
    } catch (GeneralSecurityException | IOException e) {
      throw new IllegalStateException(e);
    }
  }
}
