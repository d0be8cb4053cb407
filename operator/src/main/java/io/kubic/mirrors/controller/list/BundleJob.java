package io.kubic.mirrors.controller.list;

import io.fabric8.kubernetes.api.model.Volume;
import io.fabric8.kubernetes.api.model.VolumeBuilder;
import io.fabric8.kubernetes.api.model.VolumeMount;
import io.fabric8.kubernetes.api.model.VolumeMountBuilder;
import io.kubic.mirrors.api.v1alpha1.BundleExport;
import io.kubic.mirrors.api.v1alpha1.BundleImport;
import io.kubic.mirrors.api.v1alpha1.BundlePlace;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.KeyRef;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.controller.support.Pods;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a Job needs when its list goes into a bundle or comes out of one: the command, and the
 * bundle's place, keys and base as files.
 */
final class BundleJob {
  private static final String PLACE = "/bundle";
  private static final String KEY = "/etc/mirror/key";
  private static final String BASE = "/etc/mirror/base";
  private static final String NODES = "/etc/mirror/nodes-ca";

  private BundleJob() {}

  /** Whether the list has to do with a bundle at all. */
  static boolean isOf(MirrorListSpec spec) {
    return spec.exportTo() != null || spec.importFrom() != null;
  }

  /**
   * Refuses what has no meaning where a bundle is written or taken: it would be done all the same.
   *
   * @throws InvalidSpecException for a plan that shall not be carried out, or not yet
   */
  static void check(MirrorListSpec spec) {
    if (!isOf(spec)) {
      return;
    }
    String place = spec.exportTo() != null ? "export" : "import";
    if (spec.dryRun()) {
      throw new InvalidSpecException(
          "spec.dryRun", "is for a sync; leave it out with spec." + place);
    }
    if (spec.approval() == MirrorListSpec.Approval.Manual) {
      throw new InvalidSpecException(
          "spec.approval", "Manual is for a sync; leave it out with spec." + place);
    }
  }

  /**
   * The role and what belongs to the bundle; where registries are is said by the caller.
   *
   * @param job whose directory an export makes, so that a pod that replaces another goes on there
   */
  static List<String> arguments(ListModel model, String job) {
    List<String> arguments = new ArrayList<>();
    BundleExport export = model.spec().exportTo();
    BundleImport from = model.spec().importFrom();
    if (export != null) {
      arguments.addAll(
          List.of(
              "export",
              "-f",
              "/etc/mirror/list/list.yaml",
              "--to",
              directory(export.target()) + "/" + job));
      arguments.addAll(reaching(export.target()));
      if (export.signingKeySecretRef() != null) {
        arguments.addAll(
            List.of("--sign-key", KEY + "/" + export.signingKeySecretRef().keyOr("tls.key")));
      }
      if (export.baseReceiptRef() != null) {
        arguments.addAll(
            List.of("--base", BASE + "/" + export.baseReceiptRef().keyOr("receipt.json")));
      }
      if (export.volumeSize() != null) {
        arguments.addAll(List.of("--volume-size", export.volumeSize().toString()));
      }
      if (export.allowPartial()) {
        arguments.add("--allow-partial");
      }
      if (export.include().operatorImages()) {
        arguments.addAll(
            List.of(
                "--include-operator",
                model.settings().operatorImage(),
                "--registry-image",
                model.settings().registryImage()));
      }
      BundleExport.NodeFiles nodes = export.include().nodeConfig();
      if (nodes != null) {
        arguments.addAll(List.of("--include-nodes", nodes.registry()));
        KeyRef ca = nodes.caBundleRef();
        if (ca != null) {
          arguments.addAll(List.of("--nodes-ca", NODES + "/" + ca.keyOr("ca.crt")));
        }
      }
    } else if (from != null) {
      arguments.addAll(List.of("import", directory(from.source()), "--to", model.target()));
      arguments.addAll(reaching(from.source()));
      KeyRef key = from.verification().publicKeySecretRef();
      if (key != null) {
        arguments.addAll(List.of("--verify-key", KEY + "/" + key.keyOr("tls.pub")));
      }
      if (from.allowReplay()) {
        arguments.add("--allow-replay");
      }
      if (from.allowPartial()) {
        arguments.add("--allow-partial");
      }
      if (model.spec().prune().mode() == MirrorListSpec.PruneMode.Delete) {
        arguments.add("--prune");
      }
    }
    return arguments;
  }

  private static List<String> reaching(BundlePlace place) {
    return place.s3() == null ? List.of() : new BucketPlace(place.s3()).arguments();
  }

  private static String directory(BundlePlace place) {
    if (place.s3() != null) {
      return new BucketPlace(place.s3()).url();
    }
    BundlePlace.Claim claim = place.persistentVolumeClaim();
    String path = claim == null ? null : claim.path();
    return path == null || path.isEmpty() ? PLACE : PLACE + "/" + path;
  }

  static List<VolumeMount> mounts(MirrorListSpec spec) {
    List<VolumeMount> mounts = new ArrayList<>();
    BundlePlace place = place(spec);
    if (place != null && place.s3() != null) {
      mounts.addAll(new BucketPlace(place.s3()).mounts());
    } else if (place != null) {
      mounts.add(
          new VolumeMountBuilder()
              .withName("bundle")
              .withMountPath(PLACE)
              .withReadOnly(spec.exportTo() == null ? true : null)
              .build());
    }
    if (key(spec) != null) {
      mounts.add(Pods.readOnly("key", KEY));
    }
    if (base(spec) != null) {
      mounts.add(Pods.readOnly("base", BASE));
    }
    if (nodesCa(spec) != null) {
      mounts.add(Pods.readOnly("nodes-ca", NODES));
    }
    return mounts;
  }

  static List<Volume> volumes(MirrorListSpec spec) {
    List<Volume> volumes = new ArrayList<>();
    BundlePlace place = place(spec);
    if (place != null && place.s3() != null) {
      volumes.addAll(new BucketPlace(place.s3()).volumes());
    } else if (place != null) {
      volumes.add(volume(place));
    }
    KeyRef key = key(spec);
    if (key != null) {
      volumes.add(Pods.secret("key", key.name()));
    }
    KeyRef base = base(spec);
    if (base != null) {
      volumes.add(Pods.configMap("base", base.name()));
    }
    KeyRef ca = nodesCa(spec);
    if (ca != null) {
      volumes.add(Pods.configMap("nodes-ca", ca.name()));
    }
    return volumes;
  }

  private static Volume volume(BundlePlace place) {
    VolumeBuilder volume = new VolumeBuilder().withName("bundle");
    BundlePlace.Claim claim = place.persistentVolumeClaim();
    if (claim != null) {
      return volume
          .withNewPersistentVolumeClaim()
          .withClaimName(claim.claimName())
          .endPersistentVolumeClaim()
          .build();
    }
    BundlePlace.HostPath host = place.hostPath();
    return volume
        .withNewHostPath()
        .withPath(host == null ? "" : host.path())
        .withType("Directory")
        .endHostPath()
        .build();
  }

  private static @Nullable BundlePlace place(MirrorListSpec spec) {
    BundleExport export = spec.exportTo();
    BundleImport from = spec.importFrom();
    return export != null ? export.target() : from != null ? from.source() : null;
  }

  private static @Nullable KeyRef key(MirrorListSpec spec) {
    BundleExport export = spec.exportTo();
    BundleImport from = spec.importFrom();
    return export != null
        ? export.signingKeySecretRef()
        : from != null ? from.verification().publicKeySecretRef() : null;
  }

  private static @Nullable KeyRef base(MirrorListSpec spec) {
    BundleExport export = spec.exportTo();
    return export == null ? null : export.baseReceiptRef();
  }

  private static @Nullable KeyRef nodesCa(MirrorListSpec spec) {
    BundleExport export = spec.exportTo();
    BundleExport.NodeFiles nodes = export == null ? null : export.include().nodeConfig();
    return nodes == null ? null : nodes.caBundleRef();
  }
}
