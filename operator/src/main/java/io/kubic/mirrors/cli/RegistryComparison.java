package io.kubic.mirrors.cli;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.list.RegistryCatalog;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.list.Selector;
import io.kubic.mirrors.oci.registry.RegistryClient;
import io.kubic.mirrors.sync.Plan;
import io.kubic.mirrors.sync.Planner;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import picocli.CommandLine;

/**
 * What a registry lacks of what a list selects now: a plan, read as a comparison.
 *
 * @param same images that are there, with the digest of the source and everything below it
 * @param missing the registry has no such tag, another digest, or not all parts
 * @param drifted the tag moved at the source and is kept on purpose
 * @param unknown could not be compared
 */
record RegistryComparison(
    int same, List<String> missing, List<String> drifted, List<String> unknown, boolean complete) {

  /**
   * Compares and tells.
   *
   * @return 0 when everything selected is there as the source has it, else 1
   */
  static int run(
      MirrorListSpec list,
      String host,
      LockOptions lock,
      ConnectionOptions open,
      boolean json,
      CommandLine line) {
    Selector selector = Selector.compile(list);
    RegistryClient target = open.target(host, list);
    target.ping();
    SourceClients clients = new SourceClients(open, list);
    try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
      Selection selection =
          lock.find(list, target, open)
              .map(locked -> locked.select(list))
              .orElseGet(
                  () ->
                      selector.select(source -> new RegistryCatalog(clients.of(source)), executor));
      Plan plan =
          new Planner(list, clients::of, target, Planner.Depth.SIZES, executor)
              .plan(selection)
              .plan();
      RegistryComparison found = of(plan);
      plan.problems()
          .forEach(
              problem ->
                  line.getErr()
                      .println(
                          "problem: "
                              + problem.object()
                              + ": "
                              + problem.reason()
                              + ": "
                              + problem.message()));
      if (json) {
        try {
          line.getOut().println(JsonMapper.builder().build().writeValueAsString(found));
        } catch (JsonProcessingException e) {
          throw new IllegalStateException(e);
        }
      } else {
        found.print(line.getOut());
      }
      line.getOut().flush();
      return found.isEqual() ? ExitCode.OK : ExitCode.FAILED;
    }
  }

  static RegistryComparison of(Plan plan) {
    int same = 0;
    List<String> missing = new ArrayList<>();
    List<String> drifted = new ArrayList<>();
    List<String> unknown = new ArrayList<>();
    for (Plan.Item item : plan.images()) {
      switch (item.action()) {
        case Skip -> same++;
        case Copy -> missing.add(item.target());
        case Drift -> drifted.add(item.target());
        case Fail -> unknown.add(item.target());
        case Prune -> {
          // Is there although nobody selects it: no difference to what is selected.
        }
      }
    }
    return new RegistryComparison(same, missing, drifted, unknown, plan.complete());
  }

  @JsonProperty("equal")
  boolean isEqual() {
    return missing.isEmpty() && unknown.isEmpty() && complete;
  }

  void print(PrintWriter out) {
    missing.forEach(image -> out.println("missing or different: " + image));
    drifted.forEach(image -> out.println("kept though the source moved: " + image));
    unknown.forEach(image -> out.println("cannot be compared: " + image));
    out.println(
        same
            + " images as the source has them, "
            + missing.size()
            + " missing or different, "
            + drifted.size()
            + " drifted, "
            + unknown.size()
            + " unknown"
            + (complete ? "" : "; INCOMPLETE, see the problems"));
  }
}
