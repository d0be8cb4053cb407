package io.kubic.mirrors.cli;

import io.kubic.mirrors.api.v1alpha1.Api;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import java.time.Clock;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code sync-now}: asks the operator for a run of a list, whatever its schedule says. */
@Command(
    name = "sync-now",
    mixinStandardHelpOptions = true,
    description = "Ask the operator to run a MirrorList now.")
final class SyncNowCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;
  @Mixin private ClusterOptions cluster;

  @Parameters(paramLabel = "LIST", description = "Name of the MirrorList.")
  private String list;

  @Override
  public Integer call() {
    String now = Clock.systemUTC().instant().toString();
    MirrorList asked =
        cluster.ask(
            client ->
                ClusterOptions.list(client, list)
                    .edit(old -> annotated(old, Api.RECONCILE_AT, now)));
    spec.commandLine()
        .getOut()
        .println(
            "mirrorlist/"
                + list
                + (asked.getSpec().suspend()
                    ? " is asked to run, but spec.suspend is true"
                    : " is asked to run; see: kubectl mirror status " + list));
    return ExitCode.OK;
  }

  static MirrorList annotated(MirrorList list, String name, String value) {
    Map<String, String> all = new HashMap<>();
    if (list.getMetadata().getAnnotations() != null) {
      all.putAll(list.getMetadata().getAnnotations());
    }
    all.put(name, value);
    list.getMetadata().setAnnotations(all);
    return list;
  }
}
