package io.kubic.mirrors.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.kubic.mirrors.sync.Outcome;
import io.kubic.mirrors.sync.Report;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class RunOutputTest {
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  private RunOutput open(Progress.Form form) {
    return new RunOutput(new PrintWriter(out), new PrintWriter(err), form, null);
  }

  private static Outcome copied() {
    return new Outcome("s/a:1", "t/a:1", null, Outcome.Result.Copied, null, null, 1, 1);
  }

  @Test
  void aJobTellsHowFarItIsInTheLinesThatASyncTells() {
    try (RunOutput output = open(Progress.Form.LINES)) {
      output.begin(null, 2, 100, () -> 40);
      output.image(copied());
    }
    assertThat(err.toString())
        .startsWith(
            "{\"phase\":\"Copying\",\"completed\":1,\"total\":2,\"bytesDone\":40,\"bytesTotal\":100");
  }

  @Test
  void aBarEndsBeforeTheResult() {
    RunOutput output = open(Progress.Form.BAR);
    output.begin(null, 2, 100, () -> 40);
    output.image(copied());
    output.image(copied());
    output.result(RunOutput.Form.text, Report.of(List.of(), 0, true), Map.of(), "done");
    assertThat(err.toString()).contains("2/2 images").endsWith("\n");
    assertThat(out.toString()).isEqualTo("done\n");
    String told = err.toString();
    output.image(copied());
    assertThat(err.toString()).isEqualTo(told);
  }

  @Test
  void nothingIsToldToThoseWhoWantQuiet() {
    try (RunOutput output = open(Progress.Form.NONE)) {
      output.begin(null, 2, 100, () -> 40);
      output.image(copied());
    }
    assertThat(err.toString()).isEmpty();
  }
}
