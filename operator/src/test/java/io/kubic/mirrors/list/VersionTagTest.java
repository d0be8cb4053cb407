package io.kubic.mirrors.list;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class VersionTagTest {
  private static final long SEED = Long.getLong("mirror.seed", System.nanoTime());

  @ParameterizedTest
  @CsvSource(
      nullValues = "-",
      value = {
        // tag, kind, numbers, qualifier, variant, build
        "1.22.3, VERSION, 1.22.3, '', '', ''",
        "v1.16.2-rev1-build2.14, VERSION, 1.16.2, '', '', 1.2.14",
        "1.25.3-alpine3.18-r2, VERSION, 1.25.3, '', alpine3.18, 2",
        "1.25.3-debian-11-r5, VERSION, 1.25.3, '', debian-11, 5",
        "1.0-build-7, VERSION, 1.0, '', '', 7",
        "1.0-Build7, VERSION, 1.0, '', '', 7",
        "1.0-bookworm.2, VERSION, 1.0, '', bookworm, 2",
        "1.31.0-rc.1, VERSION, 1.31.0, '', rc, 1",
        "1.31.0-rc1, VERSION, 1.31.0, '', rc1, ''",
        "1.24rc1-3, VERSION, 1.24, rc1, '', 3",
        "4.2.Final, VERSION, 4.2, .Final, '', ''",
        "1.x, VERSION, 1, .x, '', ''",
        "1.2.3-5-gabc1234, VERSION, 1.2.3, '', 5-gabc1234, ''",
        "1.0_4, VERSION, 1.0, '', '', 4",
        "1_80_0, VERSION, 1.80.0, '', '', ''",
        "2024-01-15, STAMP, 2024.1.15, '', '', ''",
        "2024-01-15-2, STAMP, 2024.1.15, '', '', 2",
        "2024-01, STAMP, 2024.1, '', '', ''",
        "2024-13, VERSION, 2024, '', '', 13",
        "20240115-143000, STAMP, 20240115.143000, '', '', ''",
        "20240115-1, STAMP, 20240115, '', '', 1",
        "20240115T143000Z, STAMP, 20240115, T143000Z, '', ''",
        "1234567, STAMP, 1234567, '', '', ''",
        "1.0-ltsc2022-4, VERSION, 1.0, '', ltsc2022-4, ''",
        "1.0-windows-amd64-1809, VERSION, 1.0, '', windows-amd64-1809, ''",
        "1.0-alpine.3, VERSION, 1.0, '', alpine.3, ''",
        "1.0-, VERSION, 1.0, '', '', ''",
        "4f3c2a1, NAME, '', '', '', ''",
        "latest, NAME, '', '', '', ''",
        "v, NAME, '', '', '', ''",
        "vault-1.2, NAME, '', '', '', ''",
      })
  void readsVersionVariantAndBuild(
      String text, TagKind kind, String numbers, String qualifier, String variant, String build) {
    VersionTag tag = VersionTag.parse(text);
    assertThat(tag.kind()).isEqualTo(kind);
    assertThat(String.join(".", tag.numbers().parts())).isEqualTo(numbers);
    assertThat(tag.qualifier()).isEqualTo(qualifier);
    assertThat(tag.variant()).isEqualTo(variant);
    assertThat(String.join(".", tag.build().parts())).isEqualTo(build);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", ".sig", ".att", ".sbom", ".other"})
  void aSignatureIsNoVersion(String extension) {
    String tag = "sha256-" + "0123456789abcdef".repeat(4) + extension;
    assertThat(VersionTag.parse(tag).kind()).isEqualTo(TagKind.COMPANION);
  }

  @ParameterizedTest
  @ValueSource(strings = {"sha256-abc.sig", "sha256", "sha256-", "sha-4f3c2a1"})
  void whatOnlyResemblesASignatureIsAName(String tag) {
    assertThat(VersionTag.parse(tag).kind()).isEqualTo(TagKind.NAME);
  }

  @ParameterizedTest
  @CsvSource({
    "1.9, 1.10",
    "1.1, 1.1.0",
    "1.31.0-alpha.3, 1.31.0-beta.1",
    "1.31.0-rc.1, 1.31.0",
    "1.31.0-rc.2, 1.31.0-rc.10",
    "1.24rc1, 1.24",
    "1.24, 1.24.1",
    "1.0-alpine3.9, 1.0-alpine3.20",
    "1.0-1.9, 1.0-1.10",
    "latest, 20240115",
    "20240115, 0.1",
    "99999999999999999998.0, 99999999999999999999.0",
  })
  void ordersAsAPersonWould(String older, String newer) {
    assertThat(VersionTag.parse(older)).isLessThan(VersionTag.parse(newer));
    assertThat(VersionTag.parse(newer)).isGreaterThan(VersionTag.parse(older));
  }

  @Test
  void theOrderIsTotal() {
    Random random = new Random(SEED);
    for (int round = 0; round < 200_000; round++) {
      VersionTag a = VersionTag.parse(RandomTags.one(random));
      VersionTag b = VersionTag.parse(RandomTags.one(random));
      VersionTag c = VersionTag.parse(RandomTags.one(random));
      String shown = "-Dmirror.seed=" + SEED + " " + a.text() + " " + b.text() + " " + c.text();
      assertThat(Integer.signum(a.compareTo(b)))
          .as(shown)
          .isEqualTo(-Integer.signum(b.compareTo(a)));
      assertThat(a.compareTo(b) == 0).as(shown).isEqualTo(a.text().equals(b.text()));
      if (a.compareTo(b) <= 0 && b.compareTo(c) <= 0) {
        assertThat(a.compareTo(c)).as(shown).isLessThanOrEqualTo(0);
      }
    }
  }
}
