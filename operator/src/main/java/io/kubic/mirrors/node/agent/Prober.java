package io.kubic.mirrors.node.agent;

import io.kubic.mirrors.node.ImageName;
import io.kubic.mirrors.node.NodeConfig.Endpoint;
import java.time.Duration;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Looks at mirrors as a runtime would. */
public interface Prober {
  /** What a look showed. */
  sealed interface Sight {
    /** It lets us in, and has what was asked for. */
    record Good() implements Sight {}

    /** No connection, no trust, no answer in time, or an error of the server. */
    record Unreachable(String message) implements Sight {}

    /** It answers, but does not serve what was asked for. */
    record Refused(String message) implements Sight {}

    /** Empty when good; else one line. */
    default Optional<String> problem() {
      return switch (this) {
        case Good _ -> Optional.empty();
        case Unreachable u -> Optional.of(u.message());
        case Refused r -> Optional.of(r.message());
      };
    }
  }

  /** Whether the registry speaks at all: TLS and an answer at {@code /v2/}. */
  Sight look(Endpoint endpoint, @Nullable String authorities);

  /**
   * TLS, token, and a manifest.
   *
   * @param image with the repository's name below the endpoint's path; null asks for entry only
   * @param login null for nobody
   */
  Sight resolve(
      Endpoint endpoint,
      @Nullable String authorities,
      @Nullable ImageName image,
      @Nullable Login login);

  /**
   * How long threads of this process were ready to run and had no CPU, all together, since it
   * started: whoever was not let run cannot say that somebody else did not answer. 0 where the
   * system does not tell.
   */
  default Duration starved() {
    return Duration.ZERO;
  }

  /**
   * How a runtime logs in.
   *
   * @param basic value of an {@code Authorization} header
   * @param direct whether it is sent to the registry itself only, as by containerd from hosts.toml,
   *     and not to a token server, as by the containers library
   */
  record Login(String basic, boolean direct) {
    @Override
    public String toString() {
      return "***";
    }
  }
}
