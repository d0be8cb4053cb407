package io.kubic.mirrors.node;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfigSpec.Runtime;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class NodeConfigTest {
  private static final String SMALLEST =
      """
      {"name": "default", "sources": [
        {"source": "registry.opensuse.org",
         "endpoints": [{"location": "10.96.1.2:5000/registry.opensuse.org"}]}]}
      """;

  @Test
  void itsTextIsReadBackAndIsStable() {
    NodeConfig config = NodeConfig.fromJson(SMALLEST);
    assertThat(NodeConfig.fromJson(config.toJson())).isEqualTo(config);
    assertThat(NodeConfig.fromJson(config.toJson()).hash()).isEqualTo(config.hash()).hasSize(64);
    assertThat(config.runtimes()).containsExactly(Runtime.Auto);
    assertThat(config.toJson())
        .contains("\"location\" : \"10.96.1.2:5000/registry.opensuse.org\"")
        .endsWith("}\n");
  }

  @Test
  void orderOfSourcesMeansNothingAndOrderOfEndpointsDoes() {
    String one =
        """
        {"name": "n", "sources": [
          {"source": "b.example", "endpoints": [{"location": "m:1/b"}, {"location": "n:1/b"}]},
          {"source": "a.example", "endpoints": [{"location": "m:1/a"}]}]}""";
    String other =
        """
        {"name": "n", "sources": [
          {"source": "a.example", "endpoints": [{"location": "m:1/a"}]},
          {"source": "b.example", "endpoints": [{"location": "m:1/b"}, {"location": "n:1/b"}]}]}""";
    assertThat(NodeConfig.fromJson(one).hash()).isEqualTo(NodeConfig.fromJson(other).hash());
    assertThat(NodeConfig.fromJson(one.replace("m:1/b", "o:1/b")).hash())
        .isNotEqualTo(NodeConfig.fromJson(other).hash());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '~',
      value = {
        "{}|name: ",
        "{\"name\":\"n\",\"typo\":1}|typo: ",
        "{\"name\":\"n\",\"dialTimeout\":\"2h\"}|dialTimeout: ",
        "{\"name\":\"n\",\"health\":{\"interval\":\"soon\"}}|health.interval: ",
        "{\"name\":\"n\",\"health\":{\"failureThreshold\":101}}|health.failureThreshold: ",
        "{\"name\":\"n\",\"runtimes\":[\"Auto\",\"crio\"]}|runtimes: ",
        "{\"name\":\"n\",\"blocked\":[\"https://x\"]}|blocked[0]: ",
        "{\"name\":\"n\",\"blocked\":[\"*.a/b\"]}|blocked[0]: ",
        "{\"name\":\"n\",\"unqualifiedSearchRegistries\":[\"a/b\"]}|unqualifiedSearchRegistries[0]: ",
        "{\"name\":\"n\",\"authorities\":{\"m:5000\":\"rubbish\"}}|authorities.m:5000: ",
        "{\"name\":\"n\",\"sources\":[{\"source\":\"a.b\"}]}|sources[a.b].endpoints: ",
        "{\"name\":\"n\",\"verify\":{\"image\":\"busybox\"}}|verify.image: ",
      })
  void anInvalidFieldIsNamed(String json, String start) {
    assertThatThrownBy(() -> NodeConfig.fromJson(json))
        .isInstanceOf(InvalidSpecException.class)
        .hasMessageStartingWith(start)
        .message()
        .doesNotContain("\n");
  }

  @Test
  void aMirrorIsWithdrawnUnlessItIsSaidOtherwise() {
    NodeConfig config = NodeConfig.fromJson("{\"name\":\"n\",\"health\":{\"interval\":\"2s\"}}");
    assertThat(config.health().withdraw()).isTrue();
  }

  @Test
  void aMirrorIsNotItsOwnSource() {
    assertThatThrownBy(
            () ->
                NodeConfig.fromJson(
                    "{\"name\":\"n\",\"sources\":[{\"source\":\"*.b.c\",\"endpoints\":[{\"location\":\"a.b.c:5000/x\"}]}]}"))
        .hasMessageContaining("the source itself");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "a.b",
        "a.b:5000",
        "10.0.0.1:5000/registry.opensuse.org",
        "[::1]:5000/x",
        "h/a/b__c/d--e",
        "mirror.lan:5000/registry.example_5000"
      })
  void aLocationIsHostPortAndPath(String text) {
    assertThat(Location.parse(text, "x").toString()).isEqualTo(text);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "/",
        "a/",
        "a//b",
        "https://a",
        "a:0",
        "a:70000",
        "a:b",
        "a/B",
        "a\nb",
        "a\"",
        "a/..",
        "a/b..c",
        "a/b___c",
        "-a",
        "a/-b",
        "a.b#",
        "a/b\\c",
        "[::1",
        "é.example"
      })
  void everythingElseIsRefused(String text) {
    assertThatThrownBy(() -> Location.parse(text, "x")).isInstanceOf(InvalidSpecException.class);
  }

  @Test
  void anImageIsSplitAsARuntimeDoes() {
    assertThat(ImageName.parse("docker.io/busybox", "x"))
        .isEqualTo(new ImageName("docker.io/library/busybox", "latest", null));
    ImageName both = ImageName.parse("r.example:5000/a/b:1@sha256:" + "0".repeat(64), "x");
    assertThat(both.registry()).isEqualTo("r.example:5000");
    assertThat(both.repository()).isEqualTo("a/b");
    assertThat(both.reference()).startsWith("sha256:");
  }

  @Test
  void mountsNeverLetAnAgentWriteWhatConfiguresTheRuntime() {
    assertThat(HostMount.of(java.util.List.of(Runtime.values())))
        .filteredOn(mount -> !mount.readOnly())
        .allMatch(mount -> mount.path().endsWith(".d") || mount.path().equals(HostMount.STATE));
  }
}
