package io.kubic.mirrors.list;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class UserPatternTest {
  @Test
  void theHowTosPatternFindsWhatItFoundIn2019() {
    UserPattern pattern = UserPattern.compile("(^kubic|^opensuse/([^/]+)$)", "p");
    assertThat(
            List.of(
                "kubic/kube-apiserver",
                "kubic",
                "kubic-next/app",
                "opensuse/leap",
                "opensuse/leap/toolbox",
                "home/kubic/x",
                "suse/sle15"))
        .filteredOn(pattern::isFoundIn)
        .containsExactly("kubic/kube-apiserver", "kubic", "kubic-next/app", "opensuse/leap");
  }

  @Test
  void aPatternIsFoundAnywhereUnlessAnchored() {
    assertThat(UserPattern.compile("busybox", "p").isFoundIn("opensuse/busybox-x")).isTrue();
    assertThat(UserPattern.compile("^busybox$", "p").isFoundIn("opensuse/busybox")).isFalse();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "(",
        "[",
        "*",
        "a{2000}",
        "(?=x)",
        "(a)\\1",
        "a**",
        "(((a{1000}){1000}){1000}){1000}",
        "(a{100}){300}",
        "[[:nope:]]",
        "(?P<x",
        "x{1001}",
        "\\"
      })
  void whatIsNoPatternIsRefusedWithItsPath(String text) {
    assertThatThrownBy(() -> UserPattern.compile(text, "spec.blockedImages[3]"))
        .isInstanceOf(InvalidSpecException.class)
        .hasMessageStartingWith("spec.blockedImages[3]: ")
        .message()
        .doesNotContain("\n");
  }

  @Test
  void aTooLongPatternIsRefused() {
    assertThatThrownBy(() -> UserPattern.compile("a".repeat(1025), "p"))
        .hasMessageContaining("at most 1024");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "(a|aa)+$",
        "(.*)*x",
        "(a*)*b",
        "([a-z]+)+[A-Z]",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
        "(a?){500}a{500}"
      })
  void aHostilePatternTakesLinearTime(String text) {
    UserPattern pattern = UserPattern.compile(text, "p");
    String subject = "a".repeat(128) + "!";
    long start = System.nanoTime();
    for (int i = 0; i < 20; i++) {
      pattern.isFoundIn(subject);
    }
    assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(2));
  }

  @Test
  void theFirstBadPatternOfAListIsNamedExactly() {
    assertThatThrownBy(
            () ->
                PatternFilter.compile(
                    List.of("^ok$", "(unclosed"), List.of(), false, "spec.sources[0].repositories"))
        .isInstanceOf(InvalidSpecException.class)
        .extracting(e -> ((InvalidSpecException) e).path())
        .isEqualTo("spec.sources[0].repositories.include[1]");
  }

  @Test
  void excludeWinsOverInclude() {
    PatternFilter filter = PatternFilter.compile(List.of("^kubic/"), List.of("weave"), false, "p");
    assertThat(filter.passes("kubic/etcd")).isTrue();
    assertThat(filter.passes("kubic/weave-net")).isFalse();
    assertThat(filter.passes("other")).isFalse();
  }
}
