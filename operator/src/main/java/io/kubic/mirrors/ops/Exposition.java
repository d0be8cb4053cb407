package io.kubic.mirrors.ops;

import io.prometheus.metrics.expositionformats.PrometheusTextFormatWriter;
import io.prometheus.metrics.model.snapshots.MetricSnapshots;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;

/** Metrics in the Prometheus text format, version 0.0.4. */
public final class Exposition {
  private Exposition() {}

  /** What {@code /metrics} answers. */
  public static HealthServer.Answer answer(MetricSnapshots metrics) {
    return new HealthServer.Answer(200, PrometheusTextFormatWriter.CONTENT_TYPE, text(metrics));
  }

  /** One line for each series, and the help of each metric that has any. */
  public static String text(MetricSnapshots metrics) {
    try {
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      PrometheusTextFormatWriter.create().write(out, metrics);
      return out.toString(StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
