package io.kubic.mirrors.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
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
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * How an export or import tells what it does: progress on standard error, the result on standard
 * output, and a summary for Kubernetes.
 */
final class RunOutput {
  /** Form of the result. */
  enum Form {
    text,
    json
  }

  private static final JsonMapper JSON = JsonMapper.builder().build();

  private final PrintWriter out;
  private final PrintWriter err;
  private final boolean quiet;
  private final @Nullable Path terminationLog;
  private final AtomicInteger done = new AtomicInteger();
  private final AtomicLong hashed = new AtomicLong();

  RunOutput(PrintWriter out, PrintWriter err, boolean quiet, @Nullable Path terminationLog) {
    this.out = out;
    this.err = err;
    this.quiet = quiet;
    this.terminationLog = terminationLog;
  }

  /** One image is done. */
  void image(Outcome outcome) {
    if (!quiet) {
      err.println(json(Map.of("done", done.incrementAndGet(), "image", outcome)));
    }
  }

  /** What will be done: the operator reads this line out of the log while a Job runs. */
  void planned(String hash, Termination.Planned plan) {
    if (!quiet) {
      err.println(json(Map.of("hash", hash, "plan", plan)));
    }
  }

  /** This many bytes are to come. */
  void toCome(Plan plan, long bytes) {
    planned(plan.hash(), plan.planned());
    if (!quiet) {
      err.println(json(Map.of("bytesToCome", bytes)));
    }
  }

  /** This many bytes were hashed. */
  void hashed(long bytes) {
    hashed.addAndGet(bytes);
  }

  void warn(String message) {
    err.println("warning: " + message);
  }

  /** The whole result. */
  void result(Form form, Report report, Map<String, Object> more, String line) {
    if (form == Form.json) {
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
