package io.kubic.mirrors.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.gateway.GatewayConfig.Role;
import io.kubic.mirrors.gateway.GatewayConfig.User;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import org.bouncycastle.crypto.generators.OpenBSDBCrypt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LoginsTest {
  @TempDir Path directory;
  private Instant now = Instant.parse("2026-03-01T12:00:00Z");
  private final Clock clock =
      new Clock() {
        @Override
        public ZoneOffset getZone() {
          return ZoneOffset.UTC;
        }

        @Override
        public Clock withZone(java.time.ZoneId zone) {
          return this;
        }

        @Override
        public Instant instant() {
          return now;
        }
      };

  @ParameterizedTest
  @ValueSource(strings = {"2a", "2b", "2y"})
  void bcryptHashesAndHtpasswdLinesAreRead(String version) throws Exception {
    String hash = OpenBSDBCrypt.generate(version, "secret".toCharArray(), new byte[16], 4);
    Users bare = users(hash + "\n");
    Users line = users("bob:" + hash + "\n");

    assertThat(bare.verify("bob", "secret")).isTrue();
    assertThat(line.verify("bob", "secret")).isTrue();
    assertThat(line.verify("bob", "wrong")).isFalse();
    assertThat(line.verify("bob", hash)).isFalse();
  }

  @Test
  void aPlainPasswordLosesItsLineEndOnlyAndNoPasswordIsNone() throws Exception {
    assertThat(users(" sec ret \n").verify("bob", " sec ret ")).isTrue();
    assertThat(users("\n").verify("bob", "")).isFalse();
    assertThat(users("x").verify("nobody", "x")).isFalse();
  }

  @Test
  void guessingIsSlowedDownButWhoIsKnownToBeRightIsNot() throws Exception {
    Users users = users("secret");
    Logins logins = new Logins(new SecureRandom(), clock);
    assertThat(logins.check(users, "bob", "secret", "1")).isInstanceOf(Logins.Outcome.Good.class);
    for (int i = 0; i < 5; i++) {
      assertThat(logins.check(users, "bob", "guess", "1")).isInstanceOf(Logins.Outcome.Wrong.class);
    }

    assertThat(logins.check(users, "bob", "other", "1"))
        .isInstanceOf(Logins.Outcome.Throttled.class);
    assertThat(logins.check(users, "bob", "secret", "1")).isInstanceOf(Logins.Outcome.Good.class);
    assertThat(logins.check(users, "bob", "other", "2")).isInstanceOf(Logins.Outcome.Wrong.class);
    now = now.plusSeconds(2);
    assertThat(logins.check(users, "bob", "other", "1")).isInstanceOf(Logins.Outcome.Wrong.class);
  }

  @Test
  void aChangedPasswordIsNotRemembered() throws Exception {
    Logins logins = new Logins(new SecureRandom(), clock);
    logins.check(users("old"), "bob", "old", "1");

    assertThat(logins.check(users("new"), "bob", "old", "1"))
        .isInstanceOf(Logins.Outcome.Wrong.class);
  }

  @Test
  void aFreezeHoldsWritesEndsByItselfAndCountsWhatIsRunning() {
    Freeze freeze = new Freeze(clock);
    assertThat(freeze.enter(false)).isTrue();
    assertThat(freeze.begin(Duration.ofMinutes(1), Freeze.Scope.WRITES).inFlight()).isEqualTo(1);
    assertThat(freeze.enter(true)).isFalse();
    freeze.begin(Duration.ofMinutes(1), Freeze.Scope.UPLOADS);
    assertThat(freeze.enter(false)).isFalse();
    assertThat(freeze.enter(true)).isTrue();
    freeze.leave();
    freeze.leave();
    now = now.plusSeconds(61);
    assertThat(freeze.state().frozen()).isFalse();
    assertThat(freeze.enter(false)).isTrue();
  }

  @Test
  void clientsTakeTurnsAtTheGate() {
    FairGate gate = new FairGate(1);
    List<String> order = new ArrayList<>();
    for (String who : List.of("a1", "a2", "a3", "b1", "c1")) {
      gate.arrive(
          who.substring(0, 1),
          new FairGate.Visitor() {
            @Override
            public void enter() {
              order.add(who);
            }

            @Override
            public void giveUp() {
              order.add("-" + who);
            }
          },
          Duration.ofSeconds(who.equals("a3") ? 5 : 60),
          now);
    }
    gate.leave();
    gate.leave();
    gate.sweep(now.plusSeconds(6));
    gate.leave();
    gate.leave();

    assertThat(order).containsExactly("a1", "a2", "b1", "-a3", "c1");
    assertThat(gate.inside()).isZero();
    assertThat(gate.waiting()).isZero();
  }

  private Users users(String content) throws Exception {
    Files.createDirectories(directory.resolve("bob"));
    Files.writeString(directory.resolve("bob/password"), content);
    return Users.read(
        directory, List.of(new User("bob", Role.Pull, List.of("bob/password", "bob/absent"))));
  }
}
