package io.kubic.mirrors.node.render;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.kubic.mirrors.node.ImageName;
import io.kubic.mirrors.node.NodeConfig;
import io.kubic.mirrors.node.rules.Attempt;
import io.kubic.mirrors.node.rules.HostsToml;
import io.kubic.mirrors.node.rules.InvalidFileException;
import io.kubic.mirrors.node.rules.RegistriesConf;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.tomlj.Toml;
import org.tomlj.TomlParseResult;

class RenderingTest {
  private static final String CERTS = "/etc/containerd/certs.d";
  private static final String MARKER =
      "# Managed by Mirror Operator for NodeRegistryConfig 'default' (mirrors.kubic.io);"
          + " do not edit.\n";
  private static final ImageName IMAGE =
      ImageName.parse("registry.opensuse.org/opensuse/leap:16.0", "image");

  @Test
  void containerdMayContactTheSourceAfterTheMirror() throws InvalidFileException {
    Rendering rendering = Containerd.render(config("AllowContactingSource"), CERTS, Map.of());
    assertThat(rendering.files())
        .extracting(NodeFile::path)
        .containsExactly(
            CERTS + "/10.96.1.2:5000/mirror-operator.crt",
            CERTS + "/registry.opensuse.org/hosts.toml");
    String text = rendering.files().getLast().content();
    assertThat(text)
        .isEqualTo(
            MARKER
                + """

                [host."https://10.96.1.2:5000/v2/registry.opensuse.org"]
                capabilities = ["pull", "resolve"]
                ca = "../10.96.1.2:5000/mirror-operator.crt"
                override_path = true
                dial_timeout = "2s"
                """);
    TomlParseResult toml = Toml.parse(text);
    assertThat(toml.errors()).isEmpty();
    List<String> host = List.of("host", "https://10.96.1.2:5000/v2/registry.opensuse.org");
    assertThat(Objects.requireNonNull(toml.getTable(host)).getBoolean("override_path")).isTrue();
    assertThat(HostsToml.parse(text, "hosts.toml").attempts(IMAGE))
        .extracting(Attempt::address)
        .containsExactly(
            "https://10.96.1.2:5000/v2/registry.opensuse.org/opensuse/leap",
            "https://registry.opensuse.org/v2/opensuse/leap");
  }

  @Test
  void containerdNeverContactsAForbiddenSource() throws InvalidFileException {
    Rendering rendering = Containerd.render(config("NeverContactSource"), CERTS, Map.of());
    String text = rendering.files().getLast().content();
    assertThat(Toml.parse(text).errors()).isEmpty();
    assertThat(HostsToml.parse(text, "hosts.toml").attempts(IMAGE))
        .extracting(Attempt::address)
        .containsOnly("https://10.96.1.2:5000/v2/registry.opensuse.org/opensuse/leap");
  }

  @Test
  void theContainersLibraryAsksTheMirrorFirst() throws InvalidFileException {
    Rendering rendering = Containers.render(config("NeverContactSource"), "/etc/containers");
    NodeFile dropIn = rendering.files().getLast();
    assertThat(dropIn.path())
        .isEqualTo("/etc/containers/registries.conf.d/50-mirror-operator.conf");
    assertThat(dropIn.content())
        .isEqualTo(
            MARKER
                + """

                [[registry]]
                prefix = "registry.opensuse.org"
                location = "registry.opensuse.org"
                blocked = true

                [[registry.mirror]]
                location = "10.96.1.2:5000/registry.opensuse.org"
                """);
    TomlParseResult toml = Toml.parse(dropIn.content());
    assertThat(toml.errors()).isEmpty();
    assertThat(Objects.requireNonNull(toml.getArray("registry")).size()).isEqualTo(1);
    assertThat(RegistriesConf.parse(dropIn.content(), dropIn.path()).attempts(IMAGE))
        .extracting(Attempt::toString)
        .containsExactly(
            "10.96.1.2:5000/registry.opensuse.org/opensuse/leap:16.0",
            "registry.opensuse.org/opensuse/leap:16.0 (blocked)");
  }

  @Test
  void theCaIsWrittenWithoutTextAroundIt() {
    NodeFile trust =
        Containers.render(config("AllowContactingSource"), "/etc/containers").files().getFirst();
    assertThat(trust.path())
        .isEqualTo("/etc/containers/certs.d/10.96.1.2:5000/mirror-operator.crt");
    assertThat(trust.content()).isEqualTo(MARKER + pem());
  }

  private static NodeConfig config(String policy) {
    try {
      return NodeConfig.fromJson(
          """
          {"name": "default", "sources": [
            {"source": "registry.opensuse.org", "policy": "%s",
             "endpoints": [{"location": "10.96.1.2:5000/registry.opensuse.org"}]}],
           "authorities": {"10.96.1.2:5000": %s}}
          """
              .formatted(policy, new ObjectMapper().writeValueAsString("Test CA\n" + pem())));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String pem() {
    try (InputStream in = RenderingTest.class.getResourceAsStream("ca.pem")) {
      return new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
