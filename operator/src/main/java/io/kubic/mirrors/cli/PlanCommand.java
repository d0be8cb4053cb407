package io.kubic.mirrors.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLGenerator;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.MirrorList;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.api.v1alpha1.ResourceFile;
import io.kubic.mirrors.list.RegistryCatalog;
import io.kubic.mirrors.list.SelectedImage;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.list.Selector;
import io.kubic.mirrors.list.SkopeoFile;
import io.kubic.mirrors.oci.Descriptor;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.registry.RegistryClient;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * {@code plan}: what a MirrorList selects now, with the digest that each tag points at. Asks the
 * sources for lists and, with one HEAD request per image, for digests; writes nothing.
 */
@Command(
    name = "plan",
    mixinStandardHelpOptions = true,
    description = "Show what a MirrorList selects, before a byte moves.")
final class PlanCommand implements Callable<Integer> {
  /** How the plan is printed. */
  enum Output {
    table,
    json,
    yaml,
    skopeo
  }

  @Spec private CommandSpec spec;
  @Mixin private ConnectionOptions connections;

  @Option(
      names = {"-f", "--file"},
      required = true,
      paramLabel = "FILE",
      description = "YAML with a MirrorList.")
  private Path file;

  @Option(
      names = "--list",
      paramLabel = "NAME",
      description = "Which MirrorList, if the file holds several.")
  private @Nullable String name;

  @Option(
      names = {"-o", "--output"},
      defaultValue = "table",
      description = "${COMPLETION-CANDIDATES}; skopeo is a file for skopeo sync --src yaml.")
  private Output output;

  /** An image with what it points at; null when that could not be found out. */
  private record Row(SelectedImage image, @Nullable Descriptor points) {}

  @Override
  public Integer call() {
    MirrorListSpec list = read().getSpec();
    Selector selector = Selector.compile(list);
    PrintWriter out = spec.commandLine().getOut();
    PrintWriter err = spec.commandLine().getErr();
    try (ConnectionOptions open = connections;
        ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
      Map<List<String>, RegistryClient> clients = new LinkedHashMap<>();
      for (MirrorListSpec.Source source : list.sources()) {
        clients.put(key(source), open.source(source, list.retry()));
      }
      Selection selection =
          selector.select(
              source ->
                  new RegistryCatalog(Optional.ofNullable(clients.get(key(source))).orElseThrow()),
              executor);
      List<Selection.Problem> problems = new ArrayList<>(selection.problems());
      List<Row> rows =
          output == Output.skopeo || selection.isRefused()
              ? selection.images().stream().map(image -> new Row(image, null)).toList()
              : resolve(selection.images(), clients, executor, problems);
      long requests = clients.values().stream().mapToLong(RegistryClient::requests).sum();
      switch (output) {
        case table -> printTable(selection, rows, requests, out);
        case json ->
            out.println(write(tree(rows, problems, selection, requests), new ObjectMapper()));
        case yaml ->
            out.print(
                write(
                    tree(rows, problems, selection, requests),
                    new ObjectMapper(
                        YAMLFactory.builder()
                            .disable(YAMLGenerator.Feature.WRITE_DOC_START_MARKER)
                            .build())));
        case skopeo -> out.print(SkopeoFile.of(selection.images(), withoutTls(list)));
      }
      out.flush();
      for (Selection.Problem problem : problems) {
        err.println(
            "problem: " + problem.object() + ": " + problem.reason() + ": " + problem.message());
      }
      return exitCode(selection, problems);
    }
  }

  private static int exitCode(Selection selection, List<Selection.Problem> problems) {
    if (selection.isRefused()) {
      return ExitCode.REFUSED;
    }
    if (selection.images().isEmpty()
        && problems.stream().anyMatch(problem -> problem.reason().isUnavailable())) {
      return ExitCode.UNAVAILABLE;
    }
    return selection.complete() && problems.size() == selection.problems().size()
        ? ExitCode.OK
        : ExitCode.FAILED;
  }

  private MirrorList read() {
    List<MirrorList> lists;
    try {
      lists = ResourceFile.read(Files.readString(file), file.toString(), MirrorList.class);
    } catch (IOException e) {
      throw new CommandException(
          ExitCode.USAGE, file + ": cannot be read: " + e.getClass().getSimpleName());
    }
    String wanted = name;
    if (wanted != null) {
      return lists.stream()
          .filter(list -> wanted.equals(list.getMetadata().getName()))
          .findFirst()
          .orElseThrow(
              () -> new InvalidSpecException(file.toString(), "has no MirrorList " + wanted));
    }
    if (lists.size() != 1) {
      throw new InvalidSpecException(
          file.toString(),
          lists.isEmpty()
              ? "has no MirrorList"
              : "has several MirrorLists, name one with --list: "
                  + lists.stream()
                      .map(list -> list.getMetadata().getName())
                      .collect(Collectors.joining(", ")));
    }
    return lists.getFirst();
  }

  private static List<String> key(MirrorListSpec.Source source) {
    return List.of(source.registry(), source.name());
  }

  private static Set<String> withoutTls(MirrorListSpec list) {
    return list.sources().stream()
        .filter(source -> source.tls().plainHTTP() || source.tls().insecureSkipVerify())
        .map(MirrorListSpec.Source::registry)
        .collect(Collectors.toSet());
  }

  private static List<Row> resolve(
      List<SelectedImage> images,
      Map<List<String>, RegistryClient> clients,
      ExecutorService executor,
      List<Selection.Problem> problems) {
    Map<SelectedImage, Future<Optional<Descriptor>>> running = new LinkedHashMap<>();
    for (SelectedImage image : images) {
      RegistryClient client =
          Optional.ofNullable(clients.get(List.of(image.registry(), image.source()))).orElseThrow();
      String identifier = image.reference().identifier().orElseThrow();
      running.put(
          image, executor.submit(() -> client.resolve(image.repository().path(), identifier)));
    }
    List<Row> rows = new ArrayList<>();
    try {
      for (Map.Entry<SelectedImage, Future<Optional<Descriptor>>> entry : running.entrySet()) {
        SelectedImage image = entry.getKey();
        Descriptor points = null;
        try {
          points = entry.getValue().get().orElse(null);
          if (points == null) {
            problems.add(
                new Selection.Problem(
                    image.toString(), Reason.NotFound, "the registry has no such image"));
          }
        } catch (ExecutionException e) {
          if (!(e.getCause() instanceof RegistryException failure)) {
            throw new IllegalStateException(e.getCause());
          }
          problems.add(
              new Selection.Problem(image.toString(), failure.reason(), failure.problem()));
        }
        rows.add(new Row(image, points));
      }
      return rows;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new RegistryException(Reason.Cancelled, "plan", "was interrupted");
    } finally {
      running.values().forEach(future -> future.cancel(true));
    }
  }

  private static void printTable(
      Selection selection, List<Row> rows, long requests, PrintWriter out) {
    Map<String, List<Row>> repositories = new TreeMap<>();
    for (Row row : rows) {
      repositories
          .computeIfAbsent(row.image().repository().toString(), any -> new ArrayList<>())
          .add(row);
    }
    Table table = new Table("REPOSITORY", "TAG", "DIGEST");
    repositories.forEach(
        (repository, of) -> {
          String shown = shortened(repository, 38);
          for (Row row : of) {
            String tag = row.image().tag();
            table.row(
                shown,
                tag == null ? "-" : shortened(tag, 24),
                row.points() == null ? "-" : row.points().digest().brief());
            shown = "";
          }
        });
    table.print(out);
    long images = rows.stream().map(Row::points).distinct().count();
    out.println();
    for (Selection.SourceCount source : selection.sources()) {
      out.println(
          source.registry()
              + ": "
              + source.matched()
              + " of "
              + source.repositories()
              + " repositories, "
              + source.selected()
              + " of "
              + source.tags()
              + " tags selected");
    }
    out.println(
        String.format(
            Locale.ROOT,
            "%d tags, %d different images, %d requests (%.2f per selected tag)%s",
            rows.size(),
            images,
            requests,
            rows.isEmpty() ? 0.0 : (double) requests / rows.size(),
            selection.complete() ? "" : "; INCOMPLETE, see the problems"));
  }

  private static String shortened(String text, int width) {
    return text.length() <= width
        ? text
        : text.substring(0, width / 2)
            + "…"
            + text.substring(text.length() - (width - width / 2 - 1));
  }

  private static ObjectNode tree(
      List<Row> rows, List<Selection.Problem> problems, Selection selection, long requests) {
    ObjectMapper mapper = new ObjectMapper();
    ObjectNode root = mapper.createObjectNode();
    var images = root.putArray("images");
    for (Row row : rows) {
      ObjectNode image = images.addObject().put("source", row.image().toString());
      if (row.points() != null) {
        image
            .put("digest", row.points().digest().toString())
            .put("mediaType", row.points().mediaType());
      }
    }
    var told = root.putArray("problems");
    for (Selection.Problem problem : problems) {
      told.addObject()
          .put("object", problem.object())
          .put("reason", problem.reason().name())
          .put("message", problem.message());
    }
    root.putObject("totals")
        .put("images", rows.size())
        .put("requests", requests)
        .put("complete", selection.complete());
    return root;
  }

  private static String write(ObjectNode tree, ObjectMapper mapper) {
    try {
      return mapper.enable(SerializationFeature.INDENT_OUTPUT).writeValueAsString(tree);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
