package io.kubic.mirrors.pki;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.security.SecureRandom;
import java.security.cert.CertPathValidator;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.Date;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CertificateAuthorityTest {
  private static final Instant NOW = Instant.parse("2026-03-01T12:00:00Z");
  private final Clock clock = Clock.fixed(NOW, ZoneOffset.UTC);
  private final SecureRandom random = new SecureRandom();

  @ParameterizedTest
  @CsvSource({"ECDSA,256", "ECDSA,384", "RSA,2048"})
  void aLeafPassesPathValidationWithItsRootAndCarriesTheNames(KeySpec.Algorithm algorithm, int bits)
      throws Exception {
    KeySpec spec = new KeySpec(algorithm, bits);
    CertificateAuthority ca = ca(spec);

    CertifiedKey leaf =
        ca.issue(
            new LeafRequest(
                "mirror",
                SubjectNames.of(List.of("Mirror.example", "10.96.0.7", "fd00::1")),
                Duration.ofDays(90),
                spec),
            random,
            clock);

    var path = CertificateFactory.getInstance("X.509").generateCertPath(leaf.chain());
    var parameters = new PKIXParameters(Set.of(new TrustAnchor(ca.certificate(), null)));
    parameters.setRevocationEnabled(false);
    parameters.setDate(Date.from(NOW));
    CertPathValidator.getInstance("PKIX").validate(path, parameters);
    assertThat(leaf.leaf().getSubjectAlternativeNames())
        .extracting(name -> name.get(0) + " " + name.get(1))
        .containsExactly("2 mirror.example", "7 10.96.0.7", "7 fd00:0:0:0:0:0:0:1");
    assertThat(leaf.leaf().getExtendedKeyUsage()).containsExactly("1.3.6.1.5.5.7.3.1");
    assertThat(leaf.leaf().getBasicConstraints()).isEqualTo(-1);
    assertThat(leaf.leaf().getNotBefore().toInstant()).isEqualTo(NOW.minus(Duration.ofHours(1)));
    assertThat(leaf.notAfter()).isEqualTo(NOW.plus(Duration.ofDays(90)));
    assertThat(leaf.leaf().getSerialNumber().bitLength()).isEqualTo(127);
    assertThat(spec.describes(leaf.leaf().getPublicKey())).isTrue();
  }

  @Test
  void aLeafNeverOutlivesItsRoot() {
    CertifiedKey leaf = ca(KeySpec.DEFAULT).issue(request(Duration.ofDays(9999)), random, clock);

    assertThat(leaf.notAfter()).isEqualTo(NOW.plus(Duration.ofDays(1825)));
  }

  @Test
  void twoRootsOfOneNameHaveDifferentSubjects() {
    assertThat(ca(KeySpec.DEFAULT).certificate().getSubjectX500Principal())
        .isNotEqualTo(ca(KeySpec.DEFAULT).certificate().getSubjectX500Principal());
  }

  @Test
  void aRootIsReadBackFromItsText() throws Exception {
    CertificateAuthority ca = ca(KeySpec.DEFAULT);

    CertificateAuthority read = CertificateAuthority.parse(ca.certificatePem(), ca.keyPem());

    assertThat(read.fingerprint()).isEqualTo(ca.fingerprint());
    CertifiedKey leaf = read.issue(request(Duration.ofDays(1)), random, clock);
    assertThat(CertificateAuthority.signed(ca.certificate(), leaf.leaf())).isTrue();
    assertThat(ca.keyPem()).startsWith("-----BEGIN PRIVATE KEY-----\n");
  }

  @Test
  void aKeyOfAnotherCertificateIsRefused() {
    CertificateAuthority one = ca(KeySpec.DEFAULT);
    CertificateAuthority other = ca(KeySpec.DEFAULT);

    assertThatThrownBy(() -> CertificateAuthority.parse(one.certificatePem(), other.keyPem()))
        .isInstanceOf(InvalidCertificateException.class)
        .hasMessageContaining("does not belong");
  }

  @Test
  void aLeafIsNoRoot() {
    CertifiedKey leaf = ca(KeySpec.DEFAULT).issue(request(Duration.ofDays(1)), random, clock);

    assertThatThrownBy(() -> CertificateAuthority.parse(leaf.chainPem(), leaf.keyPem()))
        .hasMessageContaining("not that of a CA");
  }

  @Test
  void damagedTextIsRefusedWithoutQuotingIt() {
    assertThatThrownBy(
            () ->
                CertifiedKey.parse(
                    "-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----\n", "x"))
        .isInstanceOf(InvalidCertificateException.class)
        .hasMessageNotContaining("c2VjcmV0");
  }

  @Test
  void noSecretIsInTheTextOfAnObject() {
    CertificateAuthority ca = ca(KeySpec.DEFAULT);

    assertThat(ca.toString()).contains("key=***").doesNotContain("PRIVATE");
    assertThat(ca.issue(request(Duration.ofDays(1)), random, clock).toString()).contains("key=***");
  }

  @Test
  void aBundleIsTheSameTextInAnyOrder() throws Exception {
    CertificateAuthority a = ca(KeySpec.DEFAULT);
    CertificateAuthority b =
        CertificateAuthority.create(
            "mirror",
            KeySpec.DEFAULT,
            Duration.ofDays(1),
            random,
            Clock.offset(clock, Duration.ofDays(1)));

    CertificateBundle bundle =
        CertificateBundle.parse(b.certificatePem() + a.certificatePem() + b.certificatePem());

    assertThat(bundle.fingerprints()).containsExactly(a.fingerprint(), b.fingerprint());
    assertThat(bundle.toPem()).isEqualTo(a.certificatePem() + b.certificatePem());
    assertThat(bundle.without(a.fingerprint()).fingerprints()).containsExactly(b.fingerprint());
    assertThat(CertificateBundle.parse("no certificate").isEmpty()).isTrue();
  }

  @Test
  void namesCoverByWildcardOfOneLabel() {
    SubjectNames names = SubjectNames.of(List.of("*.example.org", "10.0.0.1"));

    assertThat(names.cover(SubjectNames.of(List.of("a.example.org", "10.0.0.1")))).isTrue();
    assertThat(names.cover(SubjectNames.of(List.of("a.b.example.org")))).isFalse();
    assertThat(names.cover(SubjectNames.of(List.of("example.org")))).isFalse();
    assertThat(names.cover(SubjectNames.of(List.of("10.0.0.2")))).isFalse();
    assertThatThrownBy(() -> SubjectNames.of(List.of("a b"))).hasMessageContaining("a b");
    assertThat(new SubjectNames(new TreeSet<>(), new TreeSet<>()).isEmpty()).isTrue();
  }

  private CertificateAuthority ca(KeySpec spec) {
    return CertificateAuthority.create("mirror", spec, Duration.ofDays(1825), random, clock);
  }

  private static LeafRequest request(Duration duration) {
    return new LeafRequest(
        "mirror", SubjectNames.of(List.of("mirror.example")), duration, KeySpec.DEFAULT);
  }
}
