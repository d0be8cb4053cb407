package io.kubic.mirrors.list;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SemverRangeTest {
  private static final List<String> TAGS =
      List.of(
          "0.5.1",
          "1",
          "1.2",
          "v1.2.3",
          "1.3.0-rc.1",
          "1.3.0",
          "1.22",
          "2.0.0",
          "2.1.0-alpine3.20",
          "latest",
          "20240329",
          "2024-01-15",
          "1.24rc1",
          "1.2.3.4",
          "01.4.0");

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        ">=1.2.0 <2 ; 1.2 v1.2.3 1.3.0 1.22 01.4.0",
        ">=1.2, <1.4 ; 1.2 v1.2.3 1.3.0",
        ">= 1.2 , < 1.4 ; 1.2 v1.2.3 1.3.0",
        "~1.2 ; 1.2 v1.2.3",
        "~>1.2 ; 1.2 v1.2.3",
        "^1.2.3 ; v1.2.3 1.3.0 1.22 01.4.0",
        "1.x ; 1 1.2 v1.2.3 1.3.0 1.22 01.4.0",
        "1.2 - 1.3.0 ; 1.2 v1.2.3 1.3.0",
        ">=1.2 <2 !=1.2.3 ; 1.2 1.3.0 1.22 01.4.0",
        "!=1.2.3 ; 0.5.1 1 1.2 1.3.0 1.22 2.0.0 01.4.0",
        "=>2.0 ; 2.0.0",
        "=v1.2.3 ; v1.2.3",
        "0.5.x || ^2 ; 0.5.1 2.0.0",
        ">=1.3.0-0 <1.4 ; 1.3.0-rc.1 1.3.0",
        "* ; 0.5.1 1 1.2 v1.2.3 1.3.0 1.22 2.0.0 01.4.0",
      })
  void containsWhatMastermindsWould(String range, String expected) {
    SemverRange compiled = SemverRange.compile(range, "p");
    assertThat(TAGS)
        .filteredOn(
            tag ->
                SemverRange.version(VersionTag.parse(tag), tag)
                    .filter(compiled::contains)
                    .isPresent())
        .containsExactly(expected.split(" "));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        " ",
        "latest",
        ">=1.2 ||",
        "|| 1",
        ">=",
        ">=1.2 garbage",
        "- 1",
        "1 -",
        "1.2.3.4",
        ">>1",
        "1.2-rc.1",
        "99999999999.1",
        ">=1.2;<2",
        "1.2.3-",
        "[1,2)"
      })
  void whatIsNoRangeIsRefusedWithItsPath(String range) {
    assertThatThrownBy(() -> SemverRange.compile(range, "spec.sources[0].tags.semver"))
        .isInstanceOf(InvalidSpecException.class)
        .hasMessageStartingWith("spec.sources[0].tags.semver: ");
  }
}
