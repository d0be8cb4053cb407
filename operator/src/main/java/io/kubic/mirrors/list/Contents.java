package io.kubic.mirrors.list;

import io.kubic.mirrors.api.v1alpha1.InvalidSpecException;
import io.kubic.mirrors.oci.Listing;
import io.kubic.mirrors.oci.Reason;
import io.kubic.mirrors.oci.RegistryException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;

/**
 * What a registry holds, for a person to read.
 *
 * @param repositories sorted by name; one whose tags cannot be listed stands with none
 * @param problems what could not be listed
 */
public record Contents(List<Entry> repositories, List<Selection.Problem> problems) {
  public Contents {
    repositories = List.copyOf(repositories);
    problems = List.copyOf(problems);
  }

  /**
   * One repository.
   *
   * @param tags sorted as text
   * @param newest the newest version's tag, or {@code -}
   */
  public record Entry(String name, List<String> tags, String newest) {
    public Entry {
      tags = List.copyOf(tags);
    }
  }

  /**
   * @param registry its name, for messages
   * @param pattern RE2, found anywhere in a repository's name
   * @param executor runs one task per repository
   * @throws InvalidSpecException when the pattern is none
   * @throws RegistryException when the repositories cannot be listed at all
   */
  public static Contents list(
      Catalog catalog, String registry, String pattern, ExecutorService executor) {
    UserPattern wanted = UserPattern.compile(pattern, "PATTERN");
    Listing offered = catalog.repositories();
    List<Selection.Problem> problems = new ArrayList<>();
    for (String name : offered.malformed()) {
      problems.add(
          new Selection.Problem(
              registry,
              Reason.MalformedResponse,
              "the catalog holds a name that is no repository: '" + name + "'"));
    }
    Map<String, Future<Listing>> running = new TreeMap<>();
    for (String name : offered.names()) {
      if (wanted.isFoundIn(name)) {
        running.put(name, executor.submit(() -> catalog.tags(name)));
      }
    }
    List<Entry> entries = new ArrayList<>();
    try {
      for (Map.Entry<String, Future<Listing>> one : running.entrySet()) {
        try {
          entries.add(entry(one.getKey(), one.getValue().get().names()));
        } catch (ExecutionException e) {
          if (!(e.getCause() instanceof RegistryException failure)) {
            throw new IllegalStateException(e.getCause());
          }
          entries.add(entry(one.getKey(), List.of()));
          // A catalog goes on listing repositories that have lost their last tag.
          if (failure.reason() != Reason.NotFound) {
            problems.add(
                new Selection.Problem(
                    registry + "/" + one.getKey(), failure.reason(), failure.problem()));
          }
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new RegistryException(Reason.Cancelled, registry, "listing was interrupted");
    } finally {
      running.values().forEach(future -> future.cancel(true));
    }
    problems.sort(null);
    return new Contents(entries, problems);
  }

  private static Entry entry(String name, List<String> tags) {
    String newest =
        tags.stream()
            .map(VersionTag::parse)
            .filter(tag -> tag.kind() != TagKind.COMPANION)
            .max(
                Comparator.comparing(VersionTag::kind)
                    .thenComparing((VersionTag tag) -> !tag.preRelease())
                    .thenComparing(Comparator.naturalOrder()))
            .map(VersionTag::text)
            .orElse("-");
    return new Entry(name, tags.stream().sorted().toList(), newest);
  }
}
