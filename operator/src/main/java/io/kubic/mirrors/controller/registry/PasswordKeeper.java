package io.kubic.mirrors.controller.registry;

import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.kubic.mirrors.api.v1alpha1.GoDuration;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.MirrorRegistrySpec;
import io.kubic.mirrors.controller.support.Applier;
import io.kubic.mirrors.controller.support.Secrets;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.time.temporal.ChronoUnit;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Replaces the passwords of generated users without a login that fails. Three writes, each safe to
 * stop after for ever: the new password into the Secret of histories, from which the gateways'
 * files are derived; once every gateway says that it has those files, into the Secret that people
 * and Jobs read; and after the overlap the old one out of the history.
 */
final class PasswordKeeper {
  /** On the Secret with credentials: since when it holds the password that it holds. */
  static final String SINCE = "mirrors.kubic.io/password-since";

  private final RegistryModel model;
  private final KubernetesClient client;
  private final Applier applier;
  private final PasswordHistory.Policy policy;
  private final SecureRandom random;
  private final Clock clock;
  private final Function<Secret, Optional<Secret>> cached;
  private final Map<GeneratedUser, PasswordHistory> histories = new EnumMap<>(GeneratedUser.class);
  private final Map<GeneratedUser, Secret> present = new EnumMap<>(GeneratedUser.class);

  /**
   * @param cached a Secret as an informer knows it, by its name
   */
  PasswordKeeper(
      RegistryModel model,
      KubernetesClient client,
      Applier applier,
      PasswordHistory.Policy policy,
      Function<Secret, Optional<Secret>> cached,
      SecureRandom random,
      Clock clock) {
    this.model = model;
    this.client = client;
    this.applier = applier;
    this.policy = policy;
    this.cached = cached;
    this.random = random;
    this.clock = clock;
  }

  static PasswordHistory.Policy policy(
      MirrorRegistrySpec.PasswordRotation rotation, @Nullable Instant request) {
    String path = "spec.auth.passwordRotation";
    Duration interval = GoDuration.parse(rotation.interval(), path + ".interval");
    Duration overlap = GoDuration.parse(rotation.overlap(), path + ".overlap");
    if (interval.isPositive() && overlap.compareTo(interval) >= 0) {
      throw new InvalidSpecException(path + ".overlap", "must be shorter than the interval");
    }
    return new PasswordHistory.Policy(interval, overlap, request);
  }

  /** Brings the histories forward and gives, by user, every password that is good now. */
  Map<String, List<String>> keep() {
    for (GeneratedUser user : GeneratedUser.values()) {
      Secret key = handedOutKey(user, Map.of());
      Secret secret = cached.apply(key).orElseGet(() -> client.resource(key).get());
      if (secret != null) {
        present.put(user, secret);
      }
    }
    Instant now = clock.instant();
    Map<String, String> stored =
        GeneratedSecret.keep(
            client,
            RegistryResources.secret(model, model.names().passwords(), "Opaque", Map.of()),
            members -> {
              Map<String, String> next = new TreeMap<>();
              for (GeneratedUser user : GeneratedUser.values()) {
                PasswordHistory history = history(user, members, now);
                next.put(
                    user.user(),
                    history.advance(policy, handedOut(user, history), now, random).json());
              }
              return next;
            });
    Map<String, List<String>> good = new TreeMap<>();
    for (GeneratedUser user : GeneratedUser.values()) {
      PasswordHistory history = history(user, stored, now);
      histories.put(user, history);
      good.put(
          user.user(), history.passwords().stream().map(PasswordHistory.Password::text).toList());
    }
    return good;
  }

  /**
   * The stored history; where it is lost, what was handed out: a password is never lost with it.
   */
  private PasswordHistory history(GeneratedUser user, Map<String, String> members, Instant now) {
    Optional<PasswordHistory> stored = PasswordHistory.parse(members.getOrDefault(user.user(), ""));
    if (stored.isPresent()) {
      return stored.get();
    }
    Secret secret = present.get(user);
    String password = secret == null ? "" : Secrets.text(secret, "password");
    return secret == null || password.isEmpty()
        ? PasswordHistory.first(Credentials.randomText(random), now.truncatedTo(ChronoUnit.SECONDS))
        : PasswordHistory.first(
            password, since(secret).orElse(now).truncatedTo(ChronoUnit.SECONDS));
  }

  private @Nullable Instant handedOut(GeneratedUser user, PasswordHistory history) {
    Secret secret = present.get(user);
    return secret != null && Secrets.text(secret, "password").equals(history.newest().text())
        ? since(secret).orElse(clock.instant())
        : null;
  }

  /**
   * Writes the Secrets with credentials.
   *
   * @param accepted whether every gateway accepts all passwords that {@link #keep} gave
   * @param authorities {@code host:port} that the credentials are for
   * @return the members of the pull user's Secret
   */
  Map<String, String> handOut(boolean accepted, List<String> authorities) {
    histories.forEach(
        (user, history) -> {
          Secret before = present.get(user);
          String password = before == null ? "" : Secrets.text(before, "password");
          boolean newest = history.newest().text().equals(password);
          // Nobody holds what was never handed out; else the newest waits for the gateways.
          String next =
              newest || accepted || !history.overlaps()
                  ? history.newest().text()
                  : history.holds(password) ? password : history.oldest().text();
          Instant since =
              next.equals(password) && before != null
                  ? since(before).orElse(clock.instant())
                  : history.overlaps() ? clock.instant() : history.newest().made();
          Secret secret =
              handedOutKey(user, new Credentials(user.user(), next).secretData(authorities));
          secret
              .getMetadata()
              .setAnnotations(Map.of(SINCE, since.truncatedTo(ChronoUnit.SECONDS).toString()));
          present.put(user, applier.apply(secret, Optional.ofNullable(before)));
        });
    return new Credentials(
            GeneratedUser.PULL.user(),
            Secrets.text(Objects.requireNonNull(present.get(GeneratedUser.PULL)), "password"))
        .secretData(authorities);
  }

  /** When passwords are replaced next; empty: on request only, or not known during an overlap. */
  Optional<Instant> nextRotation() {
    return histories.entrySet().stream()
        .flatMap(e -> e.getValue().replaced(policy, handedOut(e.getKey(), e.getValue())).stream())
        .min(Instant::compareTo);
  }

  /** When there is something to do next; empty where a gateway is waited for. */
  Optional<Instant> due() {
    return histories.entrySet().stream()
        .flatMap(e -> e.getValue().due(policy, handedOut(e.getKey(), e.getValue())).stream())
        .min(Instant::compareTo);
  }

  /** Whether a new password waits for the gateways to accept it. */
  boolean waiting() {
    return histories.entrySet().stream().anyMatch(e -> handedOut(e.getKey(), e.getValue()) == null);
  }

  private Secret handedOutKey(GeneratedUser user, Map<String, String> data) {
    return RegistryResources.secret(
        model, model.names().credentials(user), Credentials.SECRET_TYPE, data);
  }

  private static Optional<Instant> since(Secret secret) {
    Map<String, String> annotations = secret.getMetadata().getAnnotations();
    String text = annotations == null ? null : annotations.get(SINCE);
    try {
      return text == null ? Optional.empty() : Optional.of(Instant.parse(text));
    } catch (DateTimeParseException e) {
      return Optional.empty();
    }
  }
}
