package io.kubic.mirrors.controller.registry;

import com.fasterxml.jackson.databind.JsonNode;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistryStatus;
import io.kubic.mirrors.pki.CertificateBundle;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** What can be seen of a registry from outside. */
public interface RegistryProbe {
  /** What came of a probe. */
  sealed interface Outcome {}

  /** The registry answered as it should. */
  record Healthy() implements Outcome {}

  /**
   * It did not.
   *
   * @param reason a word from the closed list of reasons
   */
  record Unhealthy(String reason, String message) implements Outcome {}

  /**
   * What a gateway has in force.
   *
   * @param users the state of its users' files
   * @param storage what it sees of the registry's volume; null where there is none
   * @param frozen whether it holds writes back
   * @param inFlight writes that have not ended
   */
  record PodState(String users, @Nullable Volume storage, boolean frozen, int inFlight) {
    static PodState parse(JsonNode json) {
      JsonNode storage = json.path("storage");
      return new PodState(
          json.path("users").asText(),
          storage.has("capacityBytes")
              ? new Volume(
                  storage.path("capacityBytes").asLong(),
                  storage.path("usedBytes").asLong(),
                  storage.path("content").asBoolean())
              : null,
          json.path("frozen").asBoolean(),
          json.path("inFlight").asInt());
    }
  }

  /**
   * The volume of a registry, as its filesystem tells.
   *
   * @param content whether anything was ever pushed to what is mounted now
   */
  record Volume(long capacityBytes, long usedBytes, boolean content) {}

  /**
   * Asks what a node would ask first.
   *
   * @param authority {@code host:port}
   * @param trust the roots that are published
   */
  Outcome check(String authority, CertificateBundle trust);

  /**
   * The server certificates that are shown now on the sockets of pods; those that do not answer are
   * left out.
   *
   * @param authorities {@code address:port} of each pod
   */
  List<X509Certificate> served(List<String> authorities, CertificateBundle trust);

  /**
   * What a gateway has in force; empty when it does not answer.
   *
   * @param admin {@code address:port} of its admin port
   */
  Optional<PodState> state(String admin);

  /**
   * How much a registry keeps in files.
   *
   * @param bytes of all blobs, each counted once
   */
  record Stored(long repositories, long tags, long bytes) {
    static Stored parse(JsonNode json) {
      return new Stored(
          json.path("repositories").asLong(),
          json.path("tags").asLong(),
          json.path("bytes").asLong());
    }
  }

  /**
   * Has a gateway count what its registry keeps; empty when it does not answer or sees no files.
   *
   * @param admin {@code address:port} of its admin port
   */
  Optional<Stored> stored(String admin);

  /**
   * A registry that is not ours, and how it is reached.
   *
   * @param authority {@code host[:port]}
   * @param caPem its root
   * @param dockerConfig credentials in Docker's form; empty for none
   */
  record External(String authority, String caPem, String dockerConfig) {
    @Override
    public String toString() {
      return authority;
    }
  }

  /** Asks such a registry whether it is one, and lets us in. */
  Outcome ping(External external);

  /**
   * Finds out what such a registry can do.
   *
   * @param writes whether something may be pushed to its repository {@code mirror-operator/probe}
   */
  MirrorRegistryStatus.Capabilities survey(External external, boolean writes);
}
