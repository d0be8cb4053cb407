package io.kubic.mirrors.controller.list;

import io.kubic.mirrors.api.v1alpha1.Condition;
import io.kubic.mirrors.api.v1alpha1.GoDuration;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListStatus;
import io.prometheus.metrics.model.snapshots.GaugeSnapshot;
import io.prometheus.metrics.model.snapshots.GaugeSnapshot.GaugeDataPointSnapshot;
import io.prometheus.metrics.model.snapshots.Labels;
import io.prometheus.metrics.model.snapshots.MetricSnapshots;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What can be scraped of lists: their statuses as they stand, and nothing else, so that a metric
 * never tells other than a condition, survives the operator's restart, and goes with its list. A
 * run is a batch job: the last one's figures are gauges ("Instrumentation: batch jobs" in the
 * Prometheus documentation).
 */
public final class ListMetrics {
  private final Map<String, GaugeSnapshot.Builder> gauges = new LinkedHashMap<>();

  private ListMetrics() {
    gauge("mirror_list_condition", "1 while a condition of the list is True, 0 while it is False.");
    gauge("mirror_list_images", "Images that the list selected last.");
    gauge("mirror_list_size_bytes", "Bytes of the images that the list selected last.");
    gauge("mirror_list_last_run_timestamp_seconds", "When the last run ended.");
    gauge("mirror_list_last_run_duration_seconds", "How long the last run took.");
    gauge("mirror_list_last_run_success", "1 if the last run did all that was asked, else 0.");
    gauge("mirror_list_last_run_images", "Images of the last run by what became of them.");
    gauge("mirror_list_last_run_referrers", "Signatures and the like of the last run.");
    gauge("mirror_list_last_run_failures", "What failed in the last run, by reason.");
    gauge("mirror_list_last_run_written_bytes", "Bytes that the last run wrote to the mirror.");
    gauge("mirror_list_last_success_timestamp_seconds", "When the last run without failure ended.");
    gauge("mirror_list_next_run_timestamp_seconds", "When the next run is due.");
    gauge("mirror_list_source_quota_pulls", "Pulls that a source's registry allows in a window.");
    gauge("mirror_list_source_quota_remaining_pulls", "Of them, those left after the last run.");
    gauge("mirror_list_source_throttled_requests", "Requests of the last run answered with 429.");
  }

  /** The metrics of all lists, sorted; a metric without a series is left out. */
  public static MetricSnapshots of(Stream<MirrorList> lists) {
    ListMetrics metrics = new ListMetrics();
    lists.forEach(
        list -> {
          MirrorListStatus status = list.getStatus();
          if (status != null) {
            metrics.add(
                Labels.of(
                    "namespace", list.getMetadata().getNamespace(),
                    "list", list.getMetadata().getName()),
                status);
          }
        });
    MetricSnapshots.Builder all = MetricSnapshots.builder();
    metrics.gauges.values().stream()
        .map(GaugeSnapshot.Builder::build)
        .filter(snapshot -> !snapshot.getDataPoints().isEmpty())
        .forEach(all::metricSnapshot);
    return all.build();
  }

  private void gauge(String name, String help) {
    gauges.put(name, GaugeSnapshot.builder().name(name).help(help));
  }

  private void add(Labels list, MirrorListStatus status) {
    for (Condition condition : status.conditions()) {
      if (!condition.status().equals("Unknown")) {
        tell(
            "mirror_list_condition", list.add("type", condition.type()), condition.holds() ? 1 : 0);
      }
    }
    MirrorListStatus.Plan plan = status.plan();
    if (plan != null) {
      tell("mirror_list_images", list, plan.images());
      tell("mirror_list_size_bytes", list, plan.bytes());
    }
    at("mirror_list_last_success_timestamp_seconds", list, status.lastSuccessfulTime());
    at("mirror_list_next_run_timestamp_seconds", list, status.nextSyncTime());
    if (!status.history().isEmpty()) {
      add(list, status.history().getFirst());
    }
    TreeSet<String> told = new TreeSet<>();
    for (MirrorListStatus.Source source : status.sources()) {
      MirrorListStatus.RateLimit limit = source.rateLimit();
      // Sources of one registry share its limits.
      if (limit != null && told.add(source.registry())) {
        Labels labels = list.add("registry", source.registry());
        tell("mirror_list_source_quota_pulls", labels, limit.limit());
        tell("mirror_list_source_quota_remaining_pulls", labels, limit.remaining());
        tell("mirror_list_source_throttled_requests", labels, limit.throttled());
      }
    }
  }

  private void add(Labels list, MirrorListStatus.Run run) {
    at("mirror_list_last_run_timestamp_seconds", list, run.time());
    if (run.duration() != null) {
      tell(
          "mirror_list_last_run_duration_seconds",
          list,
          GoDuration.parse(run.duration(), "status.history.duration").toSeconds());
    }
    tell(
        "mirror_list_last_run_success",
        list,
        run.result() == MirrorListStatus.Result.Succeeded ? 1 : 0);
    image(list, "copied", run.copied());
    image(list, "skipped", run.skipped());
    image(list, "failed", run.failed());
    image(list, "drifted", run.drifted());
    image(list, "pruned", run.pruned());
    tell("mirror_list_last_run_referrers", list, run.referrers());
    run.failures()
        .forEach(
            (reason, count) ->
                tell("mirror_list_last_run_failures", list.add("reason", reason), count));
    tell("mirror_list_last_run_written_bytes", list, run.bytes());
  }

  private void image(Labels list, String result, @Nullable Integer count) {
    tell("mirror_list_last_run_images", list.add("result", result), count);
  }

  private void at(String name, Labels labels, @Nullable String time) {
    tell(name, labels, time == null ? null : Long.valueOf(Instant.parse(time).getEpochSecond()));
  }

  private void tell(String name, Labels labels, @Nullable Number value) {
    GaugeSnapshot.Builder gauge = gauges.get(name);
    if (gauge == null) {
      throw new IllegalStateException(name + " is no metric of a list");
    }
    if (value != null) {
      gauge.dataPoint(
          GaugeDataPointSnapshot.builder().labels(labels).value(value.doubleValue()).build());
    }
  }
}
