package io.kubic.mirrors.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.kubic.mirrors.bundle.Watcher;
import io.kubic.mirrors.sync.Outcome;
import io.kubic.mirrors.sync.Plan;
import io.kubic.mirrors.sync.Report;
import io.kubic.mirrors.sync.Termination;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * How an export or import tells what it does: progress on standard error, the result on standard
 * output, and a summary for Kubernetes.
 */
final class RunOutput implements Watcher, AutoCloseable {
  /** Form of the result. */
  enum Form {
    text,
    json
  }

  private static final JsonMapper JSON = JsonMapper.builder().build();

  private final PrintWriter out;
  private final PrintWriter err;
  private final Progress.Form form;
  private final @Nullable Path terminationLog;
  private volatile @Nullable Progress progress;

  RunOutput(PrintWriter out, PrintWriter err, Progress.Form form, @Nullable Path terminationLog) {
    this.out = out;
    this.err = err;
    this.form = form;
    this.terminationLog = terminationLog;
  }

  /** What will be done: the operator reads this line out of the log while a Job runs. */
  void planned(String hash, Termination.Planned plan) {
    if (form == Progress.Form.LINES) {
      err.println(json(Map.of("hash", hash, "plan", plan)));
    }
  }

  @Override
  public void begin(@Nullable Plan plan, int images, long bytes, LongSupplier settled) {
    if (plan != null) {
      planned(plan.hash(), plan.planned());
    }
    progress = new Progress(form, images, bytes, settled, err, System::nanoTime);
  }

  @Override
  public void image(Outcome outcome) {
    Progress told = progress;
    if (told != null) {
      told.done(outcome);
    }
  }

  /** No more progress is told. */
  @Override
  public void close() {
    Progress told = progress;
    progress = null;
    if (told != null) {
      told.close();
    }
  }

  void warn(String message) {
    err.println("warning: " + message);
  }

  /** The whole result. */
  void result(Form as, Report report, Map<String, Object> more, String line) {
    close();
    if (as == Form.json) {
      Map<String, Object> all = new LinkedHashMap<>(more);
      all.put("summary", report.summary());
      all.put("images", report.images());
      out.println(json(all));
    } else {
      for (Outcome image : report.images()) {
        if (image.result() == Outcome.Result.Failed || image.result() == Outcome.Result.Drifted) {
          out.println(
              image.result()
                  + (image.reason() == null ? "" : " " + image.reason())
                  + " "
                  + image.source()
                  + ": "
                  + image.message());
        }
      }
      out.println(line);
    }
    out.flush();
  }

  void terminate(Termination termination) {
    if (terminationLog == null) {
      return;
    }
    try {
      Files.write(terminationLog, termination.toJson());
    } catch (IOException e) {
      warn(terminationLog + " cannot be written");
    }
  }

  private static String json(Object value) {
    try {
      return JSON.writeValueAsString(value);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
