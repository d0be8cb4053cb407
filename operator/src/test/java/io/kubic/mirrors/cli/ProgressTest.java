package io.kubic.mirrors.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.sync.Outcome;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;

class ProgressTest {
  private final StringWriter err = new StringWriter();
  private final AtomicLong nanos = new AtomicLong();
  private final AtomicLong bytes = new AtomicLong();

  private Progress progress(Progress.Form form) {
    return new Progress(form, 4, 4L << 30, bytes::get, new PrintWriter(err, true), nanos::get);
  }

  private static Outcome copied() {
    return new Outcome("s/a:1", "t/a:1", null, Outcome.Result.Copied, null, null, 1, 1);
  }

  @Test
  void aLineTellsBytesAndTheTimeThatIsLeft() {
    try (Progress progress = progress(Progress.Form.LINES)) {
      nanos.set(10_000_000_000L);
      bytes.set(1L << 30);
      progress.done(copied());
    }
    assertThat(err.toString())
        .contains(
            "\"completed\":1,\"total\":4,\"bytesDone\":1073741824,\"bytesTotal\":4294967296",
            "\"etaSeconds\":30",
            "\"image\":{\"source\":\"s/a:1\"");
  }

  @Test
  void aBarFitsIntoALine() {
    try (Progress progress = progress(Progress.Form.BAR)) {
      nanos.set(10_000_000_000L);
      bytes.set(3L << 30);
      progress.done(copied());
      assertThat(progress.bar())
          .isEqualTo("[##################      ] 1/4 images 3.00Gi/4.00Gi 307.2Mi/s 0:03 left ")
          .hasSizeLessThan(80);
    }
  }

  @Test
  void whatIsTriedAgainAtTheEndMakesMoreImagesAndNotMoreThanAll() {
    try (Progress progress =
        new Progress(Progress.Form.BAR, 1, 0, bytes::get, new PrintWriter(err, true), nanos::get)) {
      progress.done(copied());
      progress.done(copied());
      assertThat(progress.bar()).startsWith("[########################] 2/2 images");
    }
  }

  @Test
  void aBarIsForATerminalThatIsAskedForOnlyIfItMatters() {
    assertThat(Progress.Form.of(false, false, () -> true)).isEqualTo(Progress.Form.BAR);
    assertThat(Progress.Form.of(false, false, () -> false)).isEqualTo(Progress.Form.LINES);
    BooleanSupplier unasked =
        () -> {
          throw new AssertionError("asked");
        };
    assertThat(Progress.Form.of(false, true, unasked)).isEqualTo(Progress.Form.LINES);
    assertThat(Progress.Form.of(true, false, unasked)).isEqualTo(Progress.Form.NONE);
    assertThat(Progress.Form.of(true, true, unasked)).isEqualTo(Progress.Form.NONE);
  }

  @Test
  void nothingIsToldToThoseWhoWantQuiet() {
    try (Progress progress = progress(Progress.Form.NONE)) {
      progress.done(copied());
      progress.tick();
    }
    assertThat(err.toString()).isEmpty();
  }
}
