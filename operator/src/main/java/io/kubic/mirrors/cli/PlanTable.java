package io.kubic.mirrors.cli;

import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.sync.Plan;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * A plan as a person reads it, in at most 80 columns: what, and below it how many, how big, how
 * long, and what it cost to find out.
 */
final class PlanTable {
  private static final int REPOSITORY = 32;
  private static final int TAG = 19;
  private static final int WIDTH = 80;

  private PlanTable() {}

  /**
   * What the plan cost.
   *
   * @param listing requests that listed repositories and tags
   * @param source requests that asked the sources for digests and manifests
   * @param target requests to the target
   */
  record Cost(long listing, long source, long target, Duration duration) {
    /** Requests to the sources for each selected image, besides the listing. */
    double perImage(int images) {
      return images == 0 ? 0 : (double) source / images;
    }
  }

  /**
   * @param sized whether the plan's bytes are those of whole images
   * @param rate bytes per second that the transfer is reckoned with
   */
  static void print(
      Plan plan,
      List<Selection.SourceCount> sources,
      Cost cost,
      boolean sized,
      long rate,
      PrintWriter out) {
    Table table = new Table("REPOSITORY", "TAG", "DIGEST", "SIZE", "DO");
    String last = "";
    for (Plan.Item item : plan.images()) {
      String name = item.source();
      int at = name.indexOf('@');
      String tagged = at < 0 ? name : name.substring(0, at);
      int colon = tagged.lastIndexOf(':');
      boolean tag = colon > tagged.lastIndexOf('/');
      String repository = tag ? tagged.substring(0, colon) : tagged;
      table.row(
          repository.equals(last) ? "" : shortened(repository, REPOSITORY),
          tag ? shortened(tagged.substring(colon + 1), TAG) : "-",
          item.digest() == null ? "-" : item.digest().brief(),
          sized && item.digest() != null ? size(item.bytes()) : "-",
          item.action().name().toLowerCase(Locale.ROOT));
      last = repository;
    }
    table.print(out);
    out.println();
    Plan.Totals totals = plan.totals();
    for (Selection.SourceCount source : sources) {
      lines(
          out,
          source.registry()
              + ": "
              + count(source.matched(), "repository", "repositories")
              + " of "
              + source.repositories()
              + ", "
              + count(source.selected(), "image", "images")
              + " of "
              + count(source.tags(), "tag", "tags")
              + " selected");
    }
    lines(
        out,
        "what:     "
            + count(totals.images(), "image", "images")
            + " in "
            + count(totals.repositories(), "repository", "repositories")
            + ", "
            + count(totals.digests(), "different digest", "different digests")
            + (totals.referrers() == 0
                ? ""
                : ", "
                    + count(totals.referrers(), "signature or the like", "signatures and the like"))
            + platforms(plan));
    lines(out, "how many: " + actions(totals));
    if (sized) {
      lines(
          out,
          "how big:  "
              + size(totals.bytes())
              + " in all, at most "
              + size(totals.bytesToTransfer())
              + " to transfer");
      lines(
          out,
          "how long: about "
              + time(Duration.ofSeconds(Math.ceilDiv(totals.bytesToTransfer(), rate)))
              + " at "
              + size(rate)
              + "/s (--rate)");
    } else {
      lines(out, "how big:  not asked (--sizes none)");
    }
    lines(
        out,
        String.format(
            Locale.ROOT,
            "asked:    %d requests to list, %d to look (%.2f per image)%s, in %s",
            cost.listing(),
            cost.source(),
            cost.perImage(totals.images()),
            plan.target() == null ? "" : ", " + cost.target() + " to the target",
            time(cost.duration())));
    lines(out, "plan:     " + plan.hash());
    if (!plan.complete()) {
      lines(out, "INCOMPLETE: not everything could be seen; see the problems");
    }
  }

  private static String actions(Plan.Totals totals) {
    StringBuilder text = new StringBuilder(totals.copy() + " to copy");
    if (totals.skip() > 0) {
      text.append(", ").append(totals.skip()).append(" there already");
    }
    if (totals.drift() > 0) {
      text.append(", ").append(totals.drift()).append(" drifted");
    }
    if (totals.pruneCandidates() > 0) {
      text.append(", ").append(totals.pruneCandidates()).append(" to prune");
    }
    if (totals.fail() > 0) {
      text.append(", ").append(totals.fail()).append(" that cannot be planned");
    }
    return text.toString();
  }

  private static String platforms(Plan plan) {
    Map<String, Long> counts =
        plan.images().stream()
            .flatMap(item -> item.platforms().stream())
            .collect(Collectors.groupingBy(name -> name, TreeMap::new, Collectors.counting()));
    return counts.isEmpty()
        ? ""
        : "; "
            + counts.entrySet().stream()
                .map(entry -> entry.getKey() + " in " + entry.getValue())
                .collect(Collectors.joining(", "));
  }

  private static String count(long number, String one, String many) {
    return number + " " + (number == 1 ? one : many);
  }

  /** Prints a text in lines of at most 80 columns, further ones indented. */
  private static void lines(PrintWriter out, String text) {
    String rest = text;
    while (rest.length() > WIDTH) {
      int end = rest.lastIndexOf(' ', WIDTH);
      if (end <= 12) {
        break;
      }
      out.println(rest.substring(0, end));
      rest = "          " + rest.substring(end + 1);
    }
    out.println(rest);
  }

  private static String shortened(String text, int width) {
    return text.length() <= width
        ? text
        : text.substring(0, width / 2)
            + "…"
            + text.substring(text.length() - (width - width / 2 - 1));
  }

  /** A number of bytes in at most eight characters. */
  static String size(long bytes) {
    if (bytes < 1024) {
      return bytes + " B";
    }
    String[] units = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = bytes / 1024.0;
    int unit = 0;
    while (value >= 999.5 && unit < units.length - 1) {
      value /= 1024;
      unit++;
    }
    return String.format(Locale.ROOT, value < 9.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
  }

  /** A duration for a person: two units at most. */
  static String time(Duration duration) {
    long seconds = duration.toSeconds();
    if (seconds < 10) {
      return String.format(Locale.ROOT, "%.1f s", duration.toMillis() / 1000.0);
    }
    if (seconds < 120) {
      return seconds + " s";
    }
    if (seconds < 7200) {
      return seconds / 60 + " min";
    }
    return seconds / 3600 + " h " + seconds % 3600 / 60 + " min";
  }
}
