package io.kubic.mirrors.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kubic.mirrors.sync.Outcome;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Tells on standard error how far a run is: a bar for a person, or JSON lines, one for each image
 * and one from time to time while large ones are under way. Safe for threads.
 */
final class Progress implements AutoCloseable {
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final int WIDTH = 24;
  private static final Duration EACH_BAR = Duration.ofMillis(250);
  private static final Duration EACH_LINE = Duration.ofSeconds(15);

  /** How it is told. */
  enum Form {
    NONE,
    BAR,
    LINES;

    /**
     * @param verbose lines at a terminal too
     * @param terminal whether standard error is one; asked only if that matters
     */
    static Form of(boolean quiet, boolean verbose, BooleanSupplier terminal) {
      return quiet ? NONE : !verbose && terminal.getAsBoolean() ? BAR : LINES;
    }
  }

  private final Form form;
  private final long bytes;
  private final LongSupplier settled;
  private final PrintWriter err;
  private final LongSupplier nanos;
  private final long start;
  private final @Nullable ScheduledExecutorService ticker;
  private int images;
  private int done;
  private long told;

  /**
   * @param images that are to be copied, as far as that is known
   * @param bytes of all of them, what they share counted once
   * @param settled how many of these bytes need no more work, asked now and then
   * @param nanos a clock that only moves forward
   */
  Progress(
      Form form,
      int images,
      long bytes,
      LongSupplier settled,
      PrintWriter err,
      LongSupplier nanos) {
    this.form = form;
    this.images = images;
    this.bytes = bytes;
    this.settled = settled;
    this.err = err;
    this.nanos = nanos;
    this.start = nanos.getAsLong();
    this.told = start;
    if (form == Form.NONE || images == 0) {
      this.ticker = null;
    } else {
      this.ticker =
          Executors.newSingleThreadScheduledExecutor(
              Thread.ofPlatform().name("sync-progress").daemon().factory());
      long each = (form == Form.BAR ? EACH_BAR : EACH_LINE).toMillis();
      var _ = ticker.scheduleAtFixedRate(this::tick, each, each, TimeUnit.MILLISECONDS);
    }
  }

  /** An image is done. */
  synchronized void done(Outcome outcome) {
    if (outcome.result() != Outcome.Result.Pruned) {
      done++;
      // What is planned once more at the end of a run was not among them.
      images = Math.max(images, done);
    }
    if (form == Form.LINES) {
      line(outcome);
    }
  }

  synchronized void tick() {
    if (form == Form.BAR) {
      err.print("\r" + bar());
      err.flush();
    } else if (nanos.getAsLong() - told >= EACH_LINE.toNanos() - 1_000_000) {
      line(null);
    }
  }

  private void line(@Nullable Outcome outcome) {
    told = nanos.getAsLong();
    ObjectNode node = JSON.createObjectNode();
    node.put("phase", "Copying").put("completed", done).put("total", images);
    node.put("bytesDone", bytesDone()).put("bytesTotal", bytes);
    Duration eta = eta();
    if (eta != null) {
      node.put("etaSeconds", eta.toSeconds());
    }
    if (outcome != null) {
      node.set("image", JSON.valueToTree(outcome));
    }
    try {
      err.println(JSON.writeValueAsString(node));
      err.flush();
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  /** One line of at most 80 columns. */
  String bar() {
    double part = bytes == 0 ? (images == 0 ? 1 : (double) done / images) : ratio();
    int full = (int) (part * WIDTH);
    Duration eta = eta();
    double seconds = (nanos.getAsLong() - start) / 1e9;
    return String.format(
        Locale.ROOT,
        "[%s%s] %d/%d images %s/%s %s/s%s ",
        "#".repeat(full),
        " ".repeat(WIDTH - full),
        done,
        images,
        size(bytesDone()),
        size(bytes),
        size(seconds < 0.1 ? 0 : (long) (bytesDone() / seconds)),
        eta == null
            ? ""
            : String.format(Locale.ROOT, " %d:%02d left", eta.toMinutes(), eta.toSecondsPart()));
  }

  private static String size(long bytes) {
    if (bytes < 1 << 20) {
      return (bytes + 1023) / 1024 + "Ki";
    }
    return bytes < 1L << 30
        ? String.format(Locale.ROOT, "%.1fMi", bytes / (double) (1 << 20))
        : String.format(Locale.ROOT, "%.2fGi", bytes / (double) (1 << 30));
  }

  private long bytesDone() {
    return Math.clamp(settled.getAsLong(), 0, bytes);
  }

  private double ratio() {
    return (double) bytesDone() / bytes;
  }

  /** What is left at the speed so far; null as long as that means nothing. */
  private @Nullable Duration eta() {
    long elapsed = nanos.getAsLong() - start;
    long now = bytesDone();
    if (now == 0 || elapsed < 1_000_000_000L) {
      return null;
    }
    return Duration.ofSeconds((long) ((double) elapsed / 1e9 * (bytes - now) / now));
  }

  @Override
  public void close() {
    if (ticker != null) {
      ticker.shutdownNow();
    }
    synchronized (this) {
      if (form == Form.BAR && images > 0) {
        err.println("\r" + bar());
        err.flush();
      }
    }
  }
}
