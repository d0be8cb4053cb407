package io.kubic.mirrors.oci.registry;

import java.time.Duration;
import okhttp3.Call;
import org.jspecify.annotations.Nullable;

/** Ends a call that takes too long as a whole, however busily its bytes drip. Safe for threads. */
final class Deadline {
  private final Transport transport;
  private final Call call;
  private Transport.@Nullable Alarm alarm;
  private boolean over;

  Deadline(Transport transport, Call call) {
    this.transport = transport;
    this.call = call;
  }

  /** From now on so much time is left. */
  synchronized void start(Duration left) {
    callOff();
    alarm = transport.after(left, this::end);
  }

  /** Other rules hold from now on. */
  synchronized void callOff() {
    if (alarm != null) {
      alarm.callOff();
      alarm = null;
    }
  }

  /** Ends the call at once, for another reason than its time. */
  void cancel() {
    call.cancel();
  }

  synchronized boolean isOver() {
    return over;
  }

  private void end() {
    synchronized (this) {
      if (alarm == null) {
        return; // Called off at the last moment.
      }
      over = true;
    }
    call.cancel();
  }
}
