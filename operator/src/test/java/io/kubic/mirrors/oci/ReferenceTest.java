package io.kubic.mirrors.oci;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ReferenceTest {
  private static final String HEX = "a".repeat(64);

  @Test
  void aReferenceHasARegistryARepositoryATagAndADigest() {
    Reference reference = Reference.parse("registry.example:5000/a/b-c:1.0@sha256:" + HEX);
    assertThat(reference.repository()).isEqualTo(new Repository("registry.example:5000", "a/b-c"));
    assertThat(reference.tag()).isEqualTo("1.0");
    assertThat(reference.digest()).isEqualTo(Digest.parse("sha256:" + HEX));
    assertThat(reference).hasToString("registry.example:5000/a/b-c:1.0@sha256:" + HEX);
    assertThat(reference.identifier()).contains("sha256:" + HEX);
  }

  @Test
  void aPortIsNoTag() {
    assertThat(Reference.parse("localhost:5000/a").tag()).isNull();
    assertThat(Reference.parse("[::1]:5000/a:b").repository().registry()).isEqualTo("[::1]:5000");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "alpine",
        "library/alpine",
        "r.example/",
        "r.example/Upper",
        "r.example/a..b",
        "r.example/a___b",
        "r.example/-a",
        "r.example/a-",
        "r.example/a/../b",
        "r.example/a//b",
        "r.example/a:",
        "r.example/a:.x",
        "r.example/a@sha256:abc",
        "r.example/a@md5:d41d8cd98f00b204e9800998ecf8427e",
        "r.example:0/a",
        "r.example:99999/a",
        "user@r.example/a",
        "https://r.example/a",
        "r.example/a b",
        "r.example/a\u0000",
        "-r.example/a",
        "r..example/a"
      })
  void whatIsNoReferenceIsRefused(String text) {
    assertThatIllegalArgumentException().isThrownBy(() -> Reference.parse(text));
  }

  @Test
  void familiarNamesAreDockerHubs() {
    assertThat(Reference.parseFamiliar("alpine:3")).hasToString("docker.io/library/alpine:3");
    assertThat(Reference.parseFamiliar("a/b")).hasToString("docker.io/a/b");
    assertThat(Reference.parseFamiliar("docker.io/alpine")).hasToString("docker.io/library/alpine");
    assertThat(Reference.parseFamiliar("quay.io/a")).hasToString("quay.io/a");
  }

  @Test
  void aPathHasAtMost255Characters() {
    assertThat(Repository.isPath("a".repeat(255))).isTrue();
    assertThat(Repository.isPath("a".repeat(256))).isFalse();
    assertThat(Tag.isValid("t".repeat(128))).isTrue();
    assertThat(Tag.isValid("t".repeat(129))).isFalse();
  }

  @Test
  void platformsMatchWithoutAndWithVariant() {
    Platform wanted = Platform.parse("linux/arm64");
    assertThat(Platform.parse("linux/arm64/v8").satisfies(wanted)).isTrue();
    assertThat(Platform.parse("linux/arm64").satisfies(Platform.parse("linux/arm64/v8"))).isTrue();
    assertThat(Platform.parse("linux/arm/v6").satisfies(Platform.parse("linux/arm/v7"))).isFalse();
    assertThat(Platform.parse("linux/amd64").satisfies(wanted)).isFalse();
    assertThatIllegalArgumentException().isThrownBy(() -> Platform.parse("linux"));
  }
}
