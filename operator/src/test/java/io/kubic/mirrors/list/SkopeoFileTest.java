package io.kubic.mirrors.list;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.Repository;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class SkopeoFileTest {
  private static final String DIGEST = "sha256:" + "0123456789abcdef".repeat(4);

  @Test
  void aFileOfMirrorRegistryBecomesAListWithEveryTagAsItStands() {
    MirrorListSpec spec =
        converted(
            """
            registry.opensuse.org:
              tls-verify: true
              images:
                kubic/kured:
                  - 1.10
                  - 1.10
                  - 1e3
                  - 0123
                  - latest
                opensuse/leap:
            """);
    assertThat(spec.registryRef().name()).isEqualTo("mirror");
    assertThat(spec.sources()).hasSize(1);
    assertThat(spec.sources().getFirst().images())
        .containsExactly(
            "kubic/kured:0123",
            "kubic/kured:1.10",
            "kubic/kured:1e3",
            "kubic/kured:latest",
            "opensuse/leap");
    Selector.compile(spec);
  }

  @Test
  void patternsAndRangesBecomeSourcesOfTheirOwn() {
    MirrorListSpec spec =
        converted(
            """
            localhost:5000:
              tls-verify: false
              images: {a: ["%s"]}
              images-by-tag-regex: {b: ^1\\.2, c: ^1\\.2}
              images-by-semver: {d: ">= 3.12.0"}
            """
                .formatted(DIGEST));
    assertThat(spec.sources())
        .extracting(MirrorListSpec.Source::name, MirrorListSpec.Source::images)
        .containsExactly(
            org.assertj.core.groups.Tuple.tuple("default", List.of("a@" + DIGEST)),
            org.assertj.core.groups.Tuple.tuple("regex-1", List.of("b", "c")),
            org.assertj.core.groups.Tuple.tuple("semver-2", List.of("d")));
    assertThat(spec.sources()).allMatch(source -> source.tls().insecureSkipVerify());
    Selector.compile(spec);
  }

  @Test
  void credentialsAreNotCopiedAndThatIsTold() {
    SkopeoFile.Converted converted =
        SkopeoFile.convert(
            "r.example: {credentials: {username: u, password: hunter2}, images: {a: [b]}}",
            "f",
            "n",
            "m");
    assertThat(converted.yaml()).doesNotContain("hunter2");
    assertThat(converted.notes()).singleElement().asString().contains("credentialsSecretRef");
    assertThat(converted.notes().toString()).doesNotContain("hunter2");
  }

  @Test
  void whatIsNoSuchFileIsRefusedOnOneLine() {
    for (String text :
        List.of("", "[]", "a: [b", "r.example: {imags: {a: [b]}}", "text", "r: {}")) {
      assertThatThrownBy(() -> SkopeoFile.convert(text, "list.yaml", "n", "m"))
          .as(text)
          .isInstanceOf(InvalidSpecException.class)
          .hasMessageStartingWith("list.yaml");
    }
  }

  @Test
  void writtenTagsAreAlwaysQuotedAndComeBackAsTheyWere() {
    String yaml =
        SkopeoFile.of(
            List.of(
                new SelectedImage("default", new Repository("localhost:5000", "a/b"), "1.10", null),
                new SelectedImage("default", new Repository("localhost:5000", "a/b"), "1e3", null),
                new SelectedImage(
                    "default", new Repository("localhost:5000", "c"), null, Digest.parse(DIGEST))),
            Set.of("localhost:5000"));
    assertThat(yaml).contains("- \"1.10\"").contains("tls-verify: false");
    assertThat(converted(yaml).sources().getFirst().images())
        .containsExactly("a/b:1.10", "a/b:1e3", "c@" + DIGEST);
  }

  private static MirrorListSpec converted(String text) {
    return ResourceFile.read(
            SkopeoFile.convert(text, "list.yaml", "n", "mirror").yaml(), "out", MirrorList.class)
        .getFirst()
        .getSpec();
  }
}
