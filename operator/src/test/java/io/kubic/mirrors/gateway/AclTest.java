package io.kubic.mirrors.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kubic.mirrors.gateway.Acl.Subject;
import io.kubic.mirrors.gateway.GatewayConfig.Role;
import java.net.InetAddress;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The semantics of docker_auth's acl. */
class AclTest {
  @Test
  void theFirstRuleThatMatchesDecidesAndNoActionsRefuse() {
    Acl acl =
        Acl.compile(
            List.of(rule("bob", null, "secret/*", null), rule("bob", null, null, null, "pull")));

    assertThat(allowed(acl, "bob", "secret/x", "pull", "push")).isEmpty();
    assertThat(allowed(acl, "bob", "open", "pull", "push")).containsExactly("pull");
  }

  @Test
  void aStarDoesNotCrossASlash() {
    Acl acl =
        Acl.compile(List.of(rule(null, null, "kubic/*", null, "*"), rule(null, null, null, null)));

    assertThat(allowed(acl, "bob", "kubic/a", "pull")).containsExactly("pull");
    assertThat(allowed(acl, "bob", "kubic/a/b", "pull")).isEmpty();
  }

  @Test
  void variablesAndCaptureGroupsStandForWhatIsAskedAndAreQuoted() {
    Acl acl =
        Acl.compile(
            List.of(
                rule("/^(.+)@corp$/", null, "/^${account:1}//", null, "*"),
                rule(null, null, "home/${account}/*", null, "*"),
                rule(null, null, null, null)));

    assertThat(allowed(acl, "ann@corp", "ann/app", "push")).containsExactly("push");
    assertThat(allowed(acl, "ann@corp", "bob/app", "push")).isEmpty();
    assertThat(allowed(acl, "bob", "home/bob/app", "push")).containsExactly("push");
    assertThat(allowed(acl, "*", "home/bob/app", "push")).isEmpty();
  }

  @Test
  void theEmptyAccountIsNobodyAndASlashedDotPlusIsAnybodyLoggedIn() {
    Acl acl =
        Acl.compile(
            List.of(rule("", null, null, null, "pull"), rule("/.+/", null, null, null, "push")));

    assertThat(allowed(acl, "", "a", "pull", "push")).containsExactly("pull");
    assertThat(allowed(acl, "bob", "a", "pull", "push")).containsExactly("push");
  }

  @Test
  void addressesMatchByPrefix() {
    Acl acl =
        Acl.compile(
            List.of(rule(null, null, null, "10.0.0.0/8", "pull"), rule(null, null, null, null)));

    assertThat(allowed(acl, "bob", "a", "pull")).containsExactly("pull");
    assertThat(
            Acl.compile(
                    List.of(
                        rule(null, null, null, "10.1.2.4", "pull"), rule(null, null, null, null)))
                .allowed(
                    subject("bob", Optional.empty()), Access.repository("a", "pull"), "s", true)
                .actions())
        .isEmpty();
  }

  @Test
  void theCatalogNeedsAStar() {
    Acl acl = Acl.compile(List.of(rule(null, "registry", "catalog", null, "pull")));

    assertThat(
            acl.allowed(subject("bob", Optional.of(Role.Admin)), Access.catalog(), "s", true)
                .actions())
        .isEmpty();
  }

  @Test
  void withoutARuleTheRoleDecides() {
    Acl acl = Acl.compile(List.of());
    Access all = Access.repository("a", "pull", "push", "delete");

    assertThat(acl.allowed(subject("x", Optional.of(Role.Admin)), all, "s", true).actions())
        .containsExactly("pull", "push", "delete");
    assertThat(acl.allowed(subject("x", Optional.of(Role.Push)), all, "s", true).actions())
        .containsExactly("pull", "push");
    assertThat(acl.allowed(subject("", Optional.empty()), all, "s", true).actions())
        .containsExactly("pull");
    assertThat(acl.allowed(subject("", Optional.empty()), all, "s", false).actions()).isEmpty();
    assertThat(acl.allowed(subject("", Optional.empty()), Access.catalog(), "s", true).actions())
        .containsExactly("*");
  }

  @Test
  void whatDoesNotCompileIsNamed() {
    assertThatThrownBy(() -> Acl.compile(List.of(rule("/(/", null, null, null))))
        .hasMessageStartingWith("acl[0].account:");
    assertThatThrownBy(() -> Acl.compile(List.of(rule(null, null, "[a", null))))
        .hasMessageStartingWith("acl[0].name:");
    assertThatThrownBy(() -> Acl.compile(List.of(rule(null, null, null, "10.0.0.0/40"))))
        .hasMessageStartingWith("acl[0].ip:");
  }

  @ParameterizedTest
  @CsvSource({
    "abc,abc,true",
    "*,abc,true",
    "*c,abc,true",
    "a*,ab/c,false",
    "a*/b,abc/b,true",
    "a*b*c*d*e*/f,axbxcxdxe/f,true",
    "a*b*c*d*e*/f,axbxcxdxexxx/fff,false",
    "a?c,abc,true",
    "a?b,a/b,false",
    "ab[c],abc,true",
    "ab[b-d],abc,true",
    "ab[^c],abc,false",
    "a\\*b,a*b,true",
    "a\\*b,ab,false",
    "*x,xxx,true",
    "[x-],x,",
    "*,'',true"
  })
  void globsAreThoseOfPathMatch(String pattern, String text, @Nullable Boolean expected) {
    if (expected == null) {
      assertThatThrownBy(() -> new Glob(pattern)).isInstanceOf(IllegalArgumentException.class);
    } else {
      assertThat(new Glob(pattern).matches(text)).isEqualTo(expected);
    }
  }

  private static Iterable<String> allowed(Acl acl, String account, String name, String... actions) {
    return acl.allowed(
            subject(account, Optional.empty()), Access.repository(name, actions), "s", true)
        .actions();
  }

  private static Subject subject(String account, Optional<Role> role) {
    return new Subject(account, role, InetAddress.ofLiteral("10.1.2.3"));
  }

  private static AclRule rule(
      @Nullable String account,
      @Nullable String type,
      @Nullable String name,
      @Nullable String ip,
      String... actions) {
    return new AclRule(account, type, name, null, ip, List.of(actions));
  }
}
