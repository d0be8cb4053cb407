package io.kubic.mirrors.oci.registry;

import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.ImageStore.BlobWrite;
import io.kubic.mirrors.oci.Listing;
import io.kubic.mirrors.oci.Manifest;
import io.kubic.mirrors.oci.MediaTypes;
import io.kubic.mirrors.oci.Quota;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Repository;
import io.kubic.mirrors.oci.Shown;
import io.kubic.mirrors.oci.Tag;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import okhttp3.HttpUrl;
import okhttp3.MediaType;
import okhttp3.RequestBody;
import org.jspecify.annotations.Nullable;

/**
 * One remote registry: OCI distribution specification 1.1. Safe for many threads. Every method
 * blocks, keeps within the connection's limits, tries transient failures again, and throws a {@link
 * RegistryException} with a reason otherwise. Made by {@link Transport#connect}.
 */
public final class RegistryClient implements ImageStore {
  private static final int MAX_REFERRERS = 10_000;
  private static final Descriptor UNTOLD = new Descriptor("", Digest.of(new byte[0]), 0);

  private final Connection connection;
  private final Wire wire;
  private final Pages pages;
  private final Uploads uploads;

  RegistryClient(Connection connection, Transport transport) {
    this.connection = connection;
    this.wire = new Wire(connection, transport);
    this.pages = new Pages(wire);
    this.uploads = new Uploads(wire, this::blobSize);
  }

  @Override
  public String name() {
    return connection.registry();
  }

  /** How this registry is reached. */
  public Connection connection() {
    return connection;
  }

  /** How many HTTP requests were sent so far, repetitions and token requests included. */
  public long requests() {
    return wire.requests();
  }

  @Override
  public boolean isMetered() {
    return quotaRemaining().isPresent();
  }

  /** What is left of the registry's quota of pulls, as it said last. */
  public OptionalInt quotaRemaining() {
    return wire.gate().remaining();
  }

  /**
   * What the registry told of its limits so far, to all clients of this process; empty when it told
   * nothing.
   */
  public Optional<Quota> quota() {
    return wire.gate().quota();
  }

  /**
   * Makes sure that the registry answers, speaks the protocol, and takes the credentials that there
   * are for it, without asking for any repository. A 401 is fine as long as there are none: it may
   * still let anybody pull.
   */
  public void ping() {
    wire.retrying(
        name(),
        () -> {
          Ask ask = new Ask("GET", "v2/", name());
          boolean anonymous = connection.credentials().find(name(), "").isEmpty();
          try (Answer answer = wire.send(anonymous ? ask.anonymousIsFine() : ask)) {
            if (answer.status() != 200 && !(anonymous && answer.status() == 401)) {
              throw wire.refusal(answer, name(), false);
            }
            return true;
          }
        });
  }

  /**
   * All repositories, in the registry's order.
   *
   * @throws RegistryException DiscoveryUnsupported when the registry has no catalog
   */
  public Listing catalog() {
    try {
      return pages.list(
          "v2/_catalog", "registry:catalog:*", "", "repositories", Repository::isPath);
    } catch (RegistryException e) {
      throw switch (e.reason()) {
        case NotFound, MalformedResponse ->
            e.problem().contains("answered")
                ? new RegistryException(
                    Reason.DiscoveryUnsupported,
                    name(),
                    "has no catalog; name its repositories under images (" + e.problem() + ")")
                : e;
        case Unauthorized, Forbidden ->
            new RegistryException(
                e.reason(),
                name(),
                "does not let us list its catalog; give credentials, or name the repositories under"
                    + " images ("
                    + e.problem()
                    + ")");
        default -> e;
      };
    }
  }

  @Override
  public Listing tags(String repository) {
    return pages.list(
        Wire.path(repository, "tags/list"),
        Wire.pull(repository),
        repository,
        "tags",
        Tag::isValid);
  }

  @Override
  public Optional<Descriptor> resolve(String repository, String identifier) {
    String object = wire.object(repository, identifier);
    Ask ask =
        new Ask("HEAD", Wire.path(repository, "manifests/" + identifier), object)
            .scope(repository, wire.scope(repository))
            .accept();
    Optional<Descriptor> known =
        wire.retrying(
            object,
            () -> {
              try (Answer answer = wire.send(ask)) {
                if (answer.status() == 404) {
                  return Optional.empty();
                }
                wire.expect(answer, object, false, 200);
                String type = MediaTypes.bare(answer.header("Content-Type").orElse(""));
                Optional<Digest> digest =
                    answer.header("Docker-Content-Digest").flatMap(Digest::tryParse);
                Optional<Digest> asked = Digest.tryParse(identifier);
                // A registry may tell the digest of another algorithm than it was asked for.
                boolean other =
                    asked.isPresent()
                        && digest.isPresent()
                        && asked.get().algorithm() != digest.get().algorithm();
                if (asked.isPresent() && digest.isPresent() && !other && !asked.equals(digest)) {
                  throw new RegistryException(
                      Reason.DigestMismatch, object, "the registry calls it " + digest.get());
                }
                long size = Wire.number(answer.header("Content-Length")).orElse(-1);
                if (digest.isEmpty() || other || size < 0 || !MediaTypes.isManifest(type)) {
                  // Not enough to go by: the whole manifest tells.
                  return Optional.of(UNTOLD);
                }
                return Optional.of(new Descriptor(type, digest.get(), size));
              }
            });
    if (known.isPresent() && known.get() == UNTOLD) {
      return Optional.of(manifest(repository, identifier).descriptor());
    }
    return known;
  }

  @Override
  public Manifest manifest(String repository, String identifier) {
    String object = wire.object(repository, identifier);
    Ask ask =
        new Ask("GET", Wire.path(repository, "manifests/" + identifier), object)
            .scope(repository, wire.scope(repository))
            .accept();
    Optional<Digest> wanted = Digest.tryParse(identifier);
    return wire.retrying(
        object,
        () -> {
          try (Answer answer = wire.gate().pull(object, () -> wire.send(ask))) {
            wire.expect(answer, object, false, 200);
            byte[] bytes = answer.bytes(Manifest.MAX_BYTES, "the manifest");
            String type = answer.header("Content-Type").orElse(null);
            if (wanted.isPresent()) {
              return Manifest.parse(bytes, type, object, wanted.get());
            }
            Manifest manifest = Manifest.parse(bytes, type, object);
            Optional<String> told = answer.header("Docker-Content-Digest");
            if (told.isPresent()
                && !Digest.tryParse(told.get()).map(d -> d.same(bytes).equals(d)).orElse(false)) {
              throw new RegistryException(
                  Reason.DigestMismatch,
                  object,
                  "the registry calls it "
                      + Shown.of(told.get())
                      + " but sent "
                      + manifest.digest());
            }
            return manifest;
          }
        });
  }

  /** The size of a blob; empty when the repository does not have it. */
  public OptionalLong blobSize(String repository, Digest digest) {
    String object = wire.object(repository, digest.toString());
    Ask ask =
        new Ask("HEAD", Wire.path(repository, "blobs/" + digest), object)
            .scope(repository, wire.scope(repository));
    return wire.retrying(
        object,
        () -> {
          try (Answer answer = wire.send(ask)) {
            if (answer.status() == 404) {
              return OptionalLong.empty();
            }
            wire.expect(answer, object, false, 200);
            return OptionalLong.of(Wire.number(answer.header("Content-Length")).orElse(0));
          }
        });
  }

  @Override
  public boolean hasBlob(String repository, Descriptor blob) {
    return blobSize(repository, blob.digest()).isPresent();
  }

  @Override
  public InputStream blob(String repository, Descriptor blob, long offset) {
    return new BlobStream(wire, repository, blob, offset);
  }

  @Override
  public Optional<List<Descriptor>> referrers(String repository, Digest subject) {
    String object = wire.object(repository, subject.toString());
    String first = Wire.path(repository, "referrers/" + subject);
    return wire.retrying(
        object,
        () -> {
          List<Descriptor> all = new ArrayList<>();
          Set<HttpUrl> seen = new HashSet<>();
          Ask ask = new Ask("GET", first, object).scope(repository, wire.scope(repository));
          while (true) {
            try (Answer answer = wire.send(ask.header("Accept", MediaTypes.OCI_INDEX))) {
              String type = MediaTypes.bare(answer.header("Content-Type").orElse(""));
              // Who has given a page knows the API.
              if (seen.isEmpty()
                  && (answer.status() == 404
                      || answer.status() == 400
                      || answer.status() == 405
                      || answer.status() == 200 && !type.equals(MediaTypes.OCI_INDEX))) {
                return Optional.empty();
              }
              wire.expect(answer, object, false, 200);
              Manifest page =
                  Manifest.parse(
                      answer.bytes(Manifest.MAX_BYTES, "the list of referrers"), type, object);
              all.addAll(page.children());
              if (all.size() > MAX_REFERRERS) {
                throw new RegistryException(
                    Reason.TooLarge, object, "has more than " + MAX_REFERRERS + " referrers");
              }
              Optional<HttpUrl> next = Pages.next(answer, object);
              if (next.isEmpty()) {
                return Optional.of(List.copyOf(all));
              }
              Pages.advance(seen, next.get(), all.size(), object);
              ask = new Ask("GET", next.get(), object).scope(repository, wire.scope(repository));
            }
          }
        });
  }

  @Override
  public BlobWrite putBlob(
      String repository, Descriptor blob, @Nullable String mountFrom, BlobContent content) {
    return uploads.put(repository, blob, mountFrom, content);
  }

  @Override
  public void putManifest(String repository, Manifest manifest, @Nullable String tag) {
    String identifier = tag == null ? manifest.digest().toString() : tag;
    String object = wire.object(repository, identifier);
    byte[] bytes = manifest.bytes();
    MediaType type = MediaType.get(manifest.mediaType());
    Ask ask =
        new Ask("PUT", Wire.path(repository, "manifests/" + identifier), object)
            .scope(repository, wire.scope(repository))
            .body(RequestBody.create(bytes, type));
    boolean compared =
        wire.retrying(
            object,
            () -> {
              try (Answer answer = wire.send(ask)) {
                wire.expect(answer, object, true, 201, 200, 202);
                Optional<String> told = answer.header("Docker-Content-Digest");
                if (told.isPresent()
                    && !Digest.tryParse(told.get())
                        .map(d -> d.same(bytes).equals(d))
                        .orElse(false)) {
                  throw new RegistryException(
                      Reason.DigestMismatch,
                      object,
                      "the target stored it as "
                          + Shown.of(told.get())
                          + " instead of "
                          + manifest.digest());
                }
                return told.isPresent();
              }
            });
    if (!compared) {
      // It did not say what it stored.
      Optional<Digest> stored = resolve(repository, identifier).map(Descriptor::digest);
      if (!stored.equals(Optional.of(manifest.digest()))) {
        throw new RegistryException(
            Reason.DigestMismatch,
            object,
            "the target has "
                + stored.map(Digest::toString).orElse("nothing")
                + " instead of "
                + manifest.digest());
      }
    }
  }

  @Override
  public boolean delete(String repository, String identifier) {
    String object = wire.object(repository, identifier);
    Ask ask =
        new Ask("DELETE", Wire.path(repository, "manifests/" + identifier), object)
            .scope(repository, "repository:" + repository + ":delete");
    return wire.retrying(
        object,
        () -> {
          try (Answer answer = wire.send(ask)) {
            if (answer.status() == 404) {
              return false;
            }
            wire.expect(answer, object, true, 202, 200, 204);
            return true;
          }
        });
  }
}
