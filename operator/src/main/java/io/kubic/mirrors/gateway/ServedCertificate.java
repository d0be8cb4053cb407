package io.kubic.mirrors.gateway;

import io.kubic.mirrors.pki.CertifiedKey;
import java.net.Socket;
import java.security.GeneralSecurityException;
import java.security.Principal;
import java.security.PrivateKey;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.util.function.Supplier;
import javax.net.ssl.KeyManager;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.X509ExtendedKeyManager;
import org.jspecify.annotations.Nullable;

/**
 * Shows each new connection the newest certificate, so that a renewal needs neither a restart nor a
 * new socket. Chain and key are taken from one value: the alias names that value.
 */
final class ServedCertificate extends X509ExtendedKeyManager {
  private final Supplier<CertifiedKey> newest;
  // The pair of the handshakes under way: an alias that was chosen stays good for a moment.
  private volatile @Nullable CertifiedKey before;
  private volatile @Nullable CertifiedKey now;

  ServedCertificate(Supplier<CertifiedKey> newest) {
    this.newest = newest;
  }

  SSLContext context(SecureRandom random) {
    try {
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(new KeyManager[] {this}, null, random);
      return context;
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  private synchronized String choose(String keyType) {
    CertifiedKey pair = newest.get();
    if (pair != now) {
      before = now;
      now = pair;
    }
    String algorithm = pair.key().getAlgorithm();
    return keyType.equals(algorithm) || keyType.startsWith(algorithm + "_") ? pair.serial() : "";
  }

  private @Nullable CertifiedKey find(String alias) {
    CertifiedKey newer = now;
    if (newer != null && newer.serial().equals(alias)) {
      return newer;
    }
    CertifiedKey older = before;
    return older != null && older.serial().equals(alias) ? older : null;
  }

  @Override
  public @Nullable String chooseEngineServerAlias(
      String keyType, Principal @Nullable [] issuers, SSLEngine engine) {
    String alias = choose(keyType);
    return alias.isEmpty() ? null : alias;
  }

  @Override
  public @Nullable String chooseServerAlias(
      String keyType, Principal @Nullable [] issuers, Socket socket) {
    String alias = choose(keyType);
    return alias.isEmpty() ? null : alias;
  }

  @Override
  public X509Certificate @Nullable [] getCertificateChain(String alias) {
    CertifiedKey pair = find(alias);
    return pair == null ? null : pair.chain().toArray(X509Certificate[]::new);
  }

  @Override
  public @Nullable PrivateKey getPrivateKey(String alias) {
    CertifiedKey pair = find(alias);
    return pair == null ? null : pair.key();
  }

  @Override
  public String[] getServerAliases(String keyType, Principal @Nullable [] issuers) {
    String alias = choose(keyType);
    return alias.isEmpty() ? new String[0] : new String[] {alias};
  }

  @Override
  public String[] getClientAliases(String keyType, Principal @Nullable [] issuers) {
    return new String[0];
  }

  @Override
  public @Nullable String chooseClientAlias(
      String[] keyType, Principal @Nullable [] issuers, Socket socket) {
    return null;
  }
}
