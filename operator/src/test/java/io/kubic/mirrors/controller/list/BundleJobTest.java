package io.kubic.mirrors.controller.list;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.OwnerReference;
import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import io.kubic.mirrors.controller.support.Settings;
import java.time.Instant;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class BundleJobTest {
  private static MirrorList list(String spec) {
    return ResourceFile.read(
            "{apiVersion: mirrors.kubic.io/v1alpha1, kind: MirrorList, metadata: {name: kubic,"
                + " namespace: mirror-system}, spec: "
                + spec
                + "}",
            "list.yaml",
            MirrorList.class)
        .getFirst();
  }

  private static Job job(String spec, String target) {
    MirrorList list = list(spec);
    OwnerReference owner = new OwnerReference();
    owner.setUid("uid");
    owner.setName("kubic");
    ListModel model =
        new ListModel(
            "mirror-system",
            "kubic",
            list.getSpec(),
            new Settings(
                "operator:1", "registry:3", "mirror-agents", "cluster.local", List.of(), Set.of()),
            owner,
            target,
            target.isEmpty() ? "" : "push",
            target.isEmpty() ? "" : "trust",
            "");
    return ListResources.job(model, new Trigger(Instant.EPOCH, "new", "key"), "hash", "", false);
  }

  private static List<String> arguments(Job job) {
    return container(job).getArgs();
  }

  private static Container container(Job job) {
    return job.getSpec().getTemplate().getSpec().getContainers().getFirst();
  }

  @Test
  void anExportWritesIntoADirectoryOfItsOwnAndSeesNoRegistryCredentials() {
    Job job =
        job(
            "{sources: [{registry: r.example, images: [a]}], export: {target:"
                + " {persistentVolumeClaim: {claimName: disk, path: bundles}}, mode: Delta,"
                + " baseReceiptRef: {name: receipt}, volumeSize: 3900Mi, signingKeySecretRef:"
                + " {name: key}, include: {operatorImages: true, nodeConfig: {registry:"
                + " 'm.example:5000', caBundleRef: {name: ca}}}}}",
            "");
    assertThat(arguments(job))
        .startsWith("export")
        .containsSequence("--to", "/bundle/bundles/" + job.getMetadata().getName())
        .containsSequence("--sign-key", "/etc/mirror/key/tls.key")
        .containsSequence("--base", "/etc/mirror/base/receipt.json")
        .containsSequence("--volume-size", "3900Mi")
        .containsSequence("--include-operator", "operator:1", "--registry-image", "registry:3")
        .containsSequence("--include-nodes", "m.example:5000")
        .containsSequence("--nodes-ca", "/etc/mirror/nodes-ca/ca.crt")
        .containsSequence("--termination-log", "/dev/termination-log")
        .doesNotContain("--authfile");
    assertThat(job.getSpec().getTemplate().getSpec().getVolumes())
        .extracting(Volume::getName)
        .contains("bundle", "key", "base", "list", "sources")
        .doesNotContain("push", "trust");
  }

  @Test
  void anImportReadsTheBundleOnlyAndPushesToTheRegistry() {
    Job job =
        job(
            "{registryRef: {name: mirror}, prune: {mode: Delete}, import: {source: {hostPath:"
                + " {path: /media/disk}}, verification: {mode: Require, publicKeySecretRef: {name:"
                + " key, key: export.pub}}, allowReplay: true}}",
            "10.0.0.1:5000");
    assertThat(arguments(job))
        .startsWith("import", "/bundle", "--to", "10.0.0.1:5000")
        .containsSequence("--verify-key", "/etc/mirror/key/export.pub")
        .containsSequence("--authfile", "/etc/mirror/push/.dockerconfigjson")
        .contains("--allow-replay", "--prune")
        .doesNotContain("--allow-partial");
    assertThat(
            container(job).getVolumeMounts().stream()
                .filter(mount -> mount.getName().equals("bundle")))
        .allMatch(mount -> Boolean.TRUE.equals(mount.getReadOnly()))
        .hasSize(1);
    assertThat(
            job.getSpec().getTemplate().getSpec().getVolumes().stream()
                .filter(volume -> volume.getName().equals("bundle")))
        .allMatch(volume -> volume.getHostPath().getPath().equals("/media/disk"));
  }

  @Test
  void aBucketIsReachedWithKeysFromFilesAndNothingOfItIsMountedAsADirectory() {
    String s3 =
        "{s3: {bucket: carried, region: eu-1, endpoint: 'https://s3.example', forcePathStyle:"
            + " true, rootDirectory: a/b, credentialsSecretRef: {name: keys}, caBundleRef: {name:"
            + " authority, key: root.pem}}}";
    Job export =
        job("{sources: [{registry: r.example, images: [a]}], export: {target: " + s3 + "}}", "");
    assertThat(arguments(export))
        .containsSequence("--to", "s3://carried/a/b/" + export.getMetadata().getName())
        .containsSequence("--s3-region", "eu-1", "--s3-endpoint", "https://s3.example")
        .containsSequence("--s3-path-style", "--s3-credentials", "/etc/mirror/bucket")
        .containsSequence("--s3-ca", "/etc/mirror/bucket-ca/root.pem");
    assertThat(container(export).getEnv()).isEmpty();
    assertThat(export.getSpec().getTemplate().getSpec().getVolumes())
        .extracting(Volume::getName)
        .contains("bucket", "bucket-ca")
        .doesNotContain("bundle");
    assertThat(
            export.getSpec().getTemplate().getSpec().getVolumes().stream()
                .filter(volume -> volume.getName().equals("bucket")))
        .allMatch(volume -> volume.getSecret().getSecretName().equals("keys"))
        .hasSize(1);

    Job taken = job("{registryRef: {name: mirror}, import: {source: " + s3 + "}}", "10.0.0.1:5000");
    assertThat(arguments(taken))
        .startsWith("import", "s3://carried/a/b", "--to", "10.0.0.1:5000")
        .containsSequence("--s3-credentials", "/etc/mirror/bucket");

    Job plain =
        job(
            "{sources: [{registry: r.example, images: [a]}], export: {target: {s3: {bucket: own}}}}",
            "");
    assertThat(arguments(plain))
        .containsSequence("--to", "s3://own/" + plain.getMetadata().getName())
        .containsSequence("--s3-region", "us-east-1")
        .doesNotContain("--s3-credentials", "--s3-endpoint", "--s3-path-style", "--s3-ca");
  }

  /** Both commands would do at once what the list says is not to be done, or not yet. */
  @Test
  void whatABundleCannotHonourIsRefused() {
    for (String bundle :
        List.of(
            "import: {source: {hostPath: {path: /x}}}",
            "export: {target: {hostPath: {path: /x}}}, sources: [{registry: r.example}]")) {
      for (String field : List.of("dryRun: true", "approval: Manual")) {
        MirrorListSpec spec = list("{" + bundle + ", " + field + "}").getSpec();
        assertThatThrownBy(() -> BundleJob.check(spec))
            .isInstanceOf(InvalidSpecException.class)
            .hasMessageContaining("spec." + field.substring(0, field.indexOf(':')));
      }
      BundleJob.check(list("{" + bundle + "}").getSpec());
    }
    BundleJob.check(list("{dryRun: true, approval: Manual}").getSpec());
  }
}
