package io.kubic.mirrors.controller.registry;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.PodSpec;
import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class UpkeepJobTest {
  private static PodSpec pod(String spec, UpkeepTask task) {
    return job(spec, task).getSpec().getTemplate().getSpec();
  }

  private static Job job(String spec, UpkeepTask task) {
    return UpkeepJob.of(Models.of(spec), task, "key", "10.0.0.1:5000");
  }

  @Test
  void itWaitsAndOneWishMakesOneJob() {
    assertThat(job("{}", UpkeepTask.GC).getSpec().getSuspend()).isTrue();
    assertThat(job("{}", UpkeepTask.GC)).isEqualTo(job("{}", UpkeepTask.GC));
    assertThat(job("{}", UpkeepTask.GC).getMetadata().getName()).startsWith("mirror-gc-");
  }

  @Test
  void itsPodsMeetTheRestrictedProfileAndHoldNoApiCredentials() {
    for (UpkeepTask task : UpkeepTask.values()) {
      PodSpec pod = pod("{}", task);
      assertThat(pod.getAutomountServiceAccountToken()).isFalse();
      assertThat(pod.getSecurityContext().getRunAsNonRoot()).isTrue();
      assertThat(Stream.concat(pod.getContainers().stream(), pod.getInitContainers().stream()))
          .allSatisfy(
              c -> {
                assertThat(c.getSecurityContext().getAllowPrivilegeEscalation()).isFalse();
                assertThat(c.getSecurityContext().getReadOnlyRootFilesystem()).isTrue();
                assertThat(c.getSecurityContext().getCapabilities().getDrop())
                    .containsExactly("ALL");
              });
    }
  }

  @Test
  void itRunsBesideTheRegistryWhereTheVolumeIsTiedToANode() {
    assertThat(pod("{}", UpkeepTask.GC).getAffinity().getPodAffinity()).isNotNull();
    assertThat(pod("{storage: {hostPath: {path: /srv}}}", UpkeepTask.GC).getAffinity()).isNotNull();
    assertThat(
            pod("{storage: {persistentVolumeClaim: {accessMode: ReadWriteMany}}}", UpkeepTask.GC)
                .getAffinity())
        .isNull();
  }

  @Test
  void anObjectStoreNeedsNoVolume() {
    PodSpec pod = pod("{storage: {s3: {bucket: mirror}}}", UpkeepTask.GC);
    assertThat(pod.getVolumes()).extracting(Volume::getName).doesNotContain("storage");
    assertThat(pod.getContainers().getFirst().getArgs()).doesNotContain("--storage");
  }

  @Test
  void aCollectionTrustsTheBucketAsTheRegistryDoes() {
    String spec = "{storage: {s3: {bucket: mirror, caBundleRef: {name: ca}}}}";
    assertThat(pod(spec, UpkeepTask.GC).getContainers().getFirst().getEnv())
        .contains(new EnvVar("SSL_CERT_DIR", "/etc/mirror/registry", null));
  }

  @Test
  void onlyACollectionNeedsTheRegistrysProgram() {
    assertThat(pod("{}", UpkeepTask.GC).getInitContainers())
        .singleElement()
        .satisfies(c -> assertThat(c.getImage()).isEqualTo("registry:3"));
    assertThat(pod("{}", UpkeepTask.SCRUB).getInitContainers()).isEmpty();
  }

  @Test
  void theSpecsLimitsReachTheCommand() {
    assertThat(
            pod(
                    "{garbageCollection: {maxDeletePercent: 7, gracePeriod: 1h, dryRun: true}}",
                    UpkeepTask.GC)
                .getContainers()
                .getFirst()
                .getArgs())
        .containsSequence("--max-percent", "7", "--grace", "1h")
        .contains("--dry-run");
  }
}
