package io.kubic.mirrors.gateway;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.crypto.ECDSASigner;
import com.nimbusds.jose.crypto.ECDSAVerifier;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.KeyUse;
import java.nio.charset.StandardCharsets;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.SecureRandom;
import java.security.interfaces.ECPublicKey;
import java.security.spec.ECGenParameterSpec;
import java.text.ParseException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The keys that sign and verify tokens: {@code keys.json}, a private JWK set (RFC 7517) of P-256
 * keys, newest first. All of them verify; the first whose {@code nbf} has come signs. A successor
 * is written with an {@code nbf} in the future, so that every gateway has read it before anyone
 * signs with it: succession needs one write to begin and one, later, to forget.
 */
public final class TokenKeys {
  /**
   * How long a successor is only published: longer than a Secret takes to reach a mounted volume.
   */
  public static final Duration PUBLISHED_BEFORE_SIGNING = Duration.ofMinutes(10);

  // Tokens of the predecessor end within the longest token lifetime; the rest is for clocks.
  private static final Duration KEPT_AFTER_SIGNING = Duration.ofMinutes(70);

  /** A key, made ready for use. */
  record Key(
      String id, Instant made, Instant signsFrom, ECDSASigner signer, ECDSAVerifier verifier) {}

  private final Map<String, Key> keys;

  private TokenKeys(Map<String, Key> keys) {
    this.keys = keys;
  }

  /** A first set, of one key that signs at once. */
  public static byte[] generate(SecureRandom random, Clock clock) {
    Instant now = clock.instant().truncatedTo(ChronoUnit.SECONDS);
    return write(List.of(key(random, now, now)));
  }

  /**
   * The set with a successor, which signs after {@link #PUBLISHED_BEFORE_SIGNING}.
   *
   * @throws IllegalArgumentException when the text is no such set
   */
  public static byte[] successor(byte[] keysJson, SecureRandom random, Clock clock) {
    List<ECKey> keys = new ArrayList<>(read(keysJson));
    Instant now = clock.instant().truncatedTo(ChronoUnit.SECONDS);
    keys.addFirst(key(random, now, now.plus(PUBLISHED_BEFORE_SIGNING)));
    return write(keys);
  }

  /**
   * What the set should become now: with a successor when the newest key is older than {@code
   * interval}, without those whose last tokens have ended; empty when it is good as it is. A pure
   * function of the text and the clock: asked after any absence it goes on from there.
   *
   * @param interval how long a key signs; zero: never replaced by itself
   * @throws IllegalArgumentException when the text is no such set
   */
  public static Optional<byte[]> advance(
      byte[] keysJson, Duration interval, SecureRandom random, Clock clock) {
    List<ECKey> keys = read(keysJson);
    Instant now = clock.instant();
    ECKey newest = keys.getFirst();
    if (interval.isPositive() && !now.isBefore(made(newest).plus(interval))) {
      return Optional.of(successor(keysJson, random, clock));
    }
    boolean settled = !now.isBefore(signsFrom(newest).plus(KEPT_AFTER_SIGNING));
    return keys.size() > 1 && settled ? Optional.of(write(List.of(newest))) : Optional.empty();
  }

  /** When the newest key was made. */
  public static Instant newestMade(byte[] keysJson) {
    return made(read(keysJson).getFirst());
  }

  /**
   * @throws IllegalArgumentException when the text is no set of private P-256 keys with ids; the
   *     message does not quote it
   */
  static TokenKeys parse(byte[] keysJson) {
    Map<String, Key> keys = new LinkedHashMap<>();
    for (ECKey key : read(keysJson)) {
      try {
        keys.put(
            key.getKeyID(),
            new Key(
                key.getKeyID(),
                made(key),
                signsFrom(key),
                new ECDSASigner(key),
                new ECDSAVerifier(key.toPublicJWK())));
      } catch (JOSEException e) {
        throw new IllegalArgumentException("keys.json holds a key that cannot sign");
      }
    }
    return new TokenKeys(keys);
  }

  /** The key that signs at a time. */
  Key signing(Instant now) {
    Key last = null;
    for (Key key : keys.values()) {
      last = key;
      if (!now.isBefore(key.signsFrom)) {
        return key;
      }
    }
    if (last == null) {
      throw new IllegalStateException("a set of keys is never empty");
    }
    return last;
  }

  Optional<Key> find(String id) {
    return Optional.ofNullable(keys.get(id));
  }

  int size() {
    return keys.size();
  }

  private static List<ECKey> read(byte[] keysJson) {
    List<ECKey> keys = new ArrayList<>();
    try {
      for (JWK key : JWKSet.parse(new String(keysJson, StandardCharsets.UTF_8)).getKeys()) {
        if (!(key instanceof ECKey ec)
            || !Curve.P_256.equals(ec.getCurve())
            || !ec.isPrivate()
            || ec.getKeyID() == null) {
          throw new IllegalArgumentException(
              "keys.json must hold private P-256 keys with a kid and nothing else");
        }
        keys.add(ec);
      }
    } catch (ParseException e) {
      throw new IllegalArgumentException("keys.json is no JWK set");
    }
    if (keys.isEmpty()) {
      throw new IllegalArgumentException("keys.json holds no key");
    }
    return keys;
  }

  private static ECKey key(SecureRandom random, Instant made, Instant signsFrom) {
    try {
      KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
      generator.initialize(new ECGenParameterSpec("secp256r1"), random);
      KeyPair pair = generator.generateKeyPair();
      return new ECKey.Builder(Curve.P_256, (ECPublicKey) pair.getPublic())
          .privateKey(pair.getPrivate())
          .keyUse(KeyUse.SIGNATURE)
          .keyIDFromThumbprint()
          .issueTime(Date.from(made))
          .notBeforeTime(Date.from(signsFrom))
          .build();
    } catch (java.security.GeneralSecurityException | JOSEException e) {
      throw new IllegalStateException("this Java has no P-256 keys", e);
    }
  }

  private static byte[] write(List<ECKey> keys) {
    return new JWKSet(List.<JWK>copyOf(keys)).toString(false).getBytes(StandardCharsets.UTF_8);
  }

  private static Instant made(ECKey key) {
    return key.getIssueTime() == null ? Instant.EPOCH : key.getIssueTime().toInstant();
  }

  private static Instant signsFrom(ECKey key) {
    return key.getNotBeforeTime() == null ? Instant.EPOCH : key.getNotBeforeTime().toInstant();
  }
}
