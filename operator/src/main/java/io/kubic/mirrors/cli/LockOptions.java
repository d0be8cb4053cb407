package io.kubic.mirrors.cli;

import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.Reference;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.registry.RegistryClient;
import io.kubic.mirrors.sync.Lock;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The lock of a list: from a file, or from an artifact in a registry. */
final class LockOptions {
  private static final int MAX_BYTES = 64 << 20;

  @Option(
      names = "--lock",
      paramLabel = "FILE",
      description =
          "Take exactly the digests of this plan (plan -o json) or report, whatever the tags say"
              + " now; in a cluster it comes from spec.lock.")
  private @Nullable Path file;

  /**
   * @param target where a lock that is an artifact of the target is read from; null without one
   * @return empty when the list is not locked
   */
  Optional<Lock> find(
      MirrorListSpec list, @Nullable RegistryClient target, ConnectionOptions open) {
    Path given = file;
    if (given != null) {
      try {
        return Optional.of(Lock.parse(Files.readString(given), given.toString()));
      } catch (IOException e) {
        throw new CommandException(
            ExitCode.USAGE, given + ": cannot be read: " + e.getClass().getSimpleName());
      }
    }
    MirrorListSpec.Lock lock = list.lock();
    if (lock == null) {
      return Optional.empty();
    }
    String image = lock.image();
    if (image == null) {
      throw new CommandException(
          ExitCode.USAGE, "the list is locked by a ConfigMap; give its content with --lock FILE");
    }
    Reference reference = ImageArgument.parse(image);
    String registry = reference.repository().registry();
    RegistryClient client =
        target != null && target.name().equals(registry) ? target : open.registry(registry);
    String repository = reference.repository().path();
    Manifest manifest = client.manifest(repository, ImageArgument.identifier(reference));
    if (!manifest.isIndex()) {
      return Optional.of(Lock.parse(read(client, reference, manifest), image));
    }
    // What the parts of one run left.
    return manifest.children().stream()
        .map(part -> client.manifest(repository, part.digest().toString()))
        .map(part -> Lock.parse(read(client, reference, part), image))
        .reduce(Lock::and);
  }

  private static String read(RegistryClient client, Reference reference, Manifest manifest) {
    String repository = reference.repository().path();
    List<Descriptor> layers =
        manifest.content() instanceof Manifest.Image image ? image.layers() : List.of();
    if (layers.size() != 1 || layers.getFirst().size() > MAX_BYTES) {
      throw new RegistryException(
          Reason.UnsupportedMediaType, reference.toString(), "is no lock: it has not one layer");
    }
    try (InputStream stream = client.blob(repository, layers.getFirst(), 0)) {
      byte[] bytes = stream.readNBytes(MAX_BYTES);
      if (!layers.getFirst().digest().same(bytes).equals(layers.getFirst().digest())) {
        throw new RegistryException(
            Reason.DigestMismatch, reference.toString(), "its layer is not what it promises");
      }
      return new String(bytes, StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new RegistryException(Reason.ConnectionFailed, reference.toString(), "broke off");
    }
  }
}
