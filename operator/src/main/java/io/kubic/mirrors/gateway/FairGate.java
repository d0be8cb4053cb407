package io.kubic.mirrors.gateway;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Lets so many in at once; the others wait, and the clients take turns, so that a node that asks
 * for a hundred blobs does not keep out one that asks for its first.
 */
final class FairGate {
  /** Someone who waits. */
  interface Visitor {
    /** It is your turn; {@link FairGate#leave} must follow. Called on the thread that left. */
    void enter();

    /** It took too long; nothing follows. */
    void giveUp();
  }

  private record Waiting(Visitor visitor, Instant until) {}

  private final int capacity;
  // The client that was served last goes to the end of this order.
  private final Map<String, Deque<Waiting>> queues = new LinkedHashMap<>();
  private int inside;
  private int waiting;

  FairGate(int capacity) {
    this.capacity = capacity;
  }

  /** Enters at once, or is called later. */
  void arrive(String client, Visitor visitor, Duration patience, Instant now) {
    synchronized (this) {
      if (inside >= capacity) {
        queues
            .computeIfAbsent(client, c -> new ArrayDeque<>())
            .addLast(new Waiting(visitor, now.plus(patience)));
        waiting++;
        return;
      }
      inside++;
    }
    visitor.enter();
  }

  /** One who had entered goes; the next one enters. */
  void leave() {
    Visitor next = null;
    synchronized (this) {
      inside--;
      var clients = queues.entrySet().iterator();
      if (clients.hasNext()) {
        Map.Entry<String, Deque<Waiting>> first = clients.next();
        String client = first.getKey();
        Deque<Waiting> queue = first.getValue();
        next = queue.removeFirst().visitor;
        clients.remove();
        if (!queue.isEmpty()) {
          queues.put(client, queue);
        }
        waiting--;
        inside++;
      }
    }
    if (next != null) {
      next.enter();
    }
  }

  /** Sends away who has waited too long; to be called now and then. */
  void sweep(Instant now) {
    List<Visitor> late = new ArrayList<>();
    synchronized (this) {
      queues
          .values()
          .removeIf(
              queue -> {
                queue.removeIf(
                    one -> {
                      if (now.isBefore(one.until)) {
                        return false;
                      }
                      late.add(one.visitor);
                      return true;
                    });
                return queue.isEmpty();
              });
      waiting -= late.size();
    }
    late.forEach(Visitor::giveUp);
  }

  synchronized int inside() {
    return inside;
  }

  synchronized int waiting() {
    return waiting;
  }
}
