package io.kubic.mirrors.list;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import io.kubic.mirrors.oci.Listing;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Repository;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class SelectorTest {
  private static final String DIGEST = "sha256:" + "0123456789abcdef".repeat(4);
  private static final String OTHER = "sha256:" + "f".repeat(64);

  private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();

  @AfterEach
  void stop() {
    executor.close();
  }

  @Test
  void theHowTosListSelectsWhatAKubicAdminExpects() {
    Selection selection =
        select(
            """
            - registry: registry.opensuse.org
              repositories:
                include: ["(^kubic|^opensuse/([^/]+)$)"]
              tags: {select: LatestBuild}
            """,
            new FakeCatalog()
                .with(
                    "kubic/kube-apiserver",
                    "latest",
                    "1.16",
                    "1.16.2",
                    "1.16.2-rev1-build2.14",
                    "1.16.2-rev1-build2.9",
                    "sha256-" + "a".repeat(64) + ".sig")
                .with("opensuse/leap", "15.2", "latest")
                .with("opensuse/leap/toolbox", "latest")
                .with("home/someone/kubic", "latest"));
    assertThat(selection.images())
        .extracting(SelectedImage::toString)
        .containsExactly(
            "registry.opensuse.org/kubic/kube-apiserver:1.16",
            "registry.opensuse.org/kubic/kube-apiserver:1.16.2",
            "registry.opensuse.org/kubic/kube-apiserver:1.16.2-rev1-build2.14",
            "registry.opensuse.org/kubic/kube-apiserver:latest",
            "registry.opensuse.org/opensuse/leap:15.2",
            "registry.opensuse.org/opensuse/leap:latest");
    assertThat(selection.complete()).isTrue();
    assertThat(selection.problems()).isEmpty();
    assertThat(selection.sources())
        .containsExactly(new Selection.SourceCount("registry.opensuse.org", "default", 4, 2, 8, 6));
  }

  @Test
  void literalImagesNeedNoCatalogAndFollowNoTagRule() {
    Selection selection =
        select(
            """
            - registry: docker.io
              images: [alpine, "grafana/grafana:10.4.2", "nginx@%1$s", "nginx:1.25@%1$s"]
              tags: {include: ["^3"]}
            """
                .formatted(DIGEST),
            new FakeCatalog()
                .without(Reason.DiscoveryUnsupported)
                .with("library/alpine", "3", "2"));
    assertThat(selection.images())
        .extracting(SelectedImage::toString)
        .containsExactly(
            "docker.io/grafana/grafana:10.4.2",
            "docker.io/library/alpine:3",
            "docker.io/library/nginx@" + DIGEST,
            "docker.io/library/nginx:1.25@" + DIGEST);
    assertThat(selection.complete()).isTrue();
  }

  @Test
  void aRegistryWithoutACatalogNamesTheAlternative() {
    Selection selection =
        select(
            """
            - registry: ghcr.io
              repositories: {include: ["^org/"]}
            """,
            new FakeCatalog().without(Reason.DiscoveryUnsupported));
    assertThat(selection.complete()).isFalse();
    assertThat(selection.problems())
        .singleElement()
        .satisfies(
            problem -> {
              assertThat(problem.object()).isEqualTo("ghcr.io");
              assertThat(problem.reason()).isEqualTo(Reason.DiscoveryUnsupported);
              assertThat(problem.message()).contains("spec.sources[0].images");
            });
  }

  @Test
  void aRepositoryThatCannotBeListedMakesTheSelectionIncompleteAndNothingElse() {
    Selection selection =
        select(
            """
            - registry: r.example
              repositories: {include: ["."]}
            """,
            new FakeCatalog().with("a", "1").failing("b", Reason.ServerError).with("c", "1"));
    assertThat(selection.images()).hasSize(2);
    assertThat(selection.complete()).isFalse();
    assertThat(selection.problems())
        .extracting(Selection.Problem::object, Selection.Problem::reason)
        .containsExactly(org.assertj.core.groups.Tuple.tuple("r.example/b", Reason.ServerError));
  }

  @Test
  void aRepositoryOfTheCatalogWithoutTagsIsToldButAnUnknownLiteralOneIsAFailure() {
    FakeCatalog catalog = new FakeCatalog().failing("gone", Reason.NotFound).with("a", "1");
    Selection found = select("- {registry: r.example, repositories: {include: ['.']}}", catalog);
    assertThat(found.complete()).isTrue();
    assertThat(found.problems()).hasSize(1);
    Selection named = select("- {registry: r.example, images: [gone]}", catalog);
    assertThat(named.complete()).isFalse();
    assertThat(named.problems()).hasSize(1);
  }

  @Test
  void namesThatAreNoneAreReportedAndMakeTheSelectionIncomplete() {
    FakeCatalog catalog = new FakeCatalog().with("a", "1");
    catalog.malformedRepositories = List.of("Bad Name");
    catalog.malformedTags = List.of("x y");
    Selection selection =
        select("- {registry: r.example, repositories: {include: ['.']}}", catalog);
    assertThat(selection.images()).hasSize(1);
    assertThat(selection.complete()).isFalse();
    assertThat(selection.problems())
        .extracting(Selection.Problem::reason)
        .containsOnly(Reason.MalformedResponse)
        .hasSize(2);
  }

  @Test
  void blockedImagesAreLeftOutLast() {
    Selection selection =
        select(
            """
            - registry: r.example
              images: ["a:1", "b@%s", c]
            """
                    .formatted(DIGEST)
                + "\n  blockedImages: ['^r\\.example/a:', 'c:1$', '@sha256']",
            new FakeCatalog().with("c", "1", "2"));
    assertThat(selection.images())
        .extracting(SelectedImage::toString)
        .containsExactly("r.example/c:2");
  }

  @Test
  void aDigestThatTheListPinsWinsOverTheTagFoundByRule() {
    Selection selection =
        select(
            """
            - registry: r.example
              images: [a, "a:1@%s", "a:1@%s"]
            """
                .formatted(DIGEST, OTHER),
            new FakeCatalog().with("a", "1"));
    assertThat(selection.images())
        .extracting(SelectedImage::toString)
        .containsExactly("r.example/a:1@" + DIGEST);
    assertThat(selection.problems())
        .extracting(Selection.Problem::reason)
        .containsExactly(Reason.Conflict);
  }

  @Test
  void twoSourcesOfOneRegistryAreMergedAndTheFirstOwnsTheImage() {
    Selection selection =
        select(
            """
            - {registry: r.example, name: one, images: [a]}
            - {registry: r.example, name: two, images: ["a:1", "a:3"]}
            """,
            new FakeCatalog().with("a", "1", "2"));
    assertThat(selection.images())
        .extracting(SelectedImage::toString, SelectedImage::source)
        .containsExactly(
            org.assertj.core.groups.Tuple.tuple("r.example/a:1", "one"),
            org.assertj.core.groups.Tuple.tuple("r.example/a:2", "one"),
            org.assertj.core.groups.Tuple.tuple("r.example/a:3", "two"));
  }

  @Test
  void aSourceThatWantsNoSignaturesHidesThemFromNoOther() {
    String signature = "sha256-" + "a".repeat(64) + ".sig";
    for (String wanted : List.of("a", "a:3")) {
      Selection selection =
          select(
              """
              - {registry: r.example, name: one, images: [a], includeReferrers: false,
                 tags: {include: ["^1"]}}
              - {registry: r.example, name: two, images: ["%s"]}
              """
                  .formatted(wanted),
              new FakeCatalog().with("a", "1", "3", signature));
      assertThat(selection.companions())
          .isEqualTo(
              wanted.equals("a")
                  ? Map.of(new Repository("r.example", "a"), Set.of(signature))
                  : Map.of());
    }
  }

  @Test
  void aStopWhileTheCatalogIsReadIsNoSelection() {
    assertThatThrownBy(
            () ->
                select(
                    "- {registry: r.example, repositories: {include: [a]}}",
                    new FakeCatalog().without(Reason.Cancelled)))
        .isInstanceOf(RegistryException.class)
        .extracting("reason")
        .isEqualTo(Reason.Cancelled);
  }

  @Test
  void aSelectionThatExplodesIsRefused() {
    Selection selection =
        select(
            """
            - registry: r.example
              images: [a]
            """
                + "\n  guard: {maxImages: 3}",
            new FakeCatalog().with("a", "1", "2", "3", "4", "5"));
    assertThat(selection.isRefused()).isTrue();
    assertThat(selection.complete()).isFalse();
    assertThat(selection.images()).hasSize(3);
    assertThat(selection.problems())
        .singleElement()
        .satisfies(
            problem -> {
              assertThat(problem.object()).isEqualTo("spec.guard.maxImages");
              assertThat(problem.message()).startsWith("5 images are selected, at most 3");
            });
  }

  @Test
  void tenThousandRepositoriesAreSelectedInAnyOrderAlike() {
    List<String> names = new ArrayList<>();
    IntStream.range(0, 10_000).forEach(i -> names.add("team" + i % 100 + "/app" + i));
    String[] tags = {"1.0", "1.0-1", "1.0-2", "latest"};
    FakeCatalog catalog = new FakeCatalog();
    names.forEach(name -> catalog.with(name, tags));
    String yaml =
        """
        - registry: r.example
          repositories: {include: [app], exclude: ["^team1/"]}
          tags: {select: LatestBuild}
        """
            + "\n  guard: {maxImages: 100000}";
    Selection first = select(yaml, catalog);
    catalog.shuffle = new Random(7);
    assertThat(select(yaml, catalog)).isEqualTo(first);
    assertThat(first.images()).hasSize(9_900 * 3);
  }

  @Test
  void aBadFieldIsRefusedWithItsExactPath() {
    assertBad(
        "- {registry: r.example, repositories: {include: [ok, '(']}}",
        "spec.sources[0].repositories.include[1]: no RE2 pattern");
    assertBad(
        "- {registry: r.example, repositories: {include: [ok], exclude: ['*']}}",
        "spec.sources[0].repositories.exclude[0]: ");
    assertBad(
        "- {registry: r.example, images: [a]}\n  blockedImages: [a, '[']",
        "spec.blockedImages[1]: ");
    assertBad("- {registry: r.example, images: [a, 'B C']}", "spec.sources[0].images[1]: ");
    assertBad(
        "- {registry: r.example, images: ['r.example/a:1']}",
        "spec.sources[0].images[0]: leave out the registry: write 'a:1'");
    assertBad("- {registry: r.example, images: ['a@sha256:12']}", "spec.sources[0].images[0]: ");
    assertBad("- {registry: 'https://r.example', images: [a]}", "spec.sources[0].registry: ");
    assertBad(
        "- {registry: r.example, images: [a], platforms: [linux/amd64, linux]}",
        "spec.sources[0].platforms[1]: ");
    assertBad("- {registry: r.example}", "spec.sources[0]: selects nothing");
    assertBad(
        "- {registry: r.example, images: [a]}\n- {registry: r.example, images: [b]}",
        "spec.sources[1].name: ");
  }

  private void assertBad(String sources, String message) {
    assertThatThrownBy(() -> Selector.compile(spec(sources)))
        .isInstanceOf(InvalidSpecException.class)
        .hasMessageStartingWith(message);
  }

  private Selection select(String sources, FakeCatalog catalog) {
    return Selector.compile(spec(sources)).select(source -> catalog, executor);
  }

  private static MirrorListSpec spec(String sources) {
    String text =
        """
        apiVersion: mirrors.kubic.io/v1alpha1
        kind: MirrorList
        metadata: {name: test}
        spec:
          registryRef: {name: mirror}
          sources:
        """;
    String yaml =
        text
            + sources
                .lines()
                .map(line -> line.matches("  (guard|blockedImages):.*") ? line : "  " + line)
                .collect(java.util.stream.Collectors.joining("\n"));
    return ResourceFile.read(yaml, "test", MirrorList.class).getFirst().getSpec();
  }

  private static final class FakeCatalog implements Catalog {
    private final Map<String, List<String>> tags = new TreeMap<>();
    private final Map<String, Reason> failures = new TreeMap<>();
    private Reason catalogFailure;
    private List<String> malformedRepositories = List.of();
    private List<String> malformedTags = List.of();
    private Random shuffle;

    FakeCatalog with(String repository, String... names) {
      tags.put(repository, List.of(names));
      return this;
    }

    FakeCatalog failing(String repository, Reason reason) {
      tags.put(repository, List.of());
      failures.put(repository, reason);
      return this;
    }

    FakeCatalog without(Reason reason) {
      catalogFailure = reason;
      return this;
    }

    @Override
    public Listing repositories() {
      if (catalogFailure != null) {
        throw new RegistryException(catalogFailure, "r", "no");
      }
      return new Listing(shuffled(tags.keySet()), malformedRepositories);
    }

    @Override
    public Listing tags(String repository) {
      if (failures.containsKey(repository)) {
        throw new RegistryException(failures.get(repository), repository, "no");
      }
      return new Listing(shuffled(tags.get(repository)), malformedTags);
    }

    private synchronized List<String> shuffled(java.util.Collection<String> names) {
      List<String> all = new ArrayList<>(names);
      if (shuffle != null) {
        Collections.shuffle(all, shuffle);
      }
      return all;
    }
  }
}
