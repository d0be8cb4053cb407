package io.kubic.mirrors.pki;

import static org.assertj.core.api.Assertions.assertThat;

import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A small world of Secrets, a bundle, nodes and sockets in which time passes. */
class RotationTest {
  private static final SubjectNames NAMES = SubjectNames.of(List.of("10.0.0.1"));
  private static final RotationPolicy POLICY =
      RotationPolicy.of(
          KeySpec.DEFAULT,
          Duration.ofDays(90),
          Duration.ofDays(30),
          Duration.ofDays(730),
          Duration.ofDays(200));

  private static final class World {
    final SecureRandom random = new SecureRandom();
    final Map<String, CertificateAuthority> keys = new LinkedHashMap<>();
    final List<CertificateBundle> nodes = new ArrayList<>();
    final List<RotationStep> steps = new ArrayList<>();
    CertificateBundle published = CertificateBundle.empty();
    @Nullable CertifiedKey leaf;
    @Nullable X509Certificate served;
    RotationPolicy policy = POLICY;
    Instant now = Instant.parse("2026-01-01T00:00:00Z");

    RotationStep next() {
      Map<String, Integer> acknowledged = new HashMap<>();
      for (CertificateBundle node : nodes) {
        node.fingerprints().forEach(f -> acknowledged.merge(f, 1, Integer::sum));
      }
      return Rotation.next(
          policy,
          new RotationEvidence(
              CertificateBundle.of(
                  keys.values().stream().map(CertificateAuthority::certificate).toList()),
              published,
              leaf == null ? null : leaf.leaf(),
              served == null ? List.of() : List.of(served),
              NAMES,
              acknowledged,
              nodes.size()),
          now);
    }

    /** At most so many writes, then a crash; says whether all that could be done was done. */
    boolean reconcile(int writes) {
      for (int i = 0; i < writes; i++) {
        RotationStep step = next();
        Clock clock = Clock.fixed(now, ZoneOffset.UTC);
        switch (step) {
          case RotationStep.None _, RotationStep.Wait _, RotationStep.CaKeyLost _ -> {
            return true;
          }
          case RotationStep.IntroduceCa _ -> {
            CertificateAuthority ca =
                CertificateAuthority.create(
                    "w", policy.keySpec(), policy.caDuration(), random, clock);
            keys.put(ca.fingerprint(), ca);
          }
          case RotationStep.PublishTrust publish ->
              published = published.merge(CertificateBundle.of(publish.roots()));
          case RotationStep.RenewLeaf renew -> issue(renew.signer(), clock);
          case RotationStep.SwitchToCa change -> issue(change.signer(), clock);
          case RotationStep.RetireCa retire ->
              published = published.without(CertificateBundle.fingerprint(retire.root()));
          case RotationStep.ForgetCa forget ->
              keys.remove(CertificateBundle.fingerprint(forget.root()));
        }
        steps.add(step);
      }
      return false;
    }

    void issue(X509Certificate signer, Clock clock) {
      leaf =
          keys.get(CertificateBundle.fingerprint(signer))
              .issue(Rotation.leafRequest(policy, NAMES, "w"), random, clock);
    }

    void everybodyLooks() {
      nodes.replaceAll(node -> published);
      served = leaf == null ? null : leaf.leaf();
    }

    void begin(int count) {
      for (int i = 0; i < count; i++) {
        nodes.add(CertificateBundle.empty());
      }
      assertThat(reconcile(20)).isTrue();
      everybodyLooks();
      assertThat(reconcile(20)).isTrue();
    }

    boolean servedIsValid() {
      return served != null && now.isBefore(served.getNotAfter().toInstant());
    }

    boolean trusts(CertificateBundle node) {
      return node.certificates().stream()
          .anyMatch(root -> CertificateAuthority.signed(root, served));
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void noNodeEverMeetsACertificateItDoesNotTrustThroughYearsOfCrashes(long seed) {
    Random dice = new Random(seed);
    World world = new World();
    world.begin(3);
    int[] since = new int[3];
    for (int day = 0; day < 1500; day++) {
      world.now = world.now.plus(Duration.ofDays(1));
      if (dice.nextInt(4) > 0) {
        world.reconcile(dice.nextInt(4));
      }
      if (dice.nextBoolean()) {
        world.served = world.leaf.leaf();
      }
      for (int node = 0; node < 3; node++) {
        since[node] = dice.nextBoolean() || since[node] >= 5 ? 0 : since[node] + 1;
        if (since[node] == 0) {
          world.nodes.set(node, world.published);
        }
        assertThat(world.trusts(world.nodes.get(node)))
            .as("seed %d, day %d, node %d, steps %s", seed, day, node, world.steps)
            .isTrue();
      }
      assertThat(world.servedIsValid()).as("seed %d, day %d", seed, day).isTrue();
    }
    assertThat(world.steps.stream().filter(s -> s instanceof RotationStep.RetireCa).count())
        .as("seed %d", seed)
        .isBetween(1L, 4L);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 31, 91, 400, 2000})
  void afterAnyAbsenceOnePassServesAValidCertificateAgain(int days) {
    World world = new World();
    world.begin(2);
    String root = world.published.fingerprints().getFirst();
    world.now = world.now.plus(Duration.ofDays(days));

    assertThat(world.reconcile(20)).isTrue();
    world.everybodyLooks();

    assertThat(world.servedIsValid()).isTrue();
    assertThat(world.trusts(world.nodes.getFirst())).isTrue();
    assertThat(world.published.fingerprints().contains(root)).isEqualTo(days < 730);
  }

  @Test
  void aDeletedKeyNeverMintsARootByItselfWhileTheLeafLives() {
    World world = new World();
    world.begin(2);
    world.keys.clear();

    assertThat(world.next()).isInstanceOf(RotationStep.CaKeyLost.class);
    assertThat(world.reconcile(5)).isTrue();
    assertThat(world.keys).isEmpty();
  }

  @Test
  void anAgreedRecoveryTrustsTheSuccessorEverywhereBeforeItServes() {
    World world = new World();
    world.begin(2);
    // Roots of the same second have no order of age.
    world.now = world.now.plus(Duration.ofMinutes(1));
    world.keys.clear();
    world.policy =
        new RotationPolicy(
            POLICY.keySpec(),
            POLICY.leafDuration(),
            POLICY.leafRenewBefore(),
            POLICY.caDuration(),
            POLICY.caRenewBefore(),
            Duration.ZERO,
            POLICY.deadline(),
            true,
            null,
            null);
    X509Certificate before = world.leaf.leaf();

    world.reconcile(20);
    assertThat(world.published.certificates()).hasSize(2);
    assertThat(world.leaf.leaf()).isEqualTo(before);
    world.everybodyLooks();
    world.reconcile(20);
    assertThat(world.leaf.leaf()).isNotEqualTo(before);
    world.everybodyLooks();
    world.reconcile(20);
    assertThat(world.published.certificates()).hasSize(1);
    assertThat(world.next()).isInstanceOf(RotationStep.None.class);
  }

  @Test
  void aDeletedOrForeignLeafIsReplacedByTheSameRoot() {
    World world = new World();
    world.begin(1);
    String root = world.published.fingerprints().getFirst();
    world.leaf = null;

    world.reconcile(20);

    assertThat(world.published.fingerprints()).containsExactly(root);
    assertThat(
            CertificateAuthority.signed(
                world.published.certificates().getFirst(), world.leaf.leaf()))
        .isTrue();
  }
}
