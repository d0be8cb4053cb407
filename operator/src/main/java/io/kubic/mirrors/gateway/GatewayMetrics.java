package io.kubic.mirrors.gateway;

import io.kubic.mirrors.ops.Exposition;
import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.core.metrics.GaugeWithCallback;
import io.prometheus.metrics.core.metrics.Histogram;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.util.LinkedHashSet;
import java.util.Locale;
import java.util.Set;

/**
 * What can be scraped. Repositories are counted by name, up to a bound: a name is a client's word.
 */
final class GatewayMetrics {
  private static final int MAX_REPOSITORIES = 2000;
  private final PrometheusRegistry registry = new PrometheusRegistry();
  private final Set<String> repositories = new LinkedHashSet<>();
  private final Counter requests =
      Counter.builder()
          .name("mirror_gateway_requests_total")
          .help("Answered requests.")
          .labelNames("kind", "code")
          .register(registry);
  private final Counter pulls =
      Counter.builder()
          .name("mirror_gateway_pulls_total")
          .help("Manifests served, by repository.")
          .labelNames("repository")
          .register(registry);
  private final Counter bytes =
      Counter.builder()
          .name("mirror_gateway_served_bytes_total")
          .help("Bytes of blobs and manifests that were sent, by repository.")
          .labelNames("repository")
          .register(registry);
  private final Counter denials =
      Counter.builder()
          .name("mirror_gateway_denials_total")
          .help("Requests and logins that were refused.")
          .labelNames("reason")
          .register(registry);
  private final Counter tokens =
      Counter.builder()
          .name("mirror_gateway_tokens_total")
          .help("Tokens issued.")
          .labelNames("anonymous")
          .register(registry);
  private final Histogram seconds =
      Histogram.builder()
          .name("mirror_gateway_request_seconds")
          .help("Time from the request's head to the end of the answer.")
          .labelNames("kind")
          .classicOnly()
          .classicUpperBounds(0.002, 0.01, 0.05, 0.25, 1, 5, 30, 120)
          .register(registry);

  GatewayMetrics(FairGate blobs, Freeze freeze, MaterialsWatch materials) {
    GaugeWithCallback.builder()
        .name("mirror_gateway_blob_reads")
        .help("Blobs being read, and readers that wait for their turn.")
        .labelNames("state")
        .callback(
            gauge -> {
              gauge.call(blobs.inside(), "reading");
              gauge.call(blobs.waiting(), "waiting");
            })
        .register(registry);
    GaugeWithCallback.builder()
        .name("mirror_gateway_frozen")
        .help("1 while writes are held back.")
        .callback(gauge -> gauge.call(freeze.state().frozen() ? 1 : 0))
        .register(registry);
    GaugeWithCallback.builder()
        .name("mirror_gateway_writes_in_flight")
        .help("Requests that change content and have not ended.")
        .callback(gauge -> gauge.call(freeze.state().inFlight()))
        .register(registry);
    GaugeWithCallback.builder()
        .name("mirror_gateway_files_refused")
        .help("1 where new files cannot be used and the old are in force.")
        .labelNames("part")
        .callback(
            gauge -> {
              for (MaterialsWatch.Part part : MaterialsWatch.Part.values()) {
                gauge.call(materials.problems().containsKey(part) ? 1 : 0, part.label());
              }
            })
        .register(registry);
    GaugeWithCallback.builder()
        .name("mirror_gateway_certificate_expiry_timestamp_seconds")
        .help("When the served certificate ends.")
        .callback(
            gauge ->
                materials
                    .ready()
                    .ifPresent(now -> gauge.call(now.certificate().notAfter().getEpochSecond())))
        .register(registry);
  }

  void answered(Route.Kind kind, String repository, int code, long sent, double time) {
    String label = kind.name().toLowerCase(Locale.ROOT);
    requests.labelValues(label, Integer.toString(code)).inc();
    seconds.labelValues(label).observe(time);
    boolean content = kind == Route.Kind.MANIFEST_READ || kind == Route.Kind.BLOB_READ;
    if (content && (code == 200 || code == 206)) {
      String name = bounded(repository);
      if (kind == Route.Kind.MANIFEST_READ) {
        pulls.labelValues(name).inc();
      }
      bytes.labelValues(name).inc(sent);
    }
  }

  void denied(String reason) {
    denials.labelValues(reason).inc();
  }

  void token(boolean anonymous) {
    tokens.labelValues(Boolean.toString(anonymous)).inc();
  }

  private synchronized String bounded(String repository) {
    if (repositories.size() < MAX_REPOSITORIES) {
      repositories.add(repository);
    }
    return repositories.contains(repository) ? repository : "other";
  }

  /** The Prometheus text format. */
  String text() {
    return Exposition.text(registry.scrape());
  }
}
