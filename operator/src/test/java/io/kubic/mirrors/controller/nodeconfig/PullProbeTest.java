package io.kubic.mirrors.controller.nodeconfig;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fabric8.kubernetes.api.model.ContainerStatusBuilder;
import io.fabric8.kubernetes.api.model.OwnerReference;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.controller.support.Settings;
import io.kubic.mirrors.node.NodeConfig;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.oci.layout.Checkpoint;
import io.kubic.mirrors.oci.layout.Disk;
import io.kubic.mirrors.oci.layout.LayoutStore;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PullProbeTest {
  private static final Instant NOW = Instant.parse("2026-01-01T00:10:00Z");
  private static final String DIGEST = "sha256:" + "a".repeat(64);
  private static final String OTHER = "sha256:" + "b".repeat(64);
  private static final ProbeImage IMAGE =
      new ProbeImage("registry.opensuse.org/mirror-operator/probe:mirror", DIGEST);

  private static Pod probe() {
    return PullProbe.pod(
        "mirror",
        "node1",
        "r",
        IMAGE,
        new Settings("op:1", "reg:3", "mirror-agents", "cluster.local", List.of(), Set.of()),
        new OwnerReference(),
        NOW);
  }

  @Test
  void itsAgeIsByTheClockThatMadeIt() {
    Pod pod =
        new PodBuilder(probe())
            .editMetadata()
            .withCreationTimestamp(NOW.minusSeconds(600).toString())
            .endMetadata()
            .build();
    assertThat(PullProbe.verdict(pod, IMAGE, NOW.plusSeconds(1)))
        .as("the API server's clock is behind")
        .isInstanceOf(PullProbe.Verdict.Pending.class);
  }

  @Test
  void itIsBoundToTheNodeMustPullAndCanDoNothing() {
    Pod pod = probe();
    assertThat(pod.getSpec().getNodeName()).isEqualTo("node1");
    assertThat(pod.getSpec().getVolumes())
        .singleElement()
        .satisfies(volume -> assertThat(volume.getDownwardAPI().getDefaultMode()).isEqualTo(0555));
    assertThat(pod.getSpec().getAutomountServiceAccountToken()).isFalse();
    assertThat(pod.getSpec().getSecurityContext().getRunAsNonRoot()).isTrue();
    assertThat(pod.getSpec().getContainers())
        .singleElement()
        .satisfies(
            container -> {
              assertThat(container.getImage()).isEqualTo(IMAGE.name());
              assertThat(container.getImagePullPolicy()).isEqualTo("Always");
              assertThat(container.getCommand())
                  .as("a file that is there and is no program")
                  .containsExactly(
                      container.getVolumeMounts().getFirst().getMountPath() + "/no-program");
              assertThat(container.getSecurityContext().getCapabilities().getDrop())
                  .containsExactly("ALL");
            });
    assertThat(pod.getMetadata().getName())
        .as("another agent, another pod")
        .isNotEqualTo(PullProbe.name("mirror", "node1", "r2"));
  }

  @Test
  void theDigestThatTheContainerWasMadeFromDecides() {
    assertThat(verdict(10, "registry.opensuse.org/mirror-operator/probe@" + DIGEST, null))
        .isInstanceOf(PullProbe.Verdict.Pulled.class);
    assertThat(verdict(10, "registry.opensuse.org/mirror-operator/probe@" + OTHER, null))
        .isInstanceOfSatisfying(
            PullProbe.Verdict.Failed.class,
            failed -> assertThat(failed.message()).contains(OTHER).contains("somebody else"));
  }

  /** containerd tells the digest of the index, CRI-O that of the manifest it took. */
  @Test
  void anIndexIsKnownByItsDigestAndByThoseOfItsPlatforms(@TempDir Path directory) {
    String child =
        "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"%s\",\"size\":7,"
                .formatted(OTHER)
            + "\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}}";
    Manifest index =
        Manifest.parse(
            "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[%s]}"
                .formatted(MediaTypes.OCI_INDEX, child)
                .getBytes(StandardCharsets.UTF_8),
            null,
            "index");
    LayoutStore mirror =
        new LayoutStore(
            "mirror", directory, directory.resolve("staging"), new Disk(Checkpoint.NONE));
    mirror.putManifest("x/app", index, "1");
    ProbeImage image =
        ProbeImage.prepare(
            NodeConfig.fromJson(
                """
                {"name": "mirror", "verify": {"mode": "Pull", "image": "x.example/app:1"},
                 "sources": [{"source": "x.example", "endpoints": [{"location": "mirror.lan/x"}]}]}
                """),
            "mirror.lan",
            mirror);
    assertThat(image.name()).isEqualTo("x.example/app:1");
    assertThat(image.is(index.digest().toString())).isTrue();
    assertThat(image.is(OTHER)).isTrue();
    assertThat(image.is(DIGEST)).isFalse();
    assertThat(new ProbeImage("x.example/app@" + DIGEST, DIGEST).is(OTHER))
        .as("by its digest it is that one or none")
        .isTrue();
  }

  @Test
  void aFailedPullIsGivenTimeAndThenBelieved() {
    assertThat(verdict(10, "", "ErrImagePull")).isInstanceOf(PullProbe.Verdict.Pending.class);
    assertThat(verdict(60, "", "ImagePullBackOff")).isInstanceOf(PullProbe.Verdict.Failed.class);
    assertThat(verdict(60, "", "ContainerCreating")).isInstanceOf(PullProbe.Verdict.Pending.class);
    assertThat(verdict(200, "", "ContainerCreating")).isInstanceOf(PullProbe.Verdict.Failed.class);
    assertThat(PullProbe.verdict(new PodBuilder(made(200)).build(), IMAGE, NOW))
        .as("a kubelet that never looked at it")
        .isInstanceOf(PullProbe.Verdict.Failed.class);
  }

  @Test
  void anImageThatOnlyTheUserKnowsNeedsItsDigest() {
    assertThat(ProbeImage.prepare(config("x.example/a@" + DIGEST), "", null).digest())
        .isEqualTo(DIGEST);
    assertThatThrownBy(() -> ProbeImage.prepare(config("x.example/a:1"), "", null))
        .isInstanceOf(InvalidSpecException.class)
        .hasMessageContaining("spec.verify.image");
  }

  private static NodeConfig config(String image) {
    return NodeConfig.fromJson(
        "{\"name\": \"mirror\", \"verify\": {\"mode\": \"Pull\", \"image\": \"%s\"}}"
            .formatted(image));
  }

  private static PullProbe.Verdict verdict(int age, String imageId, String waiting) {
    ContainerStatusBuilder container =
        new ContainerStatusBuilder().withImage(IMAGE.name()).withImageID(imageId);
    if (waiting != null) {
      container.withNewState().withNewWaiting("no", waiting).endState();
    }
    return PullProbe.verdict(
        new PodBuilder(made(age))
            .withNewStatus()
            .withContainerStatuses(container.build())
            .endStatus()
            .build(),
        IMAGE,
        NOW);
  }

  private static Pod made(int age) {
    return new PodBuilder()
        .withNewMetadata()
        .withCreationTimestamp(NOW.minusSeconds(age).toString())
        .endMetadata()
        .build();
  }
}
