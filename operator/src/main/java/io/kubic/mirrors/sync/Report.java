package io.kubic.mirrors.sync;

import io.kubic.mirrors.list.Selection;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * What a run did: one outcome for each image. Exit code, termination message, status and metrics
 * all come from here.
 *
 * @param images sorted
 * @param complete whether every source could be seen whole
 */
public record Report(Termination.Summary summary, List<Outcome> images, boolean complete) {
  public Report {
    images = List.copyOf(images);
  }

  /**
   * The report of a run on a selection. What could not be listed is not passed over: it is a
   * failure of its source.
   *
   * @param requests HTTP requests sent
   */
  public static Report of(List<Outcome> outcomes, long requests, Selection selection) {
    List<Outcome> all = new ArrayList<>(outcomes);
    for (Selection.Problem problem : selection.unseen()) {
      all.add(
          new Outcome(
              problem.object(),
              "",
              null,
              Outcome.Result.Failed,
              problem.reason(),
              problem.message(),
              0,
              1));
    }
    return of(all, requests, selection.complete());
  }

  /**
   * @param requests HTTP requests sent
   */
  public static Report of(List<Outcome> outcomes, long requests, boolean complete) {
    List<Outcome> sorted = outcomes.stream().sorted().toList();
    return new Report(
        new Termination.Summary(
            count(sorted, Outcome.Result.Copied),
            count(sorted, Outcome.Result.Skipped),
            count(sorted, Outcome.Result.Failed),
            count(sorted, Outcome.Result.Drifted),
            count(sorted, Outcome.Result.Pruned),
            (int) sorted.stream().filter(Outcome::referrer).filter(Report::isThere).count(),
            sorted.stream().mapToLong(Outcome::bytes).sum(),
            requests,
            (int) sorted.stream().filter(Outcome::hasAllPlatforms).count()),
        sorted,
        complete);
  }

  private static int count(List<Outcome> outcomes, Outcome.Result result) {
    return (int)
        outcomes.stream()
            .filter(o -> o.result() == result)
            // Signatures are counted apart, but one that fails is a failure like any other.
            .filter(o -> !o.referrer() || result == Outcome.Result.Failed)
            .count();
  }

  private static boolean isThere(Outcome outcome) {
    return outcome.result() == Outcome.Result.Copied || outcome.result() == Outcome.Result.Skipped;
  }

  /** Whether everything was listed and nothing failed. */
  public boolean isSuccessful() {
    return complete && summary.failed() == 0;
  }

  /** The same in at most 4 KiB. */
  public Termination termination(
      @Nullable Plan plan, List<Selection.SourceCount> sources, @Nullable String reportRef) {
    return new Termination(
        plan == null ? null : plan.hash(),
        plan == null ? null : plan.planned(),
        summary,
        complete,
        images.stream()
            .filter(outcome -> outcome.result() == Outcome.Result.Failed)
            .map(
                o ->
                    new Termination.Failure(
                        o.source(), String.valueOf(o.reason()), o.message(), o.attempts()))
            .toList(),
        sources.stream()
            .map(
                s ->
                    new Termination.Source(
                        s.registry(),
                        s.name(),
                        s.repositories(),
                        (int) Math.min(s.tags(), Integer.MAX_VALUE),
                        s.selected()))
            .toList(),
        reportRef,
        null,
        null,
        reasons(),
        null,
        List.of());
  }

  /** How many failed for which reason, by the reason's name. */
  private Map<String, Integer> reasons() {
    Map<String, Integer> counts = new TreeMap<>();
    for (Outcome outcome : images) {
      if (outcome.result() == Outcome.Result.Failed) {
        counts.merge(String.valueOf(outcome.reason()), 1, Integer::sum);
      }
    }
    return counts;
  }
}
