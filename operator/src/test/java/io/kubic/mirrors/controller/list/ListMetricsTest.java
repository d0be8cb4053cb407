package io.kubic.mirrors.controller.list;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import io.kubic.mirrors.oci.Quota;
import io.kubic.mirrors.ops.Exposition;
import io.kubic.mirrors.sync.Termination;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Optional;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class ListMetricsTest {
  private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");
  private static final Job JOB =
      new JobBuilder()
          .withNewMetadata()
          .withName("one")
          .endMetadata()
          .withNewStatus()
          .withStartTime("2025-12-31T23:59:00Z")
          .addNewCondition()
          .withType("Complete")
          .withStatus("True")
          .endCondition()
          .endStatus()
          .build();

  private static MirrorList list(String name) {
    MirrorList list =
        ResourceFile.read(
                """
                apiVersion: mirrors.kubic.io/v1alpha1
                kind: MirrorList
                metadata: {namespace: mirror-system, name: %s}
                spec:
                  registryRef: {name: m}
                  sources: [{registry: r.example, images: [a]}]
                """
                    .formatted(name),
                "list.yaml",
                MirrorList.class)
            .getFirst();
    list.getMetadata().setGeneration(1L);
    return list;
  }

  private static MirrorList finished(String name, Termination told) {
    MirrorList list = list(name);
    list.setStatus(
        new ListStatus(list, Clock.fixed(NOW, ZoneOffset.UTC))
            .finished(JOB, Optional.of(told), NOW, "spec", "", Optional.of(NOW.plusSeconds(3600))));
    return list;
  }

  private static Termination told(int failed) {
    List<Termination.Failure> failures =
        Stream.generate(() -> new Termination.Failure("r.example/a", "NotFound", "why", 1))
            .limit(failed)
            .toList();
    return new Termination(
            "ab",
            new Termination.Planned(2, 30, 1000, 400, 0),
            new Termination.Summary(9, 2, failed, 0, 1, 4, 777, 50),
            true,
            failures,
            List.of(
                new Termination.Source("r.example", "one", 2, 9, 5),
                new Termination.Source("r.example", "two", 2, 9, 5)),
            null,
            null)
        .withQuotas(registry -> Optional.of(new Quota(100, 76, 21600, 3)));
  }

  private static String text(MirrorList... lists) {
    return Exposition.text(ListMetrics.of(Stream.of(lists)));
  }

  @Test
  void aRunsFiguresAreThoseOfItsRecord() {
    String text = text(finished("kubic", told(40)));
    String of = "{list=\"kubic\",namespace=\"mirror-system\"";
    assertThat(text.lines())
        .contains(
            "mirror_list_last_run_images" + of + ",result=\"copied\"} 9.0",
            "mirror_list_last_run_images" + of + ",result=\"failed\"} 40.0",
            "mirror_list_last_run_failures" + of + ",reason=\"NotFound\"} 40.0",
            "mirror_list_last_run_success" + of + "} 0.0",
            "mirror_list_last_run_written_bytes" + of + "} 777.0",
            "mirror_list_last_run_duration_seconds" + of + "} 60.0",
            "mirror_list_condition" + of + ",type=\"Ready\"} 0.0",
            "mirror_list_condition" + of + ",type=\"DiscoveryComplete\"} 1.0",
            "mirror_list_images" + of + "} 30.0",
            "mirror_list_size_bytes" + of + "} 1000.0",
            "mirror_list_source_quota_remaining_pulls" + of + ",registry=\"r.example\"} 76.0",
            "mirror_list_source_throttled_requests" + of + ",registry=\"r.example\"} 3.0",
            "mirror_list_next_run_timestamp_seconds" + of + "} 1.7672292E9");
    assertThat(text).doesNotContain("mirror_list_last_success_timestamp_seconds");
    assertThat(text(finished("kubic", told(0))).lines())
        .contains(
            "mirror_list_last_run_success" + of + "} 1.0",
            "mirror_list_condition" + of + ",type=\"Ready\"} 1.0",
            "mirror_list_last_success_timestamp_seconds" + of + "} 1.7672256E9")
        .noneMatch(line -> line.startsWith("mirror_list_last_run_failures"));
  }

  @Test
  void aRunThatNeverBeganTellsItsReasonAndNoCounts() {
    assertThat(text(finished("kubic", Termination.of("GuardExceeded", "too many"))).lines())
        .contains(
            "mirror_list_last_run_failures{list=\"kubic\",namespace=\"mirror-system\","
                + "reason=\"GuardExceeded\"} 1.0")
        .noneMatch(line -> line.startsWith("mirror_list_last_run_images"));
  }

  @Test
  void everyListHasItsSeriesAndNoneIsLeftWithoutOne() {
    MirrorList one = finished("one", told(0));
    MirrorList two = finished("two", told(0));
    assertThat(text(one, two)).contains("list=\"one\"", "list=\"two\"");
    assertThat(text(two, list("new"))).doesNotContain("list=\"one\"", "list=\"new\"");
    assertThat(text()).isEmpty();
  }

  @Test
  void theAlertsOfTheChartAskForWhatIsTold() throws IOException {
    String told = text(finished("kubic", told(40)), finished("well", told(0)));
    List<String> alerts =
        Files.readAllLines(Path.of("../config/prometheus/monitoring.yaml")).stream()
            .filter(line -> line.contains("mirror_list_"))
            .toList();
    assertThat(alerts).hasSizeGreaterThan(2);
    for (String line : alerts) {
      for (MatchResult name :
          Pattern.compile("mirror_list_[a-z_]+").matcher(line).results().toList()) {
        assertThat(told).contains("# TYPE " + name.group() + " gauge");
      }
      for (MatchResult type : Pattern.compile("type=\"(\\w+)\"").matcher(line).results().toList()) {
        assertThat(told).contains("type=\"" + type.group(1) + "\"");
      }
    }
  }
}
