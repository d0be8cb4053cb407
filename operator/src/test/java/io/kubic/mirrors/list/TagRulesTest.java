package io.kubic.mirrors.list;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec.Compatibility;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec.Select;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec.SortBy;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec.Tags;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class TagRulesTest {
  private static final String SIGNATURE = "sha256-" + "a".repeat(64) + ".sig";

  @Test
  void withoutRulesEveryTagButSignaturesStays() {
    assertThat(select(Tags.all(), "b", "a", "1.10", "1.9", SIGNATURE, "a"))
        .containsExactly("a", "b", "1.9", "1.10");
  }

  @Test
  void includeAndExcludeComeBeforeTheLatestBuildIsSought() {
    Tags tags =
        new Tags(
            List.of("^1\\."), List.of("-rc"), null, Select.LatestBuild, null, null, null, null);
    assertThat(select(tags, "1.0-1", "1.0-2", "1.0-3-rc", "2.0-1", "latest"))
        .containsExactly("1.0-2");
  }

  @Test
  void theHowTosTagsAreMinimized() {
    Tags tags = new Tags(null, null, null, Select.LatestBuild, null, null, null, null);
    assertThat(
            select(
                tags,
                "latest",
                "1.16",
                "1.16.2",
                "1.16.2-rev1-build2.14",
                "1.16.2-rev1-build2.9",
                "1.16.2-rev1-build1.30",
                SIGNATURE))
        .containsExactly("latest", "1.16", "1.16.2", "1.16.2-rev1-build2.14");
  }

  @Test
  void limitKeepsTheNewestVersions() {
    assertThat(select(limit(2, null, null), "1.9", "1.10", "1.2", "latest"))
        .containsExactly("1.9", "1.10");
  }

  @Test
  void sortByOrdersWhatExtractTook() {
    String extract = "^build-(?P<n>[0-9]+)-[a-z]+$";
    assertThat(
            select(
                limit(2, SortBy.Numerical, extract),
                "build-9-x",
                "build-10-a",
                "build-2-b",
                "other"))
        .containsExactly("build-9-x", "build-10-a");
    assertThat(
            select(limit(2, SortBy.Alphabetical, extract), "build-9-x", "build-10-a", "build-2-b"))
        .containsExactly("build-2-b", "build-9-x");
    assertThat(select(limit(1, SortBy.SemVer, null), "1.2.3", "1.2.3-rc.1", "x", "v1.2.4"))
        .containsExactly("v1.2.4");
  }

  @Test
  void extractGivesVersionsToSemverAndSelect() {
    Tags tags =
        new Tags(
            null, null, null, Select.LatestBuild, null, null, null, "^release-(?P<version>.*)$");
    assertThat(select(tags, "release-1.0-1", "release-1.0-2", "1.0-3"))
        .containsExactly("release-1.0-2");
    Tags range = new Tags(null, null, ">=1.1", null, null, null, null, "^release-(?P<version>.*)$");
    assertThat(select(range, "release-1.0", "release-1.1.2", "1.5"))
        .containsExactly("release-1.1.2");
  }

  @Test
  void theToolOf2019CanBeAskedFor() {
    Tags tags =
        new Tags(
            null, null, null, Select.LatestBuild, Compatibility.MirrorRegistry14, null, null, null);
    assertThat(select(tags, "1.1", "1.1-5.1", "1.1-5.2", "1.10", "1.10-6.1", "1.10-6.2"))
        .containsExactly("1.1", "1.10-6.2");
  }

  @Test
  void aBadFieldIsNamedExactly() {
    assertBad(limit(1, null, "no-group"), "spec.sources[2].tags.extract: has 0 named groups");
    assertBad(limit(1, null, "(?P<a>x)(?P<b>y)"), "spec.sources[2].tags.extract: has 2");
    assertBad(limit(1, null, "(?P<a>"), "spec.sources[2].tags.extract: no RE2 pattern");
    assertBad(limit(0, SortBy.SemVer, null), "spec.sources[2].tags.sortBy: ");
    assertBad(
        new Tags(null, null, "newest", null, null, null, null, null),
        "spec.sources[2].tags.semver: ");
    assertBad(
        new Tags(List.of("ok", "["), null, null, null, null, null, null, null),
        "spec.sources[2].tags.include[1]: ");
  }

  private static void assertBad(Tags tags, String message) {
    assertThatThrownBy(() -> TagRules.compile(tags, "spec.sources[2].tags"))
        .isInstanceOf(InvalidSpecException.class)
        .hasMessageStartingWith(message);
  }

  private static Tags limit(int limit, @Nullable SortBy sortBy, @Nullable String extract) {
    return new Tags(null, null, null, null, null, limit, sortBy, extract);
  }

  private static List<String> select(Tags tags, String... offered) {
    return TagRules.compile(tags, "p").select(List.of(offered));
  }
}
