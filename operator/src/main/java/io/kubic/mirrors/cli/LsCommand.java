package io.kubic.mirrors.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kubic.mirrors.list.Catalog;
import io.kubic.mirrors.list.Contents;
import io.kubic.mirrors.list.RegistryCatalog;
import java.io.PrintWriter;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code ls}: the repositories of a registry and their tags. */
@Command(
    name = "ls",
    mixinStandardHelpOptions = true,
    description = "List the repositories of a registry with their tags.")
final class LsCommand implements Callable<Integer> {
  /** How the list is printed. */
  enum Output {
    table,
    json,
    reg
  }

  @Spec private CommandSpec spec;
  @Mixin private ConnectionOptions connections;

  @Parameters(index = "0", paramLabel = "HOST", description = "The registry, host[:port].")
  private String host;

  @Parameters(
      index = "1",
      arity = "0..1",
      paramLabel = "PATTERN",
      description = "RE2, found anywhere in the repository's name unless anchored.")
  private @Nullable String pattern;

  @Option(
      names = {"-o", "--output"},
      defaultValue = "table",
      description = "${COMPLETION-CANDIDATES}; reg is the layout of genuinetools/reg.")
  private Output output;

  @Override
  public Integer call() {
    PrintWriter out = spec.commandLine().getOut();
    try (ConnectionOptions open = connections;
        ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
      Catalog catalog = new RegistryCatalog(open.registry(host));
      Contents contents = Contents.list(catalog, host, pattern == null ? ".*" : pattern, executor);
      switch (output) {
        case table -> printTable(contents, out);
        case json -> out.println(json(contents));
        case reg -> printReg(contents, out);
      }
      out.flush();
      contents
          .problems()
          .forEach(
              problem ->
                  spec.commandLine()
                      .getErr()
                      .println("error: " + problem.object() + ": " + problem.message()));
      return contents.problems().isEmpty() ? ExitCode.OK : ExitCode.FAILED;
    }
  }

  private static void printTable(Contents contents, PrintWriter out) {
    Table table = new Table("REPOSITORY", "TAGS", "NEWEST");
    for (Contents.Entry entry : contents.repositories()) {
      table.row(entry.name(), Integer.toString(entry.tags().size()), entry.newest());
    }
    table.print(out);
  }

  private void printReg(Contents contents, PrintWriter out) {
    out.println("Repositories for " + host);
    int width = 20;
    for (Contents.Entry entry : contents.repositories()) {
      width = Math.max(width, entry.name().length() + 3);
    }
    String format = "%-" + width + "s%s%n";
    out.printf(format, "REPO", "TAGS");
    for (Contents.Entry entry : contents.repositories()) {
      out.printf(format, entry.name(), String.join(", ", entry.tags()));
    }
  }

  private static String json(Contents contents) {
    ObjectMapper mapper = new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);
    ObjectNode root = mapper.createObjectNode();
    contents
        .repositories()
        .forEach(
            entry ->
                root.withArray("repositories")
                    .addObject()
                    .put("name", entry.name())
                    .set("tags", mapper.valueToTree(entry.tags())));
    if (contents.repositories().isEmpty()) {
      root.putArray("repositories");
    }
    try {
      return mapper.writeValueAsString(root);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
