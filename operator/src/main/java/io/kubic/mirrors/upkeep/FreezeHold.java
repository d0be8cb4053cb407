package io.kubic.mirrors.upkeep;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Holds back the writes of every gateway for as long as it lives: renewed every second, so that a
 * gateway that was restarted is noticed, and ending by itself soon after this process dies.
 */
final class FreezeHold implements AutoCloseable {
  /** What is held back. */
  enum Scope {
    /** Everything but deletes: while manifests are deleted. */
    UPLOADS,
    /** Everything: while the registry is looked through, and while blobs are swept. */
    WRITES
  }

  private static final Duration LIFE = Duration.ofSeconds(60);
  private static final Duration RENEWED = Duration.ofSeconds(1);
  private static final Duration ANSWER = Duration.ofSeconds(5);

  private final ObjectMapper json = new ObjectMapper();
  private final HttpClient http;
  private final List<URI> gateways;
  private final String secret;
  private final ScheduledFuture<?> renewing;
  // A delete while the registry lists what it has would cut its list short without a word.
  private Scope scope = Scope.WRITES;
  private @Nullable String lost;
  private boolean closed;

  /**
   * Freezes, and goes on renewing.
   *
   * @param gateways admin ports, as in {@code http://10.0.0.7:5002}
   * @throws UpkeepException when one does not answer; the others are let go
   */
  FreezeHold(
      HttpClient http, List<URI> gateways, String secret, ScheduledExecutorService scheduler) {
    this.http = http;
    this.gateways = List.copyOf(gateways);
    this.secret = secret;
    try {
      for (URI gateway : gateways) {
        var _ = freeze(gateway);
      }
    } catch (UpkeepException e) {
      thaw();
      throw e;
    }
    renewing =
        scheduler.scheduleWithFixedDelay(
            this::renew, RENEWED.toMillis(), RENEWED.toMillis(), TimeUnit.MILLISECONDS);
  }

  /** From now on that is held back. */
  synchronized void hold(Scope wanted) {
    scope = wanted;
    gateways.forEach(this::freeze);
  }

  /** Writes that began before and have not ended, at all gateways. */
  int inFlight() {
    return gateways.stream()
        .mapToInt(gateway -> ask("GET", gateway, "").path("inFlight").asInt(1))
        .sum();
  }

  /**
   * Whether every gateway has been frozen all the time.
   *
   * @throws UpkeepException when not: whatever relied on it must stop
   */
  synchronized void check() {
    if (lost != null) {
      throw new UpkeepException(lost);
    }
  }

  private void renew() {
    synchronized (this) {
      if (lost != null) {
        return;
      }
    }
    for (URI gateway : gateways) {
      String problem = null;
      try {
        if (!ask("GET", gateway, "").path("frozen").asBoolean()) {
          problem = "the gateway " + gateway + " forgot the freeze; was it restarted?";
        } else {
          synchronized (this) {
            if (closed) {
              // A renewal that comes after the end would hold writes back for its whole life.
              return;
            }
            var _ = freeze(gateway);
          }
        }
      } catch (UpkeepException e) {
        problem = e.getMessage();
      }
      if (problem != null) {
        synchronized (this) {
          lost = problem;
        }
        return;
      }
    }
  }

  private JsonNode freeze(URI gateway) {
    String what = scope == Scope.UPLOADS ? "&scope=uploads" : "";
    JsonNode answer = ask("POST", gateway, "?ttl=" + LIFE.toSeconds() + "s" + what);
    if (!answer.path("frozen").asBoolean()) {
      throw new UpkeepException("the gateway " + gateway + " does not freeze");
    }
    return answer;
  }

  private JsonNode ask(String method, URI gateway, String query) {
    HttpRequest request =
        HttpRequest.newBuilder(gateway.resolve("/freeze" + query))
            .timeout(ANSWER)
            .header("Authorization", "Bearer " + secret)
            .method(method, HttpRequest.BodyPublishers.noBody())
            .build();
    try {
      HttpResponse<String> answer = http.send(request, HttpResponse.BodyHandlers.ofString());
      if (answer.statusCode() != 200) {
        throw new UpkeepException("the gateway " + gateway + " answers " + answer.statusCode());
      }
      return json.readTree(answer.body());
    } catch (IOException e) {
      throw new UpkeepException("the gateway " + gateway + " does not answer", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new UpkeepException("interrupted", e);
    }
  }

  private void thaw() {
    for (URI gateway : gateways) {
      try {
        var _ = ask("DELETE", gateway, "");
      } catch (UpkeepException e) {
        // It ends by itself.
      }
    }
  }

  /** Lets writes in again. */
  @Override
  public void close() {
    renewing.cancel(false);
    synchronized (this) {
      closed = true;
    }
    thaw();
  }
}
