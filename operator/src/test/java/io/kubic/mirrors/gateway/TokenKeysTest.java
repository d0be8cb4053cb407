package io.kubic.mirrors.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.Test;

class TokenKeysTest {
  private static final Instant NOW = Instant.parse("2026-03-01T12:00:00Z");
  private final SecureRandom random = new SecureRandom();

  @Test
  void aSuccessorIsPublishedBeforeItSignsAndItsPredecessorStaysUntilItsTokensEnd() {
    Duration month = Duration.ofDays(30);
    byte[] first = TokenKeys.generate(random, at(Duration.ZERO));
    assertThat(TokenKeys.advance(first, month, random, at(Duration.ofDays(29)))).isEmpty();

    byte[] both = TokenKeys.advance(first, month, random, at(month)).orElseThrow();
    TokenKeys keys = TokenKeys.parse(both);
    String old = TokenKeys.parse(first).signing(NOW).id();
    assertThat(keys.signing(NOW.plus(month)).id()).isEqualTo(old);
    Instant later = NOW.plus(month).plus(TokenKeys.PUBLISHED_BEFORE_SIGNING);
    assertThat(keys.signing(later).id()).isNotEqualTo(old);

    assertThat(TokenKeys.advance(both, month, random, at(month.plusMinutes(79)))).isEmpty();
    byte[] last = TokenKeys.advance(both, month, random, at(month.plusMinutes(80))).orElseThrow();
    assertThat(TokenKeys.parse(last).find(old)).isEmpty();
    assertThat(TokenKeys.parse(last).size()).isEqualTo(1);
  }

  @Test
  void aTokenIsGoodForItsServiceItsKeysAndItsTime() {
    byte[] json = TokenKeys.generate(random, at(Duration.ZERO));
    TokenKeys keys = TokenKeys.parse(json);
    GatewayConfig config = GatewayConfig.defaults();
    Access pull = Access.repository("a", "pull");
    String token = Tokens.issue(keys, config, "bob", List.of(pull), new UUID(1, 2), NOW);
    Tokens tokens = new Tokens();

    assertThat(tokens.verify(keys, config, token, NOW).orElseThrow().grantsAll(List.of(pull)))
        .isTrue();
    assertThat(
            tokens
                .verify(keys, config, token, NOW)
                .orElseThrow()
                .grantsAll(List.of(Access.repository("a", "push"))))
        .isFalse();
    assertThat(tokens.verify(keys, config, token, NOW.plusSeconds(959))).isPresent();
    assertThat(tokens.verify(keys, config, token, NOW.plusSeconds(961))).isEmpty();
    TokenKeys others = TokenKeys.parse(TokenKeys.generate(random, at(Duration.ZERO)));
    assertThat(tokens.verify(others, config, token, NOW)).isEmpty();
    assertThat(tokens.verify(keys, GatewayConfig.parse("{\"service\": \"other\"}"), token, NOW))
        .isEmpty();
    assertThat(tokens.verify(keys, config, "a.b.c", NOW)).isEmpty();
  }

  @Test
  void whatIsNoSetOfPrivateKeysIsRefusedWithoutQuotingIt() {
    assertThatThrownBy(() -> TokenKeys.parse("{\"secret\":1".getBytes(StandardCharsets.UTF_8)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageNotContaining("secret");
  }

  private static Clock at(Duration after) {
    return Clock.fixed(NOW.plus(after), ZoneOffset.UTC);
  }
}
