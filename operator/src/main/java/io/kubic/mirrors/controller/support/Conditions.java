package io.kubic.mirrors.controller.support;

import io.kubic.mirrors.api.v1alpha1.Condition;
import java.time.Clock;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/**
 * Builds the conditions of one status. {@code lastTransitionTime} moves only when a condition's
 * status does, so that an unchanged world gives an equal list (metav1.Condition).
 */
public final class Conditions {
  public static final String READY = "Ready";
  public static final String RECONCILING = "Reconciling";
  public static final String STALLED = "Stalled";

  private final Map<String, Condition> old = new TreeMap<>();
  private final Map<String, Condition> now = new TreeMap<>();
  private final Clock clock;
  private final long generation;

  /**
   * @param previous the conditions that stand in the status; those of others are ignored
   * @param generation of the spec that is being judged
   */
  public Conditions(Collection<Condition> previous, long generation, Clock clock) {
    previous.forEach(condition -> old.put(condition.type(), condition));
    this.generation = generation;
    this.clock = clock;
  }

  /** Sets a condition; the last word counts. */
  public Conditions set(String type, boolean status, String reason, String message) {
    return set(type, status ? "True" : "False", reason, message);
  }

  /** Sets a condition to True, False or Unknown. */
  public Conditions set(String type, String status, String reason, String message) {
    Condition before = old.get(type);
    String since =
        before != null && before.status().equals(status)
            ? before.lastTransitionTime()
            : clock.instant().truncatedTo(ChronoUnit.SECONDS).toString();
    now.put(type, new Condition(type, status, generation, since, reason, clip(message)));
    return this;
  }

  /** Ready, and nothing more to do. */
  public Conditions ready(String reason, String message) {
    return set(READY, true, reason, message)
        .set(RECONCILING, false, reason, message)
        .set(STALLED, false, reason, message);
  }

  /** Not there yet, and working on it. */
  public Conditions progressing(String reason, String message) {
    return set(READY, false, reason, message)
        .set(RECONCILING, true, reason, message)
        .set(STALLED, false, reason, message);
  }

  /** Not ready, and only a person or another object can change that. */
  public Conditions stalled(String reason, String message) {
    return set(READY, false, reason, message)
        .set(RECONCILING, false, reason, message)
        .set(STALLED, true, reason, message);
  }

  /** Whether the old status held a condition of this type with status True. */
  public boolean was(String type) {
    Condition before = old.get(type);
    return before != null && before.holds();
  }

  /** The condition that was set. */
  public Optional<Condition> now(String type) {
    return Optional.ofNullable(now.get(type));
  }

  /** The reason of a condition that was set. */
  public String reason(String type) {
    Condition condition = now.get(type);
    if (condition == null) {
      throw new IllegalStateException(type + " was not set");
    }
    return condition.reason();
  }

  /** Whether a condition of this type was set. */
  public boolean has(String type) {
    return now.containsKey(type);
  }

  /** All conditions set, sorted by type. */
  public List<Condition> list() {
    return new ArrayList<>(now.values());
  }

  /** Those of the given conditions whose type is ours: a foreign one must not make us write. */
  public static List<Condition> only(Collection<Condition> conditions, Set<String> types) {
    Map<String, Condition> ours = new TreeMap<>();
    conditions.stream()
        .filter(condition -> types.contains(condition.type()))
        .forEach(condition -> ours.put(condition.type(), condition));
    return new ArrayList<>(ours.values());
  }

  private static String clip(String message) {
    String line = message.strip().replace('\n', ' ').replace('\r', ' ');
    return line.length() <= 1024 ? line : line.substring(0, 1021) + "...";
  }
}
