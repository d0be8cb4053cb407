package io.kubic.mirrors.oci.registry;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.SecureRandom;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.List;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedTrustManager;
import javax.net.ssl.X509TrustManager;
import org.jspecify.annotations.Nullable;

/**
 * Whose certificates are believed, and with which one we show ourselves.
 *
 * @param authorities trusted besides the system's
 * @param client our own certificate for mutual TLS; null for none
 * @param insecure believe every certificate for every name
 */
public record Trust(
    List<X509Certificate> authorities, @Nullable ClientCertificate client, boolean insecure) {

  public Trust {
    authorities = List.copyOf(authorities);
  }

  /** A certificate chain, leaf first, and its key; the key is not shown. */
  public record ClientCertificate(List<X509Certificate> chain, PrivateKey key) {
    public ClientCertificate {
      chain = List.copyOf(chain);
      if (chain.isEmpty()) {
        throw new IllegalArgumentException("a client certificate without a certificate");
      }
    }

    /**
     * @param certificates PEM, leaf first
     * @param key PEM, PKCS #8
     * @param name what the key is called in messages
     * @throws IllegalArgumentException when either is malformed; nothing of the key is in it
     */
    public static ClientCertificate parse(String certificates, String key, String name) {
      return new ClientCertificate(Trust.certificates(certificates, name), privateKey(key, name));
    }

    private static PrivateKey privateKey(String pem, String name) {
      String begin = "-----BEGIN PRIVATE KEY-----";
      int start = pem.indexOf(begin);
      int end = pem.indexOf("-----END PRIVATE KEY-----");
      if (start < 0 || end < start) {
        throw new IllegalArgumentException(
            name + ": no PKCS #8 key in PEM; convert it with: openssl pkcs8 -topk8 -nodes -in KEY");
      }
      byte[] der;
      try {
        der = Base64.getMimeDecoder().decode(pem.substring(start + begin.length(), end));
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException(name + ": the key is no base64");
      }
      for (String algorithm : List.of("EC", "RSA", "Ed25519")) {
        try {
          return KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(der));
        } catch (InvalidKeySpecException e) {
          // It is of another algorithm.
        } catch (GeneralSecurityException e) {
          throw new IllegalStateException(e);
        }
      }
      throw new IllegalArgumentException(name + ": the key is none of EC, RSA, Ed25519");
    }

    @Override
    public String toString() {
      return "client certificate of " + chain.getFirst().getSubjectX500Principal();
    }
  }

  /** The system's trust, and nothing else. */
  public static Trust system() {
    return new Trust(List.of(), null, false);
  }

  /**
   * The certificates of a PEM bundle.
   *
   * @param name what it is called in messages
   * @throws IllegalArgumentException when there is none, or one is malformed
   */
  public static List<X509Certificate> certificates(String pem, String name) {
    try {
      Collection<? extends Certificate> found =
          CertificateFactory.getInstance("X.509")
              .generateCertificates(
                  new ByteArrayInputStream(pem.getBytes(StandardCharsets.US_ASCII)));
      List<X509Certificate> all = new ArrayList<>();
      for (Certificate certificate : found) {
        all.add((X509Certificate) certificate);
      }
      if (all.isEmpty()) {
        throw new IllegalArgumentException(name + ": holds no PEM certificate");
      }
      return all;
    } catch (GeneralSecurityException e) {
      throw new IllegalArgumentException(name + ": holds a malformed certificate");
    }
  }

  /** This trust and further authorities. */
  public Trust plus(List<X509Certificate> more) {
    List<X509Certificate> all = new ArrayList<>(authorities);
    all.addAll(more);
    return new Trust(all, client, insecure);
  }

  /** The same, showing nothing of ours. */
  Trust withoutClient() {
    return new Trust(authorities, null, insecure);
  }

  /** For clients that take one. */
  public X509TrustManager trustManager() {
    if (insecure) {
      return new Everybody();
    }
    try {
      if (authorities.isEmpty()) {
        return fromStore(null);
      }
      KeyStore anchors = KeyStore.getInstance(KeyStore.getDefaultType());
      anchors.load(null, null);
      int count = 0;
      for (X509Certificate certificate : authorities) {
        anchors.setCertificateEntry("given-" + count++, certificate);
      }
      for (X509Certificate certificate : fromStore(null).getAcceptedIssuers()) {
        anchors.setCertificateEntry("system-" + count++, certificate);
      }
      return fromStore(anchors);
    } catch (GeneralSecurityException | IOException e) {
      throw new IllegalStateException("the trusted certificates cannot be read", e);
    }
  }

  private static X509TrustManager fromStore(@Nullable KeyStore store)
      throws GeneralSecurityException {
    TrustManagerFactory factory =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    factory.init(store);
    for (TrustManager manager : factory.getTrustManagers()) {
      if (manager instanceof X509TrustManager x509) {
        return x509;
      }
    }
    throw new GeneralSecurityException("no X.509 trust manager");
  }

  SSLContext context(X509TrustManager manager) {
    try {
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(keyManagers(), new TrustManager[] {manager}, new SecureRandom());
      return context;
    } catch (GeneralSecurityException | IOException e) {
      throw new IllegalStateException("TLS cannot be set up", e);
    }
  }

  private KeyManager @Nullable [] keyManagers() throws GeneralSecurityException, IOException {
    if (client == null) {
      return null;
    }
    char[] none = new char[0];
    KeyStore keys = KeyStore.getInstance(KeyStore.getDefaultType());
    keys.load(null, null);
    keys.setKeyEntry("client", client.key(), none, client.chain().toArray(new Certificate[0]));
    KeyManagerFactory factory =
        KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    factory.init(keys, none);
    return factory.getKeyManagers();
  }

  /** Believes everybody, as the user asked for in so many words. */
  private static final class Everybody extends X509ExtendedTrustManager {
    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type) {}

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type) {}

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket) {}

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket) {}

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}

    @Override
    public X509Certificate[] getAcceptedIssuers() {
      return new X509Certificate[0];
    }
  }
}
