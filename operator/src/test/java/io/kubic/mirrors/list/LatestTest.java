package io.kubic.mirrors.list;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LatestTest {
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "1.0 1.0-1.1 1.0-2.1 1.1 1.1-3.1 1.1-3.2 latest | 1.1 1.1-3.2 latest",
        "1 1.0 1.0-1.1 1.1 1.1-2.1 1.1-2.2 latest | 1 1.1 1.1-2.2 latest",
        "latest v1.0.0 v1.0.1 v1.1.0 | latest v1.1.0",
        "1.1 1.1-5.1 1.10 1.10-6.1 1.10-6.2 | 1.10 1.10-6.2",
        "3 3.18 3.18.4 3.19 3.19.1 20240329 edge latest | 3 3.19 3.19.1 latest",
        "1.25 1.25.3 1.25.3-alpine 1.25-alpine 1.24 1.24-alpine 1.26rc1 mainline latest"
            + " | 1.25 1.25.3 1.25.3-alpine 1.25-alpine latest",
        "v1.31.0 v1.32.0-alpha.1 v1.32.0-alpha.2 | v1.31.0",
        "v1.32.0-alpha.1 v1.32.0-alpha.2 20240101 | v1.32.0-alpha.2",
        "20240101 20240202 edge | 20240202",
        "edge main latest | latest",
        "16 16.1 16.1-alpine 17 17-alpine | 17 17-alpine",
      })
  void keepsTheNewestVersionItsAliasesAndLatest(String tags, String kept) {
    assertThat(
            new Latest()
                .keep(List.of(tags.split(" ")).stream().map(VersionTag::parse).toList()).stream()
                    .map(VersionTag::text))
        .containsExactlyInAnyOrder(kept.split(" "));
  }
}
