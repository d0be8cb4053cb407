package io.kubic.mirrors.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistry;
import io.kubic.mirrors.api.v1alpha1.NodeRegistryConfig;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import io.kubic.mirrors.bundle.Extras;
import io.kubic.mirrors.node.render.Preview;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

class FarSideTest {
  private static final String LIST =
      """
      apiVersion: mirrors.kubic.io/v1alpha1
      kind: MirrorList
      metadata: {name: kubic}
      spec:
        registryRef: {name: mirror}
        sources: [{registry: "r.example:5000", images: [a]}]
      """;

  private static Extras extras(String text, boolean signed, String... arguments) {
    FarSide side = new FarSide();
    new CommandLine(
            CommandLine.Model.CommandSpec.create()
                .addMixin("side", CommandLine.Model.CommandSpec.forAnnotatedObject(side)))
        .parseArgs(arguments);
    return side.extras(
        ResourceFile.read(text, "list.yaml", MirrorList.class).getFirst(), text, signed);
  }

  private static String made(Extras extras, String name) {
    return new String(extras.made().get(name), StandardCharsets.UTF_8);
  }

  @Test
  void aFarSideThatHasNothingGetsImagesChartValuesAndResources() throws IOException {
    Extras extras = extras(LIST, true, "--include-operator", "r.example:5000/mirror-operator:7");
    assertThat(extras.loads())
        .extracting(Object::toString)
        .containsExactly(FarSide.REGISTRY_IMAGE, "r.example:5000/mirror-operator:7");
    assertThat(made(extras, "values.yaml"))
        .contains("repository: \"r.example:5000/mirror-operator\"")
        .contains("tag: \"7\"")
        .contains("registryImage: \"docker.io/library/registry:3.1.1\"");
    byte[] chart =
        new GZIPInputStream(new ByteArrayInputStream(extras.made().get("mirror-operator.tgz")))
            .readAllBytes();
    assertThat(new String(chart, StandardCharsets.ISO_8859_1))
        .contains("mirror-operator/Chart.yaml")
        .contains("mirror-operator/templates/crds/mirrorlists.yaml");
    String resources = made(extras, "mirror.yaml");
    MirrorList list = ResourceFile.read(resources, "mirror.yaml", MirrorList.class).getFirst();
    assertThat(list.getMetadata().getName()).isEqualTo("kubic");
    assertThat(list.getSpec().importFrom().source().hostPath().path()).isEqualTo("@DIR@");
    assertThat(list.getSpec().importFrom().verification().publicKeySecretRef().name())
        .isEqualTo("kubic-export-key");
    assertThat(resources).contains("tls.pub: \"@KEY@\"");
    assertThat(ResourceFile.read(resources, "mirror.yaml", MirrorRegistry.class)).hasSize(1);
    assertThat(ResourceFile.read(resources, "mirror.yaml", NodeRegistryConfig.class)).hasSize(1);
  }

  @Test
  void theRegistryAndNodesOfTheListsFileTravelInsteadOfOnesThatAreMadeUp() {
    String text =
        LIST
            + """
            ---
            apiVersion: mirrors.kubic.io/v1alpha1
            kind: MirrorRegistry
            metadata: {name: harbour}
            spec: {replicas: 1, storage: {hostPath: {path: /srv/mirror}}}
            """;
    String resources =
        made(extras(text, false, "--include-operator", "r.example/o:1"), "mirror.yaml");
    assertThat(resources).doesNotContain("@KEY@").contains("/srv/mirror");
    assertThat(
            ResourceFile.read(resources, "mirror.yaml", MirrorList.class)
                .getFirst()
                .getSpec()
                .registryRef()
                .name())
        .isEqualTo("harbour");
  }

  @Test
  void everyRuntimeHasItsFiles() {
    Extras extras = extras(LIST, false, "--include-nodes", "mirror.example:5000");
    for (Preview runtime : Preview.values()) {
      assertThat(extras.made()).containsKey("nodes/" + runtime + ".tar");
      assertThat(made(extras, "nodes/" + runtime + ".txt")).contains("mirror.example:5000");
    }
    assertThat(made(extras, "nodes/containerd.tar"))
        .startsWith("etc/containerd/certs.d/r.example:5000/hosts.toml\0")
        .contains("https://mirror.example:5000/v2/r.example_5000");
  }
}
