package io.kubic.mirrors.node.render;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.node.ImageName;
import io.kubic.mirrors.node.NodeConfig;
import io.kubic.mirrors.node.rules.Attempt;
import io.kubic.mirrors.node.rules.HostsToml;
import io.kubic.mirrors.node.rules.RegistriesConf;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.tomlj.Toml;
import org.tomlj.TomlParseResult;

/** Rewrite the golden files with {@code -Dmirror.golden=write}. */
class RenderTest {
  private static final Path GOLDEN = Path.of("src/test/resources/node");
  private static final NodeConfig CONFIG =
      NodeConfig.fromJson(
          """
          {"name": "default",
           "sources": [
             {"source": "registry.opensuse.org",
              "endpoints": [{"location": "10.96.1.2:5000/registry.opensuse.org"}]},
             {"source": "quay.example:8443", "policy": "NeverContactSource",
              "endpoints": [{"location": "m.lan:5000/quay.example_8443", "pull": "DigestOnly"},
                            {"location": "n.lan/q", "insecure": true}]},
             {"source": "docker.io/library", "endpoints": [{"location": "m.lan:5000/hub"}]},
             {"source": "*.corp.example", "endpoints": [{"location": "m.lan:5000/corp"}]}],
           "blocked": ["evil.example"],
           "unqualifiedSearchRegistries": ["docker.io"],
           "shortNameMode": "enforcing"}""");

  @Test
  void containerdAsItWas() throws Exception {
    golden("containerd.txt", Containerd.render(CONFIG, "/etc/containerd/certs.d", Map.of()));
  }

  @Test
  void theContainersLibraryAsItWas() throws Exception {
    golden("containers.txt", Containers.render(CONFIG, "/etc/containers"));
  }

  @Test
  void talosReadsWhatWasMeant() throws Exception {
    Rendering rendering = Talos.render(CONFIG);
    List<Object> documents = new ArrayList<>();
    new Load(LoadSettings.builder().build())
        .loadAllFromString(rendering.files().getFirst().content())
        .forEach(documents::add);
    assertThat(documents)
        .containsExactly(
            Map.of(
                "apiVersion", "v1alpha1",
                "kind", "RegistryMirrorConfig",
                "name", "quay.example:8443",
                "endpoints", List.of(Map.of("url", "https://n.lan/v2/q", "overridePath", true)),
                "skipFallback", true),
            Map.of(
                "apiVersion", "v1alpha1",
                "kind", "RegistryMirrorConfig",
                "name", "registry.opensuse.org",
                "endpoints",
                    List.of(
                        Map.of(
                            "url",
                            "https://10.96.1.2:5000/v2/registry.opensuse.org",
                            "overridePath",
                            true))),
            Map.of(
                "apiVersion", "v1alpha1",
                "kind", "RegistryMirrorConfig",
                "name", "evil.example",
                "endpoints", List.of(),
                "skipFallback", true),
            Map.of(
                "apiVersion", "v1alpha1",
                "kind", "RegistryTLSConfig",
                "name", "n.lan",
                "insecureSkipVerify", true));
    assertThat(rendering.notes())
        .extracting(Note::source)
        .containsExactly("*.corp.example", "docker.io/library", "quay.example:8443");
  }

  @Test
  void bottlerocketReadsWhatWasMeantAndIsNotSaidToForbidAnything() {
    Rendering rendering = Bottlerocket.render(CONFIG);
    TomlParseResult toml = Toml.parse(rendering.files().getFirst().content());
    assertThat(toml.errors()).isEmpty();
    assertThat(toml.getArray("settings.container-registry.mirrors").size()).isEqualTo(1);
    assertThat(toml.getArray("settings.container-registry.mirrors").getTable(0).toMap().toString())
        .contains("registry.opensuse.org");
    assertThat(rendering.notes())
        .filteredOn(Note::forbidden)
        .extracting(Note::source)
        .containsExactly("quay.example:8443", "evil.example");
  }

  @Test
  void theFormOfTheHowToAsksTheMirrorAlone() throws Exception {
    Rendering rendering = Containers.rewrite(CONFIG, "/etc/containers");
    RegistriesConf conf = RegistriesConf.parse(rendering.files().getLast().content(), "f");
    assertThat(conf.attempts(ImageName.parse("registry.opensuse.org/kubic/x:1", "i")))
        .extracting(Attempt::toString)
        .containsExactly("10.96.1.2:5000/registry.opensuse.org/kubic/x:1");
    assertThat(rendering.notes())
        .extracting(Note::source)
        .containsExactly("*.corp.example", "quay.example:8443");
  }

  @Test
  void anIpv6MirrorIsKeptFromTheLibraryWhichWouldRefuseEveryPull() throws Exception {
    NodeConfig config =
        NodeConfig.fromJson(
            """
            {"name": "six",
             "sources": [
               {"source": "a.example", "endpoints": [{"location": "[fd00::2]:5000/a.example"},
                                                     {"location": "m.lan:5000/a"}]},
               {"source": "b.example", "endpoints": [{"location": "[fd00::2]:5000/b.example"}]},
               {"source": "c.example", "policy": "NeverContactSource",
                "endpoints": [{"location": "[fd00::2]:5000/c.example"}]}],
             "unqualifiedSearchRegistries": ["[fd00::1]:5000", "docker.io"]}""");
    Rendering rendering = Containers.render(config, "/c");
    assertThat(rendering.notes())
        .extracting(Note::source)
        .containsExactly("[fd00::1]:5000", "a.example", "b.example", "c.example");
    RegistriesConf conf = RegistriesConf.parse(rendering.files().getFirst().content(), "f");
    assertThat(conf.search()).containsExactly("docker.io");
    assertThat(conf.attempts(ImageName.parse("a.example/x", "i")))
        .extracting(Attempt::address)
        .containsExactly("m.lan:5000/a/x:latest", "a.example/x:latest");
    assertThat(conf.attempts(ImageName.parse("b.example/x", "i")))
        .extracting(Attempt::toString)
        .containsExactly("b.example/x:latest");
    assertThat(conf.attempts(ImageName.parse("c.example/x", "i")))
        .extracting(Attempt::toString)
        .containsExactly("c.example/x:latest (blocked)");
  }

  @Test
  void whatContainerdCannotSayIsNamedAndLeftOut() {
    Rendering rendering = Containerd.render(CONFIG, "/d", Map.of());
    assertThat(rendering.notes())
        .extracting(Note::source)
        .containsExactly("*.corp.example", "docker.io/library");
    assertThat(rendering.files()).noneMatch(file -> file.path().contains("docker.io"));
  }

  @Test
  void everyRandomConfigurationMeansToTheRuntimesWhatItSays() throws Exception {
    long seed = Long.getLong("mirror.seed", System.nanoTime());
    Random random = new Random(seed);
    for (int round = 0; round < Integer.getInteger("mirror.rounds", 500); round++) {
      String json = random(random);
      NodeConfig config = NodeConfig.fromJson(json);
      for (NodeConfig.Source source : config.sources()) {
        String where = "seed " + seed + ", " + json;
        Rendering library = Containers.render(config, "/c");
        NodeFile dropIn = library.files().getLast();
        TomlParseResult other = Toml.parse(dropIn.content());
        assertThat(other.errors()).as(where).isEmpty();
        RegistriesConf conf = RegistriesConf.parse(dropIn.content(), dropIn.path());
        assertThat(other.getArray("registry").size()).as(where).isEqualTo(conf.tables().size());
        for (String reference : List.of(":1", "@sha256:" + "a".repeat(64))) {
          ImageName image = ImageName.parse(source.source() + "/x/y" + reference, "x");
          List<String> expected = new ArrayList<>();
          for (NodeConfig.Endpoint endpoint : source.endpoints()) {
            boolean digest = image.digest() != null;
            if (switch (endpoint.pull()) {
              case All -> true;
              case DigestOnly -> digest;
              case TagOnly -> !digest;
            }) {
              expected.add(endpoint.location() + "/x/y" + reference);
            }
          }
          List<Attempt> attempts = conf.attempts(image);
          assertThat(attempts.subList(0, attempts.size() - 1))
              .as(where)
              .extracting(Attempt::address)
              .isEqualTo(expected);
          assertThat(attempts.getLast().blocked()).as(where).isEqualTo(source.never());
          assertThat(attempts.subList(0, attempts.size() - 1)).noneMatch(Attempt::blocked);
        }
        for (NodeFile file : Containerd.render(config, "/d", Map.of()).files()) {
          assertThat(Toml.parse(file.content()).errors()).as(where).isEmpty();
          if (file.path().equals("/d/" + source.source() + "/hosts.toml")) {
            List<Attempt> attempts =
                HostsToml.parse(file.content(), file.path())
                    .attempts(ImageName.parse(source.source() + "/x:1", "x"));
            assertThat(
                    attempts.stream().anyMatch(a -> a.address().contains("//" + source.source())))
                .as(where)
                .isEqualTo(!source.never());
          }
        }
      }
    }
  }

  private static String random(Random random) {
    List<String> sources = new ArrayList<>();
    for (int i = 0; i <= random.nextInt(4); i++) {
      List<String> endpoints = new ArrayList<>();
      for (int j = 0; j <= random.nextInt(3); j++) {
        endpoints.add(
            "{\"location\":\"m%d.lan%s%s\",\"pull\":\"%s\",\"insecure\":%s}"
                .formatted(
                    j,
                    random.nextBoolean() ? ":5000" : "",
                    random.nextBoolean() ? "/p/s" + i : "",
                    List.of("All", "DigestOnly", "TagOnly").get(random.nextInt(3)),
                    random.nextBoolean()));
      }
      sources.add(
          "{\"source\":\"s%d.example%s\",\"policy\":\"%s\",\"endpoints\":[%s]}"
              .formatted(
                  i,
                  random.nextInt(3) == 0 ? ":8443" : "",
                  random.nextBoolean() ? "AllowContactingSource" : "NeverContactSource",
                  String.join(",", endpoints)));
    }
    return "{\"name\":\"r\",\"sources\":[" + String.join(",", sources) + "]}";
  }

  private static void golden(String name, Rendering rendering) throws Exception {
    StringBuilder text = new StringBuilder();
    rendering
        .files()
        .forEach(
            f ->
                text.append("==> ")
                    .append(f.path())
                    .append(" <==\n")
                    .append(f.content())
                    .append('\n'));
    rendering.notes().forEach(n -> text.append(n).append('\n'));
    if ("write".equals(System.getProperty("mirror.golden"))) {
      Files.writeString(GOLDEN.resolve(name), text);
    }
    assertThat(text.toString()).isEqualTo(Files.readString(GOLDEN.resolve(name)));
  }
}
