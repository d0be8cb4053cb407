package io.kubic.mirrors.controller.support;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.api.v1alpha1.Condition;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class ConditionsTest {
  private static final Clock FIRST =
      Clock.fixed(Instant.parse("2026-01-01T00:00:00Z"), ZoneOffset.UTC);
  private static final Clock LATER =
      Clock.fixed(Instant.parse("2026-01-02T00:00:00Z"), ZoneOffset.UTC);

  @Test
  void anUnchangedWorldGivesAnEqualList() {
    List<Condition> before =
        new Conditions(List.of(), 1, FIRST).ready("Fine", "all is well").list();
    List<Condition> after = new Conditions(before, 1, LATER).ready("Fine", "all is well").list();
    assertThat(after).isEqualTo(before);
  }

  @Test
  void theTimeOfTransitionMovesOnlyWithTheStatus() {
    List<Condition> before =
        new Conditions(List.of(), 1, FIRST).ready("Fine", "all is well").list();
    List<Condition> reworded = new Conditions(before, 2, LATER).ready("Fine", "still well").list();
    assertThat(reworded)
        .allSatisfy(c -> assertThat(c.lastTransitionTime()).startsWith("2026-01-01"));
    List<Condition> broken = new Conditions(before, 2, LATER).stalled("Broken", "not well").list();
    assertThat(broken)
        .filteredOn(c -> !c.type().equals(Conditions.RECONCILING))
        .allSatisfy(c -> assertThat(c.lastTransitionTime()).startsWith("2026-01-02"));
  }

  @Test
  void conditionsOfOthersAreNotOurs() {
    Condition foreign = new Condition("Audited", "True", 1L, "2026-01-01T00:00:00Z", "R", "m");
    assertThat(Conditions.only(List.of(foreign), Set.of(Conditions.READY))).isEmpty();
  }
}
