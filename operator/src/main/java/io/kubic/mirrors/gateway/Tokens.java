package io.kubic.mirrors.gateway;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import java.text.ParseException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/**
 * Bearer tokens of the distribution token specification: JWTs signed with ES256 whose {@code
 * access} names what they grant.
 */
final class Tokens {
  /** Between machines that keep time; the registry itself allows as much. */
  private static final Duration LEEWAY = Duration.ofSeconds(60);

  private static final int REMEMBERED = 4096;

  /** What a token that is good says. */
  record Claims(String account, List<Access> grants, Instant expires) {
    boolean grantsAll(List<Access> needs) {
      return needs.stream().allMatch(need -> grants.stream().anyMatch(g -> g.covers(need)));
    }
  }

  /** A token was verified by these keys; another set of keys has to look for itself. */
  private record Seen(TokenKeys keys, String service, Claims claims) {}

  // Clients send one token many times; verifying costs more than the rest of a HEAD request.
  private final Map<String, Seen> remembered =
      new LinkedHashMap<>(256, 0.75f, true) {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Seen> eldest) {
          return size() > REMEMBERED;
        }
      };

  /** Signs a token for what was granted; accesses without actions are left out. */
  static String issue(
      TokenKeys keys,
      GatewayConfig config,
      String account,
      List<Access> granted,
      UUID id,
      Instant now) {
    List<Map<String, Object>> access = new ArrayList<>();
    for (Access grant : granted) {
      if (!grant.actions().isEmpty()) {
        Map<String, Object> entry = new LinkedHashMap<>();
        entry.put("type", grant.type());
        entry.put("name", grant.name());
        entry.put("actions", List.copyOf(grant.actions()));
        access.add(entry);
      }
    }
    TokenKeys.Key key = keys.signing(now);
    JWTClaimsSet claims =
        new JWTClaimsSet.Builder()
            .issuer(config.issuer())
            .subject(account)
            .audience(config.service())
            .notBeforeTime(Date.from(now.minusSeconds(10)))
            .issueTime(Date.from(now))
            .expirationTime(Date.from(now.plusSeconds(config.tokenLifetimeSeconds())))
            .jwtID(id.toString())
            .claim("access", access)
            .build();
    SignedJWT token =
        new SignedJWT(
            new JWSHeader.Builder(JWSAlgorithm.ES256)
                .type(JOSEObjectType.JWT)
                .keyID(key.id())
                .build(),
            claims);
    try {
      token.sign(key.signer());
    } catch (JOSEException e) {
      throw new IllegalStateException("a P-256 key signs ES256", e);
    }
    return token.serialize();
  }

  /** What a token grants; empty when it is not one of ours, or its time is not now. */
  Optional<Claims> verify(TokenKeys keys, GatewayConfig config, String token, Instant now) {
    Seen seen;
    synchronized (remembered) {
      seen = remembered.get(token);
    }
    if (seen == null || seen.keys != keys || !seen.service.equals(config.service())) {
      Optional<Claims> claims = read(keys, config, token, now);
      if (claims.isEmpty()) {
        return claims;
      }
      seen = new Seen(keys, config.service(), claims.get());
      synchronized (remembered) {
        remembered.put(token, seen);
      }
    }
    return now.isAfter(seen.claims.expires.plus(LEEWAY))
        ? Optional.empty()
        : Optional.of(seen.claims);
  }

  private static Optional<Claims> read(
      TokenKeys keys, GatewayConfig config, String token, Instant now) {
    try {
      SignedJWT jwt = SignedJWT.parse(token);
      String id = jwt.getHeader().getKeyID();
      // The algorithm is ours to say, not the token's.
      if (!JWSAlgorithm.ES256.equals(jwt.getHeader().getAlgorithm()) || id == null) {
        return Optional.empty();
      }
      Optional<TokenKeys.Key> key = keys.find(id);
      if (key.isEmpty() || !jwt.verify(key.get().verifier())) {
        return Optional.empty();
      }
      JWTClaimsSet claims = jwt.getJWTClaimsSet();
      Date expires = claims.getExpirationTime();
      Date begins = claims.getNotBeforeTime();
      if (!config.issuer().equals(claims.getIssuer())
          || !claims.getAudience().contains(config.service())
          || expires == null
          || (begins != null && now.isBefore(begins.toInstant().minus(LEEWAY)))) {
        return Optional.empty();
      }
      List<Access> grants = new ArrayList<>();
      if (claims.getClaim("access") instanceof List<?> access) {
        for (Object entry : access) {
          if (entry instanceof Map<?, ?> map && map.get("actions") instanceof List<?> actions) {
            Set<String> names = new java.util.LinkedHashSet<>();
            actions.forEach(action -> names.add(String.valueOf(action)));
            grants.add(
                new Access(
                    String.valueOf(map.get("type")), String.valueOf(map.get("name")), names));
          }
        }
      }
      String subject = claims.getSubject();
      return Optional.of(
          new Claims(subject == null ? "" : subject, List.copyOf(grants), expires.toInstant()));
    } catch (ParseException | JOSEException e) {
      return Optional.empty();
    }
  }
}
