package io.kubic.mirrors.oci.registry;

import io.kubic.mirrors.oci.BlobContent;
import io.kubic.mirrors.oci.BlobVerifier;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Digest;
import io.kubic.mirrors.oci.ImageStore.BlobWrite;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.util.Optional;
import java.util.OptionalLong;
import okhttp3.HttpUrl;
import org.jspecify.annotations.Nullable;

/**
 * Makes blobs exist: asks and starts in one request, mounts, sends, and goes on from where the
 * target got to (OCI distribution specification, "Pushing blobs").
 */
final class Uploads {
  /** From here on a question saves more than it costs. */
  private static final long WORTH_ASKING = 1 << 20;

  private final Wire wire;
  private final SizeOf size;
  private volatile SelfMount selfMount = SelfMount.UNKNOWN;
  private volatile @Nullable Known known;

  /** A blob that is there, since it was sent before. */
  private record Known(String repository, Descriptor blob) {}

  /** The size of a blob that is there. */
  @FunctionalInterface
  interface SizeOf {
    OptionalLong of(String repository, Digest digest);
  }

  /** Whether mounting a blob from its own repository tells that it is there. */
  private enum SelfMount {
    UNKNOWN,
    WORKS,
    REFUSED
  }

  Uploads(Wire wire, SizeOf size) {
    this.wire = wire;
    this.size = size;
  }

  BlobWrite put(
      String repository, Descriptor blob, @Nullable String mountFrom, BlobContent content) {
    String object = wire.object(repository, blob.digest().toString());
    boolean asked = false;
    if (mountFrom == null && selfMount == SelfMount.REFUSED) {
      asked = true;
      if (size.of(repository, blob.digest()).isPresent()) {
        return BlobWrite.PRESENT;
      }
    }
    Optional<HttpUrl> session = start(repository, blob, mountFrom == null ? repository : mountFrom);
    if (session.isEmpty()) {
      if (mountFrom == null) {
        selfMount = SelfMount.WORKS;
      }
      return mountFrom == null ? BlobWrite.PRESENT : BlobWrite.MOUNTED;
    }
    HttpUrl location = session.get();
    // A mount from elsewhere that was not granted says nothing of this repository.
    boolean untold = mountFrom != null || !doesSelfMountWork();
    if (!asked && untold && blob.size() >= WORTH_ASKING) {
      if (size.of(repository, blob.digest()).isPresent()) {
        if (mountFrom == null) {
          // It is there although mounting it from its own repository was not granted.
          selfMount = SelfMount.REFUSED;
        }
        cancel(repository, location, object);
        return BlobWrite.PRESENT;
      }
    }
    write(repository, blob, location, content, object);
    if (known == null) {
      known = new Known(repository, blob);
    }
    return BlobWrite.WRITTEN;
  }

  /**
   * Whether a refused mount from a blob's own repository tells that it is not there. What has been
   * sent before answers that once and for all; a question for every large blob would be the other
   * way.
   */
  private boolean doesSelfMountWork() {
    Known sent = known;
    if (selfMount == SelfMount.UNKNOWN && sent != null) {
      Optional<HttpUrl> session = start(sent.repository(), sent.blob(), sent.repository());
      if (session.isEmpty()) {
        selfMount = SelfMount.WORKS;
      } else {
        selfMount = SelfMount.REFUSED;
        cancel(sent.repository(), session.get(), sent.blob().digest().toString());
      }
    }
    return selfMount == SelfMount.WORKS;
  }

  /** Mounts a blob or starts an upload; empty when the blob is now there. */
  private Optional<HttpUrl> start(String repository, Descriptor blob, String from) {
    String object = wire.object(repository, blob.digest().toString());
    Ask ask =
        new Ask("POST", Wire.path(repository, "blobs/uploads/"), object)
            .query("mount", blob.digest().toString())
            .query("from", from)
            .scope(repository, wire.scope(repository))
            .body(Wire.NOTHING);
    if (!from.equals(repository)) {
      ask.scope(repository, "repository:" + from + ":pull");
    }
    return wire.retrying(
        object,
        () -> {
          try (Answer answer = wire.send(ask)) {
            if (answer.status() == 201) {
              return Optional.empty();
            }
            wire.expect(answer, object, true, 202);
            return Optional.of(location(answer, object));
          }
        });
  }

  private HttpUrl location(Answer answer, String object) {
    HttpUrl location =
        answer.header("Location").map(text -> answer.url().resolve(text)).orElse(null);
    if (location == null
        || !location.username().isEmpty()
        || !location.isHttps() && answer.url().isHttps()) {
      throw new RegistryException(
          Reason.MalformedResponse, object, "the registry named no usable place for the upload");
    }
    return location;
  }

  private void cancel(String repository, HttpUrl location, String object) {
    Ask ask = new Ask("DELETE", location, object).scope(repository, wire.scope(repository));
    try (Answer answer = wire.send(ask)) {
      // 204, or the registry purges the session some day.
      var _ = answer.status();
    } catch (RegistryException e) {
      if (e.reason() == Reason.Cancelled) {
        throw e;
      }
    }
  }

  private void write(
      String repository, Descriptor blob, HttpUrl session, BlobContent content, String object) {
    BlobVerifier verifier = new BlobVerifier(blob, object);
    HttpUrl location = session;
    long offset = 0;
    long best = 0;
    int attempt = 0;
    boolean renewed = false;
    while (true) {
      UploadBody body = new UploadBody(blob, offset, content, verifier);
      try {
        if (offset == 0) {
          commit(repository, location, blob, body, object);
        } else {
          HttpUrl rest = append(repository, location, blob, offset, body, object);
          commit(repository, rest, blob, null, object);
        }
        return;
      } catch (RegistryException e) {
        boolean renew = e.reason() == Reason.Unauthorized && body.failure() == null && !renewed;
        renewed |= renew;
        if (body.failure() != null || !renew && !e.isRetryable()) {
          cancel(repository, location, object);
          throw body.failure() != null ? body.failure() : e;
        }
        // Only what the target kept is progress, and only if it is worth a request.
        if (!renew) {
          attempt = offset - best >= BlobStream.PROGRESS ? 1 : attempt + 1;
        }
        best = Math.max(best, offset);
        if (!renew && !wire.mayRetry(e, attempt)) {
          cancel(repository, location, object);
          throw e.withAttempts(attempt);
        }
        // Most breaks are those of one connection: the first is mended at once.
        if (!renew && (attempt > 1 || e.reason() != Reason.ConnectionFailed)) {
          wire.rest(wire.backoff(e, attempt), object);
        }
        if (size.of(repository, blob.digest()).isPresent()) {
          return; // Only the answer was lost.
        }
        Progress progress = progress(repository, location, object);
        if (progress == null) {
          Optional<HttpUrl> fresh = start(repository, blob, repository);
          if (fresh.isEmpty()) {
            return;
          }
          location = fresh.get();
          offset = 0;
        } else {
          location = progress.location();
          offset = progress.offset();
          if (offset > verifier.passed()) {
            cancel(repository, location, object);
            throw new RegistryException(
                Reason.MalformedResponse, object, "the target claims more bytes than it got");
          }
        }
      }
    }
  }

  private record Progress(HttpUrl location, long offset) {}

  /**
   * How far an upload got; null when the registry has forgotten it, or does not tell that of any
   * upload: then all is sent anew.
   */
  private @Nullable Progress progress(String repository, HttpUrl location, String object) {
    Ask ask = new Ask("GET", location, object).scope(repository, wire.scope(repository));
    return wire.retrying(
            object,
            () -> {
              try (Answer answer = wire.send(ask)) {
                switch (answer.status()) {
                  case 400, 404, 405, 410, 501 -> {
                    return Optional.<Progress>empty();
                  }
                  default -> wire.expect(answer, object, true, 204, 202, 200);
                }
                String range = answer.header("Range").orElse("");
                String last = range.substring(range.lastIndexOf('-') + 1);
                long end = Wire.number(Optional.of(last)).orElse(0);
                // "0-0" is nothing or one byte: nobody can tell, so nothing.
                return Optional.of(
                    new Progress(
                        answer.header("Location").isPresent() ? location(answer, object) : location,
                        end == 0 ? 0 : end + 1));
              }
            })
        .orElse(null);
  }

  private HttpUrl append(
      String repository,
      HttpUrl location,
      Descriptor blob,
      long offset,
      UploadBody body,
      String object) {
    if (offset == blob.size()) {
      return location;
    }
    Ask ask =
        new Ask("PATCH", location, object)
            .header("Content-Range", offset + "-" + (blob.size() - 1))
            .scope(repository, wire.scope(repository))
            .body(body)
            .bulk();
    try (Answer answer = wire.send(ask)) {
      wire.expect(answer, object, true, 202, 204);
      return location(answer, object);
    }
  }

  private void commit(
      String repository,
      HttpUrl location,
      Descriptor blob,
      @Nullable UploadBody body,
      String object) {
    HttpUrl url =
        location.newBuilder().setQueryParameter("digest", blob.digest().toString()).build();
    Ask ask =
        new Ask("PUT", url, object)
            .scope(repository, wire.scope(repository))
            .body(body == null ? Wire.NOTHING : body)
            .bulk();
    try (Answer answer = wire.send(ask)) {
      wire.expect(answer, object, true, 201, 204);
      Optional<Digest> told = answer.header("Docker-Content-Digest").flatMap(Digest::tryParse);
      if (told.isPresent()
          && told.get().algorithm() == blob.digest().algorithm()
          && !told.get().equals(blob.digest())) {
        throw new RegistryException(
            Reason.DigestMismatch, object, "the target stored it as " + told.get());
      }
    }
  }
}
