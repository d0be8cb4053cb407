package io.kubic.mirrors.controller.registry;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.security.SecureRandom;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The passwords of one generated user that are good now, newest first: one, or two during an
 * overlap. A new one is accepted by every gateway before anybody is given it, and its predecessor
 * stays good until the overlap after that has passed. Immutable.
 */
record PasswordHistory(List<Password> passwords) {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** A password and when it was made. */
  record Password(String text, Instant made) {
    @Override
    public String toString() {
      return "***";
    }
  }

  /**
   * When passwords are replaced.
   *
   * @param interval how long one is used; zero: never replaced by itself
   * @param overlap how long the predecessor stays good once the new one was handed out
   * @param notBefore one made earlier is replaced (rotation on request); null: none asked
   */
  record Policy(Duration interval, Duration overlap, @Nullable Instant notBefore) {}

  PasswordHistory {
    passwords = List.copyOf(passwords);
    if (passwords.isEmpty()) {
      throw new IllegalArgumentException("a user has a password");
    }
  }

  /** A first password. */
  static PasswordHistory first(String text, Instant made) {
    return new PasswordHistory(List.of(new Password(text, made)));
  }

  Password newest() {
    return passwords.getFirst();
  }

  Password oldest() {
    return passwords.getLast();
  }

  boolean overlaps() {
    return passwords.size() > 1;
  }

  boolean holds(String text) {
    return passwords.stream().anyMatch(p -> p.text().equals(text));
  }

  /**
   * What should be good now: without the predecessor whose overlap is over, or with a successor
   * when one is due and no overlap is running; else the same. A pure function of evidence.
   *
   * @param handedOut since when the newest is what the Secrets hold; null: it is not yet
   */
  PasswordHistory advance(
      Policy policy, @Nullable Instant handedOut, Instant now, SecureRandom random) {
    if (overlaps()) {
      return handedOut != null && !now.isBefore(handedOut.plus(policy.overlap()))
          ? new PasswordHistory(List.of(newest()))
          : this;
    }
    boolean due =
        policy.interval().isPositive() && !now.isBefore(newest().made().plus(policy.interval()));
    if (!due && !RotationRequests.asks(policy.notBefore(), newest().made())) {
      return this;
    }
    List<Password> next = new ArrayList<>(passwords);
    next.addFirst(
        new Password(Credentials.randomText(random), now.truncatedTo(ChronoUnit.SECONDS)));
    return new PasswordHistory(next);
  }

  /** When {@link #advance} has something to do next, if nothing else changes. */
  Optional<Instant> due(Policy policy, @Nullable Instant handedOut) {
    if (overlaps()) {
      return handedOut == null ? Optional.empty() : Optional.of(handedOut.plus(policy.overlap()));
    }
    return policy.interval().isPositive()
        ? Optional.of(newest().made().plus(policy.interval()))
        : Optional.empty();
  }

  /**
   * When the newest is replaced, as far as it is known: at the end of an overlap that runs only
   * where somebody asked for it meanwhile.
   *
   * @param handedOut as for {@link #advance}
   */
  Optional<Instant> replaced(Policy policy, @Nullable Instant handedOut) {
    return !overlaps() || RotationRequests.asks(policy.notBefore(), newest().made())
        ? due(policy, handedOut)
        : Optional.empty();
  }

  /** Reads what {@link #json} wrote; empty when it cannot be read. */
  static Optional<PasswordHistory> parse(String json) {
    try {
      List<Password> passwords = new ArrayList<>();
      for (Map<String, String> entry :
          JSON.readValue(json, new TypeReference<List<Map<String, String>>>() {})) {
        String text = entry.get("password");
        String made = entry.get("made");
        if (text == null || text.isEmpty() || made == null) {
          return Optional.empty();
        }
        passwords.add(new Password(text, Instant.parse(made)));
      }
      return passwords.isEmpty() ? Optional.empty() : Optional.of(new PasswordHistory(passwords));
    } catch (JsonProcessingException | DateTimeException e) {
      return Optional.empty();
    }
  }

  String json() {
    try {
      return JSON.writeValueAsString(
          passwords.stream()
              .map(
                  p ->
                      new java.util.TreeMap<>(
                          Map.of("password", p.text(), "made", p.made().toString())))
              .toList());
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
