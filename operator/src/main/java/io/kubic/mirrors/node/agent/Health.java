package io.kubic.mirrors.node.agent;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * Which registries are in service, from looks at them: one that fails a number of times in a row is
 * out, one that answers a number of times in a row is in again. Of a registry that nothing was
 * known of the first look decides by itself: nothing is pointed at a mirror that never answered.
 */
final class Health {
  private final int failures;
  private final int successes;
  private final Map<String, Integer> streaks = new HashMap<>();
  private final Set<String> out = new TreeSet<>();

  Health(int failures, int successes) {
    this.failures = failures;
    this.successes = successes;
  }

  /**
   * What the node's files say of a registry that was not looked at yet: an agent that starts anew
   * neither withdraws a mirror for one failure, nor brings one back for one answer.
   */
  void assume(String registry, boolean inService) {
    if (streaks.putIfAbsent(registry, 0) == null && !inService) {
      out.add(registry);
    }
  }

  /** Notes a look at a registry. */
  void saw(String registry, boolean answered) {
    Integer before = streaks.get(registry);
    int streak =
        answered
            ? Math.max(before == null ? 0 : before, 0) + 1
            : Math.min(before == null ? 0 : before, 0) - 1;
    streaks.put(registry, Math.clamp(streak, -1000, 1000));
    if (before == null && !answered || streak <= -failures) {
      out.add(registry);
    } else if (streak >= successes) {
      out.remove(registry);
    }
  }

  boolean isOut(String registry) {
    return out.contains(registry);
  }

  /** Whether the next look should come soon: something is about to change. */
  boolean isUndecided() {
    return streaks.entrySet().stream()
        .anyMatch(e -> out.contains(e.getKey()) ? e.getValue() > 0 : e.getValue() < 0);
  }

  /** Forgets registries that are no longer named. */
  void keep(Set<String> registries) {
    streaks.keySet().retainAll(registries);
    out.retainAll(registries);
  }
}
