package io.kubic.mirrors.controller.list;

import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.api.model.VolumeMount;
import io.kubic.mirrors.api.v1alpha1.BundlePlace;
import io.kubic.mirrors.api.v1alpha1.KeyRef;
import io.kubic.mirrors.api.v1alpha1.LocalRef;
import io.kubic.mirrors.controller.support.Pods;
import java.util.ArrayList;
import java.util.List;

/** What a Job needs to reach a bucket: flags, and the keys and CA certificates as files. */
final class BucketPlace {
  private static final String KEYS = "/etc/mirror/bucket";
  private static final String CA = "/etc/mirror/bucket-ca";

  private final BundlePlace.S3 s3;

  BucketPlace(BundlePlace.S3 s3) {
    this.s3 = s3;
  }

  /** {@code s3://bucket[/prefix]}. */
  String url() {
    String root = s3.rootDirectory();
    return "s3://" + s3.bucket() + (root == null || root.isEmpty() ? "" : "/" + root);
  }

  List<String> arguments() {
    List<String> arguments = new ArrayList<>(List.of("--s3-region", s3.region()));
    String endpoint = s3.endpoint();
    if (endpoint != null) {
      arguments.addAll(List.of("--s3-endpoint", endpoint));
    }
    if (s3.forcePathStyle()) {
      arguments.add("--s3-path-style");
    }
    if (s3.credentialsSecretRef() != null) {
      arguments.addAll(List.of("--s3-credentials", KEYS));
    }
    KeyRef ca = s3.caBundleRef();
    if (ca != null) {
      arguments.addAll(List.of("--s3-ca", CA + "/" + ca.keyOr("ca.crt")));
    }
    return arguments;
  }

  List<VolumeMount> mounts() {
    List<VolumeMount> mounts = new ArrayList<>();
    if (s3.credentialsSecretRef() != null) {
      mounts.add(Pods.readOnly("bucket", KEYS));
    }
    if (s3.caBundleRef() != null) {
      mounts.add(Pods.readOnly("bucket-ca", CA));
    }
    return mounts;
  }

  List<Volume> volumes() {
    List<Volume> volumes = new ArrayList<>();
    LocalRef keys = s3.credentialsSecretRef();
    if (keys != null) {
      volumes.add(Pods.secret("bucket", keys.name()));
    }
    KeyRef ca = s3.caBundleRef();
    if (ca != null) {
      volumes.add(Pods.configMap("bucket-ca", ca.name()));
    }
    return volumes;
  }
}
