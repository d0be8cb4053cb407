package io.kubic.mirrors.list;

import io.fabric8.kubernetes.api.model.Quantity;
import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.api.v1alpha1.MirrorListSpec;
import io.kubic.mirrors.oci.Listing;
import io.kubic.mirrors.oci.Platform;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.Reference;
import io.kubic.mirrors.oci.RegistryException;
import io.kubic.mirrors.oci.Repository;
import io.kubic.mirrors.oci.Shown;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A list's spec, compiled and proven readable; it turns what the sources offer into a {@link
 * Selection}. Immutable, and free for any number of runs.
 *
 * <p>Of one source: the repositories of its catalog that {@code repositories} lets pass, and those
 * named without a tag in {@code images}, each with the tags that {@code tags} selects; besides,
 * every image named with a tag or digest, whatever {@code tags} says. {@code blockedImages} come
 * last.
 */
public final class Selector {
  private static final String HUB = "docker.io";

  private final List<SourceRules> sources;
  private final List<UserPattern> blocked;
  private final int maxImages;

  /** One source, compiled. */
  private record SourceRules(
      String path,
      MirrorListSpec.Source spec,
      PatternFilter repositories,
      TagRules tags,
      List<Reference> literals) {
    /** Repositories named without a tag: their tags are selected by rule. */
    Set<String> literalRepositories() {
      Set<String> named = new TreeSet<>();
      for (Reference literal : literals) {
        if (literal.tag() == null && literal.digest() == null) {
          named.add(literal.repository().path());
        }
      }
      return named;
    }
  }

  /** What became of one repository. */
  private record Listed(
      List<String> selected,
      int seen,
      List<Selection.Problem> problems,
      boolean complete,
      Set<String> companions) {}

  private Selector(List<SourceRules> sources, List<UserPattern> blocked, int maxImages) {
    this.sources = List.copyOf(sources);
    this.blocked = blocked;
    this.maxImages = maxImages;
  }

  /**
   * @throws InvalidSpecException naming the field that cannot be read: no source, a pattern, a
   *     range, a literal image, a platform, a number of bytes, or two sources of one registry with
   *     the same name
   */
  public static Selector compile(MirrorListSpec spec) {
    if (spec.sources().isEmpty()) {
      throw new InvalidSpecException("spec.sources", "is empty; name at least one registry");
    }
    requireBytes(spec.guard().maxBytes());
    List<SourceRules> compiled = new ArrayList<>();
    Set<List<String>> keys = new HashSet<>();
    for (int i = 0; i < spec.sources().size(); i++) {
      MirrorListSpec.Source source = spec.sources().get(i);
      String path = "spec.sources[" + i + "]";
      if (source.registry() == null || !Repository.isRegistry(source.registry())) {
        throw new InvalidSpecException(
            path + ".registry",
            source.registry() == null
                ? "is missing"
                : "'" + Shown.of(source.registry()) + "' is no host[:port] without a scheme");
      }
      if (!keys.add(List.of(source.registry(), source.name()))) {
        throw new InvalidSpecException(
            path + ".name",
            "'"
                + source.name()
                + "' is used twice for "
                + source.registry()
                + "; give each source of a registry a name of its own");
      }
      compiled.add(compile(source, path));
    }
    return new Selector(
        compiled,
        PatternFilter.compileAll(spec.blockedImages(), "spec.blockedImages"),
        spec.guard().maxImages());
  }

  private static void requireBytes(@Nullable Quantity quantity) {
    try {
      if (quantity != null) {
        Quantity.getAmountInBytes(quantity);
      }
    } catch (IllegalArgumentException e) {
      throw new InvalidSpecException(
          "spec.guard.maxBytes",
          "'" + Shown.of(String.valueOf(quantity)) + "' is no quantity, as in 500Gi");
    }
  }

  private static SourceRules compile(MirrorListSpec.Source source, String path) {
    PatternFilter repositories =
        PatternFilter.compile(
            source.repositories().include(),
            source.repositories().exclude(),
            false,
            path + ".repositories");
    if (source.images().isEmpty() && !repositories.includesByPattern()) {
      throw new InvalidSpecException(
          path, "selects nothing; name images, or patterns in repositories.include");
    }
    List<Reference> literals = new ArrayList<>();
    for (int i = 0; i < source.images().size(); i++) {
      literals.add(literal(source.registry(), source.images().get(i), path + ".images[" + i + "]"));
    }
    for (int i = 0; i < source.platforms().size(); i++) {
      try {
        Platform.parse(source.platforms().get(i));
      } catch (IllegalArgumentException e) {
        throw new InvalidSpecException(
            path + ".platforms[" + i + "]", String.valueOf(e.getMessage()));
      }
    }
    return new SourceRules(
        path, source, repositories, TagRules.compile(source.tags(), path + ".tags"), literals);
  }

  private static Reference literal(String registry, String text, String path) {
    if (text.startsWith(registry + "/")) {
      throw new InvalidSpecException(
          path,
          "leave out the registry: write '"
              + Shown.of(text.substring(registry.length() + 1))
              + "'");
    }
    // As everywhere, a single name at Docker Hub lies in library/.
    String name = registry.equals(HUB) && text.indexOf('/') < 0 ? "library/" + text : text;
    try {
      return Reference.parse(registry, name);
    } catch (IllegalArgumentException e) {
      throw new InvalidSpecException(
          path, e.getMessage() + "; expected repo, repo:tag, repo@digest or repo:tag@digest");
    }
  }

  /**
   * Asks every source and selects. A source or repository that cannot be listed becomes a problem
   * and makes the selection incomplete; the others are still selected.
   *
   * @param catalogs what to ask for each source
   * @param executor runs one task per repository; how many requests run at once is the catalog's
   *     affair
   * @throws RegistryException {@code Cancelled} when the thread is interrupted
   */
  public Selection select(
      Function<MirrorListSpec.Source, Catalog> catalogs, ExecutorService executor) {
    Harvest harvest = new Harvest();
    List<Selection.SourceCount> counts = new ArrayList<>();
    for (SourceRules source : sources) {
      counts.add(select(source, catalogs.apply(source.spec()), executor, harvest));
    }
    return harvest.selection(counts);
  }

  private Selection.SourceCount select(
      SourceRules source, Catalog catalog, ExecutorService executor, Harvest harvest) {
    String registry = source.spec().registry();
    Set<String> literal = source.literalRepositories();
    Set<String> wanted = new TreeSet<>(literal);
    int offered = literal.size();
    if (source.repositories().includesByPattern()) {
      Listing found = discover(source, catalog, harvest);
      offered += (int) found.names().stream().filter(name -> !literal.contains(name)).count();
      found.names().stream().filter(source.repositories()::passes).forEach(wanted::add);
      if (!found.malformed().isEmpty()) {
        harvest.incomplete(
            registry,
            Reason.MalformedResponse,
            "the catalog holds names that are no repositories: " + some(found.malformed()));
      }
    }
    int before = harvest.count;
    // Literal images first: a digest that the list pins wins over the tag found by rule.
    for (Reference image : source.literals()) {
      if (image.tag() != null || image.digest() != null) {
        harvest.add(source.spec().name(), image);
      }
    }
    Map<String, Future<Listed>> running = new LinkedHashMap<>();
    long tags = 0;
    try {
      for (String name : wanted) {
        running.put(
            name, executor.submit(() -> list(source, catalog, name, literal.contains(name))));
      }
      for (Map.Entry<String, Future<Listed>> entry : running.entrySet()) {
        Listed listed = entry.getValue().get();
        Repository repository = new Repository(registry, entry.getKey());
        tags += listed.seen();
        // Of a source that wants no signatures nobody knows them.
        if (listed.complete() && source.spec().includeReferrers()) {
          harvest.companions.merge(repository, listed.companions(), Selector::union);
        }
        for (String tag : listed.selected()) {
          harvest.add(source.spec().name(), new Reference(repository, tag, null));
        }
        harvest.problems.addAll(listed.problems());
        harvest.complete &= listed.complete();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new RegistryException(Reason.Cancelled, registry, "the selection was interrupted");
    } catch (ExecutionException e) {
      throw e.getCause() instanceof RuntimeException known
          ? known
          : new IllegalStateException(e.getCause());
    } finally {
      running.values().forEach(future -> future.cancel(true));
    }
    return new Selection.SourceCount(
        registry, source.spec().name(), offered, wanted.size(), tags, harvest.count - before);
  }

  private static Listing discover(SourceRules source, Catalog catalog, Harvest harvest) {
    try {
      return catalog.repositories();
    } catch (RegistryException e) {
      if (e.reason() == Reason.Cancelled) {
        throw e;
      }
      harvest.incomplete(
          source.spec().registry(),
          e.reason(),
          e.reason() == Reason.DiscoveryUnsupported
              ? "has no catalog for "
                  + source.path()
                  + ".repositories.include; name its repositories in "
                  + source.path()
                  + ".images instead"
              : "its repositories cannot be listed: " + e.problem());
      return new Listing(List.of(), List.of());
    }
  }

  private static Listed list(SourceRules source, Catalog catalog, String name, boolean named) {
    String object = source.spec().registry() + "/" + name;
    Listing offered;
    try {
      offered = catalog.tags(name);
    } catch (RegistryException e) {
      if (e.reason() == Reason.Cancelled) {
        throw e;
      }
      // A catalog goes on listing repositories that have lost their last tag, or never had one.
      boolean empty = e.reason() == Reason.NotFound && !named;
      String message =
          empty
              ? "is in the catalog but has no tags; nothing to copy"
              : "its tags cannot be listed: " + e.problem();
      return new Listed(
          List.of(),
          0,
          List.of(new Selection.Problem(object, e.reason(), message, empty)),
          empty,
          Set.of());
    }
    List<Selection.Problem> problems =
        offered.malformed().isEmpty()
            ? List.of()
            : List.of(
                new Selection.Problem(
                    object,
                    Reason.MalformedResponse,
                    "the registry lists tags that are none: " + some(offered.malformed())));
    return new Listed(
        source.tags().select(offered.names()),
        offered.names().size(),
        problems,
        problems.isEmpty(),
        source.spec().includeReferrers() ? companions(offered.names()) : Set.of());
  }

  private static Set<String> companions(Collection<String> tags) {
    Set<String> found = new TreeSet<>();
    for (String tag : tags) {
      if (tag.startsWith("sha") && VersionTag.parse(tag).kind() == TagKind.COMPANION) {
        found.add(tag);
      }
    }
    return found.isEmpty() ? Set.of() : found;
  }

  private static Set<String> union(Set<String> a, Set<String> b) {
    if (a.isEmpty() || b.isEmpty()) {
      return a.isEmpty() ? b : a;
    }
    Set<String> all = new TreeSet<>(a);
    all.addAll(b);
    return all;
  }

  /**
   * Why an image is selected or not, for a person: what every source of its registry says.
   *
   * @param catalogs what to ask for each source; asked for the tags of the one repository at most
   * @throws RegistryException when these cannot be listed
   */
  public List<Explanation> explain(
      Reference image, Function<MirrorListSpec.Source, Catalog> catalogs) {
    List<Explanation> all = new ArrayList<>();
    for (SourceRules source : sources) {
      if (source.spec().registry().equals(image.repository().registry())) {
        all.add(explain(source, image, catalogs.apply(source.spec())));
      }
    }
    return all;
  }

  private Explanation explain(SourceRules source, Reference image, Catalog catalog) {
    List<String> steps = new ArrayList<>();
    boolean selected = explain(source, image, catalog, steps);
    if (selected) {
      String text =
          image.repository() + (image.tag() != null ? ":" + image.tag() : "@" + image.digest());
      for (int i = 0; i < blocked.size(); i++) {
        if (blocked.get(i).isFoundIn(text)) {
          steps.add("no: blockedImages[" + i + "] is found in it");
          selected = false;
          break;
        }
      }
    }
    return new Explanation(source.path(), source.spec().name(), selected, steps);
  }

  private static boolean explain(
      SourceRules source, Reference image, Catalog catalog, List<String> steps) {
    String path = image.repository().path();
    for (Reference literal : source.literals()) {
      if (literal.repository().path().equals(path)
          && (literal.tag() != null || literal.digest() != null)
          && (image.tag() == null || image.tag().equals(literal.tag()))
          && (image.digest() == null || image.digest().equals(literal.digest()))) {
        steps.add("yes: images names " + literal);
        return true;
      }
    }
    if (source.literalRepositories().contains(path)) {
      steps.add("images names its repository");
    } else {
      Optional<String> refused =
          source.repositories().includesByPattern()
              ? source.repositories().refusal(path)
              : Optional.of("include is empty");
      if (refused.isPresent()) {
        steps.add("no: images does not name it, and repositories." + refused.get());
        return false;
      }
      steps.add("repositories.include and repositories.exclude let " + path + " pass");
    }
    if (image.tag() == null) {
      steps.add(
          image.digest() == null
              ? "its tags are selected by tags; name one to hear about it"
              : "no: images names no such digest, and tags selects by tag");
      return image.digest() == null;
    }
    List<String> more = source.tags().explain(catalog.tags(path).names(), image.tag());
    steps.addAll(more);
    return more.getLast().startsWith("yes");
  }

  /**
   * What one source says of an image.
   *
   * @param path of the source in the spec
   * @param source its name
   * @param steps one line each; the last one begins with {@code yes} or {@code no}
   */
  public record Explanation(String path, String source, boolean selected, List<String> steps) {
    public Explanation {
      steps = List.copyOf(steps);
    }
  }

  private static String some(Collection<String> names) {
    StringBuilder text = new StringBuilder();
    names.stream()
        .limit(3)
        .forEach(
            name -> text.append(text.isEmpty() ? "'" : ", '").append(Shown.of(name)).append('\''));
    return names.size() > 3 ? text + " and " + (names.size() - 3) + " more" : text.toString();
  }

  /** What has been selected so far; holds no more than the guard allows. */
  private final class Harvest {
    private final Map<Repository, Map<String, SelectedImage>> images = new TreeMap<>();
    private final List<Selection.Problem> problems = new ArrayList<>();
    private final Map<Repository, Set<String>> companions = new HashMap<>();
    private boolean complete = true;
    private int count;

    void incomplete(String object, Reason reason, String message) {
      problems.add(new Selection.Problem(object, reason, message));
      complete = false;
    }

    void add(String source, Reference image) {
      String text =
          image.repository() + (image.tag() != null ? ":" + image.tag() : "@" + image.digest());
      if (blocked.stream().anyMatch(pattern -> pattern.isFoundIn(text))) {
        return;
      }
      Map<String, SelectedImage> known =
          images.computeIfAbsent(image.repository(), any -> new TreeMap<>());
      // One tag is one name at the target, and so is one digest without a tag.
      String key = image.tag() != null ? image.tag() : "@" + image.digest();
      SelectedImage first = known.get(key);
      if (first != null) {
        if (image.digest() != null && !image.digest().equals(first.digest())) {
          problems.add(
              new Selection.Problem(
                  text,
                  Reason.Conflict,
                  "is wanted twice: as "
                      + (first.digest() == null ? "the tag" : first.digest())
                      + " and as "
                      + image.digest()
                      + "; the first is taken",
                  true));
        }
        return;
      }
      count++;
      if (count <= maxImages) {
        known.put(key, new SelectedImage(source, image.repository(), image.tag(), image.digest()));
      }
    }

    Selection selection(List<Selection.SourceCount> counts) {
      if (count > maxImages) {
        incomplete(
            "spec.guard.maxImages",
            Reason.GuardExceeded,
            count
                + " images are selected, at most "
                + maxImages
                + " are allowed; narrow the patterns, or raise the guard");
      }
      problems.sort(null);
      return new Selection(
          images.values().stream().flatMap(known -> known.values().stream()).sorted().toList(),
          counts,
          problems,
          complete,
          companions);
    }
  }
}
