package io.kubic.mirrors.gateway;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Lets so many in at once; the others wait, and the clients take turns, so that a node that asks
 * for a hundred blobs does not keep out one that asks for its first. While somebody waits, a turn
 * ends after a while, and at once for a visitor that does not get on: whoever leaves early arrives
 * again. Times are {@link System#nanoTime()}, given by the caller.
 */
final class FairGate {
  /** Someone who comes, and perhaps waits. */
  interface Visitor {
    /** It is your turn; {@link FairGate#leave} must follow. Called on the thread that left. */
    void enter(Turn turn);

    /** It took too long; nothing follows. */
    void giveUp();

    /** Others wait and you do not get on: leave, and come again. May be called more than once. */
    void makeWay();
  }

  /** A stay inside. */
  static final class Turn {
    private static final long MOVING = Long.MIN_VALUE;
    private final Visitor visitor;
    private final long since;
    private volatile long stalledSince = MOVING;

    private Turn(Visitor visitor, long since) {
      this.visitor = visitor;
      this.since = since;
    }

    /** From now on the visitor waits for its client. */
    void stalls(long nanoTime) {
      stalledSince = nanoTime == MOVING ? MOVING + 1 : nanoTime;
    }

    void moves() {
      stalledSince = MOVING;
    }
  }

  private record Waiting(Visitor visitor, long until) {}

  private final int capacity;
  private final long turnNanos;
  private final long stallNanos;
  // The client that was served last goes to the end of this order.
  private final Map<String, Deque<Waiting>> queues = new LinkedHashMap<>();
  private final Set<Turn> inside = new LinkedHashSet<>();
  private int waiting;

  /**
   * @param turn how long a stay may be while others wait
   * @param stall how long a visitor may wait for its client while others wait
   */
  FairGate(int capacity, Duration turn, Duration stall) {
    this.capacity = capacity;
    this.turnNanos = turn.toNanos();
    this.stallNanos = stall.toNanos();
  }

  /** Enters at once, or is called later. */
  void arrive(String client, Visitor visitor, Duration patience, long nanoTime) {
    Turn turn;
    synchronized (this) {
      if (inside.size() >= capacity) {
        queues
            .computeIfAbsent(client, c -> new ArrayDeque<>())
            .addLast(new Waiting(visitor, nanoTime + patience.toNanos()));
        waiting++;
        return;
      }
      turn = new Turn(visitor, nanoTime);
      inside.add(turn);
    }
    visitor.enter(turn);
  }

  /** One who had entered goes; the next one enters. */
  void leave(Turn turn, long nanoTime) {
    Turn next = null;
    synchronized (this) {
      if (!inside.remove(turn)) {
        return;
      }
      var clients = queues.entrySet().iterator();
      if (clients.hasNext()) {
        Map.Entry<String, Deque<Waiting>> first = clients.next();
        String client = first.getKey();
        Deque<Waiting> queue = first.getValue();
        next = new Turn(queue.removeFirst().visitor, nanoTime);
        clients.remove();
        if (!queue.isEmpty()) {
          queues.put(client, queue);
        }
        waiting--;
        inside.add(next);
      }
    }
    if (next != null) {
      next.visitor.enter(next);
    }
  }

  /** Whether a turn has lasted long enough, now that others wait. */
  synchronized boolean isOver(Turn turn, long nanoTime) {
    return waiting > 0 && nanoTime - turn.since > turnNanos;
  }

  /**
   * Sends away who has waited too long, and asks those who stand still to make way, no more of them
   * than wait; to be called some times a second.
   */
  void sweep(long nanoTime) {
    List<Visitor> late = new ArrayList<>();
    List<Visitor> standing = new ArrayList<>();
    synchronized (this) {
      queues
          .values()
          .removeIf(
              queue -> {
                queue.removeIf(
                    one -> {
                      if (nanoTime - one.until < 0) {
                        return false;
                      }
                      late.add(one.visitor);
                      return true;
                    });
                return queue.isEmpty();
              });
      waiting -= late.size();
      for (Turn turn : inside) {
        long since = turn.stalledSince;
        if (standing.size() < waiting && since != Turn.MOVING && nanoTime - since > stallNanos) {
          standing.add(turn.visitor);
        }
      }
    }
    late.forEach(Visitor::giveUp);
    standing.forEach(Visitor::makeWay);
  }

  synchronized int inside() {
    return inside.size();
  }

  synchronized int waiting() {
    return waiting;
  }
}
