package io.kubic.mirrors.cli;

import io.kubic.mirrors.api.v1alpha1.Condition;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListStatus;
import java.io.PrintWriter;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code status}: how the lists of a cluster stand, and all that is known of one of them. */
@Command(
    name = "status",
    mixinStandardHelpOptions = true,
    description = "Show how MirrorLists stand; with a name, all that is known of one.")
final class StatusCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;
  @Mixin private ClusterOptions cluster;

  @Parameters(arity = "0..1", paramLabel = "LIST", description = "Name of a MirrorList.")
  private @Nullable String list;

  @Option(
      names = {"-A", "--all-namespaces"},
      description = "Lists of every namespace.")
  private boolean all;

  @Override
  public Integer call() {
    String name = list;
    List<MirrorList> lists =
        cluster.ask(
            client ->
                name != null
                    ? List.of(ClusterOptions.list(client, name).get())
                    : all
                        ? client.resources(MirrorList.class).inAnyNamespace().list().getItems()
                        : client
                            .resources(MirrorList.class)
                            .inNamespace(ClusterOptions.namespace(client))
                            .list()
                            .getItems());
    PrintWriter out = spec.commandLine().getOut();
    if (name != null) {
      one(lists.getFirst(), out);
      return condition(lists.getFirst(), "Ready").equals("True") ? ExitCode.OK : ExitCode.FAILED;
    }
    Table table = new Table("LIST", "READY", "IMAGES", "SIZE", "LAST SUCCESS", "NOTE");
    lists.stream()
        .sorted(
            Comparator.comparing((MirrorList l) -> l.getMetadata().getNamespace())
                .thenComparing(l -> l.getMetadata().getName()))
        .forEach(
            l -> {
              MirrorListStatus status = l.getStatus();
              table.row(
                  (all ? l.getMetadata().getNamespace() + "/" : "") + l.getMetadata().getName(),
                  condition(l, "Ready"),
                  text(status == null ? null : status.images()),
                  text(status == null ? null : status.size()),
                  text(status == null ? null : status.lastSuccessfulTime()),
                  condition(l, "AwaitingApproval").equals("True")
                      ? "waits for approval"
                      : condition(l, "Ready").equals("True") ? "" : reason(l));
            });
    table.print(out);
    boolean ready = lists.stream().allMatch(l -> condition(l, "Ready").equals("True"));
    return ready ? ExitCode.OK : ExitCode.FAILED;
  }

  private static void one(MirrorList list, PrintWriter out) {
    MirrorListStatus status = list.getStatus();
    out.println(list.getMetadata().getNamespace() + "/" + list.getMetadata().getName());
    if (status == null) {
      out.println("nothing is known yet: is the operator running?");
      return;
    }
    for (Condition condition : status.conditions()) {
      out.println(
          "  "
              + condition.type()
              + "="
              + condition.status()
              + " "
              + condition.reason()
              + ": "
              + condition.message());
    }
    MirrorListStatus.Plan plan = status.plan();
    if (plan != null) {
      out.println(
          "plan "
              + plan.hash()
              + ": "
              + plan.images()
              + " images in "
              + plan.repositories()
              + " repositories, at most "
              + (plan.bytesToTransfer() == null ? "?" : PlanTable.size(plan.bytesToTransfer()))
              + " to transfer");
    }
    MirrorListStatus.Progress progress = status.progress();
    if (progress != null && progress.bytesTotal() != null && progress.bytesDone() != null) {
      out.println(
          "copying "
              + progress.completed()
              + " of "
              + progress.total()
              + " images, "
              + PlanTable.size(progress.bytesDone())
              + " of "
              + PlanTable.size(progress.bytesTotal())
              + (progress.eta() == null ? "" : ", " + progress.eta() + " left"));
    }
    for (MirrorListStatus.Source source : status.sources()) {
      out.println(
          "source "
              + source.registry()
              + " ("
              + source.name()
              + "): "
              + source.repositories()
              + " repositories, "
              + source.tags()
              + " tags, "
              + source.selected()
              + " selected"
              + quota(source.rateLimit()));
    }
    out.println(
        "last run "
            + text(status.lastSyncTime())
            + ", last success "
            + text(status.lastSuccessfulTime())
            + ", next "
            + text(status.nextSyncTime()));
    if (status.lockRef() != null) {
      out.println("lock " + status.lockRef());
    }
    if (status.shards().isEmpty() && status.reportRef() != null) {
      out.println("report " + status.reportRef());
    }
    for (MirrorListStatus.Shard shard : status.shards()) {
      out.println(
          "shard "
              + shard.index()
              + ": "
              + (shard.reason() == null
                  ? shard.images() + " images, " + shard.failed() + " failed"
                  : shard.reason())
              + ", report "
              + text(shard.reportRef()));
    }
    for (MirrorListStatus.Run run : status.history()) {
      out.println(
          "run "
              + text(run.time())
              + ": "
              + run.result()
              + (run.reason() == null ? "" : " " + run.reason())
              + (run.copied() == null
                  ? ""
                  : ", " + run.copied() + " copied, " + run.failed() + " failed"));
    }
    for (MirrorListStatus.Failure failure : status.failures()) {
      out.println(
          "failed " + failure.image() + ": " + failure.reason() + ": " + text(failure.message()));
    }
  }

  private static String quota(MirrorListStatus.@Nullable RateLimit limit) {
    return limit == null
        ? ""
        : (limit.remaining() == null
                ? ""
                : ", "
                    + limit.remaining()
                    + (limit.limit() == null ? "" : " of " + limit.limit())
                    + " pulls left")
            + (limit.throttled() == null || limit.throttled() == 0
                ? ""
                : ", " + limit.throttled() + " requests throttled");
  }

  private static String condition(MirrorList list, String type) {
    return list.getStatus() == null
        ? "Unknown"
        : list.getStatus().conditions().stream()
            .filter(c -> c.type().equals(type))
            .map(c -> c.status())
            .findFirst()
            .orElse("Unknown");
  }

  private static String reason(MirrorList list) {
    return list.getStatus() == null
        ? "not seen by the operator"
        : list.getStatus().conditions().stream()
            .filter(c -> c.type().equals("Ready"))
            .map(Condition::reason)
            .findFirst()
            .orElse("");
  }

  private static String text(@Nullable String value) {
    return value == null ? "-" : value;
  }
}
