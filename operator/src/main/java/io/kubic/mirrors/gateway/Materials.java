package io.kubic.mirrors.gateway;

import io.kubic.mirrors.pki.CertifiedKey;
import io.kubic.mirrors.pki.InvalidCertificateException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;

/**
 * Everything that is read from files, as one value: a request sees either all of the old or all of
 * the new.
 *
 * @param fingerprint changes when any byte of any file does
 */
record Materials(
    GatewayConfig config,
    CertifiedKey certificate,
    TokenKeys keys,
    Users users,
    Acl acl,
    String fingerprint) {

  /**
   * Reads all files.
   *
   * @throws IOException with one line that names the file and never quotes a secret
   */
  static Materials load(Path configFile) throws IOException {
    String fingerprint = fingerprint(configFile);
    GatewayConfig config;
    try {
      config = GatewayConfig.parse(Files.readString(configFile));
    } catch (IllegalArgumentException e) {
      throw new IOException(configFile + ": " + e.getMessage());
    }
    Path tls = Path.of(config.tlsDirectory());
    CertifiedKey certificate;
    try {
      certificate =
          CertifiedKey.parse(
              Files.readString(tls.resolve("tls.crt")), Files.readString(tls.resolve("tls.key")));
    } catch (InvalidCertificateException e) {
      throw new IOException(tls + ": " + e.getMessage());
    }
    Path keysFile = Path.of(config.tokenKeysDirectory()).resolve("keys.json");
    TokenKeys keys;
    try {
      keys = TokenKeys.parse(Files.readAllBytes(keysFile));
    } catch (IllegalArgumentException e) {
      throw new IOException(keysFile + ": " + e.getMessage());
    }
    return new Materials(
        config,
        certificate,
        keys,
        Users.read(Path.of(config.usersDirectory()), config.users()),
        Acl.compile(config.acl()),
        fingerprint);
  }

  /** A hash over the configuration and all files in the directories that it names. */
  static String fingerprint(Path configFile) throws IOException {
    try {
      MessageDigest sha256 = MessageDigest.getInstance("SHA-256");
      byte[] text = Files.readAllBytes(configFile);
      sha256.update(text);
      GatewayConfig config;
      try {
        config = GatewayConfig.parse(new String(text, java.nio.charset.StandardCharsets.UTF_8));
      } catch (IllegalArgumentException e) {
        throw new IOException(configFile + ": " + e.getMessage());
      }
      for (String directory :
          List.of(config.tlsDirectory(), config.tokenKeysDirectory(), config.usersDirectory())) {
        try (Stream<Path> files = Files.walk(Path.of(directory))) {
          for (Path file : files.sorted().filter(Files::isRegularFile).toList()) {
            sha256.update(file.toString().getBytes(java.nio.charset.StandardCharsets.UTF_8));
            sha256.update(Files.readAllBytes(file));
          }
        }
      }
      return HexFormat.of().formatHex(sha256.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
