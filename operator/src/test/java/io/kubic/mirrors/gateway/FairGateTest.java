package io.kubic.mirrors.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class FairGateTest {
  private static final long SECOND = 1_000_000_000L;
  private final FairGate gate = new FairGate(1, Duration.ofSeconds(2), Duration.ofMillis(250));
  private final List<String> events = new ArrayList<>();
  private final Map<String, FairGate.Turn> turns = new HashMap<>();

  @Test
  void clientsTakeTurnsAndWhoWaitsTooLongIsSentAway() {
    for (String who : List.of("a1", "a2", "a3", "b1", "c1")) {
      arrive(who, who.equals("a3") ? 5 : 60);
    }
    leave("a1", 1);
    leave("a2", 1);
    gate.sweep(6 * SECOND);
    leave("b1", 6);
    leave("c1", 6);

    assertThat(events).containsExactly("a1", "a2", "b1", "-a3", "c1");
    assertThat(gate.inside()).isZero();
    assertThat(gate.waiting()).isZero();
  }

  @Test
  void aTurnEndsAfterAWhileButOnlyWhileOthersWait() {
    arrive("a1", 60);
    assertThat(gate.isOver(turns.get("a1"), 10 * SECOND)).isFalse();
    arrive("b1", 60);
    assertThat(gate.isOver(turns.get("a1"), SECOND)).isFalse();
    assertThat(gate.isOver(turns.get("a1"), 3 * SECOND)).isTrue();
  }

  @Test
  void whoStandsStillIsAskedToMakeWayButOnlyWhileOthersWait() {
    arrive("a1", 60);
    turns.get("a1").stalls(0);
    gate.sweep(SECOND);
    assertThat(events).containsExactly("a1");
    arrive("b1", 60);
    turns.get("a1").moves();
    gate.sweep(SECOND);
    assertThat(events).containsExactly("a1");
    turns.get("a1").stalls(SECOND);
    gate.sweep(SECOND + SECOND / 10);
    gate.sweep(2 * SECOND);
    assertThat(events).containsExactly("a1", "!a1");
  }

  @Test
  void leavingTwiceIsLeavingOnce() {
    arrive("a1", 60);
    arrive("b1", 60);
    arrive("c1", 60);
    leave("a1", 1);
    leave("a1", 1);

    assertThat(gate.inside()).isEqualTo(1);
    assertThat(gate.waiting()).isEqualTo(1);
  }

  private void arrive(String who, int patience) {
    gate.arrive(
        who.substring(0, 1),
        new FairGate.Visitor() {
          @Override
          public void enter(FairGate.Turn turn) {
            turns.put(who, turn);
            events.add(who);
          }

          @Override
          public void giveUp() {
            events.add("-" + who);
          }

          @Override
          public void makeWay() {
            events.add("!" + who);
          }
        },
        Duration.ofSeconds(patience),
        0);
  }

  private void leave(String who, long second) {
    gate.leave(turns.get(who), second * SECOND);
  }
}
