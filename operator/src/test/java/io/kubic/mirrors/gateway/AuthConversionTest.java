package io.kubic.mirrors.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kubic.mirrors.api.v1alpha1.MirrorRegistry;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import org.junit.jupiter.api.Test;

class AuthConversionTest {
  /** The file that setup-container-registry installs, with a real hash. */
  private static final String KUBIC =
      """
      server: {addr: ":5001", certificate: a.crt, key: a.key}
      token: {issuer: "openSUSE Kubic Auth Server", expiration: 900}
      users:
        "admin": {password: "$2y$05$LO.vzwpWC5LZGqThvEfznu8qhb5SGqvBSWY1J3yZ4AxtMRZ3kN5jC"}
        "": {}
      acl:
      - match: {account: "admin"}
        actions: ["*"]
        comment: "Admin has full access to everything."
      - match: {account: "", type: "registry", name: "catalog"}
        actions: ["*"]
      - match: {account: ""}
        actions: ["pull"]
      """;

  @Test
  void theFileOfTheHowToBecomesAMirrorRegistryThatOurParserReads() {
    AuthConversion conversion = AuthConversion.of(KUBIC, "mirror");

    assertThat(conversion.notes()).isEmpty();
    var auth =
        ResourceFile.read(conversion.yaml(), "out.yaml", MirrorRegistry.class)
            .getFirst()
            .getSpec()
            .auth();
    assertThat(auth.anonymousPull()).isFalse();
    assertThat(auth.tokenLifetime()).isEqualTo("900s");
    assertThat(auth.users()).extracting(u -> u.name()).containsExactly("admin");
    assertThat(auth.users().getFirst().passwordSecretRef().name()).isEqualTo("mirror-users");
    assertThat(auth.acl())
        .extracting(r -> r.account() + "|" + r.type() + "|" + r.name() + "|" + r.actions())
        .containsExactly(
            "admin|null|null|[*]",
            "|registry|catalog|[*]",
            "|null|null|[pull]",
            "null|null|null|[]");
  }

  @Test
  void whatHasNoCounterpartIsNamedAndARuleIsNeverWidened() {
    AuthConversion conversion =
        AuthConversion.of(
            """
            users: {bob: {}}
            ldap_auth: {addr: x}
            acl:
            - match: {account: "/.+/", labels: {team: a}}
              actions: [pull]
            """,
            "m");

    assertThat(conversion.notes()).hasSize(3);
    assertThat(conversion.yaml()).doesNotContain("bob", ".+");
  }

  @Test
  void whatIsNoSuchFileIsRefusedWithoutQuotingIt() {
    assertThatThrownBy(() -> AuthConversion.of("a: [$2y$secret", "m"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageNotContaining("secret");
    assertThatThrownBy(() -> AuthConversion.of("a: b", "m")).hasMessageContaining("auth_config");
  }
}
