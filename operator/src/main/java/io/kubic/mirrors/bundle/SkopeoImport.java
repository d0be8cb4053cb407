package io.kubic.mirrors.bundle;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.list.Catalog;
import io.kubic.mirrors.list.SelectedImage;
import io.kubic.mirrors.list.Selection;
import io.kubic.mirrors.list.Selector;
import io.kubic.mirrors.oci.ImageStore;
import io.kubic.mirrors.oci.Listing;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.layout.SkopeoDirectory;
import io.kubic.mirrors.sync.Copier;
import io.kubic.mirrors.sync.Outcome;
import io.kubic.mirrors.sync.Planner;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import org.jspecify.annotations.Nullable;

/**
 * Takes what {@code skopeo sync --dest dir} wrote into a registry. Every blob is hashed on its way;
 * tags move after everything has arrived.
 */
public final class SkopeoImport {
  private final SkopeoDirectory directory;
  private final @Nullable MirrorListSpec list;
  private final ImageStore target;
  private final boolean allowPartial;
  private final ExecutorService executor;

  /**
   * @param list what is wanted of the disk; null for all
   * @param allowPartial whether images that are whole are taken without the others
   */
  public SkopeoImport(
      SkopeoDirectory directory,
      @Nullable MirrorListSpec list,
      ImageStore target,
      boolean allowPartial,
      ExecutorService executor) {
    this.directory = directory;
    this.list = list;
    this.target = target;
    this.allowPartial = allowPartial;
    this.executor = executor;
  }

  /**
   * Runs.
   *
   * @throws RefusedException when something is missing or damaged; no tag was moved
   */
  public List<Outcome> run(Watcher watcher) {
    MirrorListSpec spec = list == null ? everything() : list;
    StagedTarget staged = new StagedTarget(target, digest -> null);
    Planner.Result planned =
        new Planner(
                spec,
                source -> directory.source(source.registry()),
                staged,
                Planner.Depth.COPIES,
                executor)
            .plan(selection(spec));
    List<Outcome> outcomes = new ArrayList<>(planned.settled());
    Copier copier = new Copier(staged, spec, executor);
    watcher.begin(
        planned.plan(),
        planned.work().size(),
        planned.plan().totals().bytesToTransfer(),
        copier::settledBytes);
    outcomes.addAll(copier.copy(planned.work(), o -> {}));
    List<Outcome> failed =
        outcomes.stream().filter(o -> o.result() == Outcome.Result.Failed).toList();
    if (!failed.isEmpty() && !allowPartial) {
      Outcome first = failed.getFirst();
      throw new RefusedException(
          first.reason() == null ? Reason.Internal : first.reason(),
          first.source(),
          first.message()
              + (failed.size() > 1 ? "; " + (failed.size() - 1) + " more images failed" : "")
              + "; no tag was moved");
    }
    staged
        .waiting()
        .forEach(
            (name, manifest) -> {
              int colon = name.lastIndexOf(':');
              staged.publish(name.substring(0, colon), name.substring(colon + 1), manifest);
            });
    outcomes.forEach(watcher::image);
    return outcomes;
  }

  private Selection selection(MirrorListSpec spec) {
    if (list != null) {
      Selection selection = Selector.compile(spec).select(this::catalog, executor);
      if (!selection.problems().isEmpty()) {
        Selection.Problem first = selection.problems().getFirst();
        throw new RefusedException(first.reason(), first.object(), first.message());
      }
      return selection;
    }
    return new Selection(
        directory.images().stream()
            .map(
                image ->
                    new SelectedImage("default", image.repository(), image.tag(), image.digest()))
            .sorted()
            .toList(),
        List.of(),
        List.of(),
        true);
  }

  private Catalog catalog(MirrorListSpec.Source source) {
    return new Catalog() {
      @Override
      public Listing repositories() {
        return directory.repositories(source.registry());
      }

      @Override
      public Listing tags(String repository) {
        Listing tags = directory.source(source.registry()).tags(repository);
        if (tags.names().isEmpty()) {
          throw new RegistryException(
              Reason.NotFound, source.registry() + "/" + repository, "is not on the disk");
        }
        return tags;
      }
    };
  }

  /** A list that means all that is on the disk, named as there. */
  private MirrorListSpec everything() {
    TreeSet<String> registries = new TreeSet<>();
    directory.images().forEach(image -> registries.add(image.repository().registry()));
    ObjectNode spec = Json.object();
    spec.put("layout", directory.isScoped() ? "Scoped" : "Flat");
    ArrayNode sources = spec.putArray("sources");
    for (String registry : registries) {
      ObjectNode source = sources.addObject().put("registry", registry);
      source.put("includeReferrers", false);
      source.putObject("repositories").putArray("include").add(".*");
    }
    return Json.value(spec, MirrorListSpec.class);
  }
}
