package io.kubic.mirrors.sync;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class TerminationTest {
  private static Stream<Termination.Failure> failures(int count, String reason) {
    return IntStream.range(0, count)
        .mapToObj(i -> new Termination.Failure("r.example/a:" + i, reason, "m".repeat(200), 3));
  }

  private static Termination failed(List<Termination.Failure> failures, int sources) {
    return new Termination(
        "ab".repeat(32),
        new Termination.Planned(2, 300, 1000, 400, 0),
        new Termination.Summary(9, 2, failures.size(), 0, 0, 0, 1, 1),
        true,
        failures,
        IntStream.range(0, sources)
            .mapToObj(i -> new Termination.Source("registry" + i + ".example", "default", 2, 9, 5))
            .toList(),
        null,
        null);
  }

  private static Termination told(Termination termination) {
    byte[] json = termination.toJson();
    assertThat(json).hasSizeLessThanOrEqualTo(Termination.MAX_BYTES);
    return Termination.parse(new String(json, UTF_8)).orElseThrow();
  }

  @Test
  void sourcesGoBeforeTheFirstFailures() {
    Termination whole = failed(failures(30, "TargetFull").toList(), 64);
    Termination told = told(whole);
    assertThat(told.failures()).isEqualTo(whole.failures().subList(0, 5));
    assertThat(told.sources())
        .isNotEmpty()
        .isEqualTo(whole.sources().subList(0, told.sources().size()));
    assertThat(told.leadingReason()).isEqualTo("TargetFull");
  }

  @Test
  void allSourcesStayWhereFewerFailuresAreEnough() {
    Termination told = told(failed(failures(30, "TargetFull").toList(), 4));
    assertThat(told.failures()).hasSizeBetween(6, 20);
    assertThat(told.sources()).hasSize(4);
  }

  @Test
  void aFailureThatIsTooLongForTheMessageIsCountedAllTheSame() {
    Termination told =
        told(
            failed(
                List.of(new Termination.Failure("a", "TargetRejected", "m".repeat(5000), 1)), 2));
    assertThat(told.failures()).isEmpty();
    assertThat(told.leadingReason()).isEqualTo("TargetRejected");
  }

  @Test
  void theMostFrequentReasonOfAllFailuresLeads() {
    List<Termination.Failure> failures = new ArrayList<>(failures(25, "NotFound").toList());
    failures(26, "RateLimited").forEach(failures::add);
    Termination told = told(failed(failures, 1));
    assertThat(told.failures()).extracting(Termination.Failure::reason).containsOnly("NotFound");
    assertThat(told.leadingReason()).isEqualTo("RateLimited");
    assertThat(told.failedFor("RateLimited")).isTrue();
    assertThat(told.failedFor("NotFound")).isTrue();
    assertThat(told.failedFor("TargetFull")).isFalse();
  }

  @Test
  void whatWasCancelledIsNotTheReasonWhereThereIsAnother() {
    List<Termination.Failure> failures = new ArrayList<>(failures(9, "Cancelled").toList());
    assertThat(failed(failures, 0).leadingReason()).isEqualTo("Cancelled");
    failures(1, "Timeout").forEach(failures::add);
    assertThat(failed(failures, 0).leadingReason()).isEqualTo("Timeout");
  }

  @Test
  void anErrorThatIsTooLongIsCutAndReadable() {
    for (String letter : List.of("m", "\"", "\u0001", "\u00e4", "\ud83d\ude00")) {
      Termination told =
          told(
              failed(failures(3, "NotFound").toList(), 3)
                  .failed("InvalidSpec", letter.repeat(9000)));
      assertThat(told.leadingReason()).isEqualTo("InvalidSpec");
      assertThat(told.error().message()).startsWith(letter).endsWith("...");
      assertThat(told.error().message()).doesNotContain("?");
    }
  }

  @Test
  void aSourceThatAPartHadNoRoomForIsNotCountedTooLow() {
    Termination whole = failed(failures(30, "TargetFull").toList(), 64);
    Termination short1 = told(whole);
    Termination merged =
        Termination.merged(
            List.of(Optional.of(failed(List.of(), 64)), Optional.of(short1), Optional.empty()));
    assertThat(merged.sources()).hasSameSizeAs(short1.sources());
    assertThat(merged.sources()).extracting(Termination.Source::selected).containsOnly(10);
  }
}
